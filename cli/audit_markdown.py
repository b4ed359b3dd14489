"""An audit as Markdown, for a ticket or a mail: the same order as on a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..fsm.audit import CLEAR
from .audit_text import NOTHING, PARTS, WORDS
from .audit_words import (
    Left,
    bearing,
    changes,
    cited_words,
    columns,
    first_and_last,
    heading,
    headline,
    plain,
    scales,
    signed_words,
    sorted_verdicts,
    timeline,
)

if TYPE_CHECKING:
    from ..fsm.audit import Cited, Report, Signed, Verdict

MARKS_SHOWN = 200
ROWS_SHOWN = 100
QUANTITIES_FIRST, QUANTITIES_LAST = 20, 40
EVIDENCE_SHOWN = 20
_SPECIAL = re.compile(
    r"([\\`*\[\]<>|~&$@]|(?<!\w)_|_(?!\w)|^[#+\-=]|(?<=^\d)[.)]|(?<=:)/|(?<=www)\.)"
)


def report_lines(report: Report, *, everything: bool = False) -> Iterator[str]:
    """Yield the whole report; `everything`: all evidence and rows as well."""
    yield f"# Audit of {code(report.instance)}"
    yield ""
    yield f"**{escaped(headline(report))}.** {escaped(report.title)}."
    yield ""
    for role, who in report.parties.items():
        yield f"- {escaped(role)}: {code(who)}"
    for one in report.tapes:
        yield (
            f"- {escaped(one.side)}: {code(one.origin)}, {one.size} entries, root {code(one.root)},"
            f" key {code(one.vkey)}"
        )
    yield ""
    yield "## Verdicts"
    for verdict in sorted_verdicts(report):
        if verdict.outcome != CLEAR or everything:
            yield ""
            yield from _verdict_lines(verdict, everything=everything)
    yield from _clear_lines(report, everything=everything)
    for title, name in PARTS:
        yield ""
        yield f"## {title}"
        yield ""
        for statement in getattr(report, name):
            places = ", ".join(f"{one.side} {one.pos}" for one in statement.entries)
            yield f"- {escaped(statement.text)}{f' ({places})' if places else ''}"
        if not getattr(report, name):
            yield f"{NOTHING.get(name, 'nothing to say').capitalize()}."
        if name == "obtainable":
            yield from _quantity_lines(report, everything=everything)
            yield from _table_lines(report, everything=everything)
    yield ""
    yield "## Timeline"
    yield ""
    yield from _timeline_lines(report, everything=everything)


def escaped(text: str) -> str:
    """Return a text without any meaning to Markdown or HTML, on one line."""
    return _SPECIAL.sub(r"\\\1", plain(text))


def code(text: str) -> str:
    """Return a text as code, whatever backticks it has."""
    shown = plain(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    edge = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{edge}{shown}{edge}{fence}"


def _cell(text: str) -> str:
    return escaped(text) or " "


def _verdict_lines(verdict: Verdict, *, everything: bool) -> Iterator[str]:
    yield f"### {WORDS[verdict.outcome]}: {escaped(verdict.dispute)} {escaped(verdict.title)}"
    yield ""
    borne = bearing(verdict)
    if borne:
        yield f"**{escaped(borne[0].upper() + borne[1:])}.**"
        yield ""
    yield escaped(verdict.finding)
    yield ""
    yield f"*Rule:* {escaped(verdict.rule)}"
    yield from _evidence_lines(verdict.entries, verdict.signatures, everything=everything)


def _evidence_lines(
    entries: Sequence[Cited], signatures: Sequence[Signed], *, everything: bool
) -> Iterator[str]:
    if entries or signatures:
        yield ""
    shown = len(entries) if everything else EVIDENCE_SHOWN
    for one in entries[:shown]:
        yield f"- {escaped(cited_words(one))}: {escaped(one.says)}"
    if len(entries) > shown:
        yield f"- … and {len(entries) - shown} more entries"
    shown = len(signatures) if everything else EVIDENCE_SHOWN
    for signed in signatures[:shown]:
        yield f"- {escaped(signed_words(signed))}"
    if len(signatures) > shown:
        yield f"- … and {len(signatures) - shown} more signatures"


def _clear_lines(report: Report, *, everything: bool) -> Iterator[str]:
    clear = [one for one in report.verdicts if one.outcome == CLEAR]
    if clear and not everything:
        yield ""
        yield "### Clear"
        yield ""
        for one in clear:
            yield f"- {escaped(one.dispute)} {escaped(one.title)}: {escaped(one.finding)}"


def _rows(header: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: bool) -> Iterator[str]:
    yield f"| {' | '.join(map(_cell, header))} |"
    yield f"|{'|'.join(['---:' if numbers else '---'] * len(header))}|"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"


def _quantity_lines(report: Report, *, everything: bool) -> Iterator[str]:
    measures, found = columns(report), changes(report)
    if not measures or not found:
        return
    written = scales(report)
    header = ["height", *(heading(one, written[one.name]) for one in measures)]
    limits = (len(found), 0) if everything else (QUANTITIES_FIRST, QUANTITIES_LAST)
    first, left, last = first_and_last(found, *limits)
    rows = []
    for one in [*first, *last]:
        values = [one.values.get(measure.name) for measure in measures]
        shown = [
            "" if value is None else written[measure.name].show(int(value))
            for measure, value in zip(measures, values, strict=True)
        ]
        rows.append([str(one.height), *shown])
    if left:
        rows.insert(len(first), [f"… {left} more", *[""] * len(measures)])
    yield ""
    yield from _rows(header, rows, numbers=True)


def _table_lines(report: Report, *, everything: bool) -> Iterator[str]:
    for one in report.tables:
        shown = len(one.rows) if everything else ROWS_SHOWN
        yield ""
        yield f"### {escaped(one.title)}"
        yield ""
        yield from _rows(one.columns, one.rows[:shown], numbers=False)
        if len(one.rows) > shown:
            yield ""
            yield f"… and {len(one.rows) - shown} more."


def _timeline_lines(report: Report, *, everything: bool) -> Iterator[str]:
    rows = []
    for one in timeline(report, len(report.timeline) if everything else MARKS_SHOWN):
        if isinstance(one, Left):
            rows.append(["", "", "", f"… {one.marks} more"])
            continue
        height = "" if one.height is None else str(one.height)
        place = f"{one.cited.side} {one.cited.pos}"
        rows.append([height, "chain" if one.kind == "chain" else "private", place, one.says])
    yield from _rows(["height", "track", "entry", "what happened"], rows, numbers=False)
