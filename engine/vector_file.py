"""Read a file of test vectors: JSON whose every wrong value is named by its place in the file."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ..fsm.errors import CallerError

_HEX = re.compile(r"(?:0[xX])?((?:[0-9a-fA-F]{2})*)")
_DECIMAL = re.compile(r"-?[0-9]{1,40}")


class VectorsInvalid(CallerError):
    """A file is no file of test vectors, or a value in it is not what it has to be."""

    code = "vectors-invalid"


@dataclass(frozen=True)
class Value:
    """A JSON value, and where it stands: `inclusion[3].root`."""

    value: Any
    file: str
    path: str = ""

    def fail(self, why: str) -> NoReturn:
        """Raise VectorsInvalid at this place."""
        where = f"{self.file}: {self.path}" if self.path else self.file
        raise VectorsInvalid(why, place=where)

    def members(self) -> dict[str, Value]:
        """Return an object's members."""
        if not isinstance(self.value, dict):
            self.fail(f"an object belongs here, not {_kind(self.value)}")
        prefix = f"{self.path}." if self.path else ""
        return {name: Value(one, self.file, prefix + name) for name, one in self.value.items()}

    def items(self) -> list[Value]:
        """Return a list's items."""
        if not isinstance(self.value, list):
            self.fail(f"a list belongs here, not {_kind(self.value)}")
        return [Value(one, self.file, f"{self.path}[{at}]") for at, one in enumerate(self.value)]

    def find(self, *names: str) -> Value | None:
        """Return the first of these members that is there, or None."""
        members = self.members()
        return next((members[name] for name in names if name in members), None)

    def member(self, *names: str) -> Value:
        """Return the first of these members that is there; there has to be one."""
        return self.find(*names) or self.fail(f"`{names[0]}` is missing")

    def text(self) -> str:
        """Return a string."""
        if not isinstance(self.value, str):
            self.fail(f"a string belongs here, not {_kind(self.value)}")
        if any("\ud800" <= letter <= "\udfff" for letter in self.value):
            self.fail("half of a surrogate pair is no text")
        return self.value

    def integer(self) -> int:
        """Return a whole number of any size; in a string, where the file's writer had no such."""
        if isinstance(self.value, str) and _DECIMAL.fullmatch(self.value):
            return int(self.value)
        if type(self.value) is not int:
            self.fail(f"a whole number belongs here, not {_kind(self.value)}")
        return int(self.value)

    def alike(self, found: str | int | None) -> bool:
        """Whether this says what was found: hex in either case, a number perhaps in a string."""
        if isinstance(self.value, str) and isinstance(found, str):
            return self.value == found or (_is_hex(found) and self.value.lower() == found)
        if isinstance(self.value, str) and found is not None:
            return self.value == str(found)
        return type(self.value) is type(found) and bool(self.value == found)

    def truth(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            self.fail(f"true or false belongs here, not {_kind(self.value)}")
        return self.value

    def hex(self) -> bytes:
        """Return the bytes written in hex; null is none."""
        if self.value is None:
            return b""
        match = _HEX.fullmatch(self.text())
        if not match:
            self.fail(f"bytes in hex belong here, not {self.text()[:40]!r}")
        return bytes.fromhex(match[1])

    def base64(self) -> bytes:
        """Return the bytes written in standard base64, on one line or several, padded or not."""
        text = "".join(self.text().split()).rstrip("=")
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
        except (binascii.Error, ValueError):
            self.fail("base64 belongs here")

    def hashes(self) -> list[bytes]:
        """Return a list of bytes in hex; null is none, but nothing in a list."""
        items = [] if self.value is None else self.items()
        return [bytes.fromhex(one.text()) if one.value is None else one.hex() for one in items]


def _is_hex(text: str) -> bool:
    match = _HEX.fullmatch(text)
    return bool(match and match[1] == text)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")


def read(path: Path) -> Value:
    """Return the JSON document in a file. Raises VectorsInvalid, OSError."""
    content = path.read_bytes()
    place = str(path)
    try:
        return Value(json.loads(content.decode("utf-8-sig"), object_pairs_hook=_once), place)
    except UnicodeDecodeError as error:
        raise VectorsInvalid(f"byte {error.start} is not UTF-8", place=place) from None
    except json.JSONDecodeError as error:
        where = f"{place}:{error.lineno}:{error.colno}"
        raise VectorsInvalid(f"this is not JSON: {error.msg}", place=where) from None
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise VectorsInvalid(why, place=place) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A member that stands twice would hide what it said first."""
    made: dict[str, Any] = {}
    for name, value in pairs:
        if name in made:
            raise ValueError(f"the member {name[:80]!r} stands twice in one object")
        made[name] = value
    return made


def named(items: list[Value], section: str) -> Iterator[tuple[str, Value]]:
    """Yield each vector with the name that it has, or else its place."""
    for at, item in enumerate(items):
        found = item.find("name", "id") if isinstance(item.value, dict) else None
        name = found.value if found is not None and isinstance(found.value, str) else ""
        yield name or f"{section}[{at}]", item
