"""What is left of a collected instance, in words that fit an entry."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.entry import COLLECTED, Entry, EntryInvalid, check_canonical, encode
from statetape.fsm.fold import Folded
from statetape.fsm.tombstone import (
    Tombstone,
    TombstoneInvalid,
    digest,
    packed,
    positions_of,
    tombstones,
)


def folded(seq: int) -> Folded:
    """An instance with some data."""
    one = Folded(17, "tests.job/a", 2, "done", {"b": 1, "a": "x"})
    one.seq, one.last = seq, 22
    return one


@given(st.lists(st.integers(1, 1 << 40), min_size=1, max_size=300, unique=True).map(sorted))
def test_positions_are_read_back_as_they_were(positions):
    """Whatever the gaps."""
    [stone] = tombstones(folded(len(positions)), positions)

    assert positions_of(stone) == positions


def test_equal_gaps_are_counted():
    """So a long run takes a few characters."""
    [stone] = tombstones(folded(4), [17, 18, 19, 22])
    [run] = tombstones(folded(10_000), range(5, 10_005))

    assert (stone.positions, run.positions) == ("17+1*2+3", "5+1*9999")


@pytest.mark.parametrize("gaps", [[1, 2], [1, 1, 2], [7]])
def test_very_many_positions_are_spread_over_tombstones_that_fit_an_entry(gaps):
    """All of them are there once, and each entry is canonical."""
    positions = [17]
    while len(positions) < 70_000:
        positions += [positions[-1] + sum(gaps[: n + 1]) for n in range(len(gaps))]
    stones = list(tombstones(folded(len(positions)), positions))
    groups = list(packed(stones, 60_000))
    bodies = [encode(Entry(at=1, collected=group, pos=9, tape=COLLECTED)) for group in groups]

    assert [pos for stone in stones for pos in positions_of(stone)] == positions
    assert {(one.pos, one.name, one.seq, one.digest) for one in stones} == {
        (17, "tests.job/a", len(positions), digest(folded(len(positions))))
    }
    assert [check_canonical(body).collected for body in bodies] == groups
    assert len(stones) == 1 or len(gaps) > 1


def test_the_digest_is_of_the_instance_as_the_reference_says():
    """Its JSON object, members sorted, no spaces; another instance has another."""
    told = (
        b'{"data":{"a":"x","b":1},"last":22,"name":"tests.job/a",'
        b'"pos":17,"seq":3,"spec":2,"state":"done"}'
    )

    assert digest(folded(3)) == hashlib.sha256(told).hexdigest()
    assert digest(folded(4)) != digest(folded(3))


@pytest.mark.parametrize("change", [{"more": 1}, {"pos": "17"}, {"seq": None}])
def test_a_tombstone_of_another_shape_is_no_entry(change):
    """It is refused as any other malformed entry."""
    [stone] = tombstones(folded(1), [17])
    members = msgspec.to_builtins(stone) | change
    body = msgspec.json.encode(
        {"at": 1, "collected": [members], "pos": 9, "tape": "collected"}, order="sorted"
    )

    with pytest.raises(EntryInvalid):
        check_canonical(body)


@pytest.mark.parametrize(
    "positions",
    ["", "0", "x", "1+", "+1", "1++1", "1+0", "1*2", "1+1*", "-1", "1+1*3", "1+1*999999999", "1 "],
)
def test_a_tombstone_that_spells_no_positions_is_named(positions):
    """Also one that names more than the instance had entries: nobody counts to a billion for it."""
    with pytest.raises(TombstoneInvalid):
        positions_of(Tombstone("", "tests.job/a", 1, positions, 3, "done"))
