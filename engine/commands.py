"""What can be asked of a tape, and what is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..fsm.errors import CallerError, ConflictError
from ..fsm.machine import Machine
from ..fsm.types import Json

DUPLICATE = "duplicate"


class IdempotencyConflict(ConflictError):
    """The idempotency key was used for another command. Nothing was recorded."""

    code = "idempotency-conflict"


class InstanceUnknown(CallerError):
    """There is no instance of that name on this tape."""

    code = "instance-unknown"


class MachineUnknown(CallerError):
    """There is no machine of that name."""

    code = "machine-unknown"


class NameInvalid(CallerError):
    """An instance is named `machine/key`."""

    code = "name-invalid"


KEY_CHARS_MAX = 200
CHAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Send:
    """An event for an instance.

    `key`: idempotency key; the command takes effect at most once per instance and key.
    `by`: who asks. `cause`: the position of the entry that made this necessary.
    `at`: when it happened, in microseconds (default: now). `height`: the chain's height that it
    is decided at (default: the newest observed).
    """

    instance: str
    event: str
    params: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    by: str | None = None
    cause: int | None = None
    at: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Create:
    """The wish to begin an instance `machine/key`. Options as in `Send`."""

    machine: Machine
    instance: str
    params: Mapping[str, Any] = field(default_factory=dict)
    key: str | None = None
    by: str | None = None
    cause: int | None = None
    at: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Observe:
    """A chain's head was seen at `height`."""

    chain: str
    height: int
    by: str | None = None
    at: int | None = None


Command = Send | Create | Observe


class Receipt(NamedTuple):
    """What became of a command. It is given out only after its entry is durable.

    `outcome` is accepted, rejected, deferred, ignored or duplicate; a duplicate repeats what the
    first command with its key was told (`first`), at its position. `state` is the instance's
    state after it (None: there is no instance).
    """

    outcome: str
    pos: int
    instance: str | None = None
    seq: int | None = None
    state: str | None = None
    reason: Json = None
    effects: list[Json] | None = None
    first: str | None = None

    @property
    def accepted(self) -> bool:
        """Whether the command took effect, now or the first time it was sent."""
        return "accepted" in (self.outcome, self.first)
