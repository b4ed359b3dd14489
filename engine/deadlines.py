"""Timers in order: a heap per clock, fed by the tape.

A clock is wall time ("") or a chain's height (the chain's name). The heap holds what was armed;
whether a timer still stands is for its instance to say, so cancelling and moving cost nothing
here and stale items are dropped when they come up. Order: deadline, then position of the entry
that armed it, then name.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush

WALL = ""

Item = tuple[int, int, str, int]
"""(deadline, position of the arming entry, timer name, position of the instance)."""

_COMPACT_MIN = 10_000


class Deadlines:
    """Every armed timer of a tape, and some that no longer stand."""

    def __init__(self, stands: Callable[[str, Item], bool]) -> None:
        """`stands(clock, item)` says whether the instance still has this very timer."""
        self._stands = stands
        self._heaps: dict[str, list[Item]] = {}
        self._compact_at: dict[str, int] = {}
        self.clocks: tuple[str, ...] = ()
        """The clocks that ever had timers, wall time first."""

    def arm(self, clock: str, item: Item) -> None:
        """Add an armed timer."""
        heap = self._heaps.get(clock)
        if heap is None:
            heap = self._heaps[clock] = []
            self.clocks = tuple(sorted(self._heaps))
        heappush(heap, item)
        if len(heap) > self._compact_at.get(clock, _COMPACT_MIN):
            self._compact(clock, heap)

    def _compact(self, clock: str, heap: list[Item]) -> None:
        """Drop what no longer stands, so that re-arming for ever stays bounded."""
        heap[:] = [item for item in heap if self._stands(clock, item)]
        heapify(heap)
        self._compact_at[clock] = max(_COMPACT_MIN, 2 * len(heap))

    def earliest(self, clock: str) -> int | None:
        """Return the earliest deadline that stands on a clock, or None."""
        heap = self._heaps.get(clock)
        while heap:
            if self._stands(clock, heap[0]):
                return heap[0][0]
            heappop(heap)
        return None

    def due(self, clock: str, upto: int) -> Item | None:
        """Return the first timer on a clock whose deadline is at or before `upto`, or None.

        It stays until it no longer stands: firing it takes it from its instance.
        """
        heap = self._heaps.get(clock)
        while heap and heap[0][0] <= upto:
            if self._stands(clock, heap[0]):
                return heap[0]
            heappop(heap)
        return None
