"""Pure functions of the index machine: which content leaves when there is too much of it.

Content stands in buckets by how often it was used. New content goes into the highest bucket, so
that it is not the first to leave; each use moves it one bucket up. What leaves is taken from the
lowest bucket, the one that has been in its bucket for the longest time first: so the choice depends
on the tape alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .linking import is_link

Refs = Mapping[str, Mapping[str, Any]]

LOWER_BOUND_PERCENT = 80
FIRST_BUCKET = 1


def lower_bound(upper: int) -> int:
    """Return the size that evictions go down to, in bytes."""
    return upper * LOWER_BOUND_PERCENT // 100


def victims(refs: Refs, size: int, incoming: int, upper: int) -> tuple[str, ...]:
    """Return the roots that leave so that `incoming` more bytes find room.

    None, as long as the upper bound holds, or without one (0). Else as many as bring the whole,
    with what comes in, down to the lower bound, or all.
    """
    whole = size + incoming
    if upper == 0 or whole <= upper:
        return ()
    leaving: list[str] = []
    for root in sorted(refs, key=lambda one: (refs[one]["bucket"], refs[one]["since"], one)):
        if whole <= lower_bound(upper):
            break
        leaving.append(root)
        whole -= refs[root]["size"]
    return tuple(leaving)


def without(refs: Refs, roots: tuple[str, ...]) -> dict[str, Mapping[str, Any]]:
    """Return the content without these roots."""
    gone = set(roots)
    return {root: ref for root, ref in refs.items() if root not in gone}


def size_of(refs: Refs) -> int:
    """Return the bytes of all content."""
    return sum(ref["size"] for ref in refs.values())


def highest_bucket(refs: Refs) -> int:
    """Return the bucket of what is used most; the first where there is nothing."""
    return max((ref["bucket"] for ref in refs.values()), default=FIRST_BUCKET)


def least_used(refs: Refs) -> int:
    """Return how often the least used content of the lowest bucket was used; 0 without any."""
    lowest = min((ref["bucket"] for ref in refs.values()), default=FIRST_BUCKET)
    used = (ref["frequency"] for ref in refs.values() if ref["bucket"] == lowest)
    return min(used, default=0)


def space_left(size: int, upper: int) -> int:
    """Return the room for content that nobody asked for yet: none above the lower bound."""
    if upper == 0 or size > lower_bound(upper):
        return 0
    return upper - size


def instances(refs: Refs, roots: tuple[str, ...]) -> tuple[str, ...]:
    """Return the index entries of these roots, by name."""
    return tuple(refs[root]["ref"] for root in roots)


def joined(names: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    """Return both lists, one behind the other."""
    return (*names, *more)


def first(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Return the first `count` names."""
    return names[:count]


def after(names: tuple[str, ...], count: int) -> tuple[str, ...]:
    """Return the names behind the first `count`."""
    return names[count:]


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "after": after,
    "first": first,
    "highest_bucket": highest_bucket,
    "instances": instances,
    "is_link": is_link,
    "joined": joined,
    "least_used": least_used,
    "lower_bound": lower_bound,
    "size_of": size_of,
    "space_left": space_left,
    "victims": victims,
    "without": without,
}
