"""An audit on a terminal: the verdict first, then the four parts, what cannot be decided last."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..fsm.audit import CLEAR, FOUND, UNDECIDABLE
from .audit_words import (
    HEIGHTS,
    bearing,
    changes,
    cited_words,
    columns,
    first_and_last,
    heading,
    headline,
    of_outcome,
    plain,
    scales,
    shortened,
    signed_words,
    sorted_verdicts,
)
from .output import table_lines

if TYPE_CHECKING:
    from ..fsm.audit import Cited, Report, Signed, Statement, Verdict

LINE_CHARS = 98
EVIDENCE_SHOWN = 6
QUANTITIES_FIRST, QUANTITIES_LAST = 4, 12
ROWS_SHOWN = 12
ROWS_FEW = 3
CELL_CHARS = 44
WORDS = {FOUND: "FOUND", UNDECIDABLE: "UNDECIDABLE", CLEAR: "clear"}
PARTS = (
    ("1. What the chain did, and whether it obeyed its rules", "chain"),
    ("2. What each side could still have obtained", "obtainable"),
    ("3. Whose claim a signature or a receipt contradicts", "contradicted"),
    ("4. What cannot be decided", "undecidable"),
)
"""The parts of a report in their order, and the member that holds each."""
NOTHING = {"contradicted": "nobody's", "undecidable": "nothing"}


def report_lines(report: Report, *, everything: bool = False) -> Iterator[str]:
    """Yield the whole report; `everything`: clear verdicts, and all evidence and rows as well."""
    for line in _all_lines(report, everything=everything):
        yield plain(line)


def _all_lines(report: Report, *, everything: bool) -> Iterator[str]:
    yield f"{report.instance}: {headline(report)}"
    for verdict in sorted_verdicts(report):
        if verdict.outcome != CLEAR or everything:
            yield ""
            yield from _verdict_lines(verdict, everything=everything)
    clear = of_outcome(report, CLEAR)
    if clear and not everything:
        yield ""
        told = f"clear: {', '.join(one.dispute for one in clear)} (--all says why)"
        yield from _wrapped(told, "", "  ")
    for title, name in PARTS:
        yield ""
        yield title
        statements: Sequence[Statement] = getattr(report, name)
        if not statements:
            yield f"  {NOTHING.get(name, 'nothing to say')}"
        for one in statements:
            yield from _statement_lines(one, everything=everything)
        if name == "obtainable":
            yield from _quantity_lines(report, everything=everything)
            yield from _table_lines(report, everything=everything)
    yield ""
    yield from _source_lines(report)


def _wrapped(text: str, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        LINE_CHARS,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _verdict_lines(verdict: Verdict, *, everything: bool) -> Iterator[str]:
    yield f"{WORDS[verdict.outcome]}  {verdict.dispute}  {verdict.title}"
    borne = bearing(verdict)
    if borne:
        yield f"  {borne}"
    yield from _wrapped(verdict.finding, "  ", "  ")
    yield from _wrapped(f"rule: {verdict.rule}", "  ", "    ")
    yield from _evidence_lines(verdict.entries, verdict.signatures, "  ", everything=everything)


def _evidence_lines(
    entries: Sequence[Cited], signatures: Sequence[Signed], indent: str, *, everything: bool
) -> Iterator[str]:
    shown = len(entries) if everything else EVIDENCE_SHOWN
    for cited in entries[:shown]:
        yield from _wrapped(f"[{cited_words(cited)}] {cited.says}", indent, f"{indent}    ")
    if len(entries) > shown:
        yield f"{indent}… and {len(entries) - shown} more entries (--all)"
    shown = len(signatures) if everything else EVIDENCE_SHOWN
    for signed in signatures[:shown]:
        yield from _wrapped(f"[{signed_words(signed)}]", indent, f"{indent}    ")
    if len(signatures) > shown:
        yield f"{indent}… and {len(signatures) - shown} more signatures (--all)"


def _statement_lines(one: Statement, *, everything: bool) -> Iterator[str]:
    if everything:
        yield from _wrapped(f"- {one.text}", "  ", "    ")
        yield from _evidence_lines(one.entries, one.signatures, "    ", everything=True)
        return
    told = ", ".join(f"{cited.side} {cited.pos}" for cited in one.entries[:EVIDENCE_SHOWN])
    more = len(one.entries) - EVIDENCE_SHOWN
    if told:
        told = f" [{told}{f', and {more} more' if more > 0 else ''}]"
    yield from _wrapped(f"- {one.text}{told}", "  ", "    ")


def _quantity_lines(report: Report, *, everything: bool) -> Iterator[str]:
    measures, rows = columns(report), changes(report)
    if not everything:
        measures = [one for one in measures if one.charted or one.unit in HEIGHTS]
    if not rows or not measures:
        return
    written = scales(report)
    header = ["height", *(heading(one, written[one.name]) for one in measures)]
    first, left, last = first_and_last(
        rows, *((len(rows), 0) if everything else (QUANTITIES_FIRST, QUANTITIES_LAST))
    )
    cells = []
    for one in [*first, *last]:
        cells.append([str(one.height)])
        for measure in measures:
            value = one.values.get(measure.name)
            shown = "-" if value is None else written[measure.name].show(int(value))
            cells[-1].append(shown)
    lines = [f"  {line}" for line in _right(header, cells)]
    if left:
        place = len(lines) - len(last)
        lines.insert(place, f"  … {left} more heights at which something changed (--all)")
    yield ""
    yield from lines


def _right(header: list[str], cells: list[list[str]]) -> list[str]:
    """Return the lines of a table of numbers: headers in as many lines as they need."""
    heads = [textwrap.wrap(one, 12, break_long_words=False) or [""] for one in header]
    high = max(len(one) for one in heads)
    heads = [[""] * (high - len(one)) + one for one in heads]
    rows = [list(row) for row in zip(*heads, strict=True)] + cells
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]


def _table_lines(report: Report, *, everything: bool) -> Iterator[str]:
    for one in report.tables:
        shown = len(one.rows) if everything else ROWS_SHOWN
        yield ""
        yield f"  {one.title}"
        rows = [[_cell(cell, whole=everything) for cell in row] for row in one.rows[:shown]]
        alike = [] if everything else _alike(one.rows)
        yield from (f"  {line}" for line in table_lines(*_without(one.columns, rows, alike)))
        if alike:
            told = "; ".join(
                f"{one.columns[place]}: {plain(one.rows[0][place]) or '-'}" for place in alike
            )
            yield from _wrapped(f"of each: {told}", "  ", "    ")
        if len(one.rows) > shown:
            yield f"  … and {len(one.rows) - shown} more (--all)"


def _alike(rows: Sequence[Sequence[str]]) -> list[int]:
    """Return the columns in which all rows say the same; none where there are few rows."""
    if len(rows) < ROWS_FEW:
        return []
    return [place for place, column in enumerate(zip(*rows, strict=True)) if len({*column}) == 1]


def _without(
    header: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]
) -> tuple[list[str], list[list[str]]]:
    """Return a table without some columns."""
    kept = [place for place in range(len(header)) if place not in left]
    return [header[place] for place in kept], [[row[place] for place in kept] for row in rows]


def _cell(cell: str, *, whole: bool) -> str:
    shown = plain(cell)
    return shown if whole or " " in shown or len(shown) <= CELL_CHARS else shortened(shown)


def _source_lines(report: Report) -> Iterator[str]:
    """Yield what was read: who the parties are, and exactly how much of which tape."""
    yield f"read: {report.title}"
    for role, who in report.parties.items():
        yield f"  {role} {who}"
    for one in report.tapes:
        yield f"  {one.side}: {one.origin}, {one.size} entries, root {one.root}"
