"""A what-if in words: the first difference, those after it, and where both histories end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .entries import REFUSALS, entry_lines, what
from .output import table_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ..engine.inspect import Point
    from ..engine.pairing import Step
    from ..engine.whatif import Changes, End, WhatIf
    from ..fsm.entry import Entry
    from ..fsm.fold import Folded
    from ..fsm.machine import Machine
    from ..fsm.types import Json

GROUPS_MAX = 12
INDENT = " " * 10
VALUE_CHARS = 60
NOT_HERE = "here this does not happen"
NOT_RECORDED = "in the record this does not happen"


def what_if_lines(found: WhatIf, changes: Changes, *, steps: bool) -> Iterator[str]:
    """Yield what a replay with changes found, for people; `steps`: every entry before that."""
    recorded = sum(step.recorded is not None for step in found.steps)
    entries = "1 entry" if recorded == 1 else f"{recorded} entries"
    yield f"{found.name}: {entries} replayed, {_changed(found, changes)}"
    yield from _inserted_lines(found)
    if steps:
        yield from _step_lines(found)
    differences = found.differences
    if not differences and found.same_end:
        same = "every outcome as recorded" if changes else "every byte as recorded"
        yield f"{same}; it ends in {found.end.state}"
        return
    index = next((i for i, step in enumerate(found.steps) if step.different), None)
    if index is None:
        yield "every later outcome as recorded, but another end"
    else:
        yield f"first difference of {len(differences)}"
        yield f"  {difference_words(found.steps, index)}"
        first = found.steps[index]
        for side, lines in (("recorded", _recorded(found, first)), ("here", _here(found, first))):
            if lines and not steps:
                yield f"  {side}"
                yield from (f"  {line}" for line in lines)
        yield from _later_lines(found, index)
    yield from _end_lines(found)


def _changed(found: WhatIf, changes: Changes) -> str:
    """Return what is otherwise than recorded."""
    recorded = {step.recorded.pos: step.recorded for step in found.steps if step.recorded}
    said = []
    if changes.machine is not None:
        same = "the same machine" if found.other.digest == found.machine.digest else ""
        version = f"{found.other.name} version {found.other.version}"
        said.append(f"decided by {version}{f' ({same})' if same else ''}")
    said += [f"without position {pos} ({recorded[pos].event})" for pos in changes.drop]
    for one in changes.insert:
        place = "after the last" if one.before is None else f"before position {one.before}"
        said.append(f"with {one.event} {place}")
    if changes.until is not None:
        said.append(f"up to {_point(changes.until)}")
    return "; ".join(said) or "unchanged"


def _point(point: Point) -> str:
    from ..fsm.moments import show_time

    if point.kind == "time":
        return show_time(point.value)
    return f"{'position' if point.kind == 'pos' else point.kind} {point.value}"


def _inserted_lines(found: WhatIf) -> Iterator[str]:
    """Yield what became of the events that were inserted."""
    for index, step in enumerate(found.steps):
        if step.how == "inserted":
            yield f"  {_inserted(found.steps, index)}"


def _inserted(steps: Sequence[Step], index: int) -> str:
    step = steps[index]
    place = f"inserted {_after(steps, index)}"
    if step.decided is None:
        return f"{place}: not taken: {_error(step)}"
    became = _became(step.decided, step.state_before, steps, index)
    return f"{place}: {what(step.decided)} is {became}"


# the differences


def difference_words(steps: Sequence[Step], index: int) -> str:
    """Return one difference in a sentence."""
    step = steps[index]
    recorded, decided = step.recorded, step.decided
    if recorded is None and decided is not None:
        happened = f"{what(decided)} is {_became(decided, step.state_before, steps, index)}"
        return f"{_after(steps, index)}: {happened}; {NOT_RECORDED}"
    if recorded is None:
        return _inserted(steps, index)
    was = f"{what(recorded)} was {_became(recorded, step.state_before_recorded)}"
    if decided is None:
        here = f"here it cannot be taken: {_error(step)}" if step.error else NOT_HERE
        return f"position {recorded.pos}: {was}; {here}"
    moved = step.state_before != step.state_before_recorded
    where = f"here, in {step.state_before}" if moved else "here"
    became = _became(decided, None, steps, index)
    if became == _became(recorded, None):
        became = f"it differs in {', '.join(step.differs)}"
        if "set" in step.differs:
            was += f", set {_set(recorded, decided)}"
            became = f"set {_set(decided, recorded)}"
    return f"position {recorded.pos}: {was}; {where}: {became}"


def _became(entry: Entry, state: str | None, steps: Sequence[Step] = (), index: int = 0) -> str:
    """Return what was decided, where; of a parked command also what became of it later."""
    outcome = entry.outcome or "accepted"
    said = f"{outcome} in {state}" if state else outcome
    if entry.outcome == "rejected":
        return f"{said} ({why(entry.reason or {})})"
    if entry.to is not None:
        return f"{said} → {entry.to}"
    if entry.outcome == "deferred" and steps:
        for later in range(index + 1, len(steps)):
            again = steps[later].decided
            if again is not None and again.offer == entry.pos:
                return f"{said}, then {_became(again, None)} {_after(steps, later)}"
        return f"{said}, and still parked at the end"
    return said


def why(reason: Mapping[str, Any]) -> str:
    """Return why something was refused: in the machine's words, or by what the kind means."""
    told = [str(reason[name]) for name in ("name", "reason") if name in reason]
    kind = str(reason.get("kind"))
    return ": ".join(told) or REFUSALS.get(kind, kind)


def _set(entry: Entry, other: Entry) -> str:
    """Return what an entry sets otherwise than another."""
    mine, others = entry.set or {}, other.set or {}
    said = [
        f"{name}={_short(str(value))}"
        for name, value in mine.items()
        if name not in others or others[name] != value
    ]
    return ", ".join(said) or "nothing of that"


def _error(step: Step) -> str:
    code, message = step.error or ("", "")
    return f"{message} [{code}]"


def _after(steps: Sequence[Step], index: int) -> str:
    """Return behind which recorded entry a step stands."""
    for step in reversed(steps[:index]):
        if step.recorded is not None:
            return f"after position {step.recorded.pos}"
    return "at the beginning"


def _later_lines(found: WhatIf, first: int) -> Iterator[str]:
    """Yield the differences after the first: how many of each kind, and where."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for index, step in enumerate(found.steps[first + 1 :], first + 1):
        if step.different:
            groups.setdefault(_kind(step), []).append(index)
    if groups:
        yield "then"
    for number, ((event, recorded, here), indexes) in enumerate(groups.items()):
        if number == GROUPS_MAX:
            yield f"  and {len(groups) - GROUPS_MAX} more kinds of difference"
            return
        places = [_place(found.steps, index) for index in (indexes[0], indexes[-1])]
        place = places[0] if len(indexes) == 1 else f"{places[0]} to {places[1]}"
        many = f"{len(indexes)} × " if len(indexes) > 1 else ""
        yield f"  {many}{event}: {recorded}, here {here} ({place})"


def _kind(step: Step) -> tuple[str, str, str]:
    """Return what a difference has in common with others."""
    entry = step.recorded or step.decided
    event = _asked(entry) if entry is not None else ""
    sides = [_became(one, None) if one else "nothing" for one in (step.recorded, step.decided)]
    if step.error is not None:
        sides[1] = f"not taken [{step.error[0]}]"
    elif sides[0] == sides[1]:
        sides[1] = f"otherwise in {', '.join(step.differs)}"
    return event, sides[0], sides[1]


def _asked(entry: Entry) -> str:
    """Return what an entry was about, without a position."""
    if entry.offer is not None:
        return f"{entry.event} ({'given up' if entry.timer else 'offered again'})"
    return f"timer {entry.timer}" if entry.timer else str(entry.event)


def _place(steps: Sequence[Step], index: int) -> str:
    recorded = steps[index].recorded
    return f"position {recorded.pos}" if recorded is not None else _after(steps, index)


# the ends


def _end_lines(found: WhatIf) -> Iterator[str]:
    rows = [["state", str(found.recorded.state), str(found.end.state)]]
    sides = [
        shown_data(found.machine, found.recorded.data) if found.recorded.state else {},
        shown_data(found.other, found.end.data) if found.end.state else {},
    ]
    begun = {**_begun(found.machine), **_begun(found.other)}
    for name in dict.fromkeys([*sides[0], *sides[1]]):
        values = [side.get(name, "none") for side in sides]
        told = name in found.fields or begun.get(name) not in values
        if told and values[0] != values[1]:
            rows.append([name, *values])
    parked = [", ".join(event for _, event in end.parked) for end in (found.recorded, found.end)]
    if any(parked):
        rows.append(["parked", parked[0] or "none", parked[1] or "none"])
    for counts in ("outcomes", "refused"):
        mine, other = getattr(found.recorded, counts), getattr(found.end, counts)
        for name in sorted({*mine, *other}):
            label = name if counts == "outcomes" else f"  {name}"
            rows.append([label, str(mine.get(name, 0)), str(other.get(name, 0))])
    yield from table_lines(["at the end", "recorded", "here"], rows)


def _begun(machine: Machine) -> dict[str, str]:
    """Return the data that every instance begins with, as people read them."""
    defaults = {name: field.default for name, field in machine.fields.items()}
    return shown_data(machine, machine.freeze(defaults))


def shown_data(machine: Machine, data: Mapping[str, Json]) -> dict[str, str]:
    """Return data in JSON form as people read it, shortened; what is none is left out."""
    types = machine.fields
    return {
        name: _short(types[name].type.show(value))
        for name, value in machine.thaw(data).items()
        if value is not None
    }


def _short(text: str) -> str:
    return text if len(text) <= VALUE_CHARS else f"{text[: VALUE_CHARS - 3]}..."


# step by step


def _recorded(found: WhatIf, step: Step) -> list[str]:
    """Return a step's entry of the record."""
    if step.recorded is None:
        return []
    return entry_lines(step.recorded, found.machine, state=step.state_after_recorded)


def _here(found: WhatIf, step: Step) -> list[str]:
    """Return a step's entry of the what-if."""
    if step.decided is None:
        return []
    return entry_lines(step.decided, found.other, state=step.state_after)


def _step_lines(found: WhatIf) -> Iterator[str]:
    """Yield every entry with what was asked and decided, and the instance after it."""
    begun = _begun(found.other)
    for index, (step, folded) in enumerate(found.standing()):
        if step.different or step.decided is None:
            yield from _recorded(found, step)
        if step.how == "dropped":
            yield f"{INDENT}here: dropped"
        elif step.how == "inserted":
            yield f"{INDENT}here: {_inserted(found.steps, index)}"
        elif step.error is not None:
            yield f"{INDENT}here: not taken: {_error(step)}"
        elif step.decided is None:
            yield f"{INDENT}{NOT_HERE}"
        elif step.recorded is None:
            yield f"{INDENT}here, and not in the record:"
        elif step.different:
            yield f"{INDENT}here:"
        yield from _here(found, step)
        yield f"{INDENT}after it: {_standing(folded, found.other, begun)}"


def _standing(folded: Folded | None, machine: Machine, begun: Mapping[str, str]) -> str:
    """Return an instance on one line: its state, and what is not as every instance begins."""
    if folded is None:
        return "no instance"
    shown = shown_data(machine, folded.data)
    said = [f"{name}={value}" for name, value in shown.items() if begun.get(name) != value]
    return "; ".join(filter(None, (folded.state, ", ".join(said))))


# for machines


def what_if_json(found: WhatIf, changes: Changes, *, steps: bool) -> dict[str, Json]:
    """Return what a replay with changes found; `steps`: with every entry."""
    first = found.first_difference
    told: dict[str, Json] = {
        "instance": found.name,
        "machine": _machine_json(found.machine),
        "decided_by": _machine_json(found.other),
        "dropped": list(changes.drop),
        "inserted": [_step_json(step) for step in found.steps if step.how == "inserted"],
        "same": found.same,
        "first_difference": _step_json(first) if first is not None else None,
        "differences": [
            _brief_json(found.steps, index)
            for index, step in enumerate(found.steps)
            if step.different
        ],
        "recorded": _end_json(found.recorded),
        "end": _end_json(found.end),
    }
    if steps:
        told["steps"] = [
            {**_step_json(step), "data_after": dict(folded.data) if folded else None}
            for step, folded in found.standing()
        ]
    return told


def _machine_json(machine: Machine) -> dict[str, Json]:
    return {"name": machine.name, "version": machine.version, "digest": machine.digest}


def _step_json(step: Step) -> dict[str, Json]:
    from ..engine.inspect import entry_json

    error = {"code": step.error[0], "message": step.error[1]} if step.error else None
    return {
        "how": step.how,
        "recorded": entry_json(step.recorded) if step.recorded else None,
        "decided": entry_json(step.decided) if step.decided else None,
        "error": error,
        "state_before_recorded": step.state_before_recorded,
        "state_after_recorded": step.state_after_recorded,
        "state_before": step.state_before,
        "state_after": step.state_after,
        "differs": list(step.differs),
    }


def _brief_json(steps: Sequence[Step], index: int) -> dict[str, Json]:
    event, recorded, here = _kind(steps[index])
    place = _place(steps, index)
    differs = list(steps[index].differs)
    return {"place": place, "event": event, "recorded": recorded, "here": here, "differs": differs}


def _end_json(end: End) -> dict[str, Json]:
    return {
        "state": end.state,
        "data": dict(end.data),
        "parked": [{"pos": pos, "event": event} for pos, event in end.parked],
        "outcomes": dict(end.outcomes),
        "refused": dict(end.refused),
    }
