"""A shell for each test."""

from __future__ import annotations

import pytest

from .shell import Shell


@pytest.fixture
def sh(tmp_path):
    """The command line on a tape of its own."""
    return Shell(tmp_path)
