"""Two histories side by side: where they part, what only one of them has, how both end.

Theory of operation. Two entries match when the same was asked in the same way (a command, a timer,
a parked command offered again) with the same outcome. The order of both histories is kept, and as
much as possible is matched: Myers' algorithm, whose cost grows with the differences and not with
the length. Histories with more than DIFFERENCES_MAX of them are matched at both ends only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..fsm import fold
from ..fsm.decide import ACCEPTED, PARKED, REJECTED
from ..fsm.entry import Entry, decode
from ..fsm.machine import Machine
from ..fsm.types import Json
from .commands import InstanceUnknown
from .inspect import Inspector

DIFFERENCES_MAX = 1000

Key = tuple[object, ...]
Pair = tuple[int | None, int | None]


@dataclass(frozen=True)
class Side:
    """One of the histories. `states[i]` is the state after `entries[i]`; `data` is in JSON form."""

    name: str
    machine: Machine
    entries: list[Entry]
    states: list[str]
    data: Mapping[str, Json]
    parked: tuple[str, ...]

    @property
    def outcomes(self) -> Mapping[str, int]:
        """How many entries had each outcome."""
        return Counter(entry.outcome or ACCEPTED for entry in self.entries)

    @property
    def refused(self) -> Mapping[str, int]:
        """How many were refused, by kind."""
        return Counter(
            str(entry.reason["kind"])
            for entry in self.entries
            if entry.outcome == REJECTED and entry.reason
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One entry of either history, by its index there, or one of each that match.

    `same`: they match, and lead to the same state; a refusal is of the same kind.
    """

    first: int | None
    second: int | None
    same: bool


@dataclass(frozen=True)
class Comparison:
    """Two histories, aligned. `parted` is the index of the first row that is not the same."""

    first: Side
    second: Side
    rows: list[Row]
    parted: int | None

    @property
    def differences(self) -> list[Row]:
        """The rows that are not the same."""
        return [row for row in self.rows if not row.same]

    @property
    def differing_data(self) -> list[str]:
        """The data fields that differ at the end, in the order of the machines' files."""
        names = dict.fromkeys([*self.first.machine.fields, *self.second.machine.fields])
        return [name for name in names if self.first.data.get(name) != self.second.data.get(name)]

    @property
    def same(self) -> bool:
        """Whether both did the same and ended alike."""
        ends = [(side.states[-1], side.parked) for side in (self.first, self.second)]
        return self.parted is None and ends[0] == ends[1] and not self.differing_data


def read_side(inspector: Inspector, name: str) -> Side:
    """Return an instance's history. Raises InstanceUnknown."""
    instance = inspector.world.instance(name)
    if instance is None:
        raise InstanceUnknown(f"no instance {name!r} on this tape")
    bodies = list(inspector.bodies(instance.pos))
    entries = [decode(body) for body in bodies]
    [folded] = fold.fold(bodies).values()
    states: list[str] = []
    for entry in entries:
        states.append(entry.to or (states[-1] if states else ""))
    parked = tuple(event for _, event, _ in folded.parked)
    return Side(name, instance.machine, entries, states, folded.data, parked)


def compare(first: Side, second: Side) -> Comparison:
    """Return both histories aligned."""
    keys = [[_key(entry) for entry in side.entries] for side in (first, second)]
    rows = [
        Row(one, two, one is not None and two is not None and _same(first, one, second, two))
        for one, two in align(*keys)
    ]
    parted = next((index for index, row in enumerate(rows) if not row.same), None)
    return Comparison(first, second, rows, parted)


def _key(entry: Entry) -> Key:
    """Return by what an entry is known in another history, where positions are others."""
    timer = entry.timer
    if timer is not None and timer.startswith(PARKED):
        timer = PARKED
    return (entry.event, timer, entry.offer is None, entry.outcome, entry.create is None)


def _same(first: Side, one: int, second: Side, two: int) -> bool:
    kinds = [
        (side.entries[i].reason or {}).get("kind") for side, i in ((first, one), (second, two))
    ]
    return first.states[one] == second.states[two] and kinds[0] == kinds[1]


def align(first: Sequence[Key], second: Sequence[Key]) -> list[Pair]:
    """Return indexes of both sequences in order: of what matches together, else one of them."""
    start = 0
    shorter = min(len(first), len(second))
    while start < shorter and first[start] == second[start]:
        start += 1
    end = 0
    while end < shorter - start and first[-1 - end] == second[-1 - end]:
        end += 1
    ends = (len(first) - end, len(second) - end)
    middle = _shortest(first[start : ends[0]], second[start : ends[1]])
    pairs: list[Pair] = [(index, index) for index in range(start)]
    pairs += [
        (None if one is None else one + start, None if two is None else two + start)
        for one, two in middle
    ]
    return pairs + [(ends[0] + index, ends[1] + index) for index in range(end)]


def _shortest(first: Sequence[Key], second: Sequence[Key]) -> list[Pair]:
    """Myers' algorithm: the fewest entries that only one side has.

    `furthest[k]` is how far into `first` one comes on diagonal k (index into `first` minus index
    into `second`) with so many entries of one side alone.
    """
    furthest = {1: 0}
    trail: list[dict[int, int]] = []
    for count in range(min(len(first) + len(second), DIFFERENCES_MAX) + 1):
        trail.append(furthest)
        furthest = dict(furthest)
        for diagonal in range(-count, count + 1, 2):
            down = diagonal == -count or (
                diagonal != count and furthest[diagonal - 1] < furthest[diagonal + 1]
            )
            one = furthest[diagonal + 1] if down else furthest[diagonal - 1] + 1
            two = one - diagonal
            while one < len(first) and two < len(second) and first[one] == second[two]:
                one += 1
                two += 1
            furthest[diagonal] = one
            if one >= len(first) and two >= len(second):
                return _back(trail, one, two)
    alone: list[Pair] = [(index, None) for index in range(len(first))]
    return alone + [(None, index) for index in range(len(second))]


def _back(trail: Sequence[Mapping[int, int]], one: int, two: int) -> list[Pair]:
    """Return the way that led to the end of both sequences."""
    pairs: list[Pair] = []
    for count in range(len(trail) - 1, 0, -1):
        furthest = trail[count]
        diagonal = one - two
        down = diagonal == -count or (
            diagonal != count and furthest[diagonal - 1] < furthest[diagonal + 1]
        )
        before = diagonal + 1 if down else diagonal - 1
        start = furthest[before]
        while one > start + (not down) and two > start - before + down:
            one -= 1
            two -= 1
            pairs.append((one, two))
        if down:
            two -= 1
            pairs.append((None, two))
        else:
            one -= 1
            pairs.append((one, None))
    while one and two:
        one -= 1
        two -= 1
        pairs.append((one, two))
    return pairs[::-1]
