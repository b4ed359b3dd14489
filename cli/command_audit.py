"""`audit`: what the chain did, what each side could have had, whose claim is contradicted."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .looking import looking, uncollected
from .options import DEFAULT_TAPE, AnchorOption, InstanceArgument, JsonOption, TapeOption
from .output import UsageInvalid, say, say_json

if TYPE_CHECKING:
    from ..fsm.audit import Report


def add(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(rich_help_panel="Decide and prove")(audit)


def audit(
    instance: InstanceArgument,
    counterparty: Annotated[
        Path | None,
        typer.Option("--counterparty", help="The other side's tape: both sides are compared."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Clear verdicts too, and all evidence and rows.")
    ] = False,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print Markdown instead of text.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Write a page to this file: chart, timeline, evidence."),
    ] = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    json: JsonOption = False,
) -> int:
    """Decide every dispute about an instance from what is on one tape, or on both sides' tapes.

    Says what was found and who bears how much; then what the chain did and whether it obeyed its
    rules, what each side could still have obtained at each height, whose claim a signature or a
    receipt contradicts, and last what cannot be decided. Every verdict names the positions and
    signatures that it rests on.

    The page of --html is one file that needs no network. Exit code 1: a dispute was found.
    """
    if markdown and json:
        raise UsageInvalid("--markdown and --json are two forms of the same: choose one")
    with uncollected():
        told = json or markdown or html is not None  # a terminal shows no timeline
        found = _report(instance, tape, anchor, counterparty, html, timeline=told)
        if html is not None:
            _write_page(found, html)
        if json:
            _say_report(found)
        else:
            _say_lines(found, markdown=markdown, everything=everything)
            if html is not None and not markdown:
                say(f"page: {html}")
    disputed = any(verdict.outcome == "found" for verdict in found.verdicts)
    return EXIT_FINDING if disputed else EXIT_DONE


def _say_lines(report: Report, *, markdown: bool, everything: bool) -> None:
    from . import audit_markdown, audit_text

    form = audit_markdown if markdown else audit_text
    for line in form.report_lines(report, everything=everything):
        say(line)


def _report(
    instance: str,
    tape: Path,
    anchor: Path | None,
    counterparty: Path | None,
    html: Path | None,
    *,
    timeline: bool,
) -> Report:
    """Read the tapes; an output that is a file of theirs is refused before anything is written."""
    from ..engine.audit import audit as audited
    from .whole_file import refuse_own

    with ExitStack() as held:
        ours = held.enter_context(looking(tape, anchor))
        theirs = None
        if counterparty is not None:
            theirs = held.enter_context(looking(counterparty, None))
        if html is not None:
            for one in filter(None, (ours, theirs)):
                refuse_own(html, one.reader.files)
        return audited(ours, instance, theirs, timeline=timeline)


def _say_report(report: Report) -> None:
    """Print a report as JSON. It can be long, and where the output is UTF-8 it is so at once."""
    import msgspec

    if sys.stdout.encoding.lower() == "utf-8":
        say(msgspec.json.encode(report).decode())
    else:
        say_json(msgspec.to_builtins(report))


def _write_page(report: Report, path: Path) -> None:
    from ..storage.files import failed
    from .audit_page import page
    from .whole_file import whole_file

    try:
        with whole_file(path) as out:
            for line in page(report):
                out.write(f"{line}\n".encode())
    except OSError as error:
        raise failed(error, path) from error
