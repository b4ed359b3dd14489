"""What is left of a collected instance: where it stood, what it came to, and which positions went.

A `collected` entry holds tombstones. An instance with very many entries has several, one after the
other, that differ in nothing but their positions; together these are all of its positions.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, groupby, pairwise, repeat
from typing import TYPE_CHECKING

import msgspec

from .errors import PeerError

if TYPE_CHECKING:
    from .fold import Folded

POSITIONS_CHARS_MAX = 50_000
"""Of one tombstone, so that its entry stays below 64 KiB."""
_SPELLED = re.compile(r"[1-9][0-9]{0,15}(\+[1-9][0-9]{0,15}(\*[1-9][0-9]{0,8})?)*\Z")


POSITIONS_MAX = 1 << 27
"""Entries of one instance that can be collected."""


class TombstoneInvalid(PeerError):
    """What should say which entries were collected does not."""

    code = "tombstone-invalid"


class Tombstone(msgspec.Struct, forbid_unknown_fields=True, frozen=True, gc=False):
    """A collected instance: the position that created it, its name, its last state and entry count.

    `digest`: SHA-256 of the instance as it was (see `digest`), in hex. `positions`: of its entries,
    the first as it is, then the gaps, with how often each comes: `17+1*2+3` is 17, 18, 19, 22.
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
    words = [str(positions[0])]
    length = len(words[0])
    at = positions[0]
    for gap, same in groupby(other - one for one, other in pairwise(positions)):
        count = len(list(same))
        if length > POSITIONS_CHARS_MAX:  # the next tombstone begins with the next position
            yield Tombstone(*about, "+".join(words), folded.seq, folded.state)
            words, length = [str(at + gap)], 0
            at += gap
            count -= 1
        at += gap * count
        if count:
            words.append(f"{gap}*{count}" if count > 1 else str(gap))
            length += len(words[-1]) + 1
    yield Tombstone(*about, "+".join(words), folded.seq, folded.state)


def positions_of(tombstone: Tombstone) -> list[int]:
    """Return the positions that a tombstone names, in order. Raises TombstoneInvalid."""
    counted = _counted(tombstone)
    return list(accumulate(chain.from_iterable(repeat(gap, count) for gap, count in counted)))


def check_before(tombstone: Tombstone, pos: int) -> None:
    """Raise TombstoneInvalid unless all that a tombstone in the entry at `pos` names is older.

    So whatever it claims, what it spells is no longer than its tape.
    """
    if sum(gap * count for gap, count in _counted(tombstone)) >= pos:
        raise TombstoneInvalid(f"the tombstone of {tombstone.name} names positions after its own")


def _counted(tombstone: Tombstone) -> list[tuple[int, int]]:
    """Return each gap, the first from 0, and how often it comes."""
    if not _SPELLED.match(tombstone.positions):
        raise TombstoneInvalid(f"the tombstone of {tombstone.name} spells no positions")
    words = [word.partition("*") for word in tombstone.positions.split("+")]
    counted = [(int(gap), int(count or 1)) for gap, _, count in words]
    if sum(count for _, count in counted) > min(tombstone.seq, POSITIONS_MAX):
        raise TombstoneInvalid(f"the tombstone of {tombstone.name} names too many positions")
    return counted


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
