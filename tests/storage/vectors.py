"""The shared test vectors, where this checkout has them beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


def shared(name: str) -> Any:
    """Return the vectors in STATETAPE_SHARED (default: ../shared) or skip the test."""
    folder = Path(os.environ.get("STATETAPE_SHARED", ROOT.parent / "shared"))
    path = folder / "vectors" / name
    if not path.is_file():
        pytest.skip(f"{path} is not here; STATETAPE_SHARED says where the shared folder is")
    return json.loads(path.read_text())
