"""Bounded work, counted rather than timed: the same limit on a slow machine as on a fast one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooMuchWork(AssertionError):
    """What was to be cheap made more calls than it was allowed."""


@contextmanager
def at_most(calls: int) -> Iterator[None]:
    """Run the block; raise TooMuchWork once it has made more than `calls` calls of functions."""
    count = 0

    def counted(_frame: FrameType, what: str, _argument: object) -> None:
        nonlocal count
        if what == "call":
            count += 1
            if count > calls:
                sys.setprofile(None)
                raise TooMuchWork(f"more than {calls} calls")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        yield
    finally:
        sys.setprofile(before)
