"""Driving nodes: every effect is performed, each command is taken once, whatever dies when."""

from __future__ import annotations

import itertools
import shutil

import pytest
from statetape.engine.driver import Driver, DriverEndless
from statetape.engine.engine import Engine
from statetape.engine.inspect import Inspector
from statetape.engine.replay import Replayer
from statetape.fsm.driving import DELIVERED, LATE, LOST, Begin, Event
from statetape.fsm.entry import decode

from .machines import Clock, fixed_entropy, machine

BUYER = machine("""
machine: test.buyer
version: 1
title: Orders things one after the other, and pays in totals
data: {wanted: int = 3, got: int = 0, paid: int = 0}
states:
  ordering:
    initial: true
    entry:
      - {do: order, with: {number: got + 1}}
  content: {final: true}
events:
  arrived:
    params: {number: int}
    require:
      - that: number == got + 1
        else: {reason: NOT_IN_ORDER}
    set: {got: number}
    effects:
      - {do: pay}
      - {do: thank, when: number == wanted}
    go:
      - {from: ordering, to: content, when: number == wanted}
      - {from: ordering, to: same}
  paid:
    params: {total: int}
    set: {paid: total}
    go: [{from: ordering}]
""")

SELLER = machine("""
machine: test.seller
version: 1
title: Ships what is ordered, and counts
data: {shipped: int = 0, money: int = 0, thanks: int = 0}
states:
  open: {initial: true}
events:
  order:
    params: {number: int}
    set: {shipped: shipped + 1}
    effects: [{do: ship, with: {number: number}}]
    go: [{from: open}]
  money:
    params: {total: int}
    set: {money: total}
    go: [{from: open}]
  thanks:
    set: {thanks: thanks + 1}
    go: [{from: open}]
""")

MACHINES = {"test.buyer": BUYER, "test.seller": SELLER}
B = "test.buyer/b"
S = "test.seller/s"


def perform(effect, look):
    """What the two shops do: the buyer's first order opens the seller."""
    if effect.do == "order":
        begin = [Begin("seller", "test.seller", "s")] if effect.params["number"] == 1 else []
        return [*begin, Event("seller", S, "order", effect.params)]
    if effect.do == "ship":
        return [Event("buyer", B, "arrived", effect.params)]
    if effect.do == "pay":
        total = 5 * look(B).data["got"]
        return [
            Event("buyer", B, "paid", {"total": total}),
            Event("seller", S, "money", {"total": total}),
        ]
    return [Event("seller", S, "thanks")]


class Died(BaseException):
    """Stands for the end of a process."""


class Mortal(Engine):
    """An engine whose process dies before or after the operation whose turn it is."""

    countdown = itertools.repeat(False)

    def _mortal(self, work, *words):
        if next(self.countdown):
            raise Died
        done = work(*words)
        if next(self.countdown):
            raise Died
        return done

    def execute(self, command):
        return self._mortal(super().execute, command)

    def acknowledge(self, consumer, pos):
        return self._mortal(super().acknowledge, consumer, pos)


def dies_at(moment):
    """Tell for each moment whether it is the one."""
    return (number == moment for number in itertools.count())


def opened(folder, kind=Engine, clock=None):
    """Open both nodes' tapes."""
    options = {"clock": clock or Clock(), "entropy": fixed_entropy, "synchronous": "OFF"}
    return {name: kind.open(folder / f"{name}.db", **options) for name in ("buyer", "seller")}


def begun(folder, clock=None, wanted=3):
    """Open both tapes of a story that begins."""
    nodes = opened(folder, clock=clock)
    nodes["buyer"].create(BUYER, "b", {"wanted": wanted})
    return nodes


def close(nodes):
    """Close every engine."""
    for engine in nodes.values():
        engine.close()


def driver(nodes, carry=lambda *_: DELIVERED):
    """A driver of the two shops."""
    return Driver(nodes, perform, carry, MACHINES.__getitem__)


def told(folder):
    """What the tapes say at the end: each instance, and every entry but for its time."""
    found = {}
    for name in ("buyer", "seller"):
        with Inspector.open(folder / f"{name}.db") as inspector:
            for one in inspector.instances():
                found[one.name] = (one.state, one.data)
            found[name] = [
                (entry.pos, entry.event, entry.params, entry.outcome, entry.key, entry.cause)
                for entry in map(decode, inspector.reader.read())
            ]
    return found


DONE = {
    B: ("content", {"wanted": 3, "got": 3, "paid": 10}),
    S: ("open", {"shipped": 3, "money": 15, "thanks": 1}),
}


def test_effects_lead_to_commands_until_nothing_is_left(tmp_path):
    """Both tapes come to rest; a command names the entry that led to it, on whichever tape."""
    nodes = begun(tmp_path)
    steps = driver(nodes).run()
    again = driver(nodes).run()
    left = [engine.effects("driver") for engine in nodes.values()]
    replays = [Replayer().run(engine.tape.read()).difference for engine in nodes.values()]
    close(nodes)

    found = told(tmp_path)
    assert {name: found[name] for name in DONE} == DONE
    assert (steps, again, left, replays) == (7, 0, [[], []], [None, None])
    order, arrived = found["seller"][3], found["buyer"][3]
    assert order[4:] == ("buyer/3.0.1", None)
    assert arrived[4:] == ("seller/4.0.0", None)
    paid = found["buyer"][4]
    assert (paid[1], paid[4:]) == ("paid", ("buyer/4.0.0", 4))


def test_a_death_at_any_moment_loses_and_doubles_nothing(tmp_path):
    """Before and after each command and each acknowledgement; the tapes end the same, each time."""
    begin, whole = tmp_path / "begin", tmp_path / "whole"
    begin.mkdir()
    close(begun(begin, wanted=2))
    shutil.copytree(begin, whole)
    nodes = opened(whole)
    steps = driver(nodes).run()
    close(nodes)
    expected = told(whole)

    deaths = 0
    for moment in itertools.count():
        folder = shutil.copytree(begin, tmp_path / f"death-{moment}")
        Mortal.countdown = dies_at(moment)
        nodes = opened(folder, Mortal)
        try:
            driver(nodes).run()
        except Died:
            deaths += 1
            for engine in nodes.values():
                engine.abandon()
        else:
            close(nodes)
            break
        nodes = opened(folder)
        driver(nodes).run()
        close(nodes)
        assert told(folder) == expected, f"it died at moment {moment}"

    commands = sum(1 for name in ("buyer", "seller") for entry in expected[name] if entry[4])
    assert (commands, steps) == (10, 5)
    assert deaths == 2 * (commands + steps)


def test_without_keys_a_death_would_double(tmp_path):
    """The control: performing again what was acknowledged nowhere counts twice."""
    nodes = begun(tmp_path)
    [pending] = nodes["buyer"].effects("driver")
    for _ in range(2):
        nodes["seller"].create(SELLER, "s")
        nodes["seller"].send(S, "order", {"number": pending.effect["number"]})
    shipped = nodes["seller"].world.instance(S).data["shipped"]
    close(nodes)

    assert shipped == 2


def test_what_is_performed_sees_its_node_as_it_was(tmp_path):
    """More has happened since: a late look gives the old answer, or the keys would not agree."""
    seen = []

    def watching(effect, look):
        seen.append((effect.pos, look(B).data["got"], look("test.buyer/later")))
        return []

    nodes = begun(tmp_path)
    buyer = nodes["buyer"]
    for number in (1, 2):
        buyer.send(B, "arrived", {"number": number})
    buyer.create(BUYER, "later", {"wanted": 1})
    buyer.flush()
    buyer.send(B, "arrived", {"number": 3})
    Driver(nodes, watching, machine=MACHINES.__getitem__).run()
    close(nodes)

    assert [one[:2] for one in seen[:5]] == [(3, 0), (4, 1), (4, 1), (5, 2), (5, 2)]
    assert [one[2] is not None for one in seen] == [False] * 5 + [True] * 3


def test_the_oldest_effect_of_all_nodes_comes_first(tmp_path):
    """By the time of its entry, which is on the tape: a driver that begins anew keeps the order."""
    order = []

    def noting(effect, look):
        order.append((effect.node, effect.pos))
        return perform(effect, look)

    clock = Clock()

    def slowly(*_):
        clock.forward(1)
        return DELIVERED

    nodes = begun(tmp_path, clock)
    while Driver(nodes, noting, slowly, MACHINES.__getitem__).step():
        pass
    close(nodes)

    times = {}
    for name in ("buyer", "seller"):
        with Inspector.open(tmp_path / f"{name}.db") as inspector:
            times |= {(name, one.pos): one.at for one in map(decode, inspector.reader.read())}
    assert [times[one] for one in order] == sorted(times[one] for one in order)
    assert {node for node, _ in order} == {"buyer", "seller"}


def test_what_is_lost_stays_lost(tmp_path):
    """The effect is done as far as its node knows; the other side waits."""
    nodes = begun(tmp_path)
    driver(nodes, lambda _, act: LOST if act.node == "buyer" else DELIVERED).run()
    left = nodes["seller"].effects("driver")
    close(nodes)

    found = told(tmp_path)
    assert found[B] == ("ordering", {"wanted": 3, "got": 0, "paid": 0})
    assert found[S][1]["shipped"] == 1
    assert left == []


def late_payment(effect, act):
    """Let the seller's money come late."""
    return LATE if isinstance(act, Event) and act.event == "money" else DELIVERED


def test_what_is_late_comes_when_nothing_else_moves(tmp_path):
    """In its order, and what follows from it is done as well."""
    nodes = begun(tmp_path)
    driver(nodes, late_payment).run()
    left = [engine.effects("driver") for engine in nodes.values()]
    close(nodes)

    found = told(tmp_path)
    assert {name: found[name] for name in DONE} == DONE
    assert [entry[1] for entry in found["seller"][2:]] == [
        "create", "order", "order", "order", "thanks", "money", "money", "money",
    ]  # fmt: skip
    assert left == [[], []]


def test_a_death_while_something_is_late_loses_nothing(tmp_path):
    """Its effect is not acknowledged, so it is performed again; what arrived is a duplicate."""
    nodes = begun(tmp_path)
    first = driver(nodes, late_payment)
    while first.step() and nodes["buyer"].world.instance(B).state != "content":
        pass
    for engine in nodes.values():
        engine.abandon()
    nodes = opened(tmp_path)
    before = nodes["seller"].world.instance(S).data["money"]
    driver(nodes).run()
    close(nodes)

    found = told(tmp_path)
    assert before == 0
    assert {name: found[name] for name in DONE} == DONE


def test_nodes_that_never_rest_are_stopped(tmp_path):
    """A circle of effects ends with an error that says so; everything up to there is stored."""

    def circling(effect, _look):
        return [
            Event("buyer", B, "arrived", {"number": 0}),
            Begin("buyer", "test.buyer", f"{effect.pos}"),
        ]

    nodes = begun(tmp_path)
    with pytest.raises(DriverEndless):
        Driver(nodes, circling, machine=MACHINES.__getitem__).run(effects_max=20)
    count = sum(1 for _ in nodes["buyer"].effects("driver"))
    close(nodes)

    assert count == 1
