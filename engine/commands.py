"""What can be asked of a tape, and what is answered."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from ..fsm.composite import BUILTIN
from ..fsm.entry import Entry, names_instance
from ..fsm.errors import CallerError, ConflictError
from ..fsm.machine import Event, Machine
from ..fsm.types import TEXT, Json, ValueInvalid

DUPLICATE = "duplicate"


class IdempotencyConflict(ConflictError):
    """The idempotency key was used for another command. Nothing was recorded."""

    code = "idempotency-conflict"


class InstanceUnknown(CallerError):
    """There is no instance of that name on this tape."""

    code = "instance-unknown"


class InstanceCollected(InstanceUnknown):
    """The entries of this instance were collected; its hashes and a tombstone are left."""

    code = "instance-collected"


class NotOnHold(CallerError):
    """The instance is not on hold, so nothing can be released."""

    code = "not-on-hold"


class MachineUnknown(CallerError):
    """There is no machine of that name."""

    code = "machine-unknown"


class NameInvalid(CallerError):
    """An instance is named `machine/key`."""

    code = "name-invalid"


KEY_CHARS_MAX = 200
WHY_CHARS_MAX = 2000
CHAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}\Z")


_NO_PARAMS: Mapping[str, Any] = {}


class Send(msgspec.Struct, frozen=True, gc=False):
    """An event for an instance.

    `key`: idempotency key; the command takes effect at most once per instance and key.
    `by`: who asks. `cause`: the position of the entry that made this necessary.
    `at`: when it happened, in microseconds (default: now). `height`: the chain's height that it
    is decided at (default: the newest observed).
    """

    instance: str
    event: str
    params: Mapping[str, Any] = _NO_PARAMS
    key: str | None = None
    by: str | None = None
    cause: int | None = None
    at: int | None = None
    height: int | None = None


class Create(msgspec.Struct, frozen=True, gc=False):
    """The wish to begin an instance `machine/key`. Options as in `Send`.

    `state`: it is in mid-life already, in this state, and `params` are its data fields: so an
    instance that was first seen elsewhere is taken over. Its entry's event is `adopted`.
    """

    machine: Machine
    instance: str
    params: Mapping[str, Any] = _NO_PARAMS
    key: str | None = None
    by: str | None = None
    cause: int | None = None
    at: int | None = None
    height: int | None = None
    state: str | None = None

    @property
    def creation(self) -> Event:
        """The machine's event that this is."""
        return self.machine.create if self.state is None else self.machine.adopt


class Observe(msgspec.Struct, frozen=True, gc=False):
    """A chain's head was seen at `height`."""

    chain: str
    height: int
    by: str | None = None
    at: int | None = None


class Hold(msgspec.Struct, frozen=True, gc=False):
    """The wish that an instance's entries be kept (`release`: no longer), whatever its state."""

    instance: str
    why: str
    release: bool = False
    by: str | None = None
    at: int | None = None


Command = Send | Create | Observe | Hold


class Receipt(msgspec.Struct, frozen=True, gc=False):
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


def check_options(command: Send | Create, size: int) -> None:
    """Raise ValueInvalid where an option of a command is not of its type.

    `size`: how many entries the tape has; a cause is one of them.
    """
    if command.by is not None:
        TEXT.coerce(command.by, "by")
    if command.at is not None:
        BUILTIN["time"].coerce(command.at, "at")
    if command.height is not None:
        BUILTIN["epoch"].coerce(command.height, "height")
    if command.cause is not None and (type(command.cause) is not int or command.cause < 1):
        raise ValueInvalid("a cause is the position of an entry", place="cause")
    if command.cause is not None and command.cause > size:
        why = f"there is no entry {command.cause}: the tape ends at {size}"
        raise ValueInvalid(why, place="cause")
    if command.key is not None:
        TEXT.coerce(command.key, "key")
        if not 0 < len(command.key) <= KEY_CHARS_MAX or not command.key.isprintable():
            why = f"an idempotency key has 1 to {KEY_CHARS_MAX} printable characters"
            raise ValueInvalid(why, place="key")


def check_state(command: Create) -> None:
    """Raise ValueInvalid where an instance is to begin in a state that its machine has not."""
    states = command.machine.states
    if command.state is not None and command.state not in states:
        known = ", ".join(states)
        why = f"{command.machine.name} has no state {command.state!r} (it has {known})"
        raise ValueInvalid(why, place="state")


def check_head(command: Observe) -> None:
    """Raise ValueInvalid where an observation is not a chain's head."""
    if type(command.chain) is not str or not CHAIN.match(command.chain):
        raise ValueInvalid(f"{command.chain!r} does not name a chain", place="chain")
    BUILTIN["epoch"].coerce(command.height, "height")
    if command.height < 0:
        raise ValueInvalid("a height is not negative", place="height")
    if command.by is not None:
        TEXT.coerce(command.by, "by")
    if command.at is not None:
        BUILTIN["time"].coerce(command.at, "at")


def check_hold(command: Hold) -> None:
    """Raise ValueInvalid or NameInvalid where a hold does not say of what, and why."""
    check_name(command.instance)
    TEXT.coerce(command.why, "why")
    if not command.why.strip() or len(command.why) > WHY_CHARS_MAX:
        raise ValueInvalid(f"say why, in at most {WHY_CHARS_MAX} characters", place="why")
    if command.by is not None:
        TEXT.coerce(command.by, "by")
    if command.at is not None:
        BUILTIN["time"].coerce(command.at, "at")


def asked(machine: Machine, entry: Entry) -> Machine:
    """Return the machine that a recorded creation asked for: that of its instance, `machine`.

    Where the instance was there already, another version may have been meant. Of that one the
    entry holds nothing but the name of its creating event.
    """
    if entry.instance is None or entry.event in (None, machine.create.name, machine.adopt.name):
        return machine
    return replace(machine, create=replace(machine.create, name=entry.event))


def check_name(name: str) -> tuple[str, str]:
    """Return machine and key of `machine/key`, or raise NameInvalid."""
    if not names_instance(name):
        raise NameInvalid(f"{name!r} does not name an instance", hint="write machine/key")
    machine, _, key = name.partition("/")
    return machine, key
