"""Decide: the one function that owns all rules of moving an instance.

Theory of operation. (machine, event, state, data, timers, parameters, moment) in, `Decision` out;
nothing is changed in place, so a decision may be thrown away. The order is the same for every
machine, and a refusal names the first step that failed:

  1. the event is declared;                         else `undeclared_event`
  2. the state is not final;                        else `terminated`
  3. the parameters fit their types;                else `bad_arguments`
  4. the state has a row for the event              (an exact row beats `any`);
                                                    else `otherwise`: reject (`no_transition`),
                                                    defer or ignore
  5. `require`, in order;                           else `guard_failed`
  6. the first row whose `when` holds is taken;     else `no_transition` (or ignored: `otherwise`)
  7. `set` of the event, then of the row, every value computed from the data before;
                                                    else `evaluation_failed`
  8. invariants over the data after;                else `invariant_broken`
  9. effects of the event and the row (data before), then, if a state was entered, its entry
     effects and timers (data after).

A division by zero, a missing map item or an out-of-range value is `evaluation_failed`. Texts of a
refusal are the machine's own or ours, never Python's, so a replay on another Python gives the
same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from .entry import names_instance
from .errors import CallerError, StatetapeError, Unavailable
from .expression import Expression
from .machine import REQUIRED, Assignment, Effect, Event, Machine, Rejection, Row, State, Timer
from .types import Json, ValueInvalid, alike, as_json, json_int, quoted

ACCEPTED = "accepted"
REJECTED = "rejected"
DEFERRED = "deferred"
IGNORED = "ignored"

PARKED = "parked@"
"""What the name of a deferral's own timer begins with; its position follows."""

Deadline = tuple[str, int]
"""("at", microseconds) or ("height", height)."""


class HeightUnknown(CallerError):
    """A rule needs the chain's height, and none was observed or given. Nothing was recorded."""

    code = "height-unknown"


UNDECIDED = (HeightUnknown, Unavailable)
"""What makes a decision impossible rather than negative: it goes to the caller, unrecorded."""
EVALUATION_ERRORS = (ArithmeticError, LookupError, TypeError, ValueError, StatetapeError)


class Moment(msgspec.Struct, frozen=True, gc=False):
    """When and where a decision happens: its only inputs besides state and parameters.

    `follows`: the event is a timer's, or a parked one offered again, not a new command. `refused`:
    the event that was refused last since the state was entered.
    """

    now: int
    given_height: int | None
    key: str
    state: str
    chain: str | None
    follows: bool = False
    refused: str | None = None

    @property
    def height(self) -> int:
        """The chain's height, or HeightUnknown."""
        if self.given_height is None:
            hint = f"observe it with `statetape head {self.chain} HEIGHT`, or pass --height"
            raise HeightUnknown(f"no height of chain {self.chain} is known", hint=hint)
        return self.given_height


class Raised(msgspec.Struct, frozen=True, gc=False):
    """An event for an instance (`to`; None: the one that raises it), to be delivered."""

    event: str
    to: str | None
    params: dict[str, Json]


class Decision(msgspec.Struct, gc=False):
    """What was decided. JSON members are None where they say nothing.

    `params` are the parameters as an entry stores them; `data` the typed data after; `patch` its
    JSON merge patch; `timers` the changed deadlines (None for a cancelled one).
    """

    outcome: str
    params: Json
    to: str | None = None
    data: dict[str, Any] | None = None
    patch: Json = None
    timers: dict[str, Deadline | None] | None = None
    effects: list[Json] | None = None
    reason: Json = None
    raises: list[Raised] | None = None


def decide(
    machine: Machine,
    name: str,
    state: str,
    data: dict[str, Any],
    timers: Mapping[str, Any],
    params: Mapping[str, Any],
    moment: Moment,
    firing: str | None = None,
) -> Decision:
    """Return what `machine` makes of event `name` in `state` with `data`.

    `timers` holds the instance's armed timers by name; `firing` names the one whose deadline this
    event is. Raises HeightUnknown where a rule reads a height that nobody gave.
    """
    event = machine.events.get(name)
    rows = machine.table[state].get(name)
    if event is None:
        return _refused(machine, params, "undeclared_event", accepts=machine.accepts(state))
    if rows is None and machine.states[state].final:
        return _refused(machine, params, "terminated")
    try:
        typed, stored = bind(event, params)
    except ValueInvalid as error:
        return _refused(machine, params, "bad_arguments", detail=str(error))
    if rows is None:
        return _no_row(machine, event, state, stored)
    refusal = _require(machine, event, data, typed, moment)
    if refusal is not None:
        return Decision(REJECTED, stored, reason=refusal)
    try:
        row = rows[0] if rows[0].when is None else _choose(rows, data, typed, moment)
        if row is None:
            return _no_row(machine, event, state, stored, rows)
        changed = _assign((event.assignments, row.assignments), data, typed, moment)
    except EVALUATION_ERRORS as error:
        return _failed(machine, stored, error)
    entered = state if row.same else row.to
    said = (event.effects, row.effects) if event.effects or row.effects else ()
    return _conclude(
        machine, stored, typed, state, entered, data, changed, timers, said, moment, firing
    )


def create(
    machine: Machine, params: Mapping[str, Any], moment: Moment, state: str | None = None
) -> Decision:
    """Return what `machine` makes of the wish to begin an instance.

    With a `state`, it is in mid-life already: `params` are its data, and what entering the state
    makes the outside do was done elsewhere. Its timers are armed.
    """
    event = machine.create if state is None else machine.adopt
    data = {name: field.default for name, field in machine.fields.items()}
    try:
        typed, stored = bind(event, params)
    except ValueInvalid as error:
        return _refused(machine, params, "bad_arguments", detail=str(error))
    refusal = _require(machine, event, data, typed, moment)
    if refusal is not None:
        return Decision(REJECTED, stored, reason=refusal)
    try:
        changed = _assign((event.assignments,), data, typed, moment)
    except EVALUATION_ERRORS as error:
        return _failed(machine, stored, error)
    initial = machine.initial if state is None else state
    said = (event.effects,)
    decision = _conclude(
        machine, stored, typed, None, initial, data, changed, {}, said, moment, None
    )
    if decision.outcome != ACCEPTED:
        return decision
    if state is not None:
        decision.effects = decision.raises = None
    decision.patch = machine.freeze(decision.data or data)
    return decision


def bind(
    event: Event, params: Mapping[str, Any], *, recorded: bool = False
) -> tuple[dict[str, Any], Json]:
    """Return the typed parameters (defaults filled in) and their stored form (as given).

    What does not fit as it is, is read once more as an entry would record it (`recorded`): so a
    replay decides the same. Raises ValueInvalid naming the parameter.
    """
    typed = {}
    stored = {}
    taken = 0
    try:
        for param in event.params:
            name = param.name
            if name in params:
                taken += 1
                value = param.type.coerce(params[name], name)
                typed[name] = value
                if value is not None:
                    stored[name] = value if param.type.plain else param.type.to_json(value)
            elif param.default is REQUIRED:
                raise ValueInvalid(f"{event.name} needs {name} ({param.type.name})", place=name)
            else:
                typed[name] = param.default
        if taken != len(params):
            unknown = min(name for name in params if event.parameter(name) is None)
            takes = ", ".join(param.name for param in event.params) or "none"
            why = f"{event.name} takes no {quoted(unknown)} (it takes {takes})"
            raise ValueInvalid(why, place=unknown)
    except ValueInvalid:
        if recorded:
            raise
        return bind(event, as_json(dict(params), "params"), recorded=True)
    return typed, stored or None


def _require(
    machine: Machine, event: Event, data: dict[str, Any], typed: dict[str, Any], moment: Moment
) -> Json:
    """Run the steps of `require`; returns the refusal, or None. Names go into `typed`."""
    for step in event.steps:
        try:
            value = step.expression.call(data, typed, moment)
        except UNDECIDED:
            raise
        except EVALUATION_ERRORS:
            return _reason(machine, "evaluation_failed", that=step.expression.text)
        if step.rejection is None:
            typed[step.name or ""] = value
        elif not value:
            return _guard(machine, step.rejection, step.expression, data, typed, moment)
    return None


def _choose(
    rows: tuple[Row, ...], data: dict[str, Any], typed: dict[str, Any], moment: Moment
) -> Row | None:
    for row in rows:
        if row.when is None or row.when.call(data, typed, moment):
            return row
    return None


def _assign(
    groups: tuple[tuple[Assignment, ...], ...],
    data: dict[str, Any],
    typed: dict[str, Any],
    moment: Moment,
) -> dict[str, Any]:
    """Return the fields that the assignments set, each checked against its bounds."""
    changed: dict[str, Any] = {}
    for assignments in groups:
        for assignment in assignments:
            field = assignment.field
            name = field.name
            value = assignment.value.call(data, typed, moment)
            before = changed[name] if name in changed else data[name]
            if assignment.key is not None:
                value = {**before, assignment.key.call(data, typed, moment): value}
            changed[name] = field.type.admit(before, value, name)
    return changed


def _effects(
    groups: tuple[tuple[Effect, ...], ...],
    data: dict[str, Any],
    typed: dict[str, Any],
    moment: Moment,
    made: list[Json],
    raised: list[Raised],
) -> None:
    """Add what the effects make of a command: to `made` for the outside, to `raised` for others."""
    for effects in groups:
        for effect in effects:
            if effect.when is not None and not effect.when.call(data, typed, moment):
                continue
            said: dict[str, Json] = {} if effect.raises else {"do": effect.name}
            for name, argument in effect.arguments:
                value = argument.call(data, typed, moment)
                if value is not None:
                    said[name] = argument.type.to_json(value)
            if effect.raises:
                to = None if effect.to is None else effect.to.call(data, typed, moment)
                if to is not None and not names_instance(to):
                    why = f"{quoted(to)} does not name an instance to raise {effect.name} to"
                    raise ValueInvalid(why, place=effect.name)
                raised.append(Raised(effect.name, to, said))
            else:
                made.append(said)


def arguments_of(timer: Timer, data: dict[str, Any], moment: Moment) -> dict[str, Json]:
    """Return the parameters that a timer gives its event. Raises one of EVALUATION_ERRORS."""
    given = {}
    for name, argument in timer.arguments:
        value = argument.call(data, {}, moment)
        if value is not None:
            given[name] = argument.type.to_json(value)
    return given


def _conclude(
    machine: Machine,
    stored: Json,
    typed: dict[str, Any],
    state: str | None,
    entered: str | None,
    data: dict[str, Any],
    changed: dict[str, Any],
    timers: Mapping[str, Any],
    said: tuple[tuple[Effect, ...], ...],
    moment: Moment,
    firing: str | None,
) -> Decision:
    """Check the invariants, enter the state, and say what changed."""
    after = {**data, **changed} if changed else data
    changes = None
    effects: list[Json] | None = None
    raised: list[Raised] | None = None
    try:
        for invariant in machine.invariants:
            if not invariant.test.call(after, data, moment):
                reason = _reason(machine, "invariant_broken", name=invariant.name)
                return Decision(REJECTED, stored, reason=reason)
        target = machine.states[entered or state or ""]
        if said or (entered is not None and target.entry):
            effects, raised = [], []
            _effects(said, data, typed, moment, effects, raised)
            if entered is not None:
                _effects((target.entry,), after, typed, moment, effects, raised)
        if entered is None:
            if target.quiet:
                changes = _arm(target.quiet, after, timers, moment, firing, heard=True)
        elif target.timers or timers:
            changes = _enter(target, after, timers, moment, firing)
        patch = _patch(machine, data, changed) if changed else None
    except EVALUATION_ERRORS as error:
        return _failed(machine, stored, error)
    to = entered if entered != state else None
    return Decision(
        ACCEPTED,
        stored,
        to,
        after,
        patch,
        changes or None,
        effects or None,
        None,
        raised or None,
    )


def _patch(machine: Machine, data: dict[str, Any], changed: dict[str, Any]) -> Json:
    patch = {}
    for name, value in changed.items():
        before = data[name]
        if before is not value and (before != value or not alike(before, value)):
            patch[name] = machine.fields[name].type.patch(before, value)
    return patch or None


def _arm(
    group: tuple[Timer, ...],
    data: dict[str, Any],
    timers: Mapping[str, Any],
    moment: Moment,
    firing: str | None,
    *,
    heard: bool = False,
) -> dict[str, Deadline | None]:
    """Return how the timers of a state move: all of them when it is entered, the quiet ones when
    something was `heard`, that is accepted, and no state was entered.

    What a timer or a re-offered command arms is due in the next instant at the earliest: so no
    machine can go on for ever within one moment. A quiet timer that fires itself has told its
    silence, and rests until something else is accepted. What is told late, of a time long past,
    brings no silence nearer.
    """
    changes: dict[str, Deadline | None] = {}
    for timer in group:
        name = timer.name
        if heard and name == firing:
            continue
        armed = timers.get(name)
        if timer.when is not None and not timer.when.call(data, {}, moment):
            if armed is not None and name != firing:
                changes[name] = None
            continue
        value = timer.value.call(data, {}, moment)
        clock = timer.clock
        if timer.lasts:
            value = moment.now + max(value, 1)
        if moment.follows:
            value = max(value, (moment.height if clock == "height" else moment.now) + 1)
        value = timer.point.coerce(value, name)
        if armed is None or name == firing or armed[1] != value or armed[0] != clock:
            if heard and armed is not None and value < armed[1]:
                continue
            changes[name] = (clock, value)
    return changes


def _enter(
    state: State,
    data: dict[str, Any],
    timers: Mapping[str, Any],
    moment: Moment,
    firing: str | None,
) -> dict[str, Deadline | None]:
    """Return the timers that entering a state arms, moves or cancels."""
    changes = _arm(state.timers, data, timers, moment, firing)
    for name in timers:
        if name not in state.timed and name != firing and not name.startswith(PARKED):
            changes[name] = None
    return changes


def _guard(
    machine: Machine,
    rejection: Rejection,
    test: Expression,
    data: dict[str, Any],
    typed: dict[str, Any],
    moment: Moment,
) -> Json:
    """Return the refusal of a failed check: its reason, what had to hold, and what was seen."""
    saw = {}
    for label, of, read in test.reads:
        try:
            value = read(data, typed, moment)
            shown = None if value is None else of.to_json(value)
        except EVALUATION_ERRORS:
            continue
        if shown is not None:
            saw[label] = shown if not isinstance(shown, str) else shown[:200]
    code = rejection.code
    name = rejection.name
    if isinstance(code, Expression):
        try:
            code = code.call(data, typed, moment)
        except UNDECIDED:
            raise
        except EVALUATION_ERRORS:
            return _reason(machine, "evaluation_failed", that=code.text)
        name = name or machine.codes.get(code)
    return _reason(
        machine,
        "guard_failed",
        reason=rejection.reason,
        code=None if code is None else json_int(code),
        name=name,
        that=test.text,
        saw=saw or None,
    )


def _reason(machine: Machine, kind: str, **members: Json) -> Json:
    """Return a refusal; the machine may say what each kind of refusal means in its own codes."""
    reason: dict[str, Json] = {"kind": kind}
    said = machine.rejections.get(kind)
    if said is not None:
        reason["reason"] = said.reason
        if isinstance(said.code, int):
            reason["code"] = json_int(said.code)
        if said.name:
            reason["name"] = said.name
    return reason | {member: value for member, value in members.items() if value is not None}


def _refused(machine: Machine, params: Mapping[str, Any], kind: str, **members: Json) -> Decision:
    stored = as_json(dict(params), "params") if params else None
    return Decision(REJECTED, stored, reason=_reason(machine, kind, **members))


def _failed(machine: Machine, stored: Json, error: BaseException) -> Decision:
    if isinstance(error, UNDECIDED):
        raise error
    detail = str(error) if isinstance(error, StatetapeError) else None
    return Decision(REJECTED, stored, reason=_reason(machine, "evaluation_failed", detail=detail))


def _no_row(
    machine: Machine, event: Event, state: str, stored: Json, rows: tuple[Row, ...] = ()
) -> Decision:
    """The state has no row, or none whose `when` holds."""
    if not rows and event.otherwise == "defer":
        return Decision(DEFERRED, stored)
    if event.otherwise == "ignore":
        return Decision(IGNORED, stored)
    needs = [row.when.text for row in rows if row.when] or None
    reason = _reason(machine, "no_transition", accepts=machine.accepts(state), needs=needs)
    if not rows:
        reason["accepted_in"] = machine.accepted_in(event.name)
    return Decision(REJECTED, stored, reason=reason)
