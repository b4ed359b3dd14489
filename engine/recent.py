"""What happened last to an instance, read from its end and not further than is worth it.

Most of an instance's entries only move its data. Those that say more (a change of state, a
refusal, a cause, an event handed over, an effect) are told apart by their bytes alone, so reading
back over tens of thousands of others costs little. Every body fits its CRC all the same, and the
numbers of those that are decoded prove that the index led to the right ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, pairwise

from ..fsm.entry import Entry, decode
from ..fsm.fold import Folded
from ..storage import projection
from ..storage.reader import BATCH_ROWS, Reader

_TELLING = re.compile(rb'"(?:to":"|outcome":"|cause":|raise|effects":\[|create":")')
"""Stands in every entry that says more than how data moved (and, inside its data, in others)."""
_MOVED = b'"to":"'
"""Stands in every entry that changes the state (and, inside its data, in others)."""


@dataclass(frozen=True)
class Recent:
    """The last entries of an instance: `telling` are those that say something, newest first.

    `positions`: those of all that were looked at; `whole`: nothing was left out. `entered`: the
    entry that brought the instance to its state; None: it is further back.
    """

    telling: tuple[Entry, ...]
    entered: Entry | None
    positions: frozenset[int]
    whole: bool
    oldest: Entry


def recent(reader: Reader, instance: Folded, fresh: list[int], limit: int, keep: int) -> Recent:
    """Return what the last entries of an instance say: `limit` at most, of which `keep` tell.

    What brought it to its state is looked for as far back as `limit`. `fresh`: the positions of
    its entries that are not projected yet. Raises TapeDamaged.
    """
    return _Reading(reader, instance, fresh).back(min(limit, instance.seq), keep)


class _Reading:
    def __init__(self, reader: Reader, instance: Folded, fresh: list[int]) -> None:
        self.reader = reader
        self.instance = instance
        self.windows = chain([fresh], projection.windows_back(reader, instance.pos))
        self.telling: list[Entry] = []
        self.entered: Entry | None = None
        self.positions: set[int] = set()

    def back(self, limit: int, keep: int) -> Recent:
        """Read back until nothing more is wanted."""
        read = 0
        oldest: Entry | None = None
        full = False
        for body in self._bodies(limit):
            read += 1
            full = len(self.telling) >= keep
            wanted = (_MOVED in body) if full else _TELLING.search(body) is not None
            if wanted or read in (1, limit):
                oldest = self._entry(body, read)
                if wanted and not full:
                    self.telling.append(oldest)
                if self.entered is None and oldest.to is not None:
                    self.entered = oldest
            if full and self.entered is not None:
                break
        if oldest is None or (read != limit and not full):
            raise projection.misled(self.instance.pos)
        whole = read == self.instance.seq and not full
        return Recent(tuple(self.telling), self.entered, frozenset(self.positions), whole, oldest)

    def _entry(self, body: bytes, read: int) -> Entry:
        """Return the entry, which is the one expected, or raise TapeDamaged."""
        entry = decode(body)
        pos = self.instance.pos
        if entry.seq != self.instance.seq - read + 1 or pos not in (entry.instance, entry.pos):
            raise projection.misled(pos)
        return entry

    def _bodies(self, limit: int) -> Iterator[bytes]:
        """Yield the bytes of the last `limit` entries, newest first."""
        for positions in _batches(self.windows, limit):
            if any(one >= other for one, other in pairwise(positions)):
                raise projection.misled(self.instance.pos)
            self.positions.update(positions)
            yield from reversed(self.reader.bodies_of(positions))


def _batches(windows: Iterable[list[int]], limit: int) -> Iterator[list[int]]:
    """Yield the newest `limit` positions in batches, newest batch first, each ascending."""
    for window in windows:
        end = len(window)
        while end and limit > 0:
            count = min(end, BATCH_ROWS, limit)
            yield window[end - count : end]
            end -= count
            limit -= count
        if limit <= 0:
            return
