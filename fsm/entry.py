"""An entry: what the tape records, and its canonical bytes.

The bytes that are stored are the bytes that are hashed: JSON in UTF-8, members sorted, no spaces,
no floats, integers beyond 53 bits as decimal strings, at most ENTRY_BYTES_MAX. A member that says
nothing is left out; an entry without `outcome` was accepted. `tape` marks an entry about the tape
itself (its opening, a machine's text, an observed height, a hold, what was collected); every other
entry is a command to an instance. docs/reference/entry.md describes each member (a test compares).

`decode` checks the members' types, `check_canonical` also what is inside them: whatever reads an
entry from elsewhere may rely on both. Whether an entry can follow those before it is for whoever
has those: see engine/transfer.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from .errors import CallerError, PeerError
from .tombstone import Tombstone
from .types import JSON_INT_MAX, Json, exact_int

ENTRY_BYTES_MAX = 65_535
FORMAT = "statetape/1"

OPENED = "opened"
SPEC = "spec"
HEAD = "head"
REORG = "reorg"
HOLD = "hold"
RELEASE = "release"
COLLECTED = "collected"
SHRUNK = "shrunk"


class EntryTooLarge(CallerError):
    """The entry of this command would pass 64 KiB. Nothing was recorded."""

    code = "entry-too-large"


class EntryInvalid(PeerError):
    """Bytes that should be an entry are not one, or not in canonical form."""

    code = "entry-invalid"


class Entry(
    msgspec.Struct,
    omit_defaults=True,
    forbid_unknown_fields=True,
    rename={"from_": "from"},
    gc=False,
):
    """One entry. Members stand in the order of their canonical form; None is left out."""

    at: int
    by: str | None = None
    cause: int | None = None
    chain: str | None = None
    collected: list[Tombstone] | None = None
    create: str | None = None
    digest: str | None = None
    effects: list[dict[str, Json]] | None = None
    event: str | None = None
    format: str | None = None
    from_: str | None = None
    functions: str | None = None
    height: int | str | None = None
    instance: int | None = None
    key: str | None = None
    machine: str | None = None
    name: str | None = None
    offer: int | None = None
    origin: str | None = None
    outcome: str | None = None
    params: dict[str, Json] | None = None
    pos: int = 0
    raised: int | None = None
    raises: list[dict[str, str]] | None = None
    reason: dict[str, Json] | None = None
    recorded: int | None = None
    seq: int | None = None
    set: dict[str, Json] | None = None
    shrunk: list[tuple[int, int]] | None = None
    spec: int | None = None
    tape: str | None = None
    text: str | None = None
    timer: str | None = None
    timers: dict[str, dict[str, int | str] | None] | None = None
    to: str | None = None
    version: int | None = None

    @property
    def happened(self) -> int:
        """When the tape learned of it: the clock that timers are measured by (microseconds)."""
        return self.at if self.recorded is None else self.recorded


class _Reason(msgspec.Struct, forbid_unknown_fields=True):
    """A refusal. What is not said is absent, never null."""

    kind: str
    accepted_in: list[str] | msgspec.UnsetType = msgspec.UNSET
    accepts: list[str] | msgspec.UnsetType = msgspec.UNSET
    code: int | str | msgspec.UnsetType = msgspec.UNSET
    detail: str | msgspec.UnsetType = msgspec.UNSET
    name: str | msgspec.UnsetType = msgspec.UNSET
    needs: list[str] | msgspec.UnsetType = msgspec.UNSET
    parked: int | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    saw: dict[str, Json] | msgspec.UnsetType = msgspec.UNSET
    state: str | msgspec.UnsetType = msgspec.UNSET
    that: str | msgspec.UnsetType = msgspec.UNSET


class _Effect(msgspec.Struct):
    """Something to do; its other members are the machine's."""

    do: str


class _Raised(msgspec.Struct, forbid_unknown_fields=True):
    """An event handed over: its name, and the instance it is for."""

    event: str
    to: str


class _Shape(msgspec.Struct):
    """What is inside the members that hold more than a word or a number."""

    effects: list[_Effect] | None = None
    raises: list[_Raised] | None = None
    outcome: Literal["rejected", "deferred", "ignored"] | None = None
    reason: _Reason | None = None


INSTANCE_NAME_CHARS_MAX = 400


def names_instance(name: str) -> bool:
    """Whether `name` can name an instance: machine/key, printable, not too long."""
    machine, slash, key = name.partition("/")
    return (
        bool(slash and machine and key)
        and len(name) <= INSTANCE_NAME_CHARS_MAX
        and (name.isprintable())
    )


_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(Entry)
_ANY = msgspec.json.Decoder()
_SHAPE = msgspec.json.Decoder(_Shape)


def encode(entry: Entry) -> bytes:
    """Return the canonical bytes. Raises EntryTooLarge."""
    body = _ENCODER.encode(entry)
    if len(body) > ENTRY_BYTES_MAX:
        why = f"the entry would have {len(body)} bytes; at most {ENTRY_BYTES_MAX} fit"
        raise EntryTooLarge(why)
    return body


def decode(body: bytes, place: str = "") -> Entry:
    """Return the entry in canonical `body`, or raise EntryInvalid at `place`.

    Not checked here: that the bytes are canonical (see `check_canonical`), and that the entry
    follows from those before it (see replay).
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise EntryInvalid(f"not an entry: {error}", place=place) from None


def check_canonical(body: bytes, place: str = "") -> Entry:
    """Return the entry in `body` if encoding it again gives the same bytes; else EntryInvalid."""
    entry = decode(body, place)
    if len(body) > ENTRY_BYTES_MAX:
        raise EntryInvalid(f"{len(body)} bytes; at most {ENTRY_BYTES_MAX}", place=place)
    if _has_inexact(_ANY.decode(body)):
        why = "a number that readers of JSON may round: write a decimal string"
        raise EntryInvalid(why, place=place)
    try:
        _SHAPE.decode(body)
    except msgspec.DecodeError as error:
        raise EntryInvalid(f"not an entry: {error}", place=place) from None
    if not all(exact_int(number) is not None for number in _numbers(entry)):
        raise EntryInvalid("a height or a deadline is no integer", place=place)
    if _ENCODER.encode(entry) != body:
        why = "not in canonical form (sorted members, no spaces, nothing that says nothing)"
        raise EntryInvalid(why, place=place)
    return entry


def _numbers(entry: Entry) -> Iterator[object]:
    """Yield the members that are numbers in an entry, whatever its machine says."""
    if entry.height is not None:
        yield entry.height
    for deadline in (entry.timers or {}).values():
        if deadline is not None:
            yield from deadline.values() if [*deadline] in (["at"], ["height"]) else ["none"]


def _has_inexact(value: Any) -> bool:
    """Whether there is a float, or an integer beyond 53 bits, anywhere in a JSON value."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, float) or (type(item) is int and abs(item) > JSON_INT_MAX):
            return True
        if isinstance(item, dict):
            waiting.extend(item.values())
        elif isinstance(item, list):
            waiting.extend(item)
    return False
