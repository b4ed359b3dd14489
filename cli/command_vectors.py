"""`vectors`: published test vectors, run through this verifier."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .options import JsonOption
from .output import say, say_json

if TYPE_CHECKING:
    from ..engine.vectors import Run

SHOWN_MAX = 50


def add(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(rich_help_panel="Decide and prove")(vectors)


def vectors(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of test vectors.")],
    json: JsonOption = False,
) -> int:
    """Run test vectors of Merkle proofs, signed notes and tlog-proofs, and compare the verdicts.

    Counts what was run by section, and names each vector that this verifier judges otherwise; exits
    with 1 if there is one, or a section that it does not know. docs/reference/vectors.md has the
    sections and their members.
    """
    from ..engine.vectors import run_file

    runs = [run_file(file) for file in files]
    if json:
        say_json([_as_json(run) for run in runs])
    else:
        for run in runs:
            for line in _lines(run):
                say(line)
    return EXIT_DONE if all(run.agrees for run in runs) else EXIT_FINDING


def _as_json(run: Run) -> dict[str, Any]:
    sections = {
        name: {
            "total": section.total,
            "disagreements": [
                {"name": one.name, "message": one.disagreement} for one in section.disagreements
            ],
        }
        for name, section in run.sections.items()
    }
    told = {"file": run.file, "agrees": run.agrees, "total": run.total}
    return {**told, "sections": sections, "unknown": run.unknown}


def _lines(run: Run) -> list[str]:
    lines = [run.file]
    for name, section in run.sections.items():
        wrong = len(section.disagreements)
        told = f"{wrong} disagree" if wrong else "all agree"
        lines.append(f"  {name:<22}{section.total:>6}  {told}")
        lines += [
            f"    {one.name}: {one.disagreement}" for one in section.disagreements[:SHOWN_MAX]
        ]
        if wrong > SHOWN_MAX:
            lines.append(f"    … and {wrong - SHOWN_MAX} more; --json tells them")
    lines += [f"  {name}: this section is not known, and was not run" for name in run.unknown]
    if not run.total:
        lines.append("  nothing was run: no section that is known")
    return [*lines, f"  {run.total} vectors, {run.disagreements} disagreements"]
