"""Functions of `lassie.retrieval`: what reports add up to, in whichever order they come.

Reports of one retrieval are posted by several workers. So each function here takes the greatest of
what it was told, by an order in which no two reports that differ are equal; nothing depends on
which of them came first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

INDEXER = "indexer"
"""The party that every report of the phase `indexer` is about."""
UNNAMED = "unnamed"
"""The party of reports that name no provider."""

ASKED = -1
OUT = 0
WORKING = 1
FLOWING = 2

PHASES = ("indexer", "query", "retrieval")
EVENTS = (
    "started_fetch",
    "started_finding_candidates",
    "started",
    "candidates_found",
    "candidates_filtered",
    "started_retrieval",
    "connected_to_provider",
    "query_asked",
    "query_asked_filtered",
    "proposed",
    "accepted",
    "first_byte_received",
    "block_received",
    "failed_retrieval",
    "failed",
    "success",
    "finished",
)
"""In the order in which one provider's come: of two at the same instant the later one counts."""
_PHASE_RANK = {name: rank for rank, name in enumerate(PHASES)}
_EVENT_RANK = {name: rank for rank, name in enumerate(EVENTS)}
_INDEXER_EVENTS = ("started_finding_candidates", "candidates_found", "candidates_filtered")
_FAILURES = ("failed", "failed_retrieval")
_LEVELS = dict.fromkeys(_FAILURES, OUT)
_LEVELS |= dict.fromkeys(("first_byte_received", "block_received", "success"), FLOWING)

Party = Mapping[str, Any]
Summary = Mapping[str, Any]


def after(
    parties: Mapping[str, Party],
    event: str,
    phase: str,
    provider: str,
    event_ns: int,
    error: str | None,
) -> Mapping[str, Party]:
    """Return `parties` with this report, if it is the newest of its party."""
    about_indexer = phase == INDEXER or event in _INDEXER_EVENTS
    who = INDEXER if about_indexer else provider or UNNAMED
    known = parties.get(who)
    if known is not None and known["event_ns"] > event_ns:
        return parties
    told = {"phase": phase, "event": event, "event_ns": event_ns, "error": error}
    if known is not None and known["event_ns"] == event_ns and _rank(known) >= _rank(told):
        return parties
    return {**parties, who: told}


def _rank(party: Party) -> tuple[Any, ...]:
    phase, event = party["phase"], party["event"]
    error = party["error"] or ""
    return (_PHASE_RANK.get(phase, -1), _EVENT_RANK.get(event, -1), phase, event, error)


def stage(parties: Mapping[str, Party]) -> int:
    """Return how far the furthest provider is that has not failed.

    OUT: all have failed. Where none was tried: ASKED, or OUT if the indexer has failed.
    """
    furthest = ASKED
    for name, party in parties.items():
        level = _LEVELS.get(party["event"], WORKING)
        if name == INDEXER:
            level = ASKED
        if level > furthest:
            furthest = level
    if furthest == ASKED and INDEXER in parties:
        return OUT if parties[INDEXER]["event"] in _FAILURES else ASKED
    return furthest


def earliest(known: int | None, told: int) -> int:
    """Return the earlier of two moments."""
    return told if known is None or told < known else known


def agreed(known: str, told: str) -> str:
    """Return the text that reports agree on; where they differ, the first in alphabetical order."""
    if known == told or not told:
        return known
    return min(known, told) if known else told


def later(known: Summary | None, told: Summary) -> Summary:
    """Return the summary with the later end; of two with the same end, always the same one."""
    if known is None or known["end_ns"] < told["end_ns"]:
        return told
    if known["end_ns"] == told["end_ns"] and _order(known) < _order(told):
        return told
    return known


def _order(value: Any) -> tuple[int, Any]:
    """Return something that orders what a summary holds: None, numbers, texts, lists, maps."""
    if value is None:
        return (0, 0)
    if isinstance(value, int):
        return (1, int(value))
    if isinstance(value, str):
        return (2, value)
    if isinstance(value, Mapping):
        return (4, [(key, _order(value[key])) for key in sorted(value)])
    return (3, [_order(item) for item in value])


def most(counted: int, summary: Summary | None, name: str) -> int:
    """Return the larger of what single reports add up to and what the summary says."""
    return counted if summary is None else max(counted, summary[name])


def tried(parties: Mapping[str, Party], summary: Summary | None) -> int:
    """Return how many providers were tried, as far as is known."""
    return len(_providers(parties, summary))


def failed(parties: Mapping[str, Party], summary: Summary | None) -> int:
    """Return how many of them failed, and did not go on after that."""
    return sum(_providers(parties, summary).values())


def _providers(parties: Mapping[str, Party], summary: Summary | None) -> dict[str, bool]:
    """Return whether each provider failed; the summary knows the end."""
    found = {
        name: party["event"] in _FAILURES for name, party in parties.items() if name != INDEXER
    }
    if summary is not None:
        found |= {name: bool(one["error"]) for name, one in summary["attempts"].items()}
    return found


def first_byte_after(
    since_ns: int | None, first_byte_ns: int | None, summary: Summary | None
) -> int | None:
    """Return the time to the first byte in nanoseconds: the summary's, or from single reports."""
    if summary is not None and summary["first_byte_after_ns"] is not None:
        said: int = summary["first_byte_after_ns"]
        return said
    if since_ns is None or first_byte_ns is None:
        return None
    return first_byte_ns - since_ns


FUNCTIONS = {
    "after": after,
    "stage": stage,
    "agreed": agreed,
    "earliest": earliest,
    "later": later,
    "most": most,
    "tried": tried,
    "failed": failed,
    "first_byte_after": first_byte_after,
}
