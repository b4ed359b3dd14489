"""`explain`: why an instance is where it is. The answer first, what it rests on after."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE
from .entries import cause_of, effect_line, entry_lines, what
from .history import labels, missing_lines
from .looking import looking, uncollected
from .options import DEFAULT_TAPE, AnchorOption, InstanceArgument, JsonOption, TapeOption
from .output import say, say_json, table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..engine.explain import Explanation, Figure, OpenTimer, Place
    from ..fsm.entry import Entry
    from ..fsm.machine import Event, Machine

REFUSED_SHOWN = 5
REFUSED_SHOWN_OF_OTHERS = 2
LEAVING_SHOWN = 6
COLUMNS_MAX = 3
"""Ledgers that stand side by side; more stand one below the other."""


def explain(
    instance: InstanceArgument,
    now: Annotated[
        str | None,
        typer.Option(
            "--now", help="What ages are counted to, e.g. 2020-12-01T00:00:00Z (default: now)."
        ),
    ] = None,
    counterparty: Annotated[
        Path | None,
        typer.Option("--counterparty", help="The other side's tape: its ledgers stand beside."),
    ] = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Say why an instance is where it is, and whose move it is.

    Since when, and by what; the oldest unmet expectation among it and what is linked to it; what
    was refused since, and what that would have needed; the ledgers of both sides; timers, parked
    commands, effects still to be done; what is accepted now.
    """
    from ..engine.explain import explain as explained
    from ..fsm.moments import parse_time

    at = time.time_ns() // 1000 if now is None else parse_time(now, "--now")
    with uncollected(), looking(tape, anchor) as inspector:
        found = explained(inspector, inspector.find(instance), at)
        others = _counterparts(counterparty, found.place.name, at)
    if json:
        said = found.json()
        if counterparty is not None:
            said["counterparty"] = [one.json() for one in others]
        say_json(said)
        return EXIT_DONE
    for line in explanation_lines(found):
        say(line)
    if counterparty is not None:
        for line in _both_lines(found, others, counterparty):
            say(line)
    return EXIT_DONE


def _counterparts(tape: Path | None, name: str, now: int) -> list[Explanation]:
    """Return what the other side's tape says of its side, if there is such a tape."""
    from ..engine.explain import counterparts

    if tape is None:
        return []
    with looking(tape, None) as inspector:
        return counterparts(inspector, name, now)


def explanation_lines(found: Explanation) -> Iterator[str]:
    """Yield the whole explanation, line by line."""
    place = found.place
    yield _standing(place, found.now)
    yield f"  {place.seen.machine.title}, version {place.seen.machine.version}"
    yield from _oldest_lines(found)
    if len(found.places) > 1 or found.missing or found.more:
        yield "linked"
        for one in found.places[1:]:
            yield f"  {_linked(one, found.now)}"
        yield from missing_lines(found.missing, more=found.more)
    for one in found.places:
        yield from _refusal_lines(one, own=one is place)
    yield from _ledger_lines(found)
    for one in found.places:
        yield from _open_lines(one, found.now, own=one is place)
    yield from _accepted_lines(place)


# the answer


def _standing(place: Place, now: int) -> str:
    """Return since when an instance is where it is, and by what."""
    entry = place.since.entry
    state = place.seen.folded.state
    if not place.since.exact:
        return f"{place.name} is in {state} since before {_moment(entry, now)}"
    verb = "ended in" if place.seen.final else "is in"
    return f"{place.name} {verb} {state} since {_moment(entry, now)}, by {_what(entry)}"


def _moment(entry: Entry, now: int) -> str:
    from ..fsm.moments import show_time

    return f"position {entry.pos}, {show_time(entry.at)} ({_age(entry.at, now)})"


def _age(at: int, now: int) -> str:
    from ..fsm.moments import show_about

    return f"{show_about(now - at)} ago" if at <= now else f"in {show_about(at - now)}"


def _what(entry: Entry) -> str:
    by = f" of {entry.by}" if entry.by else ""
    return f"{what(entry)}{by}{cause_of(entry)}"


def _oldest_lines(found: Explanation) -> Iterator[str]:
    """Yield who has waited longest, for what, and whether it came at the wrong time."""
    place, oldest = found.place, found.oldest
    if oldest is not place and not place.seen.final:
        yield f"  it waits for: {_awaited(place)}" if place.waits else f"  {_rest(place)}"
        yield from _missed_lines(place)
    if oldest is None:
        yield "nothing is overdue, and nobody is awaited"
        return
    if oldest is place:
        yield "oldest unmet expectation: its own"
    else:
        state = oldest.seen.folded.state
        since = "since" if oldest.since.exact else "since before"
        moment = _moment(oldest.since.entry, found.now)
        yield f"oldest unmet expectation: {oldest.name} is in {state} {since} {moment}"
    yield f"  next move: {_awaited(oldest)}"
    if oldest.expects and 0 < len(oldest.leaving) <= LEAVING_SHOWN:
        yield f"  would leave {oldest.seen.folded.state}: {', '.join(oldest.leaving)}"
    if oldest.no_deadline:
        yield f"  no deadline: {oldest.no_deadline}"
    yield from _missed_lines(oldest)


def _rest(place: Place) -> str:
    moves = f"; what would move it: {_awaited(place)}" if place.moves else ""
    return f"at rest: {place.no_deadline}{moves}"


def _awaited(place: Place) -> str:
    """Return what an instance waits for: in its machine's words, or the events that move it."""
    if place.expects:
        return place.expects
    moves = place.moves
    if moves:
        return f"one of {', '.join(moves)}" if len(moves) > 1 else moves[0]
    if place.leaving:
        return f"only a timer's: {', '.join(place.leaving)}"
    return "nothing leads out of this state"


def _missed_lines(place: Place) -> Iterator[str]:
    """Yield what came before its time, and would be accepted now."""
    for entry in place.missed:
        came = f"{entry.event} came too early: refused at position {entry.pos} in {entry.from_}"
        yield f"  {came}; it would be accepted now"


def _linked(place: Place, now: int) -> str:
    """Return where a linked instance is, on one line."""
    state = place.seen.folded.state
    since = "since" if place.since.exact else "since before"
    age = _age(place.since.entry.at, now)
    told = f"{place.name}  {state} {since} position {place.since.entry.pos} ({age})"
    if place.seen.final:
        told += ", over"
    elif place.waits:
        told += f", waits for {_awaited(place)}" + (" (no deadline)" if place.no_deadline else "")
    else:
        told += f", at rest: {place.no_deadline}"
    return f"{told}  ({place.member.via})"


# what was refused


def _refusal_lines(place: Place, *, own: bool) -> Iterator[str]:
    """Yield the last refusals of an instance since it came to its state, the newest last."""
    if not place.refused:
        return
    shown = place.refused[: REFUSED_SHOWN if own else REFUSED_SHOWN_OF_OTHERS]
    many = f"{place.refused_count}" if place.counted else f"at least {place.refused_count}"
    last = f", the last {len(shown)}" if place.refused_count > len(shown) else ""
    whose = "since then" if own else f"by {place.name} since position {place.since.entry.pos}"
    yield f"refused {whose} ({many}{last})"
    for entry in reversed(shown):
        state = entry.from_ or place.seen.folded.state
        yield from entry_lines(entry, place.seen.machine, state=state, brief=True)
        first = _first_needed(place, entry)
        if first:
            yield f"{'':>10}it needed first: {first}"


def _first_needed(place: Place, entry: Entry) -> str:
    """Return the events that would have led to a state that takes what was refused."""
    from ..engine.explain import way

    accepted_in = (entry.reason or {}).get("accepted_in")
    if not accepted_in:
        return ""
    steps = way(place.seen.machine, place.seen.folded.state, accepted_in)
    return ", then ".join(f"{event} → {state}" for event, state in steps)


# figures


def _ledger_lines(found: Explanation) -> Iterator[str]:
    """Yield the ledgers side by side; without any, the data of the instance asked about."""
    with_ledger = [place for place in found.places if place.ledger]
    if not with_ledger:
        shown = found.place.seen.shown()
        if shown:
            yield "data"
        for name, value in shown.items():
            yield f"  {name} = {value}"
        return
    yield "ledger" if len(with_ledger) == 1 else "ledgers"
    for start in range(0, len(with_ledger), COLUMNS_MAX):
        for line in _side_by_side(with_ledger[start : start + COLUMNS_MAX]):
            yield f"  {line}"


def _side_by_side(places: list[Place]) -> list[str]:
    """Return a table: a row for each figure, a column for each instance."""
    cells = [{one.name: one for one in place.ledger} for place in places]
    types: dict[str, dict[str, None]] = {}
    for cell in cells:
        for one in cell.values():
            types.setdefault(one.name, {})[one.type] = None
    rows = [[f"{name} ({', '.join(types[name])})"] for name in types]
    for row, name in zip(rows, types, strict=True):
        row += [_figure(cell.get(name)) for cell in cells]
    return table_lines(["", *labels([place.name for place in places])], rows)


def _figure(one: Figure | None) -> str:
    if one is None:
        return ""
    return f"{one.shown} ({one.error})" if one.error else one.shown


def _both_lines(found: Explanation, others: list[Explanation], tape: Path) -> Iterator[str]:
    """Yield where the other side stands, and the ledgers of both."""
    if not others:
        yield f"the other side, on {tape}: nothing there has this key and keeps a ledger"
        return
    yield f"the other side, on {tape}"
    for one in others:
        yield f"  {_standing(one.place, one.now)}"
        if one.place.expects:
            yield f"    it waits for: {one.place.expects}"
    yield "ledgers of both sides"
    places = [found.place, *(one.place for one in others)]
    for line in _side_by_side([place for place in places if place.ledger]):
        yield f"  {line}"


# what is open


def _open_lines(place: Place, now: int, *, own: bool) -> Iterator[str]:
    """Yield an instance's armed timers, parked commands and effects still to be done."""
    from ..fsm.moments import show_time

    of = "" if own else f" of {place.name}"
    for timer in place.timers:
        yield f"timer {timer.name}{of} {_deadline(timer)}: raises {timer.event}"
    for one in place.parked:
        entry = one.entry
        told = f"parked{of}: {entry.event}, since {_moment(entry, now)}"
        told += f"; it is accepted in: {', '.join(one.accepted_in) or 'no state'}"
        if one.expires is not None:
            told += f"; given up at {show_time(one.expires)}, {_left(one.expires - now)}"
        yield told
    for effect in place.effects:
        behind = ", ".join(effect.behind)
        why = f"not acknowledged by {behind}" if behind else "nobody acknowledges effects here"
        yield f"to do{of} since position {effect.pos}: {effect_line(effect.effect)} ({why})"


def _left(left: int) -> str:
    from ..fsm.moments import show_about

    return f"in {show_about(left)}" if left > 0 else f"overdue by {show_about(left)}"


def _deadline(timer: OpenTimer) -> str:
    from ..fsm.moments import show_time

    if timer.kind == "height":
        at = f"at height {timer.deadline}"
        if timer.left is None:
            return f"{at} (no height of {timer.chain} is known)"
        left = f"{timer.left} to go" if timer.left > 0 else f"overdue by {-timer.left}"
    else:
        at = f"at {show_time(timer.deadline)}"
        left = _left(timer.left or 0)
    return f"{at}, {left}" + ("; it fires when the engine next runs" if timer.overdue else "")


# what is accepted


def _accepted_lines(place: Place) -> Iterator[str]:
    """Yield the events that an instance accepts, their parameters, and where they lead."""
    accepted = place.seen.accepts()
    if not accepted:
        yield "accepts nothing: it is over" if place.seen.final else "accepts nothing"
        return
    yield "accepts now"
    machine = place.seen.machine
    for event in accepted:
        params = "".join(f" {_parameter(event, param.name)}" for param in event.params)
        yield f"  {event.name}{params} → {_leads(machine, place.seen.folded.state, event)}"


def _parameter(event: Event, name: str) -> str:
    from ..fsm.machine import REQUIRED

    param = event.parameter(name)
    if param is None:
        return name
    told = f"{name}:{param.type.name}"
    if param.default is REQUIRED:
        return told
    return f"[{told}={'none' if param.default is None else param.type.show(param.default)}]"


def _leads(machine: Machine, state: str, event: Event) -> str:
    """Return where an event leads, row by row: another state, this one entered again, or none."""
    from ..engine.explain import leads

    rows = []
    for row in leads(machine, state, event.name):
        to = f"{state} again" if row["to"] == state else row["to"] or "stays"
        rows.append(f"{to} if {row['when']}" if row["when"] else to)
    return "; else ".join(rows)
