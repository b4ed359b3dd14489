"""Conformance: scenario files run through the real engine, each case on a fresh tape.

After its steps every tape is replayed, so that a case also shows that its outcomes follow from
what was recorded.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..fsm.errors import CallerError, StatetapeError
from ..fsm.machine import Row, State
from ..fsm.scenario import Adapter, Result, Step
from . import catalogue
from .commands import Create, Observe, Receipt, Send
from .engine import Engine
from .replay import Replayer


class ScenarioInvalid(CallerError):
    """A scenario file cannot be read as one."""

    code = "scenario-invalid"


@dataclass(frozen=True)
class Failure:
    """One thing that did not come out as the scenario says."""

    file: str
    case: str
    step: str
    message: str

    def __str__(self) -> str:
        """One line: file, case, step, and what was expected and what was found."""
        where = ", ".join(part for part in (self.case, self.step) if part)
        return " ".join(f"{self.file}: {where}: {self.message}".split())


@dataclass(frozen=True)
class CaseResult:
    """One case: its name and what failed (nothing: it passed)."""

    file: str
    case: str
    failures: list[Failure]


def read_cases(path: Path) -> list[Any]:
    """Return the cases in a scenario file. Raises ScenarioInvalid."""
    try:
        cases = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ScenarioInvalid(f"cannot read: {error.strerror}", place=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise ScenarioInvalid(f"not JSON: {error}", place=str(path)) from None
    if not isinstance(cases, list):
        raise ScenarioInvalid("a scenario file is a list of cases", place=str(path))
    return cases


def conform(path: Path) -> Iterator[CaseResult]:
    """Run every case of a file, and yield how it ended."""
    adapters: list[Adapter] = list(catalogue.adapters())
    for number, case in enumerate(read_cases(path), 1):
        name = str(case.get("name", number)) if isinstance(case, dict) else str(number)
        adapter = next((one for one in adapters if one.recognises(case)), None)
        if adapter is None:
            why = "no system here knows this format"
            failures = [Failure(str(path), name, "", why)]
        else:
            failures = list(_run_case(str(path), name, adapter, case))
        yield CaseResult(str(path), name, failures)


def _run_case(file: str, name: str, adapter: Adapter, case: Any) -> Iterator[Failure]:
    try:
        for variant, steps in adapter.runs(case):
            label = f"{name} [{variant}]" if variant else name
            for step, message in _run(steps):
                yield Failure(file, label, step, message)
    except (LookupError, TypeError, ValueError, AttributeError, StatetapeError) as error:
        why = f"the case is malformed: {type(error).__name__}: {error}"
        yield Failure(file, name, "", why)


def _run(steps: list[Step]) -> Iterator[tuple[str, str]]:
    """Run the steps on a fresh tape, then replay it; yields (step, what is wrong)."""
    with (
        tempfile.TemporaryDirectory(prefix="statetape-conform-") as folder,
        Engine.open(Path(folder) / "case.db") as engine,
    ):
        for step in steps:
            try:
                messages = step.check(_play(engine, step))
            except StatetapeError as error:
                messages = [f"{error.code}: {error}"]
            for message in messages:
                yield step.label, message
        report = Replayer().run(engine.tape.read())
        if report.difference is not None:
            yield "replay", f"position {report.difference.pos}: {report.difference.why}"


def _play(engine: Engine, step: Step) -> Result:
    """Run one step: observe its height if it is new, then its command at that height."""
    if step.chain is not None and step.height is not None:
        head = engine.world.height(step.chain)
        if head is None or head < step.height:
            engine.execute(Observe(step.chain, step.height))
    name = f"{step.machine}/{step.key}"
    event, params = step.event, step.params
    if event is None and step.existing is not None and engine.world.instance(name) is not None:
        event, params = step.existing
    command: Create | Send
    if event is None:
        machine = catalogue.machine(step.machine)
        if step.state is not None:
            params = {field: params[field] for field in params if field in machine.fields}
        command = Create(machine, name, params, height=step.height, state=step.state)
    else:
        command = Send(name, event, params, height=step.height)
    before = engine.world.instance(name)
    rows = before.machine.table[before.state].get(event or "", ()) if before else ()
    return _result(engine, name, engine.execute(command), rows)


def _result(engine: Engine, name: str, receipt: Receipt, rows: Sequence[Row]) -> Result:
    """Return what a command came to; `rows` are those that it may have taken, in order."""
    instance = engine.world.instance(name)
    entered = None
    sure = next((i for i, row in enumerate(rows, 1) if row.when is None), len(rows))
    if receipt.accepted and any(row.same or row.to is not None for row in rows[:sure]):
        entered = receipt.state
    return Result(
        outcome=receipt.outcome,
        reason=receipt.reason,
        effects=receipt.effects or [],
        exists=instance is not None,
        state=instance.state if instance else None,
        data=instance.machine.freeze(instance.data) if instance else {},
        entered=entered,
        fields=tuple(instance.machine.fields) if instance else (),
        asks=_asks(instance.machine.states[instance.state]) if instance else (),
    )


def _asks(state: State) -> tuple[str, ...]:
    """Return the names of what entering a state makes the outside do."""
    return tuple(effect.name for effect in state.entry if not effect.raises)
