"""Numbers of states and events: what the logs of the original software print for a name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from .errors import SpecError
from .spec import EventSpec, MachineSpec, StateSpec


def check_numbers(spec: MachineSpec, place: Callable[..., str]) -> None:
    """Raise SpecError where a number means two states or two events, or an unused name is used."""
    _check("states", spec.states, spec.unused.states, place)
    _check("events", spec.events, spec.unused.events, place)


def _check(
    of: str,
    parts: Mapping[str, StateSpec | EventSpec | None],
    unused: Mapping[int, str],
    place: Callable[..., str],
) -> None:
    taken = dict(unused)
    for code, name in unused.items():
        if name in parts:
            why = f"{name!r} is declared, so it is not unused"
            raise SpecError(why, place=place("unused", of, code))
    for name, part in parts.items():
        if part is None or part.code is None:
            continue
        if part.code in taken:
            why = f"{name!r} and {taken[part.code]!r} have the same code"
            raise SpecError(why, place=place(of, name, "code"))
        taken[part.code] = name
