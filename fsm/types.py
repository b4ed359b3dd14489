"""Types of a machine's data and parameters.

A value has three forms: *typed* (what expressions compute with: exact ints, str, bytes, dict,
list), *JSON* (what an entry stores: integers beyond 53 bits and all amounts as decimal strings)
and *text* (what people write and read: `1.5 FIL`, `2020-12-01T00:00:00Z`). A `Type` converts
between them and bounds them; nothing here knows a protocol. Systems add scalar types of their own
(an address, say) through their functions module, as `Scalar`.

Theory of operation: `coerce` is the only door for values from outside and is strict; `thaw` and
`to_json` trust what coerce let in, so they are as fast as the hot path needs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from .errors import CallerError, StatetapeError

Json = Any
"""A JSON value: None, bool, int, str, list or dict with string keys. Never a float."""

JSON_INT_MAX = 2**53 - 1
"""Integers beyond this lose digits in common JSON readers, so entries carry them as strings."""
INT_BITS_MAX = 4096
TEXT_BYTES_MAX = 60_000
ITEMS_MAX = 65_536
JSON_DEPTH_MAX = 16

_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)\Z")
_DECIMAL_DIGITS_MAX = 1300
_AMOUNT = re.compile(r"\s*(-?[0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)\s*\Z")


class ValueInvalid(CallerError):
    """A value does not fit its type. `place` names the parameter or field."""

    code = "value-invalid"


class Type:
    """One type. Subclasses say what `coerce`, `to_json`, `thaw`, `parse` and `show` do.

    `plain` is true where typed form and JSON form are the same object, so that the hot path can
    skip both conversions.
    """

    name: str
    plain = True
    unit: str | None = None

    def coerce(self, value: object, place: str) -> Any:
        """Return the typed form of `value` (typed or JSON form), or raise ValueInvalid."""
        raise NotImplementedError

    def to_json(self, value: Any) -> Json:
        """Return the JSON form of a typed value."""
        return value

    def thaw(self, value: Json) -> Any:
        """Return the typed form of a JSON form that `to_json` made."""
        return value

    def parse(self, text: str, place: str) -> Any:
        """Return the typed form of what a person wrote, or raise ValueInvalid."""
        return self.coerce(text, place)

    def show(self, value: Any) -> str:
        """Return the typed value as a person wants to read it."""
        return str(value)

    def admit(self, old: Any, new: Any, place: str) -> Any:  # noqa: ARG002
        """Return `new` checked against this type's bounds; `old` is the value it replaces."""
        return self.coerce(new, place)

    def patch(self, old: Any, new: Any) -> Json:  # noqa: ARG002
        """Return the JSON merge patch (RFC 7396) that turns typed `old` into typed `new`."""
        return None if new is None else self.to_json(new)

    def zero(self) -> Any:
        """Return the value that a field of this type starts with if its spec gives none."""
        return None

    def refuse(self, value: object, place: str, why: str = "") -> ValueInvalid:
        """Build the error for a value that does not fit."""
        why = f": {why}" if why else ""
        return ValueInvalid(f"{quoted(value)} is not {self.name}{why}", place=place)


def quoted(value: object) -> str:
    """Return how a refusal shows a value: short, and the same in every version of Python."""
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, dict):
        return "a map"
    if type(value) is int and value.bit_length() > INT_BITS_MAX:
        return f"a number of {value.bit_length()} bits"
    if type(value) is str:
        value = value[:80]
    elif value is not None and not isinstance(value, int | float | bytes):
        return f"a {type(value).__name__}"
    shown = ascii(value)
    return shown if len(shown) <= 80 else shown[:77] + "..."


def exact_int(value: object) -> int | None:
    """Return `value` as an int if it is one, or a canonical decimal string; else None."""
    if type(value) is int:
        return value
    if type(value) is str and len(value) <= _DECIMAL_DIGITS_MAX and _DECIMAL.match(value):
        return int(value) if value != "-0" else None
    return None


def json_int(value: int) -> int | str:
    """Return an int as JSON: itself within 53 bits, else its decimal string."""
    return value if -JSON_INT_MAX <= value <= JSON_INT_MAX else str(value)


def as_json(value: object, place: str, depth: int = JSON_DEPTH_MAX) -> Json:
    """Return a value of unknown type as JSON, exactly, or raise ValueInvalid.

    For what is recorded although no type fits it: the parameters of a refused command. Members
    stand in the order in which an entry has them, so that a replay reads the same.
    """
    if depth == 0:
        raise ValueInvalid(f"nested deeper than {JSON_DEPTH_MAX}", place=place)
    if value is None or type(value) is bool:
        return value
    if type(value) is int and value.bit_length() <= INT_BITS_MAX:
        return json_int(value)
    if type(value) is bytes:
        return value.hex()
    if type(value) is str:
        return TEXT.coerce(value, place)
    if isinstance(value, list | tuple):
        return [as_json(item, f"{place}[{i}]", depth - 1) for i, item in enumerate(value)]
    if isinstance(value, dict):
        return {
            key: as_json(value[key], f"{place}.{key}", depth - 1)
            for key in sorted(TEXT.coerce(key, place) for key in value)
        }
    raise ValueInvalid(f"{type(value).__name__} cannot be recorded exactly", place=place)


def alike(one: Any, other: Any) -> bool:
    """Whether two typed values that Python finds equal are the same JSON: to Python, 1 == True."""
    if type(one) is not type(other):
        return False
    if type(one) is dict:
        return all(item is other[key] or alike(item, other[key]) for key, item in one.items())
    if type(one) in (list, tuple):
        return all(a is b or alike(a, b) for a, b in zip(one, other, strict=True))
    return True


@dataclass(frozen=True)
class Int(Type):
    """Whole numbers from `low` to `high`, both inclusive. None means bounded by bits alone."""

    name: str
    low: int | None = None
    high: int | None = None
    unit: str | None = None
    plain = False

    def coerce(self, value: object, place: str) -> int:
        number = value if type(value) is int else exact_int(value)
        if number is None:
            raise self.refuse(value, place)
        if self.low is not None and number < self.low:
            raise self.refuse(value, place, f"below {self.low}")
        if self.high is not None:
            if number > self.high:
                raise self.refuse(value, place, f"above {self.high}")
        elif number.bit_length() > INT_BITS_MAX:
            raise self.refuse(value, place, f"more than {INT_BITS_MAX} bits")
        return number

    def to_json(self, value: int) -> Json:
        return value if -JSON_INT_MAX <= value <= JSON_INT_MAX else str(value)

    def thaw(self, value: Json) -> int:
        return int(value)

    def zero(self) -> int:
        return 0


@dataclass(frozen=True)
class Amount(Type):
    """Money: exact integers of any size in the smallest unit, a decimal string in JSON.

    `decimals` gives each unit that people write and its power of ten over the smallest unit.
    """

    name: str
    decimals: Mapping[str, int]
    main: str
    plain = False

    @property
    def unit(self) -> str:  # type: ignore[override]
        """The smallest unit's name: amounts of different units never mix."""
        return self.name

    def coerce(self, value: object, place: str) -> int:
        number = value if type(value) is int else exact_int(value)
        if number is None:
            raise self.refuse(value, place, "an amount is a whole number of the smallest unit")
        if number.bit_length() > INT_BITS_MAX:
            raise self.refuse(value, place, f"more than {INT_BITS_MAX} bits")
        return number

    def to_json(self, value: int) -> Json:
        return str(value)

    def thaw(self, value: Json) -> int:
        return int(value)

    def zero(self) -> int:
        return 0

    def parse(self, text: str, place: str) -> int:
        """Read `1.5 FIL`, `10 attofil`, `10attofil`, or a bare whole number of the smallest."""
        match = len(text) <= _DECIMAL_DIGITS_MAX and _AMOUNT.match(text)
        if not match:
            raise self.refuse(text, place, f"write `1.5 {self.main}` or `10 {self.name}`")
        digits, unit = match.groups()
        if not unit:
            if "." in digits:
                raise self.refuse(text, place, f"say the unit: {self.main} or {self.name}")
            return self.coerce(int(digits), place)
        power = next((p for u, p in self.decimals.items() if u.lower() == unit.lower()), None)
        if power is None:
            raise self.refuse(text, place, f"units are {', '.join(self.decimals)}")
        whole, _, fraction = digits.partition(".")
        fraction = fraction.rstrip("0")
        if len(fraction) > power:
            raise self.refuse(text, place, f"finer than one {self.name}")
        return self.coerce(int(whole + fraction) * 10 ** (power - len(fraction)), place)

    def show(self, value: int) -> str:
        """`1.5 FIL` where that is exact and short, else whole smallest units."""
        power = self.decimals[self.main]
        if value and abs(value) < 10 ** (power - 6):
            return f"{value} {self.name}"
        whole, rest = divmod(abs(value), 10**power)
        tail = f".{rest:0{power}d}".rstrip("0").rstrip(".") if rest else ""
        return f"{'-' if value < 0 else ''}{whole}{tail} {self.main}"


@dataclass(frozen=True)
class Bool(Type):
    """true or false."""

    name: str = "bool"

    def coerce(self, value: object, place: str) -> bool:
        if type(value) is not bool:
            raise self.refuse(value, place)
        return value

    def parse(self, text: str, place: str) -> bool:
        if text not in ("true", "false"):
            raise self.refuse(text, place, "write true or false")
        return text == "true"

    def show(self, value: bool) -> str:
        return "true" if value else "false"

    def zero(self) -> bool:
        return False


@dataclass(frozen=True)
class Text(Type):
    """Unicode text of at most TEXT_BYTES_MAX bytes in UTF-8."""

    name: str = "text"

    def coerce(self, value: object, place: str) -> str:
        if type(value) is not str:
            raise self.refuse(value, place)
        try:
            size = len(value) if value.isascii() else len(value.encode())
        except UnicodeEncodeError:
            raise self.refuse(value, place, "not encodable as UTF-8") from None
        if size > TEXT_BYTES_MAX:
            raise self.refuse(value, place, f"more than {TEXT_BYTES_MAX} bytes")
        return value

    def zero(self) -> str:
        return ""


@dataclass(frozen=True)
class Bytes(Type):
    """Octets. Lower-case hex in JSON and in text."""

    name: str = "bytes"
    plain = False

    def coerce(self, value: object, place: str) -> bytes:
        if type(value) is bytes:
            raw = value
        elif type(value) is str and re.fullmatch(r"(?:[0-9a-f]{2})*", value):
            raw = bytes.fromhex(value)
        else:
            raise self.refuse(value, place, "lower-case hex, two digits per byte")
        if len(raw) > TEXT_BYTES_MAX // 2:
            raise self.refuse(value, place, f"more than {TEXT_BYTES_MAX // 2} bytes")
        return raw

    def to_json(self, value: bytes) -> Json:
        return value.hex()

    def thaw(self, value: Json) -> bytes:
        return bytes.fromhex(value)

    def parse(self, text: str, place: str) -> bytes:
        return self.coerce(text.removeprefix("0x").lower(), place)

    def show(self, value: bytes) -> str:
        return value.hex()

    def zero(self) -> bytes:
        return b""


@dataclass(frozen=True)
class Scalar(Type):
    """A system's own text type: `canonical` returns the one text form, or raises StatetapeError."""

    name: str
    canonical: Callable[[str], str]

    def coerce(self, value: object, place: str) -> str:
        if type(value) is not str:
            raise self.refuse(value, place)
        try:
            return self.canonical(value)
        except StatetapeError as error:
            raise self.refuse(value, place, error.message) from error

    def zero(self) -> str:
        return ""


@dataclass(frozen=True)
class Anything(Type):
    """Any JSON value but null, kept as it is. Expressions store it, or ask whether it is there."""

    name: str = "json"

    def coerce(self, value: object, place: str) -> Json:
        if value is None:
            raise self.refuse(value, place, "null means absence: the type is json?")
        _check_json(value, place, JSON_DEPTH_MAX)
        return value

    def patch(self, old: Any, new: Any) -> Json:
        if type(old) is not dict or type(new) is not dict:
            return new
        changed = {
            key: self.patch(old.get(key), item)
            for key, item in new.items()
            if key not in old or old[key] != item or not alike(old[key], item)
        }
        return changed | {key: None for key in old if key not in new}

    def parse(self, text: str, place: str) -> Json:
        return self.coerce(text, place)


def _check_json(value: object, place: str, depth: int) -> None:
    if depth == 0:
        raise ValueInvalid(f"nested deeper than {JSON_DEPTH_MAX}", place=place)
    if value is None or type(value) is bool:
        return
    if type(value) is int:
        if not -JSON_INT_MAX <= value <= JSON_INT_MAX:
            raise ValueInvalid("an integer beyond 53 bits: write it as a string", place=place)
    elif type(value) is str:
        TEXT.coerce(value, place)
    elif type(value) is list:
        for index, item in enumerate(value):
            _check_json(item, f"{place}[{index}]", depth - 1)
    elif type(value) is dict:
        for key, item in value.items():
            TEXT.coerce(key, place)
            if item is None:
                why = "null inside an object means absence on the tape: leave the member out"
                raise ValueInvalid(why, place=f"{place}.{key}")
            _check_json(item, f"{place}.{key}", depth - 1)
    else:
        raise ValueInvalid(f"{type(value).__name__} is not JSON without floats", place=place)


TEXT = Text()
