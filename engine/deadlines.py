"""Timers in order: a heap per clock, fed by the tape.

A clock is wall time ("") or a chain's height (the chain's name). Whether a timer stands, and for
when, is for its instance to say; the heap holds at least one item for every armed timer, at or
before its deadline. So moving a deadline later, which is what most timers do all the time, costs a
look-up and nothing else: the item is put right when it comes up. Order: deadline, then position of
the entry that armed it, then name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from heapq import heappop, heappush

from ..fsm.fold import Armed

WALL = ""
NEVER = 2**63

Item = tuple[int, int, str, int]
"""(deadline, position of the arming entry, timer name, position of the instance)."""

_NO_HEAD = (-1, 0)


class Deadlines:
    """Every armed timer of a tape, in order."""

    def __init__(self, armed: Callable[[int, str], Armed | None]) -> None:
        """`armed(instance, name)` is the timer as its instance has it now."""
        self._armed = armed
        self._heaps: dict[str, list[Item]] = {}
        self._queued: dict[tuple[str, int, str], int] = {}
        """The earliest deadline in its clock's heap, for each timer that has an item there.

        A timer of one name may wait for wall time in one state and for a height in the next.
        """
        self.clocks: tuple[str, ...] = ()
        """The clocks that ever had timers, wall time first."""
        self.soonest = NEVER
        """No timer on wall time is due before this (a lower bound, cheap to look at)."""
        self.heights = False
        """Whether any timer ever waited for a height."""

    def arm(self, clock: str, name: str, instance: int, armed: Armed) -> None:
        """Note that an instance has armed or moved a timer."""
        _, deadline, pos = armed
        queued = self._queued.get((clock, instance, name))
        if queued is not None and queued <= deadline:
            return
        heap = self._heaps.get(clock)
        if heap is None:
            heap = self._heaps[clock] = []
            self.clocks = tuple(sorted(self._heaps))
            self.heights = self.heights or clock != WALL
        self._queued[clock, instance, name] = deadline
        heappush(heap, (deadline, pos, name, instance))
        if clock == WALL and deadline < self.soonest:
            self.soonest = deadline

    def pending(self, now: int, heads: Mapping[str, tuple[int, int]]) -> bool:
        """Whether anything may be due: wall time up to `now`, heights up to the heads."""
        if now >= self.soonest:
            first = self._first(WALL, now)
            self.soonest = self._heaps[WALL][0][0] if self._heaps[WALL] else NEVER
            if first is not None:
                return True
        if self.heights:
            for clock, heap in self._heaps.items():
                if clock != WALL and heap and heap[0][0] <= heads.get(clock, _NO_HEAD)[0]:
                    return True
        return False

    def earliest(self, clock: str) -> int | None:
        """Return the earliest deadline on a clock, or None."""
        first = self._first(clock, NEVER)
        return first[0] if first else None

    def due(self, clock: str, upto: int) -> Item | None:
        """Return the first timer on a clock whose deadline is at or before `upto`, or None.

        It stays until its instance has it no more: firing it takes it from its instance.
        """
        return self._first(clock, upto)

    def _first(self, clock: str, upto: int) -> Item | None:
        """Put the front of a heap right; return its first item, if not after `upto`."""
        heap = self._heaps.get(clock)
        kind = "at" if clock == WALL else "height"
        while heap and heap[0][0] <= upto:
            item = heap[0]
            deadline, _, name, instance = item
            armed = self._armed(instance, name)
            stands = armed is not None and armed[0] == kind
            if stands and armed is not None and armed[1:] == item[:2]:
                return item
            heappop(heap)
            if self._queued.get((clock, instance, name)) == deadline:
                del self._queued[clock, instance, name]
                if stands and armed is not None:
                    self.arm(clock, name, instance, armed)
        return None
