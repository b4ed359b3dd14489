"""A node for a test; its tape is replayed when the test is done."""

from __future__ import annotations

import functools

import pytest
from statetape.engine import loading

from .node import Node


@pytest.fixture(scope="module", autouse=True)
def compiled_once():
    """Compile a machine's text once for all tapes of a module: the same text, the same machine.

    Every reopening and every replay reads the machines from the tape, and these are large.
    """
    patch = pytest.MonkeyPatch()
    patch.setattr(loading, "load", functools.cache(loading.load))
    yield
    patch.undo()


@pytest.fixture
def node(tmp_path):
    """A node on a fresh tape."""
    made = Node(tmp_path)
    yield made
    made.close()
