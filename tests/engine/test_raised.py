"""Events that instances raise to each other: one commit, in order, bounded, replayed."""

from __future__ import annotations

import json

import pytest
from statetape.engine.commands import Create, Send
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.engine.recording import LINKS_DEEP_MAX, LINKS_MAX
from statetape.engine.replay import Replayer
from statetape.engine.whatif import Changes, what_if
from statetape.fsm.errors import SpecError
from statetape.storage.errors import StoreFull

from .machines import Clock, machine, open_tape

TRANSFER = machine("""
machine: test.transfer
version: 1
title: A transfer that tells its deal
data:
  deal: text
  bytes: uint = 0
create: {params: {deal: text = ""}, set: {deal: deal}}
states:
  running: {initial: true}
  done: {final: true}
events:
  progress:
    params: {delta: uint}
    set: {bytes: bytes + delta}
    effects:
      - raise: received
        to: deal
        when: deal != ""
        with: {total: bytes + delta}
    go: [{from: running}]
  finish:
    go:
      - from: running
        to: done
        effects:
          - {raise: received, to: deal, when: deal != "", with: {total: bytes}}
          - {raise: complete, to: deal, when: deal != ""}
""")

DEAL = machine("""
machine: test.deal
version: 1
title: A deal that waits for its transfer
data: {total: uint = 0}
create: {}
states:
  open: {initial: true}
  complete: {final: true}
events:
  received: {params: {total: uint}, set: {total: total}, go: [{from: open}]}
  complete: {go: [{from: open, to: complete}]}
  cancel: {go: [{from: open, to: complete}]}
""")

LOOP = machine("""
machine: test.loop
version: 1
title: An instance that raises to itself, in one place or in two
data: {count: uint = 0}
create: {}
states: {open: {initial: true}}
events:
  turn: {set: {count: count + 1}, effects: [{raise: turn}], go: [{from: open}]}
  fork: {set: {count: count + 1}, effects: [{raise: fork}, {raise: fork}], go: [{from: open}]}
""")

T, D = "test.transfer/t", "test.deal/d"


def begun(engine: Engine, deal: str = D) -> None:
    """Begin a deal and the transfer that tells it."""
    engine.create(DEAL, "d")
    engine.create(TRANSFER, "t", {"deal": deal})


def entries(engine: Engine) -> list[dict]:
    """Return every entry of the tape."""
    return [json.loads(body) for body in engine.tape.read()]


def replayed(engine: Engine) -> None:
    """The whole tape, and each instance alone, decide to the recorded bytes."""
    bodies = list(engine.tape.read())
    assert Replayer().run(bodies).difference is None
    for pos, instance in list(engine.world.positions.items()):
        own = {instance.spec, pos}
        alone = [
            body
            for body in bodies
            if json.loads(body)["pos"] in own or json.loads(body).get("instance") == pos
        ]
        assert Replayer(alone=True).run(alone).difference is None


def test_a_raised_event_is_decided_in_the_same_commit(tmp_path):
    """The deal has moved when the transfer's receipt is given out; both entries name each other."""
    with open_tape(tmp_path / "t.db") as engine:
        begun(engine)
        receipt = engine.send(T, "progress", {"delta": 5})
        raising, raised = entries(engine)[-2:]

        assert engine.world.instance(D).data["total"] == 5
        assert raising["pos"] == receipt.pos
        assert raising["raises"] == [{"event": "received", "to": D}]
        assert (raised["raised"], raised["event"], raised["params"]) == (
            receipt.pos,
            "received",
            {"total": 5},
        )
        replayed(engine)


def test_nothing_is_raised_where_no_link_is_tied(tmp_path):
    """`when` keeps a transfer without a deal to itself."""
    with open_tape(tmp_path / "t.db") as engine:
        begun(engine, deal="")
        engine.send(T, "progress", {"delta": 5})

        assert "raises" not in entries(engine)[-1]
        assert engine.world.instance(D).data["total"] == 0


def test_raised_events_wait_behind_commands_that_were_there_before(tmp_path):
    """In one turn: first everything that waits, then what was raised, in order of raising."""
    with open_tape(tmp_path / "t.db") as engine:
        begun(engine)
        engine.execute_many(
            [Send(T, "progress", {"delta": 1}), Send(T, "finish"), Send(D, "cancel")]
        )
        said = [(e["event"], e.get("outcome", "accepted")) for e in entries(engine)[-6:]]

        assert said == [
            ("progress", "accepted"),
            ("finish", "accepted"),
            ("cancel", "accepted"),
            ("received", "rejected"),
            ("received", "rejected"),
            ("complete", "rejected"),
        ]
        replayed(engine)


def test_an_event_for_nobody_is_recorded_as_refused(tmp_path):
    """A link to an instance that is not there is not lost."""
    with open_tape(tmp_path / "t.db") as engine:
        begun(engine, deal="test.deal/nobody")
        engine.send(T, "progress", {"delta": 5})
        last = entries(engine)[-1]

        assert (last["name"], last["outcome"], last["reason"]) == (
            "test.deal/nobody",
            "rejected",
            {"kind": "unknown_instance"},
        )
        replayed(engine)


def test_an_event_for_a_machine_that_cannot_be_loaded_is_refused_alone(tmp_path):
    """Its instance rests; whoever raised it, and everybody else in the turn, goes on."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        begun(engine)
    with open_tape(path) as engine:
        load = engine.world.machine_of

        def unloadable(entry):
            if entry.machine == "test.deal":
                raise SpecError("from a later version")
            return load(entry)

        engine.world.machine_of = unloadable
        sent = [Send(T, "progress", {"delta": 5}), Send(T, "progress", {"delta": 1})]
        outcomes = [receipt.outcome for receipt in engine.execute_many(sent)]
        refused = [e["reason"] for e in entries(engine) if e.get("outcome") == "rejected"]

        assert outcomes == ["accepted", "accepted"]
        assert refused == [{"kind": "machine_unloadable"}] * 2
        assert Replayer().run(engine.tape.read()).difference is None


def test_a_link_that_names_no_instance_refuses_the_command(tmp_path):
    """`to` must be machine/key: the raising command fails, and says which event."""
    with open_tape(tmp_path / "t.db") as engine:
        begun(engine, deal="no slash")
        receipt = engine.send(T, "progress", {"delta": 5})

        assert receipt.reason["kind"] == "evaluation_failed"
        assert "'no slash' does not name an instance" in receipt.reason["detail"]


@pytest.mark.parametrize(("event", "times"), [("turn", LINKS_DEEP_MAX + 1), ("fork", None)])
def test_links_are_bounded(tmp_path, event, times):
    """A circle ends after so many links, a tree after so many in all; the refusals are recorded."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(LOOP, "l")
        engine.send("test.loop/l", event)
        count = engine.world.instance("test.loop/l").data["count"]
        refused = [e for e in entries(engine) if e.get("outcome") == "rejected"]

        assert count == (times or LINKS_MAX + 1)
        assert {e["reason"]["kind"] for e in refused} == {"links_too_deep"}
        assert engine.send("test.loop/l", "turn").accepted
        replayed(engine)


def test_a_hand_over_is_whole_or_not_at_all(tmp_path, monkeypatch):
    """Where the commit fails, neither the raising nor the raised entry is there; later both are."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        begun(engine)
        size = engine.tape.size
        write = engine.tape.write

        def full(*_: object) -> None:
            raise StoreFull("no space")

        monkeypatch.setattr(engine.tape, "write", full)
        with pytest.raises(StoreFull):
            engine.send(T, "finish", key="f")
        monkeypatch.setattr(engine.tape, "write", write)

        assert engine.world.instance(D).state == "open"
        assert engine.tape.size == size
        assert engine.send(T, "finish", key="f").accepted
        assert engine.world.instance(D).state == "complete"
        replayed(engine)


def test_a_hand_over_survives_a_crash_once(tmp_path):
    """Reopened after a crash, the deal is complete; the same key tells so and raises nothing."""
    path = tmp_path / "t.db"
    engine = open_tape(path)
    begun(engine)
    engine.send(T, "finish", key="f")
    engine.abandon()
    with open_tape(path) as engine:
        size = engine.tape.size

        assert engine.world.instance(D).state == "complete"
        assert engine.send(T, "finish", key="f").outcome == "duplicate"
        assert engine.tape.size == size


def test_replay_misses_a_hand_over_that_was_left_out(tmp_path):
    """A tape that ends without what was raised differs; so does a raised event from nowhere."""
    with open_tape(tmp_path / "t.db") as engine:
        begun(engine)
        engine.send(T, "finish")
        bodies = list(engine.tape.read())
    short = Replayer().run(bodies[:-1]).difference
    forged = bodies[-2].replace(b'"raised":6', b'"raised":5')
    wrong = Replayer().run([*bodies[:-2], forged]).difference

    assert short.why == "the tape ends, and this should have followed"
    assert forged != bodies[-2]
    assert "raised" in wrong.why


def test_a_raised_event_is_decided_at_the_newest_height(tmp_path):
    """Also replayed alone, where nobody tells of heads; not at the raising command's own."""
    lock = machine("""
machine: test.lock
version: 1
title: Notes at which height it was told
chain: moon
data: {seen: epoch = 0, other: text}
create: {params: {other: text = ""}, set: {other: other}}
states: {open: {initial: true}}
events:
  tell: {effects: [{raise: told, to: other}, {raise: told}], go: [{from: open}]}
  told: {set: {seen: height}, go: [{from: open}]}
""")
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(lock, "a")
        engine.create(lock, "b", {"other": "test.lock/a"})
        engine.observe("moon", 7)
        engine.send("test.lock/b", "tell", height=5)

        assert [engine.world.instance(f"test.lock/{key}").data["seen"] for key in "ab"] == [7, 7]
        replayed(engine)


def test_a_creation_may_raise_and_an_adoption_does_not(tmp_path):
    """What beginning raises is told to others; who is taken over in mid-life has told it before."""
    newborn = machine("""
machine: test.newborn
version: 1
title: Tells its deal that it is there
data: {deal: text}
create:
  params: {deal: text}
  set: {deal: deal}
  effects: [{raise: received, to: deal, with: {total: 1}}]
states: {open: {initial: true, entry: [{do: cry}]}}
""")
    with open_tape(tmp_path / "t.db") as engine:
        begun(engine)
        born = engine.execute(Create(newborn, "test.newborn/a", {"deal": D}))
        total = engine.world.instance(D).data["total"]
        adopted = engine.execute(Create(newborn, "test.newborn/b", {"deal": D}, state="open"))

        assert (total, born.effects) == (1, [{"do": "cry"}])
        assert adopted.effects is None
        assert entries(engine)[-1]["event"] == "adopted"
        replayed(engine)


def test_a_timer_that_fires_may_raise(tmp_path):
    """What a deadline makes an instance raise is delivered in the same turn."""
    bomb = machine("""
machine: test.bomb
version: 1
title: Completes its deal after a while
data: {deal: text}
create: {params: {deal: text}, set: {deal: deal}}
states:
  lit: {initial: true, timers: {fuse: {after: 5s, event: bang}}}
  gone: {final: true}
events:
  bang: {effects: [{raise: complete, to: deal}], go: [{from: lit, to: gone}]}
""")
    clock = Clock()
    with open_tape(tmp_path / "t.db", clock) as engine:
        begun(engine)
        engine.create(bomb, "b", {"deal": D})
        clock.forward(5)
        engine.tick()

        assert engine.world.instance(D).state == "complete"
        replayed(engine)


CIRCLE = machine("""
machine: test.circle
version: 1
title: Passes a number on to its peer and to itself, without end
data: {peer: text, last: int = 0}
create: {params: {peer: text}, set: {peer: peer}}
states: {open: {initial: true}}
events:
  turn:
    params: {number: int = 0}
    set: {last: number}
    effects:
      - {raise: turn, to: peer, with: {number: number + 1}}
      - {raise: note, with: {number: number}}
    go: [{from: open}]
  note: {params: {number: int}, go: [{from: open}]}
""")


def test_a_link_too_many_has_its_parameters_and_follows_also_alone(tmp_path):
    """How many links of the peer lie before one of its own, an instance alone cannot count."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        for key, peer in ("ab", "ba"):
            engine.create(CIRCLE, key, {"peer": f"test.circle/{peer}"})
        engine.send("test.circle/a", "turn")
        refused = [e for e in entries(engine) if e.get("outcome") == "rejected"]
        last = engine.world.instance("test.circle/a").data["last"]
        replayed(engine)
    with Inspector.open(path) as inspector:
        same = [what_if(inspector, f"test.circle/{key}", Changes()).same for key in "ab"]

    assert [(e["event"], e["params"]) for e in refused] == [
        ("turn", {"number": LINKS_DEEP_MAX + 1}),
        ("note", {"number": LINKS_DEEP_MAX}),
    ]
    assert last == LINKS_DEEP_MAX
    assert same == [True, True]
