"""Effects: what the outside has to do, handed over at least once, in order."""

from __future__ import annotations

import pytest
from statetape.engine.recover import recover
from statetape.fsm.types import ValueInvalid

from .machines import Clock, machine, open_tape

SHOP = machine("""
machine: test.shop
version: 1
title: It ships what is ordered
data: {ordered: int = 0}
states:
  open:
    initial: true
    entry:
      - {do: greet, with: {ordered: ordered}}
  shut: {final: true}
events:
  order:
    params: {item: text, count: int}
    set: {ordered: ordered + count}
    effects:
      - {do: ship, with: {item: item, before: ordered}}
      - {do: wrap, when: count > 1, with: {item: item}}
    go: [{from: open}]
  look:
    go: [{from: open}]
  again:
    go: [{from: open, to: same}]
""")


def test_effects_are_recorded_and_returned(tmp_path):
    """An event's effects see the data before, an entry's effects the data after."""
    with open_tape(tmp_path / "t.db") as engine:
        created = engine.create(SHOP, "s")
        one = engine.send("test.shop/s", "order", {"item": "cup", "count": 1})
        two = engine.send("test.shop/s", "order", {"item": "pot", "count": 2})
        again = engine.send("test.shop/s", "again")
        look = engine.send("test.shop/s", "look")

    assert created.effects == [{"do": "greet", "ordered": 0}]
    assert one.effects == [{"do": "ship", "item": "cup", "before": 0}]
    assert two.effects[1] == {"do": "wrap", "item": "pot"}
    assert again.effects == [{"do": "greet", "ordered": 3}]
    assert look.effects is None


def test_a_consumer_gets_each_effect_until_it_acknowledges(tmp_path):
    """Delivery is at least once: what is not acknowledged comes again, also after a crash."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(SHOP, "s")
        engine.send("test.shop/s", "order", {"item": "cup", "count": 1})
        engine.send("test.shop/s", "order", {"item": "pot", "count": 1})
        first = engine.effects("carrier")
        engine.acknowledge("carrier", first[1].pos)
        engine.abandon()
    with open_tape(path) as engine:
        rest = engine.effects("carrier")
        other = engine.effects("printer")

    assert [one.effect["do"] for one in first] == ["greet", "ship", "ship"]
    assert [(one.instance, one.effect["item"]) for one in rest] == [("test.shop/s", "pot")]
    assert len(other) == 3


def test_effects_of_what_another_process_began_name_its_instance(tmp_path):
    """Whoever asks first learns what the others wrote, projected or not."""
    path = tmp_path / "t.db"
    with open_tape(path) as carrier, open_tape(path) as shop:
        shop.create(SHOP, "s")
        shop.send("test.shop/s", "order", {"item": "cup", "count": 1})
        assert {one.instance for one in carrier.effects("carrier")} == {"test.shop/s"}


def test_effects_come_in_portions(tmp_path):
    """A limit cuts between entries, so that acknowledging never skips one."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(SHOP, "s")
        engine.send("test.shop/s", "order", {"item": "cup", "count": 5})
        portion = engine.effects("carrier", limit=2)

        assert [one.effect["do"] for one in portion] == ["greet", "ship", "wrap"]
        engine.acknowledge("carrier", portion[-1].pos)
        assert engine.effects("carrier") == []


def test_a_cursor_only_moves_forward_and_not_beyond_the_tape(tmp_path):
    """Acknowledging less or the future is the caller's error."""
    with open_tape(tmp_path / "t.db") as engine:
        engine.create(SHOP, "s")
        engine.acknowledge("carrier", 3)

        for wrong in (2, 4, 0):
            with pytest.raises(ValueInvalid):
                engine.acknowledge("carrier", wrong)


def test_recovery_says_which_consumer_is_behind(tmp_path):
    """The operator sees what was not handed over."""
    path = tmp_path / "t.db"
    with open_tape(path) as engine:
        engine.create(SHOP, "s")
        engine.acknowledge("carrier", 3)
        engine.send("test.shop/s", "order", {"item": "cup", "count": 5})

    assert recover(path, clock=Clock()).effects_behind == {"carrier": 1}
