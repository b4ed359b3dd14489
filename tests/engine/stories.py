"""A retrieval in small: a client, a provider and a payment lane, tied to each other."""

from __future__ import annotations

from statetape.engine.explain import Explanation, explain
from statetape.engine.inspect import Inspector
from statetape.engine.links import Group, group_of

from .machines import SECOND, START, machine

MINUTE = 60 * SECOND
CLIENT = machine("""
machine: story.client
version: 1
title: The client of a retrieval
data:
  peer: text = ""
  lane: text = ""
  price: attofil = 2
  received: uint = 0
  paid: attofil = 0
ledger:
  bytes: received
  paid: paid
  amount_due: received * price - paid
links:
  provider: peer
  lane: lane
states:
  asked:
    initial: true
    expects: the provider's acceptance
    timers:
      patience: {after: 10m, event: give_up}
  ongoing:
    expects: the provider's last block
    timers:
      stall: {quiet: 5m, event: stalled, with: {refused: refused}}
  checking:
    no_deadline: the caller decides
  done: {final: true}
  gone: {final: true}
events:
  accepted:
    go: [{from: asked, to: ongoing}]
  block:
    params: {total: uint}
    set: {received: total}
    go: [{from: ongoing}]
  pay:
    params: {amount: attofil}
    require:
      - that: paid + amount <= received * price
        else: {code: 7, name: TOO_MUCH, reason: MORE_THAN_IS_DUE}
    set: {paid: paid + amount}
    go:
      - from: ongoing
        effects:
          - raise: voucher
            to: lane
            with: {total: paid + amount}
            when: lane != ""
          - do: send_voucher
            with: {total: paid + amount}
  check:
    go: [{from: ongoing, to: checking}]
  complete:
    go: [{from: ongoing, to: done}, {from: checking, to: done}]
  stalled:
    params:
      refused: text?
    go: [{from: any}]
  give_up:
    go: [{from: asked, to: gone}]
""")

PROVIDER = machine("""
machine: story.provider
version: 1
title: The provider of a retrieval
defer_for: 1m
data:
  peer: text = ""
  sent: uint = 0
  paid: attofil = 0
ledger:
  bytes: sent
  paid: paid
links:
  client: peer
states:
  fresh:
    initial: true
    expects: the client's deal
    timers:
      boredom: {after: 1h, event: lapse}
  ongoing:
    timers:
      pay: {after: 2m, event: lapse}
  finished: {final: true}
events:
  accept:
    go: [{from: fresh, to: ongoing}]
  block:
    params: {total: uint}
    set: {sent: total}
    otherwise: defer
    go: [{from: ongoing}]
  hello:
    otherwise: ignore
  finish:
    go: [{from: ongoing, to: finished}]
  lapse:
    go: [{from: [fresh, ongoing], to: finished}]
""")

LANE = machine("""
machine: story.lane
version: 1
title: A payment lane that many retrievals share
data:
  total: attofil = 0
ledger:
  total: total
states:
  ready: {initial: true, no_deadline: it is used when it is needed}
events:
  voucher:
    params: {total: attofil}
    set: {total: total}
    go: [{from: ready}]
""")

HUB = machine("""
machine: story.hub
version: 1
title: Something that names others
chain: moon
data:
  others: list[text] = []
  one: text = ""
  two: text = ""
links:
  others: others
  one: one
  two: two
  high: '"story.hub/high" if height > 5 else ""'
states:
  open: {initial: true, no_deadline: it rests}
  waiting: {expects: a reply, no_deadline: a reply takes its time}
  closed: {final: true}
events:
  tie:
    params: {others: "list[text]"}
    set: {others: others}
    go: [{from: any}]
  tell:
    params: {to: text}
    effects: [{raise: tie, to: to, with: {others: others}}]
    go: [{from: any}]
  ask: {go: [{from: open, to: waiting}]}
  close: {go: [{from: any, to: closed}]}
""")


def client(key: str) -> str:
    """Name a client."""
    return f"story.client/{key}"


def provider(key: str) -> str:
    """Name a provider."""
    return f"story.provider/{key}"


def lane(key: str) -> str:
    """Name a lane."""
    return f"story.lane/{key}"


def hub(key: str) -> str:
    """Name a hub."""
    return f"story.hub/{key}"


def retrieval(engine, key: str = "7", on: str = "shared") -> None:
    """Begin the two sides of a retrieval, tied to each other and the client to a lane."""
    tied = {"peer": provider(key), "lane": lane(on)}
    engine.create(CLIENT, key, tied)
    engine.create(PROVIDER, key, {"peer": client(key)})


def story(path, name: str, now: int = START) -> Group:
    """Return the story of an instance."""
    with Inspector.open(path) as inspector:
        return group_of(inspector, name, now)


def explained(path, name: str, now: int = START) -> Explanation:
    """Return why an instance is where it is."""
    with Inspector.open(path) as inspector:
        return explain(inspector, name, now)
