"""Entries in words: what was asked, what was decided, and what a refusal would have needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..engine.collection import Grave
    from ..fsm.entry import Entry
    from ..fsm.machine import Field, Machine, Parameter
    from ..fsm.types import Type

REFUSALS = {
    "already_exists": "there is an instance of that name",
    "bad_arguments": "a parameter is missing, unknown, or not of its type",
    "collected_instance": "its entries were collected, and its name is never used again",
    "deferral_expired": "it was parked for too long",
    "deferral_full": "too many commands are parked",
    "evaluation_failed": "an expression could not be evaluated",
    "invariant_broken": "it would break an invariant",
    "links_too_deep": "too many events raised one another",
    "no_transition": "the state does not take it",
    "terminated": "it is over: a final state takes nothing",
    "undeclared_event": "the machine has no such event",
    "unknown_instance": "there is no such instance",
}
"""What each kind of refusal means; docs/reference/machine-language.md has them all."""


def entry_lines(
    entry: Entry,
    machine: Machine | None = None,
    *,
    label: str | None = None,
    state: str | None = None,
    brief: bool = False,
) -> list[str]:
    """Return an entry in words; with its machine, values are shown as people write them.

    `label` says whose it is, among those of several instances; `state` is the one after it.
    `brief`: without what the state would have accepted instead.
    """
    from ..fsm.moments import show_time

    height = f"  height {entry.height}" if entry.height is not None else ""
    whose = "" if label is None else f"  {label}"
    line = f"{entry.pos:>8}  {show_time(entry.at)}{height}{whose}  {what(entry)}"
    if entry.tape is None:
        line += f"  {entry.outcome or 'accepted'}"
    after = state or entry.from_
    if entry.to:
        line += f"  {entry.from_ or ''} → {entry.to}"
    elif after:
        line += f"  in {after}"
    if entry.by:
        line += f"  by {entry.by}"
    lines = [line + cause_of(entry)]
    said = []
    if entry.params:
        event = machine and (
            machine.create if entry.create else machine.events.get(entry.event or "")
        )
        said.append("asked: " + _flat(entry.params, event.params if event else ()))
    if entry.set:
        said.append("set: " + _flat(entry.set, machine.fields.values() if machine else ()))
    said += refusal_lines(entry.reason, brief=brief)
    if entry.outcome == "deferred" and machine is not None:
        said.append("it is accepted in: " + ", ".join(machine.accepted_in(entry.event or "")))
    said += [f"raises: {one['event']} to {one['to']}" for one in entry.raises or []]
    said += [f"to do: {effect_line(effect)}" for effect in entry.effects or []]
    return lines + [f"{'':>10}{line}" for line in said]


def what(entry: Entry) -> str:
    """Return what an entry was about."""
    if entry.tape is not None:
        about = (entry.tape, entry.chain, entry.machine, entry.name)
        many = len({stone.name for stone in entry.collected or ()})
        more = (
            f"{many} instances" if many else ", ".join(f"{a} to {b}" for a, b in entry.shrunk or ())
        )
        return " ".join(filter(None, (*about, more)))
    if entry.offer is not None and entry.timer is not None:
        return f"{entry.event} (parked at {entry.offer}, given up)"
    if entry.offer is not None:
        return f"{entry.event} (parked at {entry.offer}, offered again)"
    return f"timer {entry.timer}: {entry.event}" if entry.timer else str(entry.event)


def collected_line(grave: Grave) -> str:
    """Return in words that an instance was collected, and since when."""
    from ..fsm.moments import show_time

    entry = grave.entry
    by = f" by {entry.by}" if entry.by else ""
    return f"collected at position {entry.pos}, {show_time(entry.at)}{by}: its hashes are kept"


def cause_of(entry: Entry) -> str:
    """Return what an entry came from, as its line shows it."""
    raised = f"  ← {entry.raised} (raised)" if entry.raised is not None else ""
    return raised + (f"  ← {entry.cause}" if entry.cause is not None else "")


def _flat(members: Any, declared: Iterable[Field | Parameter]) -> str:
    types = {one.name: one.type for one in declared}
    said = [f"{name}={_short(_written(value, types.get(name)))}" for name, value in members.items()]
    return ", ".join(said)


def _written(value: Any, of: Type | None) -> str:
    """Return a value of an entry as people write it; what its type does not take, as it stands."""
    from ..fsm.types import ValueInvalid

    try:
        return of.show(of.coerce(value, "")) if of is not None else str(value)
    except ValueInvalid:
        return str(value)


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def refusal_lines(reason: Any, *, brief: bool = False) -> list[str]:
    """Return a refusal in words: what, what had to hold, what was seen, what would be accepted."""
    if not reason:
        return []
    parts = [str(reason[name]) for name in ("name", "reason") if name in reason]
    code = f" (exit code {reason['code']})" if "code" in reason else ""
    kind = reason["kind"]
    meant = f"{REFUSALS[kind]} ({kind})" if kind in REFUSALS else kind
    lines = [f"{': '.join(parts) or meant}{code}"]
    if "that" in reason:
        lines.append(f"needed: {reason['that']}")
    if "saw" in reason:
        lines.append(
            "saw: " + ", ".join(f"{name} = {value}" for name, value in reason["saw"].items())
        )
    if "detail" in reason:
        lines.append(str(reason["detail"]))
    if reason.get("needs"):
        lines.append("needed: " + ", or ".join(reason["needs"]))
    if "accepts" in reason and not brief:
        lines.append("accepted here: " + (", ".join(reason["accepts"]) or "nothing"))
    if reason.get("accepted_in"):
        lines.append("it is accepted in: " + ", ".join(reason["accepted_in"]))
    return lines


def effect_line(effect: Any) -> str:
    """Return an effect on one line."""
    said = ", ".join(f"{name}={value}" for name, value in effect.items() if name != "do")
    return f"{effect['do']} {said}"
