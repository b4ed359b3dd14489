"""Pure functions of the dispatch machine: whom to ask, and how long to wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from .backoff import backoff
from .linking import is_link


def chosen_peers(
    listed: Sequence[str], candidates: Sequence[str], asked: Collection[str], wanted: int
) -> tuple[str, ...]:
    """Return whom to ask next: at most `wanted` of the candidates, each once.

    Those that were listed come first, in the order of the list, then the others as they come.
    Nobody is asked twice. Only candidates are chosen: a listed peer that is not connected is none.
    """
    there = dict.fromkeys(candidates)
    line = dict.fromkeys([*(peer for peer in listed if peer in there), *there])
    return tuple(peer for peer in line if peer not in asked)[: max(wanted, 0)]


def asked_also(
    asked: Mapping[str, Any], peers: Sequence[str], attempt: int, now: int
) -> dict[str, Any]:
    """Return who was asked, with these peers added: in which round, and when."""
    return {**asked, **{peer: {"round": attempt, "at": now} for peer in peers}}


def authorised_also(pulls: Mapping[str, int], peers: Sequence[str], until: int) -> dict[str, int]:
    """Return who may pull and until when, with these peers added."""
    return {**pulls, **dict.fromkeys(peers, until)}


def fits(size: int, space: int | None) -> bool:
    """Whether so many bytes fit into the space that is free; unknown space is enough."""
    return space is None or size <= space


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "asked_also": asked_also,
    "authorised_also": authorised_also,
    "backoff": backoff,
    "chosen_peers": chosen_peers,
    "fits": fits,
    "is_link": is_link,
}
