"""An audit as one HTML page that needs nothing else: no network, no other file, no library.

The page's own style and script stand in it, and its content policy names both by their digests, so
nothing else runs or is fetched, whatever a tape has brought into the report. Every text of a report
is escaped besides. Nothing on the page depends on when or where it was made.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..fsm.audit import CLEAR, FOUND, UNDECIDABLE
from .audit_chart import NARROW, TENTH, WIDE, Drawing, Plot, chart, text
from .audit_text import NOTHING, PARTS
from .audit_words import (
    Left,
    bearing,
    changes,
    columns,
    counted,
    first_and_last,
    headline,
    of_outcome,
    scales,
    short_title,
    shortened,
    timeline,
)

if TYPE_CHECKING:
    from ..fsm.audit import Cited, Report, Signed, Statement, Verdict

HERE = Path(__file__).parent
EVIDENCE_SHOWN = 40
MARKS_SHOWN = 500
ROWS_SHOWN = 200
QUANTITIES_FIRST, QUANTITIES_LAST = 40, 80
SCRUB_MAX = 1500
"""Heights that the pointer stops at; of more, evenly chosen ones."""
OUTCOMES = {FOUND: "found", UNDECIDABLE: "cannot be decided", CLEAR: "clear"}
Anchors = frozenset[tuple[str, int]]
"""Entries (side, position) that the timeline of a page shows, and so can be led to."""
ALL_SAID = "`statetape audit --json` has them all"


def page(report: Report) -> Iterator[str]:
    """Yield the page, line by line."""
    style = (HERE / "audit_page.css").read_text(encoding="utf-8")
    script = (HERE / "audit_page.js").read_text(encoding="utf-8")
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    name = text(report.instance)
    yield "<!doctype html>"
    yield '<html lang="en"><head><meta charset="utf-8">'
    yield f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield '<meta name="color-scheme" content="light dark">'
    yield f"<title>Audit of {name}</title><style>{style}</style></head><body>"
    yield from _header_lines(report)
    yield "<main>"
    yield from _chart_lines(Plot(report))
    anchors = _anchors(report)
    yield from _verdict_part(report, anchors)
    for title, member in PARTS:
        yield f'<section id="{member}"><h2>{text(title)}</h2>'
        yield from _statement_lines(getattr(report, member), member, anchors)
        if member == "obtainable":
            yield from _quantity_lines(report)
            yield from _table_lines(report)
        yield "</section>"
    yield from _timeline_lines(report)
    yield "</main>"
    yield from _footer_lines(report)
    yield f"<script>{script}</script></body></html>"


def _digest(content: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}"


def _header_lines(report: Report) -> Iterator[str]:
    """Yield the answer: what was found, who bears how much; and who is concerned."""
    found, open_ = of_outcome(report, FOUND), of_outcome(report, UNDECIDABLE)
    clear = len(report.verdicts) - len(found) - len(open_)
    said = headline(report)
    yield f'<header><p class="kind">Audit: {text(report.title)}</p>'
    yield f"<h1>{text(said[0].upper() + said[1:])}</h1>"
    yield f'<p class="mono">{text(report.instance)}</p>'
    yield '<dl class="facts">'
    for role, who in report.parties.items():
        yield f"<dt>{text(role)}</dt><dd><code>{text(who)}</code></dd>"
    yield "</dl>"
    yield f'<div class="answer{" found" if found else ""}">'
    if not found:
        yield f'<p class="said">Nothing was found in {len(report.verdicts)} disputes.</p>'
    yield "<ul>"
    for one in [*found, *open_]:
        borne = bearing(one) or ("nobody bears anything" if one.outcome == FOUND else "")
        yield (
            f'<li><span class="badge {one.outcome}">{text(one.dispute)}</span>'
            f'<a href="#verdict-{text(one.dispute)}">{text(one.title)}</a>'
            f"<b>{text(borne or OUTCOMES[one.outcome])}</b></li>"
        )
    yield "</ul>"
    if clear and found:
        others = f"Clear: {counted(clear, 'other dispute', 'other disputes')}"
        yield f'<p class="places">{others} of the catalogue.</p>'
    yield "</div></header>"


# the chart


def _chart_lines(plot: Plot) -> Iterator[str]:
    if plot.empty:
        return
    yield '<section id="chart"><h2>What was deposited, promised and redeemed</h2><figure>'
    yield '<ul class="legend" aria-hidden="true">'
    for one in plot.series:
        yield (
            f'<li class="s{one.number}"><svg viewBox="0 0 26 10"><path d="M0 5H26"/></svg>'
            f"{text(one.measure.title)}</li>"
        )
    yield "</ul>"
    yield from chart(plot, WIDE)
    yield from chart(plot, NARROW)
    yield (
        '<output class="detail" aria-live="polite">Point at the chart, or move along it with the '
        "arrow keys: what holds at that height appears here.</output>"
    )
    yield f"<figcaption>{text(_caption(plot))}</figcaption></figure>"
    yield f'<script type="application/json" id="chart-data">{_chart_data(plot)}</script></section>'


def _caption(plot: Plot) -> str:
    told = "Filled marks are facts of the chain, hollow ones what one side asserts."
    if Drawing(plot, WIDE).axis.cuts():
        told += " Shaded stretches, in which nothing happened, are shorter than they were."
    nowhere = sum(one.height is None for one in plot.marks)
    if nowhere:
        told += f" Only the timeline below has {counted(nowhere, 'entry', 'entries')} of no height."
    left = len(plot.report.timeline) - len(plot.marks)
    if left:
        said = counted(left, "entry that no dispute rests on is", "entries that none rests on are")
        told += f" {said} not drawn."
    return told


def _chart_data(plot: Plot) -> str:
    """Return what the script tells of each height, as JSON that cannot end its element."""
    heights = plot.heights
    if len(heights) > SCRUB_MAX:
        last = len(heights) - 1
        heights = [heights[number * last // (SCRUB_MAX - 1)] for number in range(SCRUB_MAX)]
    data = {
        "heights": heights,
        "titles": [short_title(one.measure.title) for one in plot.series],
        "values": [[said for _, _, said in plot.said_at(height)] for height in heights],
    }
    for size in (WIDE, NARROW):
        axis = Drawing(plot, size).axis
        data[size.name] = [axis.x(height) // TENTH for height in heights]
    encoded = msgspec.json.encode(data).decode()
    for one in "<>&\u2028\u2029":
        encoded = encoded.replace(one, f"\\u{ord(one):04x}")
    return encoded


# verdicts


def _verdict_part(report: Report, anchors: Anchors) -> Iterator[str]:
    yield '<section id="verdicts"><h2>Verdicts</h2>'
    for outcome in (FOUND, UNDECIDABLE):
        for verdict in of_outcome(report, outcome):
            yield from _verdict_lines(verdict, anchors)
    clear = of_outcome(report, CLEAR)
    if clear:
        said = counted(len(clear), "dispute that is clear", "disputes that are clear")
        yield f"<details><summary>{said}, and why</summary>"
        for verdict in clear:
            yield from _verdict_lines(verdict, anchors)
        yield "</details>"
    yield "</section>"


def _verdict_lines(verdict: Verdict, anchors: Anchors) -> Iterator[str]:
    yield f'<article class="verdict" id="verdict-{text(verdict.dispute)}">'
    yield (
        f'<h3><span class="badge {verdict.outcome}">{text(verdict.dispute)}</span>'
        f"<span>{text(verdict.title)}: {OUTCOMES[verdict.outcome]}</span></h3>"
    )
    borne = bearing(verdict)
    if borne:
        yield f'<p class="borne">{text(borne[0].upper() + borne[1:])}.</p>'
    yield f"<p>{text(verdict.finding)}</p>"
    yield f'<p class="rule">Rule: {text(verdict.rule)}</p>'
    yield from _evidence_lines(verdict.entries, verdict.signatures, anchors)
    yield "</article>"


def _evidence_lines(
    entries: Sequence[Cited], signatures: Sequence[Signed], anchors: Anchors
) -> Iterator[str]:
    if not entries and not signatures:
        return
    yield '<ul class="evidence">'
    for one in entries[:EVIDENCE_SHOWN]:
        height = f", height {one.height}" if one.height is not None else ""
        yield (
            f'<li><span class="where">{_place(one, anchors)}{height}</span>'
            f"<span>{text(one.says)}</span></li>"
        )
    if len(entries) > EVIDENCE_SHOWN:
        yield f"<li>and {len(entries) - EVIDENCE_SHOWN} more entries; {ALL_SAID}</li>"
    for signed in signatures[:EVIDENCE_SHOWN]:
        holds = '<span class="holds">holds</span>'
        if not signed.valid:
            holds = '<span class="fails">does not hold</span>'
        says = f". {text(signed.says)}" if signed.says else ""
        yield (
            f'<li><span class="where">signature {holds}</span><span>over '
            f'<code title="{text(signed.over)}">{text(shortened(signed.over))}</code> by '
            f"<code>{text(signed.signer)}</code>{says}</span></li>"
        )
    if len(signatures) > EVIDENCE_SHOWN:
        yield f"<li>and {len(signatures) - EVIDENCE_SHOWN} more signatures; {ALL_SAID}</li>"
    yield "</ul>"


def _anchors(report: Report) -> Anchors:
    """Return the entries that the timeline shows."""
    shown = [one for one in timeline(report, MARKS_SHOWN) if not isinstance(one, Left)]
    return frozenset((one.cited.side, one.cited.pos) for one in shown)


def _place(cited: Cited, anchors: Anchors) -> str:
    """Return where evidence stands, leading to it in the timeline where that shows it."""
    said = f"{text(cited.side)} {cited.pos}"
    if (cited.side, cited.pos) not in anchors:
        return said
    return f'<a href="#entry-{text(cited.side)}-{cited.pos}">{said}</a>'


# the four parts


def _statement_lines(
    statements: Sequence[Statement], member: str, anchors: Anchors
) -> Iterator[str]:
    if not statements:
        yield f"<p>{NOTHING.get(member, 'nothing to say').capitalize()}.</p>"
        return
    yield '<ul class="said">'
    for one in statements:
        places = ", ".join(_place(cited, anchors) for cited in one.entries[:EVIDENCE_SHOWN])
        left = len(one.entries) - EVIDENCE_SHOWN
        more = f", and {left} more" if left > 0 else ""
        told = f' <span class="places">({places}{more})</span>' if places else ""
        yield f"<li>{text(one.text)}{told}</li>"
    yield "</ul>"


def _quantity_lines(report: Report) -> Iterator[str]:
    measures, found = columns(report), changes(report)
    if not measures or not found:
        return
    written = scales(report)
    first, left, last = first_and_last(found, QUANTITIES_FIRST, QUANTITIES_LAST)
    yield '<details open><summary>Every quantity, where it changed</summary><div class="scroll" '
    yield 'tabindex="0" role="region" aria-label="Quantities over height">'
    yield '<table class="numbers"><caption>From each height on, until the next</caption>'
    yield '<thead><tr><th scope="col">height</th>'
    for measure in measures:
        unit = written[measure.name].unit
        of = "" if unit in ("epoch", "height") else f"<br>{text(unit)}"
        yield f'<th scope="col">{text(measure.title)}{of}</th>'
    yield "</tr></thead><tbody>"
    for place, one in enumerate([*first, *last]):
        if left and place == len(first):
            yield f'<tr><td colspan="{1 + len(measures)}">{left} more; {ALL_SAID}</td></tr>'
        cells = "".join(
            f"<td>{'–' if value is None else written[measure.name].show(int(value))}</td>"
            for measure in measures
            for value in [one.values.get(measure.name)]
        )
        yield f'<tr><th scope="row">{one.height}</th>{cells}</tr>'
    yield "</tbody></table></div></details>"


def _table_lines(report: Report) -> Iterator[str]:
    for one in report.tables:
        yield f'<h3>{text(one.title)}</h3><div class="scroll" tabindex="0" role="region" '
        yield f'aria-label="{text(one.title)}"><table><thead><tr>'
        yield "".join(f'<th scope="col">{text(name)}</th>' for name in one.columns)
        yield "</tr></thead><tbody>"
        for row in one.rows[:ROWS_SHOWN]:
            first, *others = row
            cells = "".join(f"<td>{text(cell)}</td>" for cell in others)
            yield f'<tr><th scope="row">{text(first)}</th>{cells}</tr>'
        left = len(one.rows) - ROWS_SHOWN
        if left > 0:
            yield f'<tr><td colspan="{len(one.columns)}">{left} more; {ALL_SAID}</td></tr>'
        yield "</tbody></table></div>"


# timeline and sources


def _timeline_lines(report: Report) -> Iterator[str]:
    yield '<section id="timeline"><h2>Timeline</h2>'
    yield "<p>On the left what the chain did, on the right what one side alone asserts.</p>"
    yield '<div class="heads" aria-hidden="true"><span>chain</span><span>height</span>'
    yield '<span>asserted by one side</span></div><ol class="timeline">'
    told: dict[tuple[str, int], None] = {}
    last = ""
    for one in timeline(report, MARKS_SHOWN):
        if isinstance(one, Left):
            between = f", heights {one.first} to {one.last}" if one.first is not None else ""
            yield f'<li class="left"><span class="what">… {one.marks} more{between}</span></li>'
            continue
        place = (one.cited.side, one.cited.pos)
        anchor = f' id="entry-{text(place[0])}-{place[1]}"' if place not in told else ""
        told[place] = None
        height = "–" if one.height is None else str(one.height)
        same, last = (" same" if height == last else ""), height
        yield (
            f'<li class="{one.kind}"{anchor}><span class="height{same}">{height}</span>'
            f'<span class="what">{text(one.says)} '
            f'<span class="who">{text(one.cited.side)} {one.cited.pos}</span></span></li>'
        )
    yield "</ol></section>"


def _footer_lines(report: Report) -> Iterator[str]:
    """Yield what was read, exactly enough for somebody else to read the same."""
    yield "<footer><h2>What was read</h2>"
    yield "<p>Whoever has these tapes, or a bundle of them, can check every line above: the"
    yield "numbers beside it are positions on a tape, and the tape's root covers each of them.</p>"
    for one in report.tapes:
        yield f"<h3>{text(one.side)}</h3>"
        yield '<dl class="facts">'
        for name, said in (
            ("tape", one.origin),
            ("entries", str(one.size)),
            ("root", one.root),
            ("key", one.vkey),
        ):
            yield f"<dt>{name}</dt><dd><code>{text(said)}</code></dd>"
        yield "</dl>"
    yield f"<p>Format {text(report.format)}.</p></footer>"
