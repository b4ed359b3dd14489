"""Load a machine when one is needed.

The compiler and what it is made of take a while to import. Whoever reads entries, folds them or
audits them needs no machine, and does not wait for it.
"""

from __future__ import annotations

from collections.abc import Callable

from .machine import Library, Machine


def load(text: str, file: str, library: Callable[[str], Library]) -> Machine:
    """Return the machine that `text` describes; see `compiler.load`. Raises SpecError."""
    from . import compiler  # noqa: PLC0415

    return compiler.load(text, file, library)
