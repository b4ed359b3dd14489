"""Pure functions of the index entry machine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .backoff import backoff
from .linking import is_link


def names_also(names: Mapping[str, bool], more: Sequence[str]) -> dict[str, bool]:
    """Return the names that are known, with more of them."""
    return {**names, **dict.fromkeys(more, True)}


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "backoff": backoff,
    "is_link": is_link,
    "names_also": names_also,
}
