"""Replay and fold: recorded bytes follow from recorded inputs, wherever they are decided."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from statetape.engine.inspect import Inspector, PointInvalid, parse_point
from statetape.engine.replay import Replayer
from statetape.fsm.fold import fold
from statetape.fsm.types import ValueInvalid

from .machines import COUNTER, LEASE, TRANSFER, Clock, open_tape

ROOT = Path(__file__).resolve().parents[2]


def busy_tape(path):
    """Make a tape with every kind of entry: refusals, timers, heights, deferrals, keys, reorgs."""
    clock = Clock()
    with open_tape(path, clock) as engine:
        engine.create(COUNTER, "one", {"limit": 5}, key="new-one", by="me")
        engine.send("test.counter/one", "add", {"by": 2}, key="k1")
        engine.send("test.counter/one", "add", {"by": -2})
        engine.send("test.counter/nobody", "add")
        engine.create(COUNTER, "one")
        engine.observe("moon", 10)
        for key in ("a", "b"):
            engine.create(LEASE, key)
            engine.send(f"test.lease/{key}", "take", {"until": 20})
        clock.forward(5)
        engine.send("test.lease/a", "renew", cause=7)
        engine.observe("moon", 9)
        engine.create(TRANSFER, "t")
        engine.send("test.transfer/t", "block", {"size": 3})
        engine.send("test.transfer/t", "complete")
        engine.send("test.transfer/t", "accept", at=1_500_000_000_000_000)
        clock.forward(5)
        engine.tick()
        engine.observe("moon", 25)
        engine.send("test.counter/one", "add", {"by": 3})
    return path


@pytest.fixture
def tape(tmp_path):
    """A closed tape with every kind of entry."""
    return busy_tape(tmp_path / "busy.db")


def bodies(tape):
    """Return the bytes of every entry."""
    with Inspector.open(tape) as inspector:
        return list(inspector.reader.read())


def test_a_tape_replays_byte_for_byte(tape):
    """Every entry is decided again as it was recorded."""
    recorded = bodies(tape)

    report = Replayer().run(recorded)

    assert report.difference is None
    assert report.entries == len(recorded) > 20


@pytest.mark.parametrize("name", ["test.counter/one", "test.lease/a", "test.transfer/t"])
def test_one_instance_replays_alone(tape, name):
    """With its machine's entry and its own, without the rest of the tape."""
    with Inspector.open(tape) as inspector:
        alone = inspector.replay_bodies(name)
        report = Replayer(alone=True).run(alone)

    assert report.difference is None
    assert report.entries == len(alone) >= 4


@pytest.mark.parametrize(
    ("find", "put", "why"),
    [
        (b'"count":2', b'"count":3', "does not follow"),
        (b'"state":"open"', b'"state":"full"', "does not follow"),
        (b'"timer":"lapse"', b'"timer":"expiry"', "does not follow"),
        (b'"event":"accept"', b'"event":"hello"', "does not follow"),
        (b'"height":20}', b'"height":21}', "does not follow"),
    ],
)
def test_a_changed_entry_is_the_first_difference(tape, find, put, why):
    """Whatever is altered, the replay stops there and shows both sides."""
    recorded = bodies(tape)
    index = next(i for i, body in enumerate(recorded) if find in body)
    changed = [*recorded]
    changed[index] = recorded[index].replace(find, put)

    difference = Replayer().run(changed).difference

    assert difference.pos == index + 1
    assert why in difference.why
    assert difference.recorded == changed[index]
    assert difference.decided is None or difference.decided != changed[index]


def test_a_missing_firing_is_noticed(tape):
    """A tape from which a timer's entry was taken does not replay."""
    recorded = bodies(tape)
    index = next(i for i, body in enumerate(recorded) if b'"timer":' in body)

    difference = Replayer().run(recorded[:index] + recorded[index + 1 :]).difference

    assert difference is not None


def test_a_tape_cut_inside_a_unit_is_noticed(tape):
    """An observed head without the firings that it caused is not a whole history."""
    recorded = bodies(tape)
    cut = max(i for i, body in enumerate(recorded) if b'"timer":"expiry"' in body)

    assert Replayer().run(recorded[:cut]).difference is not None
    assert Replayer().run(recorded[: cut + 1]).difference is None


def test_folding_gives_the_state_that_decisions_saw(tape):
    """The fold of the entries equals the world of the engine that wrote them."""
    with open_tape(tape) as engine:
        folded = fold(engine.tape.read())

        for pos, one in folded.items():
            instance = engine.world.instance_at(pos)
            assert (one.name, one.state, one.seq) == (instance.name, instance.state, instance.seq)
            assert one.data == instance.machine.freeze(instance.data)
            assert one.timers == instance.timers


def test_state_at_a_position_a_time_and_a_height(tape):
    """Looking back gives the state as it was, and says so where there was none."""
    with Inspector.open(tape) as inspector:

        def at(name, point):
            seen = inspector.show(name, parse_point(point))
            return seen.folded.state, seen.folded.seq

        assert at("test.counter/one", "pos:4") == ("open", 2)
        assert at("test.counter/one", "4") == ("open", 2)
        assert at("test.lease/b", "time:2020-09-13T12:26:45Z") == ("held", 2)
        assert at("test.lease/b", "height:25") == ("lapsed", 3)


@pytest.mark.parametrize("text", ["", "x", "pos:", "pos:-1", "pos:1.5", "time:noon", "block:7"])
def test_what_is_no_point_is_refused(text):
    """A point is a position, a time with its zone, or a height."""
    with pytest.raises((PointInvalid, ValueInvalid)):
        parse_point(text)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "0"},
        {"PYTHONHASHSEED": "4242"},
        {"TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
        {"TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONUTF8": "0"},
    ],
)
def test_another_process_elsewhere_replays_the_same_bytes(tape, environment):
    """Hash seed, time zone and locale change nothing."""
    done = subprocess.run(
        [sys.executable, "-m", "statetape.cli.main", "replay", "--tape", str(tape), "--json"],
        env={**os.environ, **environment},
        capture_output=True,
        cwd=ROOT,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["entries"] == len(bodies(tape))


def test_the_same_commands_give_the_same_bytes_under_any_hash_seed(tmp_path):
    """Writing is as deterministic as replaying."""
    script = (
        "import sys; from pathlib import Path; "
        "from tests.engine.test_replay import busy_tape, bodies; "
        "sys.stdout.buffer.write(b'\\n'.join(bodies(busy_tape(Path(sys.argv[1])))))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / f"{seed}.db")],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for seed in (0, 1, 99)
    }

    assert len(outputs) == 1
