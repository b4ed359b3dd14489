"""Pure functions of the node machine: what of its configuration changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .linking import is_link


def number_or(given: int | None, other: int) -> int:
    """Return the number that was given, or the other one."""
    return other if given is None else given


def regions_or(given: Sequence[str] | None, other: Sequence[str]) -> tuple[str, ...]:
    """Return the regions that were given, each once, or the others."""
    return tuple(dict.fromkeys(other if given is None else given))


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "amount_or": number_or,
    "is_link": is_link,
    "number_or": number_or,
    "regions_or": regions_or,
}
