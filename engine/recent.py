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
from itertools import pairwise

from ..fsm.entry import Entry, decode
from ..fsm.fold import Folded
from ..storage import projection
from ..storage.reader import BATCH_ROWS, Reader

_TELLING = re.compile(rb'"(?:to":"|outcome":"|cause":|raise|effects":\[|create":")')
"""Stands in every entry that says more than how data moved (and, inside its data, in others)."""


@dataclass(frozen=True)
class Recent:
    """The last entries of an instance: `telling` are those that say something, newest first.

    `positions`: those of all that were looked at; `whole`: these were all of them.
    """

    telling: tuple[Entry, ...]
    positions: frozenset[int]
    whole: bool
    oldest: Entry

    @property
    def entered(self) -> Entry | None:
        """The entry that brought the instance to its state; None: it is further back."""
        return next((entry for entry in self.telling if entry.to is not None), None)


def recent(reader: Reader, instance: Folded, fresh: list[int], limit: int) -> Recent:
    """Return what the last `limit` entries of an instance say.

    `fresh`: the positions of its entries that are not projected yet. Raises TapeDamaged.
    """
    windows = _chain(fresh, projection.windows_back(reader, instance.pos))
    end = min(limit, instance.seq)
    telling: list[Entry] = []
    looked_at: set[int] = set()
    read = 0
    oldest: Entry | None = None
    for positions in _batches(windows, end):
        if any(one >= other for one, other in pairwise(positions)):
            raise projection.misled(instance.pos)
        looked_at.update(positions)
        for body in reversed(reader.bodies_of(positions)):
            read += 1
            tells = _TELLING.search(body) is not None
            if tells or read in (1, end):
                oldest = decode(body)
                number = instance.seq - read + 1
                if oldest.seq != number or instance.pos not in (oldest.instance, oldest.pos):
                    raise projection.misled(instance.pos)
            if tells and oldest is not None:
                telling.append(oldest)
    if oldest is None or read != end:
        raise projection.misled(instance.pos)
    return Recent(tuple(telling), frozenset(looked_at), end == instance.seq, oldest)


def _chain(fresh: list[int], projected: Iterable[list[int]]) -> Iterator[list[int]]:
    yield fresh
    yield from projected


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
