"""`spec`: the machines themselves: list, show, check, conform, diagram."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING, SpecError
from .options import JsonOption
from .output import progress, say, say_json, table

if TYPE_CHECKING:
    from ..fsm.machine import Machine

MachineArgument = Annotated[str, typer.Argument(help="A bundled machine's name, or its file.")]

spec = typer.Typer(no_args_is_help=True, help="Machines: list, show, check, conform, draw.")


def add(app: typer.Typer) -> None:
    """Add this group to the app."""
    app.add_typer(spec, name="spec", rich_help_panel="Machines and vouchers")


@spec.command("list")
def list_machines(json: JsonOption = False) -> int:
    """List the bundled machines."""
    from ..engine import catalogue

    machines = [catalogue.machine(name) for name in catalogue.paths()]
    if json:
        say_json([_summary(machine) for machine in machines])
    else:
        rows = [[m.name, str(m.version), m.title, m.digest[:12]] for m in machines]
        table(["machine", "version", "title", "digest"], rows)
    return EXIT_DONE


def _summary(machine: Machine) -> dict[str, object]:
    return {
        "machine": machine.name,
        "version": machine.version,
        "title": machine.title,
        "digest": machine.digest,
        "chain": machine.chain,
    }


@spec.command()
def show(
    machine: MachineArgument,
    text: Annotated[bool, typer.Option("--text", help="Print the file itself.")] = False,
    json: JsonOption = False,
) -> int:
    """Show a machine: its states, its events and what each takes, its data."""
    from ..engine import catalogue
    from .values import takes

    found = catalogue.find(machine)
    if text:
        say(found.text.rstrip())
        return EXIT_DONE
    if json:
        events = {
            event.name: {
                "params": {param.name: param.type.name for param in event.params},
                "accepted_in": found.accepted_in(event.name),
            }
            for event in found.events.values()
        }
        states = {
            s.name: {"final": s.final, "accepts": found.accepts(s.name)}
            for s in found.states.values()
        }
        data = {field.name: field.type.name for field in found.fields.values()}
        say_json({**_summary(found), "states": states, "events": events, "data": data})
        return EXIT_DONE
    say(f"{found.name}, version {found.version}: {found.title}")
    say(f"digest {found.digest}")
    if found.spec.about:
        say(f"\n{found.spec.about}")
    say("\nbegins with")
    say(f"  {takes(found.create)}")
    say("\nstates")
    for state in found.states.values():
        mark = " (initial)" if state.name == found.initial else " (final)" if state.final else ""
        say(f"  {state.name}{mark}")
        for timer in state.timers:
            say(f"    timer {timer.name}: {timer.kind} {timer.value.text} → {timer.event}")
    say("\nevents")
    for event in found.events.values():
        say(f"  {takes(event)}")
        say(f"    in {', '.join(found.accepted_in(event.name)) or 'no state'}")
    say("\ndata")
    for field in found.fields.values():
        say(f"  {field.name}: {field.type.name}")
    return EXIT_DONE


@spec.command()
def check(
    machines: Annotated[
        list[str] | None, typer.Argument(help="Names or files (default: all bundled).")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Check machines: states that cannot be reached or left, rows that never match, type errors,
    and invariants that a bounded search can break (with the shortest sequence that does).

    One line per finding, with file, line and column; exits with 1 if there is an error.
    """
    from ..engine import catalogue
    from ..fsm.check import ERROR, Finding
    from ..fsm.check import check as check_machine

    findings: list[Finding] = []
    names = machines or list(catalogue.paths())
    for name in names:
        try:
            findings += check_machine(catalogue.find(name))
        except SpecError as error:
            findings.append(Finding(error.place, ERROR, error.message))
    errors = sum(1 for one in findings if one.level == ERROR)
    if json:
        said = [{"place": o.place, "level": o.level, "message": o.message} for o in findings]
        say_json({"checked": len(names), "errors": errors, "findings": said})
    else:
        for one in findings:
            say(str(one))
        say(f"{len(names)} checked, {errors} errors, {len(findings) - errors} warnings")
    return EXIT_FINDING if errors else EXIT_DONE


@spec.command()
def conform(
    files: Annotated[list[Path], typer.Argument(help="Scenario files.")],
    json: JsonOption = False,
) -> int:
    """Run scenario files through the real engine, each case on a fresh tape.

    One line per failure, and last `N passed, N failed`; exits with 1 if any failed.
    """
    from ..engine.conform import conform as run
    from ..engine.conform import read_cases

    cases = [(file, len(read_cases(file))) for file in files]
    passed = 0
    failures = []
    failed = 0
    with progress("running", sum(count for _, count in cases)) as report:
        for file, _ in cases:
            for result in run(file):
                passed += not result.failures
                failed += bool(result.failures)
                report(passed + failed)
                failures += result.failures
                if not json:
                    for failure in result.failures:
                        say(str(failure))
    if json:
        said = [
            {"file": f.file, "case": f.case, "step": f.step, "message": f.message} for f in failures
        ]
        say_json({"passed": passed, "failed": failed, "failures": said})
    else:
        say(f"{passed} passed, {failed} failed")
    return EXIT_FINDING if failed else EXIT_DONE


@spec.command()
def diagram(
    machine: MachineArgument,
    form: Annotated[
        str, typer.Option("--format", help="mermaid or graphviz.", metavar="FORMAT")
    ] = "mermaid",
) -> int:
    """Draw a machine as Mermaid or Graphviz text."""
    from ..engine import catalogue
    from ..fsm.diagram import FORMATS
    from ..fsm.diagram import diagram as draw

    if form not in FORMATS:
        raise typer.BadParameter(f"{form!r} is not one of {', '.join(FORMATS)}")
    say(draw(catalogue.find(machine), form))
    return EXIT_DONE
