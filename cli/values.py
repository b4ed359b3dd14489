"""`FIELD=VALUE` as people write it, read with the types of the event that it is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ..fsm.composite import List, Map, Optional, Record
from ..fsm.errors import CallerError
from ..fsm.machine import REQUIRED, Event
from ..fsm.types import Anything, Type


class ParameterInvalid(CallerError):
    """A parameter on the command line cannot be read."""

    code = "parameter-invalid"


def read(event: Event, words: Sequence[str]) -> dict[str, Any]:
    """Return the parameters in `NAME=VALUE` words.

    A map's entry may be given alone, as `NAME.KEY=VALUE`; lists, maps and records also as JSON.
    Raises ParameterInvalid or ValueInvalid, naming the parameter.
    """
    params: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise ParameterInvalid(f"{word!r} is not NAME=VALUE", hint=takes(event))
        field, dot, key = name.partition(".")
        param = event.parameter(field)
        if param is None:
            raise ParameterInvalid(f"{event.name} takes no {field!r}", hint=takes(event))
        if dot:
            of = _inner(param.type)
            if not isinstance(of, Map):
                why = f"{field} is {of.name}, not a map"
                raise ParameterInvalid(why, place=name)
            entries = params.setdefault(field, {})
            entries[of.key.parse(key, name)] = _value(of.of, text, name)
        elif name in params:
            raise ParameterInvalid(f"{name!r} is given twice", place=name)
        else:
            params[name] = _value(param.type, text, name)
    return params


def _inner(of: Type) -> Type:
    return of.of if isinstance(of, Optional) else of


def _value(of: Type, text: str, place: str) -> Any:
    if not isinstance(_inner(of), List | Map | Record | Anything):
        return of.parse(text, place)
    try:
        given = json.loads(text)
    except RecursionError:
        raise ParameterInvalid("nested too deeply", place=place) from None
    except ValueError:
        if isinstance(_inner(of), Anything):
            given = text
        else:
            raise ParameterInvalid(f"{of.name} is written as JSON", place=place) from None
    return of.coerce(given, place)


def takes(event: Event) -> str:
    """Say what an event takes."""
    parts = []
    for param in event.params:
        word = f"{param.name}={param.type.name}"
        parts.append(word if param.default is REQUIRED else f"[{word}]")
    return f"{event.name} takes {' '.join(parts)}" if parts else f"{event.name} takes nothing"
