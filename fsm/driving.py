"""What the outside of a node is told, and what it asks for in return.

An effect stands on a tape until somebody has performed it. A system says what performing means
with one pure function, a `Perform`; engine/driver.py runs it. It sees the node as it was at the
effect's entry, so an effect that is performed again, after a crash, asks for the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .types import Json


class Effect(NamedTuple):
    """An effect to perform: the `number`th of the entry at `pos` of a node's tape.

    `do` is its name, `params` are its other members in JSON form.
    """

    node: str
    pos: int
    number: int
    instance: str
    do: str
    params: Mapping[str, Json]


class Then(NamedTuple):
    """An instance as it was at some position: its state, and its data with their types."""

    name: str
    state: str
    data: Mapping[str, Any]


class Begin(NamedTuple):
    """The wish that an instance `machine/key` begin on a node's tape."""

    node: str
    machine: str
    key: str
    params: Mapping[str, Any] = {}

    @property
    def instance(self) -> str:
        """machine/key."""
        return f"{self.machine}/{self.key}"


class Event(NamedTuple):
    """An event for an instance on a node's tape."""

    node: str
    instance: str
    event: str
    params: Mapping[str, Any] = {}


Act = Begin | Event

DELIVERED = "delivered"
LOST = "lost"
LATE = "late"

Look = Callable[[str], Then | None]
"""An instance of the effect's own node, as it was at the effect's entry; None: not there yet."""
Perform = Callable[[Effect, Look], Sequence[Act]]
"""What an effect leads to, in order, on any node. Pure: the same question has the same answer."""
Carry = Callable[[Effect, Act], str]
"""What becomes of a command on its way: DELIVERED, LOST, or LATE: after everything else."""


def delivered(_effect: Effect, _act: Act) -> str:
    """Let every command arrive."""
    return DELIVERED
