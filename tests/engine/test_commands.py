"""Commands and their outcomes, through a real tape."""

from __future__ import annotations

import json

import pytest
from statetape.engine.commands import Create, IdempotencyConflict, NameInvalid, Send
from statetape.engine.inspect import Inspector
from statetape.engine.replay import Replayer
from statetape.engine.whatif import Changes, what_if
from statetape.fsm.entry import EntryTooLarge
from statetape.fsm.errors import StatetapeError
from statetape.fsm.types import ValueInvalid

from .machines import COUNTER, TRANSFER, machine, open_tape

ONE = "test.counter/one"


def bodies(engine):
    """Return the tape's entries as plain dicts."""
    return [json.loads(body) for body in engine.tape.read()]


def test_an_accepted_command_changes_state_and_data(tmp_path):
    """The receipt, the entry and the world agree."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one", {"limit": 2})
        receipt = engine.send(ONE, "add", {"by": 2})

        assert (receipt.outcome, receipt.state, receipt.seq) == ("accepted", "full", 2)
        assert bodies(engine)[-1] == {
            "at": 1_600_000_000_000_000,
            "event": "add",
            "from": "open",
            "instance": 3,
            "params": {"by": 2},
            "pos": 4,
            "seq": 2,
            "set": {"count": 2},
            "to": "full",
        }


def test_the_tape_explains_itself(tmp_path):
    """The first entry names the tape, the second holds the machine's whole text and digest."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        opened, spec, created = bodies(engine)

    assert opened["tape"] == "opened"
    assert opened["format"] == "statetape/1"
    assert (spec["tape"], spec["machine"], spec["digest"]) == (
        "spec",
        "test.counter",
        COUNTER.digest,
    )
    assert spec["text"] == COUNTER.text
    assert (created["create"], created["spec"], created["to"]) == (ONE, 2, "open")
    assert created["set"] == {"count": 0, "limit": 3}


def test_a_machine_is_put_on_the_tape_once(tmp_path):
    """Two instances of one machine share its entry."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        engine.create(COUNTER, "two")
        specs = [entry for entry in bodies(engine) if entry.get("tape") == "spec"]

    assert len(specs) == 1


def test_a_refusal_is_recorded_with_reason_and_what_was_seen(tmp_path):
    """A failed check names its code, what had to hold, and the values it looked at."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        receipt = engine.send(ONE, "add", {"by": -4})

        assert receipt.outcome == "rejected"
        assert bodies(engine)[-1]["reason"] == {
            "code": 7,
            "kind": "guard_failed",
            "name": "NOT_POSITIVE",
            "reason": "BY_NOT_POSITIVE",
            "saw": {"by": -4},
            "that": "by > 0",
        }
        assert engine.world.instance(ONE).data["count"] == 0


@pytest.mark.parametrize(
    ("event", "params", "kind"),
    [
        ("nosuch", {}, "undeclared_event"),
        ("add", {"by": "many"}, "bad_arguments"),
        ("add", {"nosuch": 1}, "bad_arguments"),
    ],
)
def test_what_no_machine_can_take_is_recorded_too(tmp_path, event, params, kind):
    """Undeclared events and bad arguments are refusals, with the parameters as given."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        receipt = engine.send(ONE, event, params)
        entry = bodies(engine)[-1]

    assert (receipt.outcome, receipt.reason["kind"]) == ("rejected", kind)
    assert entry.get("params", {}) == params


def test_a_final_state_takes_nothing(tmp_path):
    """Whatever comes after the end is refused as terminated."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one", {"limit": 1})
        engine.send(ONE, "add")
        receipt = engine.send(ONE, "add")

    assert (receipt.outcome, receipt.reason) == ("rejected", {"kind": "terminated"})


def test_a_command_to_nobody_is_recorded_and_makes_nobody(tmp_path):
    """An unknown instance is a refusal on the tape; no machine is begun by it."""
    with open_tape(tmp_path / "t.db") as engine:
        receipt = engine.send(ONE, "add", {"by": 1})
        entry = bodies(engine)[-1]

        assert receipt.reason == {"kind": "unknown_instance"}
        assert (entry["name"], entry["params"]) == (ONE, {"by": 1})
        assert engine.world.instance(ONE) is None


def test_creating_twice_is_refused_and_recorded(tmp_path):
    """The second creation is an entry of the instance that is there."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        receipt = engine.create(COUNTER, "one", {"limit": 9})

        assert receipt.reason == {"kind": "already_exists", "state": "open"}
        assert receipt.seq == 2
        assert engine.world.instance(ONE).data["limit"] == 3


def test_creating_again_by_another_version_is_replayed(tmp_path):
    """Its event may have another name and its machine another chain; the instance has its own."""
    path = tmp_path / "t.db"
    changed = COUNTER.text.replace("version: 1", "version: 2\nchain: moon")
    newer = machine(changed + "create: {event: begin, params: {limit: int}}\n")
    with open_tape(path) as engine:
        engine.observe("moon", 7)
        engine.create(COUNTER, "one")
        receipt = engine.create(newer, "one", {"limit": 9}, key="k")
        again = engine.create(newer, "one", {"limit": 9}, key="k")
        entry = json.loads(list(engine.tape.read())[-1])
        whole = Replayer().run(engine.tape.read())
    with Inspector.open(path) as inspector:
        alone = Replayer(alone=True).run(inspector.replay_bodies(ONE))
        same = what_if(inspector, ONE, Changes()).same

    assert (receipt.reason["kind"], again.outcome) == ("already_exists", "duplicate")
    assert (entry["event"], "height" in entry) == ("begin", False)
    assert (whole.difference, alone.difference, same) == (None, None, True)


def test_an_ignored_event_is_noted(tmp_path):
    """`otherwise: ignore` leaves an entry and changes nothing."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TRANSFER, "t")
        receipt = engine.send("test.transfer/t", "hello")

        assert receipt.outcome == "ignored"
        assert bodies(engine)[-1]["outcome"] == "ignored"


def test_a_parked_event_is_offered_again_after_the_next_change_of_state(tmp_path):
    """Blocks and completion that overtook acceptance still end in done, in their order."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TRANSFER, "t")
        name = "test.transfer/t"
        parked = [engine.send(name, "block", {"size": 5}), engine.send(name, "complete")]
        accepted = engine.send(name, "accept")
        entries = bodies(engine)

        assert [one.outcome for one in parked] == ["deferred", "deferred"]
        assert accepted.state == "ongoing"
        assert engine.world.instance(name).state == "done"
        assert engine.world.instance(name).parked == ()
        assert [(e["event"], e.get("offer")) for e in entries[-3:]] == [
            ("accept", None),
            ("block", parked[0].pos),
            ("complete", parked[1].pos),
        ]


def test_deferral_is_bounded(tmp_path):
    """Beyond `defer_max` a command is refused, not parked."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TRANSFER, "t")
        outcomes = [engine.send("test.transfer/t", "block", {"size": 1}) for _ in range(3)]

    assert [one.outcome for one in outcomes] == ["deferred", "deferred", "rejected"]
    assert outcomes[2].reason == {"kind": "deferral_full", "parked": 2}


def test_parked_commands_are_refused_when_the_end_comes_first(tmp_path):
    """A final state takes nothing, so what is still parked is refused and not forgotten."""
    name = "test.transfer/t"
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(TRANSFER, "t")
        engine.send(name, "block", {"size": 1})
        engine.send(name, "complete")
        engine.send(name, "accept")
        receipt = engine.send(name, "block", {"size": 1})

        assert receipt.reason == {"kind": "terminated"}
        assert engine.world.instance(name).parked == ()


def test_an_idempotency_key_takes_effect_once(tmp_path):
    """The second command gets the first outcome, and nothing is appended."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        first = engine.send(ONE, "add", {"by": 1}, key="k")
        size = engine.tape.size
        again = engine.send(ONE, "add", {"by": 1}, key="k")

        assert (again.outcome, again.first, again.pos) == ("duplicate", "accepted", first.pos)
        assert engine.tape.size == size
        assert engine.world.instance(ONE).data["count"] == 1


def test_a_refused_command_with_a_key_stays_refused(tmp_path):
    """The key repeats the first outcome, also where it would be accepted by now."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        engine.send(ONE, "add", {"by": -1}, key="k")
        again = engine.send(ONE, "add", {"by": -1}, key="k")

    assert (again.outcome, again.first) == ("duplicate", "rejected")


@pytest.mark.parametrize("reopen", [False, True])
def test_a_key_survives_reopening_and_belongs_to_one_instance(tmp_path, reopen):
    """The same key for another instance is another key."""
    path = tmp_path / "t.db"
    engine = open_tape(path)
    engine.create(COUNTER, "one", key="new")
    engine.create(COUNTER, "two", key="new")
    engine.send(ONE, "add", key="k")
    if reopen:
        engine.close()
        engine = open_tape(path)
    with engine:
        assert engine.send(ONE, "add", key="k").outcome == "duplicate"
        assert engine.send("test.counter/two", "add", key="k").outcome == "accepted"
        assert engine.create(COUNTER, "one", key="new").outcome == "duplicate"


def test_a_key_for_another_command_is_a_conflict(tmp_path):
    """Nothing is recorded, and the error names where the key was used."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        first = engine.send(ONE, "add", {"by": 1}, key="k")
        size = engine.tape.size

        with pytest.raises(IdempotencyConflict, match=f"position {first.pos}"):
            engine.send(ONE, "add", {"by": 2}, key="k")
        assert engine.tape.size == size


def test_options_are_recorded(tmp_path):
    """Who, why and when; `recorded` tells when the tape learned of what happened earlier."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        engine.send(ONE, "add", by="f0101", cause=3, at=1_500_000_000_000_000)
        entry = bodies(engine)[-1]

    assert (entry["by"], entry["cause"]) == ("f0101", 3)
    assert (entry["at"], entry["recorded"]) == (1_500_000_000_000_000, 1_600_000_000_000_000)


@pytest.mark.parametrize(
    "options",
    [
        {"key": ""},
        {"key": "x" * 201},
        {"key": "line\nbreak"},
        {"cause": 0},
        {"cause": "3"},
        {"at": "yesterday"},
        {"height": 2**64},
        {"by": 7},
    ],
)
def test_bad_options_are_the_callers_error_and_leave_nothing(tmp_path, options):
    """A command whose options are wrong is not recorded."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        size = engine.tape.size

        with pytest.raises(ValueInvalid):
            engine.send(ONE, "add", **options)
        assert engine.tape.size == size


@pytest.mark.parametrize("params", [{"by": 1.5}, {"by": object()}, {"by": [{"x": float("nan")}]}])
def test_parameters_that_cannot_be_recorded_exactly_are_the_callers_error(tmp_path, params):
    """Floats and objects have no exact form, so there is nothing to record."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")

        with pytest.raises(ValueInvalid):
            engine.send(ONE, "add", params)


@pytest.mark.parametrize("name", ["nokey", "/x", "m/", "test.counter/\n"])
def test_an_instance_is_named_machine_slash_key(tmp_path, name):
    """Anything else is the caller's error."""
    with open_tape(tmp_path / "t.db") as engine, pytest.raises(NameInvalid):
        engine.send(name, "add")


def test_one_bad_command_does_not_spoil_its_batch(tmp_path):
    """Each command of a batch has its own answer: a receipt or an error."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        answers = engine.execute_many(
            [
                Send(ONE, "add"),
                Send(ONE, "add", {"by": 0.5}),
                Create(COUNTER, "bad"),
                Send(ONE, "add"),
            ]
        )

        assert [type(answer).__name__ for answer in answers] == [
            "Receipt",
            "ValueInvalid",
            "NameInvalid",
            "Receipt",
        ]
        assert all(isinstance(answer, StatetapeError) for answer in answers[1:3])
        assert engine.world.instance(ONE).data["count"] == 2


def test_very_large_integers_are_exact_everywhere(tmp_path):
    """2**70 + 1 goes in, through the tape, a reopening, and out again."""
    big = 2**70 + 1
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(COUNTER, "one", {"limit": 2**80})
        engine.send(ONE, "add", {"by": big})
        assert bodies(engine)[-1]["set"] == {"count": str(big)}
    with open_tape(path) as engine:
        engine.send(ONE, "add", {"by": 1})

        assert engine.world.instance(ONE).data["count"] == big + 1


def test_an_entry_too_large_is_refused_before_anything_changes(tmp_path):
    """The caller hears of it, and the tape does not grow."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(COUNTER, "one")
        size = engine.tape.size

        with pytest.raises(EntryTooLarge):
            engine.send(ONE, "nosuch", {"a": "x" * 40_000, "b": "y" * 40_000})
        assert engine.tape.size == size
        assert engine.send(ONE, "add").outcome == "accepted"
