"""Pure functions of the replication machine: which content of other nodes is worth having."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .linking import is_link

Interests = Mapping[str, Mapping[str, Any]]

INTERESTS_MAX = 10_000


def interests_also(interests: Interests, refs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the interests with another node's entries: what both name, both use.

    Beyond INTERESTS_MAX roots only those that are known already are counted.
    """
    merged = dict(interests)
    for ref in refs:
        known = merged.get(ref["root"])
        if known is not None:
            used = known["frequency"] + ref["frequency"]
            merged[ref["root"]] = {**known, "frequency": used}
        elif len(merged) < INTERESTS_MAX:
            size, used = ref["size"], ref["frequency"]
            merged[ref["root"]] = {"size": size, "frequency": used, "proposed": False}
    return merged


def interesting(interests: Interests, space: int, least: int, most: int) -> tuple[str, ...]:
    """Return the roots to retrieve, at most `most`: the most used first.

    With room, as many as fill it, beside those that were proposed and are still to come. Without,
    the one most used, if none is to come and it is used more than what would have to leave for it
    (`least`).
    """
    coming = [one["size"] for one in interests.values() if one["proposed"]]
    line = sorted(
        (root for root in interests if not interests[root]["proposed"]),
        key=lambda root: (-interests[root]["frequency"], root),
    )
    if space == 0:
        best = () if coming else line[:1]
        return tuple(root for root in best if interests[root]["frequency"] > least)
    chosen: list[str] = []
    space -= sum(coming)
    for root in line:
        if len(chosen) < most and interests[root]["size"] <= space:
            chosen.append(root)
            space -= interests[root]["size"]
    return tuple(chosen)


def proposed(interests: Interests, roots: Sequence[str]) -> dict[str, Any]:
    """Return the interests with these marked as proposed."""
    marked = {root: {**interests[root], "proposed": True} for root in roots}
    return {**interests, **marked}


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "interesting": interesting,
    "interests_also": interests_also,
    "is_link": is_link,
    "proposed": proposed,
}
