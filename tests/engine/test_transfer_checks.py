"""What an import refuses before anything is stored, line by line, and how a tape that has it ends.

Every wrong line is canonical: only what it says is wrong.
"""

from __future__ import annotations

import hashlib
import json

import pytest
from statetape.engine import catalogue
from statetape.engine.inspect import Inspector
from statetape.engine.recording import machine_entry
from statetape.engine.replay import Replayer
from statetape.engine.transfer import import_events
from statetape.engine.verify import verify
from statetape.fsm.entry import OPENED, Entry, EntryInvalid, encode
from statetape.fsm.errors import StatetapeError
from statetape.storage.errors import TapeDamaged, TapeTooNew
from statetape.storage.files import Files
from statetape.storage.tape import Tape

from .machines import START, Clock, fixed_entropy, machine, open_tape
from .test_replay import bodies

ORDER = machine("""
machine: shop.order
version: 1
title: An order that lapses unless it is paid
chain: moon
data:
  price: attofil
  paid: attofil = 0
  notes: map[text, int]
  gift: text?
states:
  placed:
    initial: true
    timers:
      patience: {after: 30m, event: lapse}
      deadline: {at_height: 90, event: lapse}
  settled: {final: true, retain: 180d}
  lapsed: {final: true}
events:
  pay:
    params: {amount: attofil}
    require:
      - that: amount > 0
        else: {reason: NOTHING_PAID}
    set: {paid: paid + amount, "notes[key]": 1}
    effects:
      - {do: thank}
    go:
      - {from: placed, to: settled, when: paid + amount >= price}
      - {from: placed}
  lapse:
    go: [{from: placed, to: lapsed}]
""")
NAME = "shop.order/4711"
"""Its entries: 1 opened, 2 spec, 3 creation, 4 a payment, 5 a refusal, 6 a payment, 7 a head."""


def lines_of_a_tape(path):
    """Return the entries of a small sound history, as objects."""
    with open_tape(path, Clock()) as engine:
        engine.create(ORDER, "4711", {"price": 100, "notes": {}})
        engine.send(NAME, "pay", {"amount": 5}, key="first", by="me")
        engine.send(NAME, "pay", {"amount": 0}, cause=4)
        engine.send(NAME, "pay", {"amount": 5}, key="second")
        engine.observe("moon", 7)
    return [json.loads(body) for body in bodies(path)]


@pytest.fixture
def lines(tmp_path):
    """The entries of a small sound history, as objects."""
    return lines_of_a_tape(tmp_path / "sound.db")


def canonical(entry):
    """Return an object's canonical bytes."""
    return json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def written(tmp_path, lines):
    """Return a file with these entries."""
    file = tmp_path / "history.jsonl"
    file.write_bytes(b"".join(canonical(line) + b"\n" for line in lines))
    return file


def stored(tmp_path, lines):
    """Return a tape on which these entries were stored as they are: no import looked at them."""
    path = tmp_path / "stored.db"
    first, *rest = map(canonical, lines)
    tape = Tape.create(Files.of(path), first, origin=lines[0]["origin"], seed=fixed_entropy(32))
    tape.take()
    tape.write(rest)
    tape.give()
    tape.close()
    return path


def change(number, **members):
    """Return a change of the entry at a position; a member that is None goes."""

    def changed(lines):
        entry = {**lines[number - 1], **members}
        lines[number - 1] = {name: value for name, value in entry.items() if value is not None}
        return lines

    return changed


def reason(**members):
    """Return a change of the refusal's reason."""
    return change(5, reason={"kind": "guard_failed", **members})


SPOILED_TEXT = ORDER.text.replace("initial: true", "initial: maybe")
OTHER_TEXT = ORDER.text.replace("30m", "31m")
WRONG = {
    # timers
    "timer that no state has": (change(4, timers={"zz": {"at": 5}}), 4, "timer 'zz'"),
    "time for a height": (change(4, timers={"deadline": {"at": 5}}), 4, "timer 'deadline'"),
    "height for a time": (change(4, timers={"patience": {"height": 5}}), 4, "timer 'patience'"),
    "timer beyond time": (change(4, timers={"patience": {"at": 2**53 - 1}}), 4, "patience"),
    "timer left armed": (change(6, to="settled"), 6, "timer '(deadline|patience)' is armed"),
    "firing of what no state has": (change(4, timer="parked@x"), 4, "'parked@x' was not armed"),
    "firing of what was not armed": (change(4, timer="patienc"), 4, "timer 'patienc'"),
    "firing of nobody's timer": (change(3, timer="patience"), 3, "timer 'patience' was not armed"),
    "offer of what was not parked": (change(4, offer=3), 4, "position 3 was parked"),
    # keys
    "key taken twice": (change(6, key="first"), 6, "key 'first' was taken at position 4"),
    "key of nothing": (change(6, key=""), 6, "idempotency key"),
    # shapes
    "reason is a number": (change(5, reason=5), 5, "reason"),
    "reason has no kind": (change(5, reason={"that": "x"}), 5, "kind"),
    "saw is a list": (reason(saw=[1]), 5, "saw"),
    "needs are numbers": (reason(needs=[1]), 5, "needs"),
    "accepts is null": (reason(accepts=None), 5, "accepts"),
    "effect is a number": (change(4, effects=[1]), 4, "effects"),
    "effect does nothing": (change(4, effects=[{"to": "me"}]), 4, "do"),
    "params is a list": (change(4, params=["amount"]), 4, "params"),
    "outcome of another world": (change(5, outcome="banana"), 5, "outcome"),
    # data
    "no amount": (change(4, set={"paid": "much"}), 4, "paid"),
    "amount in another form": (change(4, set={"paid": 5}), 4, "paid is not in the form of attofil"),
    "no number in a map": (change(4, set={"notes": {"a": "b"}}), 4, "notes.a"),
    "map that is a list": (change(4, set={"notes": [1]}), 4, "notes"),
    "field that is none": (change(4, set={"colour": "red"}), 4, "no field 'colour'"),
    "field that is missing": (change(3, set={"price": "5"}), 3, "paid: None is not attofil"),
    "state of another machine": (change(4, to="shipped"), 4, "no state 'shipped'"),
    "created into no state": (change(3, to=None), 3, "no state ''"),
    # machines
    "text that is no machine": (change(2, text=SPOILED_TEXT), 2, "entry 2:"),
    "text that is gone": (change(2, text=None), 2, "entry 2"),
    "text of another digest": (change(2, text=OTHER_TEXT), 2, "digest"),
    "another digest": (change(2, digest="0" * 64), 2, "digest"),
    "no digest": (change(2, digest=None), 2, "digest"),
    "another machine's name": (change(2, machine="shop.other"), 2, "machine"),
    "another version": (change(2, version=2), 2, "version"),
    "another chain": (change(2, chain="mars"), 2, "chain"),
    "functions of no module": (change(2, functions="0" * 64), 2, "functions"),
    "a machine's key": (change(2, key="k"), 2, "key"),
    "the same text twice": (lambda lines: [*lines, {**lines[1], "pos": 8}], 8, "on the tape"),
    # the tape itself
    "no format": (change(1, format=None), 1, "format"),
    "a format of others": (change(1, format="banana/1"), 1, "format"),
    "no origin": (change(1, origin=None), 1, "origin"),
    "origin of two lines": (change(1, origin="\nevil/x"), 1, "origin"),
    "origin that ends a line": (change(1, origin="statetape/x\n"), 1, "origin"),
    "origin that is a checkpoint": (change(1, origin="x\n0\nAAAA"), 1, "origin"),
    "origin with a space": (change(1, origin="sta te/x"), 1, "origin"),
    "origin with a plus": (change(1, origin="sta+te/x"), 1, "origin"),
    "origin with a bell": (change(1, origin="statetape/\x07"), 1, "origin"),
    "origin without end": (change(1, origin="x" * 60_000), 1, "origin"),
    "opening with a key": (change(1, key="k"), 1, "key"),
    "head of no chain": (change(7, chain=None), 7, "chain"),
    "head of no height": (change(7, height=None), 7, "height"),
    "head below nothing": (change(7, height=-1), 7, "height"),
    "head of an instance": (change(7, instance=3, seq=5), 7, "instance, seq"),
    "entry of no kind": (change(7, tape="moon"), 7, "'moon'"),
    # options
    "cause to come": (change(5, cause=5), 5, "cause: there is no entry 5"),
    "cause of nothing": (change(5, cause=0), 5, "cause"),
    "beyond time": (change(5, at=2**53 - 1), 5, "at"),
    "recorded beyond time": (change(5, recorded=2**53 - 1), 5, "recorded"),
    "beyond any height": (change(5, height=str(2**70)), 5, "height"),
    "name of nothing": (change(3, create="4711"), 3, "name"),
    "of nobody": (change(5, instance=None, seq=None), 5, "belongs to no instance"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_line_that_would_break_its_tape_is_refused(tmp_path, lines, name):
    """With its line, and before any file is there: tape, anchor, key, lock."""
    changed, line, what = WRONG[name]
    file = written(tmp_path, changed(lines))
    copy = tmp_path / "copy" / "copy.db"
    copy.parent.mkdir()

    with pytest.raises(EntryInvalid, match=what) as caught:
        import_events(file, Files.of(copy))

    assert caught.value.place == f"{file}:{line}"
    assert list(copy.parent.iterdir()) == []


def test_a_sound_history_is_taken(tmp_path, lines):
    """Negative control: what the wrong lines are made from, byte for byte."""
    copy = tmp_path / "copy.db"

    assert import_events(written(tmp_path, lines), Files.of(copy)) == (7, 7)
    with Inspector.open(copy) as inspector:
        assert verify(inspector.reader) == []
        assert Replayer().run(inspector.reader.read()).difference is None
        assert inspector.show(NAME).shown()["paid"] == "10 attofil"


def test_a_history_of_a_later_format_is_refused_by_name(tmp_path, lines):
    """It is not damaged: a later version can read it."""
    file = written(tmp_path, change(1, format="statetape/9")(lines))

    with pytest.raises(TapeTooNew, match=r"history.jsonl:1: .*statetape/9") as caught:
        import_events(file, Files.of(tmp_path / "copy.db"))

    assert caught.value.hint
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("stage", ["folded at open", "projected"])
def test_a_tape_of_a_later_format_is_not_opened(tmp_path, lines, stage, monkeypatch):
    """Neither for commands nor for looking, also where its entries are projected already."""
    path = stored(tmp_path, change(1, format="statetape/9")(lines))
    if stage == "projected":
        with monkeypatch.context() as patch:
            patch.setattr("statetape.engine.world.FORMAT", "statetape/9")
            open_tape(path).close()

    with pytest.raises(TapeTooNew, match="statetape/9"):
        open_tape(path)
    with pytest.raises(TapeTooNew, match="statetape/9"):
        Inspector.open(path)
    assert "statetape/9" in Replayer().run(map(canonical, lines)).difference.why


def test_verify_names_a_later_format(tmp_path, lines, monkeypatch):
    """It is a finding with its place; the tape as it was has none."""
    sound = stored(tmp_path, lines)
    open_tape(sound).close()
    with Inspector.open(sound) as inspector:
        assert verify(inspector.reader) == []

        monkeypatch.setattr("statetape.engine.world.FORMAT", "statetape/2")
        assert [one.place for one in verify(inspector.reader)] == ["entry 1"]


SPOILED = {
    "no state": (change(4, to="shipped"), "entry 6: .*no such state"),
    "no data": (change(4, set={"notes": {"a": "b"}}), "entry 6: the data of"),
    "a list": (change(4, set={"notes": [1]}), "entry 6: the data of"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_tape_that_has_what_no_machine_decides_is_damaged(tmp_path, lines, name):
    """A tape that no import looked at: every command is refused by name, with the place."""
    changed, what = SPOILED[name]

    path = stored(tmp_path, changed(lines))

    with open_tape(path) as engine, pytest.raises(TapeDamaged, match=what):
        engine.send(NAME, "pay", {"amount": 1})


def test_a_timer_that_its_state_has_not_is_damage(tmp_path, lines):
    """Firing it names the entry that armed it; a declared one fires."""
    path = stored(tmp_path, change(4, timers={"zz": {"at": START + 5}})(lines))
    clock = Clock()
    with open_tape(path, clock) as engine:
        clock.forward(10)
        with pytest.raises(TapeDamaged, match="entry 4: timer 'zz'"):
            engine.tick()

    sound = tmp_path / "sound.db"
    with open_tape(sound, clock) as engine:
        clock.forward(3600)
        assert engine.tick() == 1


DIFFERENT = {
    "key taken twice": (change(6, key="first"), 6, "taken at position 4"),
    "key taken twice, by a name": (change(6, key="first", name=NAME), 6, "taken at position 4"),
    "spec of nothing": (change(3, spec=1), 3, "entry 1 holds no machine"),
    "spec to come": (change(3, spec=99), 3, "entry 99 holds no machine"),
    "height in words": (change(4, height="high"), 4, "'high' is no height"),
    "instance to come": (change(4, instance=99), 4, "no entry created instance 99"),
    "cause to come": (change(5, cause=999_999), 5, "there is no entry 999999"),
    "another digest": (change(2, digest="0" * 64), 2, "differ in digest"),
    "another machine's name": (change(2, machine="shop.other"), 2, "differ in machine"),
    "another version": (change(2, version=2), 2, "differ in version"),
    "another chain": (change(2, chain="mars"), 2, "differ in chain"),
    "functions of no module": (change(2, functions="0" * 64), 2, "differ in functions"),
    "another text": (change(2, text=OTHER_TEXT), 2, "differ in digest"),
    "text that is no machine": (change(2, text=SPOILED_TEXT), 2, "entry 2:"),
    "opening with a key": (change(1, key="k"), 1, "differ in key"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_replay_names_the_first_difference_whatever_is_recorded(lines, name):
    """A difference with its position and no note; never an error of Python's."""
    changed, pos, why = DIFFERENT[name]
    recorded = [canonical(line) for line in changed(lines)]

    report = Replayer().run(recorded)

    assert report.difference.pos == pos
    assert report.difference.recorded == recorded[pos - 1]
    assert why in report.difference.why
    assert report.notes == []


def test_the_history_that_differs_nowhere(lines):
    """Negative control: unchanged, it replays without a note."""
    report = Replayer().run(map(canonical, lines))

    assert (report.entries, report.difference, report.notes) == (7, None, [])


BUNDLED = "filecoin.payment_channel"


def with_functions(functions, digest):
    """Return an opened tape with a bundled machine, recorded with these functions."""
    entry = machine_entry(catalogue.machine(BUNDLED), START)
    opened = Entry(at=START, format="statetape/1", origin="statetape/x", pos=1, tape=OPENED)
    entry.pos = 2
    entry.functions = functions or entry.functions
    entry.digest = digest or entry.digest
    return [json.loads(encode(one)) for one in (opened, entry)]


def digest_with(functions):
    """Return the digest of the bundled machine with other functions, made without the engine."""
    text = catalogue.machine(BUNDLED).text
    return hashlib.sha256(f"statetape machine\n{text}\n{functions}".encode()).hexdigest()


def test_other_functions_are_a_note_and_another_digest_a_difference(tmp_path):
    """Text and functions prove the digest, also where this version has other functions."""
    other = "1" * 64
    today = with_functions(None, None)
    moved = with_functions(other, digest_with(other))
    forged = with_functions(other, digest_with("2" * 64))

    reports = [Replayer().run(map(canonical, lines)) for lines in (today, moved, forged)]

    assert [one.difference is None for one in reports] == [True, True, False]
    assert [len(one.notes) for one in reports] == [0, 1, 1]
    assert "other functions" in reports[1].notes[0]
    assert "differ in digest" in reports[2].difference.why
    assert import_events(written(tmp_path, moved), Files.of(tmp_path / "moved.db")) == (2, 2)
    with pytest.raises(EntryInvalid, match=r":2: digest"):
        import_events(written(tmp_path, forged), Files.of(tmp_path / "forged.db"))


@pytest.mark.parametrize("kind", ["send", "create", "to nobody"])
def test_a_cause_is_an_entry_of_the_tape(tmp_path, kind):
    """A position that is not there yet is the caller's error; the newest one is taken."""

    def run(engine, cause):
        if kind == "create":
            return engine.create(ORDER, "other", {"price": 1, "notes": {}}, cause=cause)
        name = NAME if kind == "send" else "shop.order/nobody"
        return engine.send(name, "pay", {"amount": 1}, cause=cause)

    path = tmp_path / "t.db"
    lines_of_a_tape(path)
    with open_tape(path) as engine:
        for cause in (8, 999_999):
            with pytest.raises(StatetapeError, match=f"no entry {cause}: the tape ends at 7") as e:
                run(engine, cause)
            assert (e.value.code, e.value.place) == ("value-invalid", "cause")
        assert engine.tape.size == 7

        assert run(engine, 7).pos == 8
        assert Replayer().run(engine.tape.read()).difference is None
