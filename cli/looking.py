"""Open a tape for looking, and say so where nothing vouches for its end."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

from .output import warn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..engine.inspect import Inspector
    from ..storage.reader import Reader


@contextmanager
def reading(tape: Path, anchor: Path | None) -> Iterator[Reader]:
    """Open the tape for reading, compared with its anchor. Raises what `open_reader` raises."""
    from ..engine.inspect import open_reader

    with open_reader(tape, anchor) as reader:
        if not reader.files.anchor.exists():
            warn(f"note: no anchor at {reader.files.anchor}: a lost tail would not be noticed")
        yield reader


@contextmanager
def looking(tape: Path, anchor: Path | None) -> Iterator[Inspector]:
    """Open the tape for looking at its instances, compared with its anchor."""
    from ..engine.inspect import Inspector

    with reading(tape, anchor) as reader, Inspector(reader) as inspector:
        yield inspector


@contextmanager
def uncollected() -> Iterator[None]:
    """Do without the garbage collector: what is read is bounded, and nearly all of it stays."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
