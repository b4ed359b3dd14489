"""Fold: state from entries, trusting what they say.

Folding applies `set` and moves the state; it never runs a machine, so an old tape folds the same
under any later code. The folded data stays in its JSON form; `Machine.thaw` types it where a
decision needs it. This loop is measured (`make bench`): it decodes only the members it needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from .decide import DEFERRED, PARKED, REJECTED
from .types import Json

Armed = tuple[str, int, int]
"""An armed timer: ("at" or "height", deadline, position of the entry that armed it)."""
Parked = tuple[int, str, Json]
"""A deferred command: (position, event, parameters)."""


class Step(msgspec.Struct, gc=False):
    """The members of an entry that folding needs."""

    pos: int
    instance: int | None = None
    create: str | None = None
    set: dict[str, Json] | None = None
    to: str | None = None
    outcome: str | None = None
    spec: int | None = None
    timer: str | None = None
    timers: dict[str, dict[str, int | str] | None] | None = None
    offer: int | None = None
    event: str | None = None
    params: msgspec.Raw = msgspec.Raw(b"null")


_DECODER = msgspec.json.Decoder(Step)
step = _DECODER.decode


class Folded:
    """One instance, folded: its state, its data in JSON form, its timers and parked commands.

    `refused`: position and event of the last refusal since the state was entered.
    """

    __slots__ = (
        "data",
        "last",
        "name",
        "parked",
        "pos",
        "refused",
        "seq",
        "spec",
        "state",
        "timers",
    )

    def __init__(self, pos: int, name: str, spec: int, state: str, data: dict[str, Json]) -> None:
        self.pos = pos
        self.name = name
        self.spec = spec
        self.state = state
        self.data = data
        self.seq = 1
        self.last = pos
        self.timers: dict[str, Armed] = {}
        self.parked: tuple[Parked, ...] = ()
        self.refused: tuple[int, str] | None = None

    def apply(self, entry: Step) -> None:
        """Apply one entry of this instance."""
        self.seq += 1
        self.last = entry.pos
        if entry.set is not None:
            merge(self.data, entry.set)
        if entry.to is not None:
            self.state = entry.to
            self.refused = None
        if entry.timer is not None:
            self.timers.pop(entry.timer, None)
        if entry.timers is not None:
            self.arm(entry)
        if entry.offer is not None:
            self.parked = tuple(one for one in self.parked if one[0] != entry.offer)
            self.timers.pop(f"{PARKED}{entry.offer}", None)
        if entry.outcome is None:
            return
        if entry.outcome == DEFERRED:
            parked = (entry.pos, entry.event or "", msgspec.json.decode(entry.params))
            self.parked = (*self.parked, parked)
        elif entry.outcome == REJECTED:
            self.refused = (entry.pos, entry.event or "")

    def arm(self, entry: Step) -> None:
        """Apply an entry's `timers`."""
        for name, deadline in (entry.timers or {}).items():
            if deadline is None:
                self.timers.pop(name, None)
            else:
                [(kind, value)] = deadline.items()
                self.timers[name] = (kind, int(value), entry.pos)


def begin(entry: Step) -> Folded:
    """Return the instance that an accepted creation entry begins."""
    folded = Folded(entry.pos, entry.create or "", entry.spec or 0, entry.to or "", entry.set or {})
    if entry.timers is not None:
        folded.arm(entry)
    return folded


def fold(bodies: Iterable[bytes], instances: dict[int, Folded] | None = None) -> dict[int, Folded]:
    """Fold entries in order of position; returns every instance by position.

    `instances` may hold where an earlier fold ended; it is continued in place.
    """
    folded = {} if instances is None else instances
    decode = _DECODER.decode
    for body in bodies:
        entry = decode(body)
        if entry.instance is not None:
            folded[entry.instance].apply(entry)
        elif entry.create is not None and entry.outcome is None:
            folded[entry.pos] = begin(entry)
    return folded


def merge(target: dict[str, Any], patch: dict[str, Any]) -> None:
    """Apply a JSON merge patch (RFC 7396) to `target` in place."""
    for name, value in patch.items():
        if value is None:
            target.pop(name, None)
        elif type(value) is dict:
            inner = target.get(name)
            if type(inner) is not dict:
                inner = target[name] = {}
            merge(inner, value)
        else:
            target[name] = value
