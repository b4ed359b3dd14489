"""Types made of other types: optional, list, map and record; and the grammar that names them.

    TYPE   ::= NAME | list[TYPE] | map[TYPE, TYPE] | TYPE?
    FIELD  ::= TYPE [= DEFAULT]

Typed forms: a list is a tuple, a map and a record are dicts that nobody changes in place. A map's
keys are integers or text. `patch` makes the smallest merge patch, so an entry that moves one lane
of a hundred stores one lane.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .errors import SpecError
from .moments import Duration, Time
from .types import (
    ITEMS_MAX,
    TEXT,
    Amount,
    Anything,
    Bool,
    Bytes,
    Int,
    Json,
    Scalar,
    Text,
    Type,
    ValueInvalid,
    alike,
    quoted,
)

DEPTH_MAX = 6


@dataclass(frozen=True)
class Optional(Type):
    """`T?`: a value of T, or none (absent in JSON)."""

    of: Type
    name: str = field(init=False)
    plain: bool = field(init=False)
    unit: str | None = field(init=False)

    def __post_init__(self) -> None:
        """Take name, plainness and unit from the type inside."""
        object.__setattr__(self, "name", f"{self.of.name}?")
        object.__setattr__(self, "plain", self.of.plain)
        object.__setattr__(self, "unit", self.of.unit)

    def coerce(self, value: object, place: str) -> Any:
        return None if value is None else self.of.coerce(value, place)

    def to_json(self, value: Any) -> Json:
        return None if value is None else self.of.to_json(value)

    def thaw(self, value: Json) -> Any:
        return None if value is None else self.of.thaw(value)

    def admit(self, old: Any, new: Any, place: str) -> Any:
        return None if new is None else self.of.admit(old, new, place)

    def patch(self, old: Any, new: Any) -> Json:
        return None if new is None else self.of.patch(old, new)

    def parse(self, text: str, place: str) -> Any:
        return None if text == "none" else self.of.parse(text, place)

    def show(self, value: Any) -> str:
        return "none" if value is None else self.of.show(value)


@dataclass(frozen=True)
class List(Type):
    """`list[T]`: a tuple of values."""

    of: Type
    name: str = field(init=False)
    plain = False

    def __post_init__(self) -> None:
        """Name the type after what it holds."""
        object.__setattr__(self, "name", f"list[{self.of.name}]")

    def coerce(self, value: object, place: str) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise self.refuse(value, place)
        if len(value) > ITEMS_MAX:
            raise self.refuse(len(value), place, f"more than {ITEMS_MAX} items")
        return tuple(self.of.coerce(item, f"{place}[{i}]") for i, item in enumerate(value))

    def to_json(self, value: tuple[Any, ...]) -> Json:
        return [self.of.to_json(item) for item in value]

    def thaw(self, value: Json) -> tuple[Any, ...]:
        return tuple(self.of.thaw(item) for item in value)

    def show(self, value: tuple[Any, ...]) -> str:
        return "[" + ", ".join(self.of.show(item) for item in value) + "]"

    def zero(self) -> tuple[Any, ...]:
        return ()


@dataclass(frozen=True)
class Map(Type):
    """`map[K, V]`: a dict with integer or text keys, in the order of insertion."""

    key: Type
    of: Type
    name: str = field(init=False)
    plain = False

    def __post_init__(self) -> None:
        """Name the type after what it holds."""
        object.__setattr__(self, "name", f"map[{self.key.name}, {self.of.name}]")

    def coerce(self, value: object, place: str) -> dict[Any, Any]:
        if not isinstance(value, dict):
            raise self.refuse(value, place)
        if len(value) > ITEMS_MAX:
            raise self.refuse(len(value), place, f"more than {ITEMS_MAX} items")
        typed = {}
        for key, item in value.items():
            at = f"{place}.{key}"
            typed[self.key.coerce(key, at)] = self.of.coerce(item, at)
        if len(typed) != len(value):
            raise self.refuse(value, place, "two keys mean the same")
        return typed

    def to_json(self, value: Mapping[Any, Any]) -> Json:
        return {str(key): self.of.to_json(item) for key, item in value.items()}

    def thaw(self, value: Json) -> dict[Any, Any]:
        return {self.key.thaw(key): self.of.thaw(item) for key, item in value.items()}

    def admit(self, old: Mapping[Any, Any] | None, new: Any, place: str) -> dict[Any, Any]:
        """Check what changed: items that are the very same objects were checked before."""
        if old is None or type(new) is not dict or len(new) > ITEMS_MAX:
            return self.coerce(new, place)
        return {
            key if key in old else self.key.coerce(key, place): item
            if old.get(key, self) is item
            else self.of.admit(old.get(key), item, f"{place}.{key}")
            for key, item in new.items()
        }

    def patch(self, old: Mapping[Any, Any] | None, new: Mapping[Any, Any]) -> Json:
        if old is None:
            return self.to_json(new)
        changed = {}
        for key, item in new.items():
            before = old.get(key)
            if before is not item and (before != item or not alike(before, item)):
                changed[str(key)] = self.of.patch(before, item)
        if len(new) != len(old) or changed:
            changed.update({str(key): None for key in old if key not in new})
        return changed

    def show(self, value: Mapping[Any, Any]) -> str:
        inside = ", ".join(f"{self.key.show(k)}: {self.of.show(v)}" for k, v in value.items())
        return "{" + inside + "}"

    def zero(self) -> dict[Any, Any]:
        return {}


@dataclass(frozen=True)
class Record(Type):
    """A dict with declared fields. Optional fields that are none are absent in JSON."""

    name: str
    fields: Mapping[str, Type]
    plain = False

    def coerce(self, value: object, place: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.refuse(value, place)
        if value.keys() <= self.fields.keys():
            try:  # almost always it fits: then nobody asks for the place of a field
                return {key: of.coerce(value.get(key), key) for key, of in self.fields.items()}
            except ValueInvalid:
                pass
        for key in value:
            if key not in self.fields:
                raise self.refuse(value, place, f"no field {quoted(key)}")
        typed = {}
        for key, of in self.fields.items():
            if key not in value and not isinstance(of, Optional):
                raise self.refuse(value, place, f"field {key} is missing")
            typed[key] = of.coerce(value.get(key), f"{place}.{key}")
        return typed

    def to_json(self, value: Mapping[str, Any]) -> Json:
        return {
            key: of.to_json(value[key]) for key, of in self.fields.items() if value[key] is not None
        }

    def thaw(self, value: Json) -> dict[str, Any]:
        return {
            key: of.thaw(value[key]) if key in value else None for key, of in self.fields.items()
        }

    def patch(self, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Json:
        if old is None:
            return self.to_json(new)
        return {
            key: of.patch(old[key], new[key])
            for key, of in self.fields.items()
            if old[key] != new[key] or not alike(old[key], new[key])
        }

    def show(self, value: Mapping[str, Any]) -> str:
        shown = (
            f"{key}: {of.show(value[key])}"
            for key, of in self.fields.items()
            if value[key] is not None
        )
        return "{" + ", ".join(shown) + "}"


_FIL = {
    "attofil": 0,
    "afil": 0,
    "femtofil": 3,
    "picofil": 6,
    "nanofil": 9,
    "microfil": 12,
    "millifil": 15,
    "FIL": 18,
}

BUILTIN: Mapping[str, Type] = {
    of.name: of
    for of in (
        Int("int"),
        Int("uint", 0),
        Int("uint64", 0, 2**64 - 1),
        Int("int64", -(2**63), 2**63 - 1),
        Int("epoch", -(2**63), 2**63 - 1, "epoch"),
        Amount("attofil", _FIL, "FIL"),
        Bool(),
        TEXT,
        Bytes(),
        Time(),
        Duration(),
        Anything(),
    )
}

_TOKEN = re.compile(r"\s*([A-Za-z][A-Za-z0-9_]*|[\[\],?])")


def parse_type(text: str, named: Mapping[str, Type], place: str) -> Type:
    """Return the type that `text` names. Raises SpecError at `place` for anything else."""
    tokens: list[str] = []
    at = 0
    while at < len(text.rstrip()):
        match = _TOKEN.match(text, at)
        if not match:
            raise SpecError(f"{text!r} is not a type", place=place)
        tokens.append(match[1])
        at = match.end()
    of, rest = _type(tokens, named, place, DEPTH_MAX)
    if rest:
        raise SpecError(f"{text!r} is not a type: {rest[0]!r} is too much", place=place)
    return of


def _type(
    tokens: list[str], named: Mapping[str, Type], place: str, depth: int
) -> tuple[Type, list[str]]:
    if not tokens or depth == 0:
        raise SpecError("a type is missing" if depth else "types nest too deep", place=place)
    name, rest = tokens[0], tokens[1:]
    of: Type
    if name in ("list", "map"):
        arguments, rest = _arguments(rest, 1 if name == "list" else 2, named, place, depth)
        of = List(arguments[0]) if name == "list" else _map(arguments[0], arguments[1], place)
    elif name in named:
        of = named[name]
    else:
        hint = "types: " + ", ".join(sorted(named))
        raise SpecError(f"no type {name!r}", place=place, hint=hint)
    if rest and rest[0] == "?":
        return Optional(of), rest[1:]
    return of, rest


def _arguments(
    tokens: list[str], count: int, named: Mapping[str, Type], place: str, depth: int
) -> tuple[list[Type], list[str]]:
    arguments: list[Type] = []
    for opener in "[" + "," * (count - 1):
        if tokens[:1] != [opener]:
            raise SpecError(f"a type needs {opener!r} here", place=place)
        of, tokens = _type(tokens[1:], named, place, depth - 1)
        arguments.append(of)
    if tokens[:1] != ["]"]:
        raise SpecError("a type needs ']' here", place=place)
    return arguments, tokens[1:]


def _map(key: Type, of: Type, place: str) -> Map:
    if not isinstance(key, Int | Text | Scalar):
        raise SpecError(f"{key.name} cannot be a map's key: use an integer or text", place=place)
    if isinstance(of, Optional):
        why = f"a map cannot hold {of.name}: where there is none, leave the key out"
        raise SpecError(why, place=place)
    return Map(key, of)
