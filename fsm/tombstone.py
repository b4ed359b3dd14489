"""What is left of a collected instance: where it stood, what it came to, and which positions went.

A `collected` entry holds tombstones. An instance with very many entries has several, one after the
other, that differ in nothing but their positions; together these are all of its positions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .fold import Folded

POSITIONS_CHARS_MAX = 50_000
"""Of one tombstone, so that its entry stays below 64 KiB."""
_SPELLED = re.compile(r"[1-9][0-9]{0,15}(\+[1-9][0-9]{0,15})*\Z")


class Tombstone(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """A collected instance: the position that created it, its name, its last state and entry count.

    `digest`: SHA-256 of the instance as it was (see `digest`), in hex. `positions`: of its entries,
    the first as it is, then the gaps: `17+1+1+3` is 17, 18, 19, 22.
    """

    digest: str
    name: str
    pos: int
    positions: str
    seq: int
    state: str


def digest(folded: Folded) -> str:
    """Return the SHA-256 of an instance: of its JSON object, members sorted, no spaces.

    The members: data, last, name, pos, seq, spec, state. Who kept the entries can fold them and
    compare.
    """
    members = {
        "data": folded.data,
        "last": folded.last,
        "name": folded.name,
        "pos": folded.pos,
        "seq": folded.seq,
        "spec": folded.spec,
        "state": folded.state,
    }
    return hashlib.sha256(msgspec.json.encode(members, order="deterministic")).hexdigest()


def tombstones(folded: Folded, positions: Sequence[int]) -> Iterator[Tombstone]:
    """Yield the tombstones of an instance whose entries stand at `positions`, which ascend."""
    about = (digest(folded), folded.name, folded.pos)
    gaps = [str(other - one) for one, other in pairwise(positions)]
    start = 0
    while start < len(positions):
        words = [str(positions[start])]
        length = len(words[0])
        end = start + 1
        while end < len(positions) and length < POSITIONS_CHARS_MAX:
            words.append(gaps[end - 1])
            length += len(words[-1]) + 1
            end += 1
        yield Tombstone(*about, "+".join(words), folded.seq, folded.state)
        start = end


def positions_of(tombstone: Tombstone) -> list[int]:
    """Return the positions that a tombstone names, in order."""
    return list(accumulate(map(int, tombstone.positions.split("+"))))


def is_spelled(positions: str) -> bool:
    """Whether a text spells positions."""
    return _SPELLED.match(positions) is not None


def packed(stones: Iterable[Tombstone], bytes_max: int) -> Iterator[list[Tombstone]]:
    """Yield tombstones in lists of at most about `bytes_max` bytes of JSON."""
    group: list[Tombstone] = []
    length = 0
    for stone in stones:
        size = len(msgspec.json.encode(stone)) + 1
        if group and length + size > bytes_max:
            yield group
            group, length = [], 0
        group.append(stone)
        length += size
    if group:
        yield group
