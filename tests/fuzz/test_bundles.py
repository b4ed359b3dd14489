"""Mutated dispute bundles: what is accepted is what the log signed, and nothing ever raises.

The first campaign owns no key: it changes, drops, swaps and invents members, and puts archive,
states and manifest together again so that they fit. The second owns the log's key: it changes
entries, and signs what came of it; then the machine's decisions and the systems' rules remain.
"""

from __future__ import annotations

import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from statetape.engine.bundle import Verified, verify
from statetape.storage.verifier import parse_note

from ..engine.machines import Clock, open_tape
from ..engine.test_bundle import CHANNEL, PEER, channel_tape, voucher
from ..storage.bundles import (
    START_S,
    WITNESS,
    cosigned,
    exported,
    log_key,
    members_of,
    sealed,
    together,
)
from ..storage.forging import LOG, bodies_of, body, forged
from .budget import fuzzing, no_hang

SHOWN = ("keys.txt", "manifest.json", "manifest.sha256")
"""What is there to be shown, or follows from the others: changing it proves nothing else."""
OTHER_NAMES = (
    "entries/000000000001.json",
    "entries/000000000009.json",
    "proofs/000000000001.tlog-proof",
    "checkpoints/000000000001.note",
    "consistency/000000000001-000000000004.txt",
    "spec/000000000003.yaml",
    f"vouchers/{'0' * 64}.txt",
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from([2**53, 2**64, 10**400])
    | st.sampled_from(["open", "settled", CHANNEL, "filecoin.payment_channel/f0100", "\u202e", ""])
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


class Story:
    """A channel's bundle with two witnessed checkpoints, and another tape's to take from."""

    def __init__(self, folder: Path) -> None:
        path = channel_tape(folder / "t.db", [voucher(10, 1)])
        for time_s in (START_S, START_S + 5):
            cosigned(path, exported(path, CHANNEL).size, time_s)
            with open_tape(path, Clock()) as engine:
                for text in (voucher(20, 1), voucher(300, 2)):
                    engine.send(CHANNEL, "update_channel_state", {"caller": "f0101", "sv": text})
        cosigned(path, exported(path, CHANNEL).size, START_S + 9)
        self.bodies = bodies_of(path)
        self.key = log_key(path)
        self.members = members_of(exported(path, CHANNEL).content)
        other = channel_tape(folder / "other.db", [voucher(11, 1), voucher(12, 2)])
        self.contents = [
            *self.members.values(),
            *members_of(exported(other, CHANNEL).content).values(),
        ]

    def verified(self, data: bytes) -> Verified:
        """Verify as the how-to says, with a witness who has to have seen all."""
        with no_hang():
            return verify(data, [self.key], [WITNESS.verifier], 1, [PEER])


@cache
def story() -> Story:
    """The one story that is mutated."""
    with tempfile.TemporaryDirectory() as folder:
        return Story(Path(folder))


@st.composite
def values_of(draw: st.DrawFn, before: Any) -> Any:
    """Draw a JSON value that is another somewhere: a member changed, added, left out."""
    if isinstance(before, dict) and before and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(before)))
        how = draw(st.sampled_from(["within", "within", "drop", "rename", "add"]))
        after = dict(before)
        if how == "within":
            after[name] = draw(values_of(before[name]))
        else:
            value = after.pop(name) if how != "add" else draw(VALUES)
            if how != "drop":
                after[draw(st.sampled_from(["seq", "to", "set", "tape", "create", "spec"]))] = value
        return after
    if isinstance(before, str) and before and draw(st.booleans()):
        at = draw(st.integers(0, len(before) - 1))
        return before[:at] + draw(st.text(max_size=2)) + before[at + 1 :]
    if type(before) is int and draw(st.booleans()):
        return before + draw(st.integers(-2, 2))
    return draw(VALUES)


@st.composite
def contents(draw: st.DrawFn, before: bytes) -> bytes:
    """Draw other content of a member."""
    how = draw(st.sampled_from(["byte", "cut", "add", "lines", "json", "other"]))
    at = draw(st.integers(0, max(len(before) - 1, 0)))
    if how == "byte" and before:
        return before[:at] + bytes([before[at] ^ 1 << draw(st.integers(0, 7))]) + before[at + 1 :]
    if how == "cut":
        return before[:at] + before[at + draw(st.integers(1, 9)) :]
    if how == "add":
        return before[:at] + draw(st.binary(min_size=1, max_size=3)) + before[at:]
    if how == "lines":
        return b"".join(draw(st.permutations(before.splitlines(keepends=True))))
    if how == "json":
        try:
            return body({"": draw(values_of(json.loads(before)))})[4:-1]
        except (ValueError, UnicodeError):
            return before + b"\n"
    return draw(st.sampled_from(story().contents))


def evidence(members: dict[str, bytes]) -> dict[str, bytes]:
    """Return what proves something; of a checkpoint what its log signed, whoever else did too."""
    told = {name: content for name, content in members.items() if name not in SHOWN}
    notes = {name: c for name, c in told.items() if name.startswith("checkpoints/")}
    return told | {name: parse_note(note).text.encode() for name, note in notes.items()}


@fuzzing(0.4)
@given(st.data())
def test_no_single_change_of_evidence_is_accepted(data: st.DataObject) -> None:
    """One member is another, is gone, is there besides, or has another's place."""
    whole = story().members
    members = dict(whole)
    name = data.draw(st.sampled_from(sorted(set(members) - set(SHOWN))))
    how = data.draw(st.sampled_from(["content", "content", "content", "drop", "move", "swap"]))
    if how == "content":
        members[name] = data.draw(contents(members[name]))
    elif how == "swap":
        other = data.draw(st.sampled_from(sorted(set(members) - set(SHOWN))))
        members[name], members[other] = members[other], members[name]
    else:
        content = members.pop(name)
        if how == "move":
            members[data.draw(st.sampled_from(OTHER_NAMES))] = content
    follow = name != "replay.json" and data.draw(st.booleans())
    found = story().verified((together if follow else sealed)(members))

    if not found.problems:
        assert evidence(found.bundle.members) == evidence(whole)


@fuzzing(0.15)
@given(st.data())
def test_what_many_changes_leave_to_be_accepted_is_what_was_signed(data: st.DataObject) -> None:
    """Several at once, some of which make up for others: a shorter bundle may hold, no other."""
    whole = story().members
    members = dict(whole)
    for name in data.draw(st.lists(st.sampled_from(sorted(whole)), max_size=8)):
        if data.draw(st.booleans()):
            members.pop(name, None)
        elif name in members:
            members[name] = data.draw(contents(members[name]))
    members.setdefault("manifest.json", whole["manifest.json"])
    try:
        json.loads(members["manifest.json"])["tool"]
    except (ValueError, LookupError, TypeError):
        members["manifest.json"] = whole["manifest.json"]
    found = story().verified(together(members))

    if not found.problems:
        states = found.bundle.members["replay.json"]
        whole = {**whole, "replay.json": states}  # follows from the entries that are left
        assert evidence(found.bundle.members).items() <= evidence(whole).items()


@fuzzing(0.3)
@given(st.data())
def test_a_log_that_signs_other_entries_is_decided_again(data: st.DataObject) -> None:
    """Every step before the machine's holds: then the machine has decided what is accepted."""
    bodies = list(story().bodies)
    for _ in range(data.draw(st.integers(0, 2))):
        at = data.draw(st.integers(2, len(bodies) - 1))
        entry = data.draw(values_of(json.loads(bodies[at])))
        if isinstance(entry, dict):
            told = {**entry, "pos": at + 1} if data.draw(st.integers(0, 9)) else entry
            bodies[at] = body(told) if "\ud800" not in str(told) else bodies[at]
    shown = [at + 1 for at in range(2, len(bodies)) if data.draw(st.integers(0, 19))]
    vouchers = {n: c for n, c in story().members.items() if n.startswith("vouchers/")}
    try:
        made = forged(bodies, shown, vouchers)
    except (ValueError, LookupError, TypeError, AttributeError):
        return  # the forger stumbled over its own entries
    with no_hang():
        found = verify(made, [LOG.verifier], peers=[PEER])

    assert all(line.isascii() and line.isprintable() for line in found.lines)
    if not found.problems:
        assert found.decided == len(found.bundle.rows) > 0


def test_the_bundles_that_are_mutated_hold() -> None:
    """The control: unchanged, with other names of keys, and signed by the forger's own log."""
    whole = story().members
    vouchers = {n: c for n, c in whole.items() if n.startswith("vouchers/")}
    own = forged(story().bodies, range(3, len(story().bodies) + 1), vouchers)

    assert story().verified(together(whole)).problems == []
    assert story().verified(sealed({**whole, "keys.txt": b""})).problems == []
    assert verify(own, [LOG.verifier], peers=[PEER]).problems == []
