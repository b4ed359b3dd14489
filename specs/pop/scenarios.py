"""Scenario files of deals and transfers: cases as data, read into commands and checks.

A case names a table of the originals (`machine`), a state in mid-life with its fields, and steps:
an event each, and what must come of it. Where it is about what entering a state does, it names the
entry action, how the outside answered (`env`), and the events that the action emits; those are
computed by `filecoin.entry_actions`, the very functions that drive a node.
docs/reference/scenarios.md has the whole format.

Numbers are compared as numbers, however they are written; null and absent are the same. A field
that our machine does not hold stays as the case gave it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ...fsm.scenario import Result, Step
from ..filecoin.emissions import EMISSIONS
from ..filecoin.entry_actions import ActionUntold, Outcome, run

KEY = "case"
NOBODY = "nobody"
"""The key of an instance that was never begun."""
KINDS = {"unknown_id": "unknown_instance"}
"""Kinds of refusal that have another name here."""
DERIVED = ("pop_tx_derived", "pop_dispatch_derived", "pop_payment_channel_derived")
"""Tables of what the original does without a declared machine."""
STATUSES = frozenset({"status", "providerState", "provider_state"})
"""Parameters that name a status, by name or by number: our machines take both as text."""
RENAMED = {("ClientEventDealRejected", "state"): "provider_state", ("Put", "key"): "name"}
"""`state` and `key` are words of the machine language."""
CHANNELS = frozenset(
    {"ChannelID", "channelID", "channelId", "TransferChannelID", "TransferChannelId"}
)
"""What names a transfer: text here, three parts in the originals."""
VOUCHERS = frozenset({"Vouchers", "VoucherResults"})
"""Lists in the originals, maps by number here."""


class RetrievalScenarios:
    """The adapter."""

    def recognises(self, case: Any) -> bool:
        """Whether a case has this format: events for a machine named after a table."""
        if not isinstance(case, dict) or not isinstance(case.get("machine"), str):
            return False
        steps = case.get("steps")
        events = isinstance(steps, list) and all(
            isinstance(step, dict) and "event" in step for step in steps
        )
        return events and "initial_state" in case and machine_of(case["machine"]) is not None

    def runs(self, case: Any) -> Iterator[tuple[str, list[Step]]]:
        """Yield the case."""
        yield "", _Case(case).steps()


def machine_of(table: str) -> str | None:
    """Return the machine of a table, or None for a name that is no table's."""
    if table in EMISSIONS:
        return table
    name = table.replace("pop_", "pop.", 1) if table.startswith("pop_") else f"filecoin.{table}"
    return name if name in EMISSIONS or table in DERIVED else None


class _Case:
    """One case; it remembers the state that the instance was in before each step."""

    def __init__(self, case: Mapping[str, Any]) -> None:
        self.case = case
        self.machine = machine_of(case["machine"]) or ""
        self.initial: Mapping[str, Any] = case.get("initial_fields") or {}
        self.before: str | None = case["initial_state"]

    def steps(self) -> list[Step]:
        written = self.case["steps"]
        last = len(written)
        steps = [self._begin(not written)] if self.before is not None else []
        return steps + [self._step(i, step, i == last) for i, step in enumerate(written, 1)]

    def _begin(self, only: bool) -> Step:
        def check(result: Result) -> list[str]:
            if result.outcome != "accepted":
                return [f"the case cannot begin: {_said(result)}"]
            found = [*self._check_emits(self.case, result, self.initial)]
            return [*found, *self._check_final(result)] if only else found

        fields = {
            name: _field(name, value)
            for name, value in self.initial.items()
            if value is not None and not (name == "DealID" and not _is_number(value))
        }
        return Step(
            label=f"begin in {self.before}",
            machine=self.machine,
            key=KEY,
            event=None,
            params=fields,
            chain=None,
            height=None,
            check=check,
            state=self.before,
        )

    def _step(self, number: int, step: Mapping[str, Any], last: bool) -> Step:
        def check(result: Result) -> list[str]:
            found = [
                *_check_outcome(step, result),
                *self._check_effect(step, result),
                *self._check_fields(step, result),
                *self._check_emits(step, result, result.data),
            ]
            if key == KEY:
                self.before = result.state
            return [*found, *self._check_final(result)] if last else found

        event = step["event"]
        unknown = step.get("rejection_kind") == "unknown_id"
        key = str(step.get("id") or (NOBODY if unknown else KEY))
        return Step(
            label=f"step {number} ({event})",
            machine=self.machine,
            key=key,
            event=event,
            params=_params(event, step.get("params") or {}),
            chain=None,
            height=None,
            check=check,
        )

    def _check_effect(self, step: Mapping[str, Any], result: Result) -> Iterator[str]:
        """Compare what became of state and entry action: go-statemachine's three outcomes."""
        effect = step.get("effect")
        if effect is None:
            return
        stayed = result.state == self.before
        was = "recorded_only"
        if result.entered is not None:
            was = "same_state_entry_reruns" if stayed else "moved"
        again = was == "same_state_entry_reruns" and effect == "moved"
        if effect != was and not again:
            yield f"effect: expected {effect}, was {was}"

    def _check_fields(self, step: Mapping[str, Any], result: Result) -> Iterator[str]:
        for name, expected in (step.get("expect_fields") or {}).items():
            found = result.data.get(name)
            if name not in result.fields:
                found = self.initial.get(name)
            if not _matches(_expected(name, expected), found):
                yield f"{name}: expected {json.dumps(expected)}, was {json.dumps(found)}"

    def _check_final(self, result: Result) -> Iterator[str]:
        expected = self.case.get("expect_final_state")
        if expected is not None and expected != result.state:
            yield f"expected to end in {expected}, ended in {result.state}"

    def _check_emits(
        self, told: Mapping[str, Any], result: Result, fields: Mapping[str, Any]
    ) -> Iterator[str]:
        """Run the entry action that a case or step names, and compare what it emits."""
        action = told.get("entry_action")
        if action is None:
            return
        if action not in result.asks:
            does = ", ".join(result.asks) or "nothing"
            yield f"entry action: expected {action}, entering {result.state} does {does}"
            return
        env = told.get("env") or {}
        expected = told.get("expect_emits")
        try:
            outcome = run(self.machine, action, result.state or "", fields, env)
        except ActionUntold:
            strange = [e for e in expected or () if e not in EMISSIONS[self.machine][action]]
            if strange:
                yield f"emits: {action} never emits {', '.join(strange)}"
            return
        emitted = [one.event for one in outcome.emitted]
        if expected is not None and emitted != expected:
            yield f"emits: expected {expected}, were {emitted}"
        yield from _check_validation(env, outcome)


def _params(event: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event's parameters as our machines take them; null is absent."""
    params = {}
    for name, value in given.items():
        ours = RENAMED.get((event, name), name)
        if value is not None:
            params[ours] = _field(ours, value)
    return params


def _field(name: str, value: Any) -> Any:
    """Return a field or parameter of the originals as ours."""
    if isinstance(value, float) or (name in STATUSES and _is_number(value)):
        return str(value)
    if name in CHANNELS:
        return _as_text(value)
    if name == "PaymentInfo" and isinstance(value, dict):
        return {"PayCh": "", "Lane": 0, **value}
    if name in VOUCHERS and isinstance(value, list):
        return dict(enumerate(value))
    return value


def _expected(name: str, value: Any) -> Any:
    """Return an expected field as ours; `{"contains": …}` stays what it is."""
    if isinstance(value, dict) and value.keys() == {"contains"}:
        return value
    return _as_text(value) if name in CHANNELS else value


def _as_text(value: Any) -> Any:
    """Return the parts of a name as one text."""
    return json.dumps(value, sort_keys=True) if isinstance(value, dict | list) else value


def _is_number(value: Any) -> bool:
    return type(value) is int or (isinstance(value, str) and value.lstrip("-").isdecimal())


def _check_outcome(step: Mapping[str, Any], result: Result) -> Iterator[str]:
    refused = step.get("expect_rejected") or step.get("rejection_kind")
    if refused and result.outcome != "rejected":
        yield f"expected a refusal ({refused}), was {result.outcome}"
    elif refused:
        kind = step.get("rejection_kind")
        said = (result.reason or {}).get("kind")
        if kind is not None and KINDS.get(kind, kind) != said:
            yield f"expected the refusal {kind}, was {_said(result)}"
    elif result.outcome != "accepted":
        yield f"expected it to be accepted, was {_said(result)}"
    if step.get("expect_state") is not None and step["expect_state"] != result.state:
        yield f"state: expected {step['expect_state']}, was {result.state}"


def _said(result: Result) -> str:
    """Return an outcome with what a refusal says."""
    reason = result.reason or {}
    parts = [reason[name] for name in ("kind", "reason", "detail", "that") if name in reason]
    return f"{result.outcome}: {' '.join(map(str, parts))}" if parts else result.outcome


def _matches(expected: Any, found: Any) -> bool:
    """Whether a field is as expected: exactly, or containing a text."""
    if isinstance(expected, dict) and expected.keys() == {"contains"}:
        return isinstance(found, str) and str(expected["contains"]) in found
    if isinstance(found, dict) and isinstance(expected, list):
        found = [found[key] for key in sorted(found, key=int)]
    if isinstance(found, dict) and isinstance(expected, dict):
        names = expected.keys() | found.keys()
        return all(_matches(expected.get(name), found.get(name)) for name in sorted(names))
    if isinstance(found, list) and isinstance(expected, list):
        return len(found) == len(expected) and all(map(_matches, expected, found))
    if isinstance(expected, bool) or isinstance(found, bool):
        return expected is found
    if _is_number(expected) and _is_number(found):
        return int(expected) == int(found)
    return bool(expected == found)


def _check_validation(env: Mapping[str, Any], outcome: Outcome) -> Iterator[str]:
    """Compare what a provider told its transfer, in the members that the case gives."""
    if "expect_validation" not in env:
        return
    expected, told = env["expect_validation"], outcome.validation
    if expected is None or told is None:
        if expected is not None or told is not None:
            yield f"validation: expected {expected}, was {told}"
        return
    for name, value in expected.items():
        found = getattr(told, name, None)
        if isinstance(value, dict):
            found = {member: (found or {}).get(member) for member in value}
        if not _matches(value, found):
            yield f"validation: {name}: expected {value}, was {found}"


ADAPTER = RetrievalScenarios()
