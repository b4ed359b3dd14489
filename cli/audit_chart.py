"""The audit's chart as SVG: deposits, promises and redemptions over height, and who did what when.

Everything is computed with integers (tenths of a pixel), so the same report gives the same bytes.
The axis of heights is to scale, but for long quiet stretches: those are cut short, and the axis
shows where. Below it, on the same axis, lie the tracks of the timeline: what the chain did, what
each side asserts. Where there are more points than columns, a column shows its least, its greatest
and its last value.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from ..fsm.audit import OURS
from .audit_words import HEIGHTS, Left, Scale, changes, plain, scales, short_title, timeline

if TYPE_CHECKING:
    from ..fsm.audit import Mark, Measure, Report

TENTH = 10
QUIET_MAX = 4
"""Stretches that are cut short: the longest ones."""
QUIET_SHARE = 8
"""A cut stretch takes at most this part (one in so many) of the width."""
POINTS_SHOWN = 300
"""Points of a line that are drawn as points; a line of more is only a line."""
MARKS_SHOWN = 400
STACK_MAX = 4
SERIES_MAX = 6
CHARACTER = 66
"""About how wide a character is, in tenths of a pixel."""


class Mapped(NamedTuple):
    """A piece of the axis of heights, and where it lies, in tenths of a pixel."""

    first: int
    last: int
    left: int
    right: int
    cut: bool


@dataclass(frozen=True)
class Size:
    """How large the chart is, in pixels: one for a desk, one for a phone."""

    name: str
    width: int
    height: int
    left: int
    right: int
    ticks: int


WIDE = Size("wide", 960, 300, 74, 164, 8)
NARROW = Size("narrow", 344, 250, 50, 14, 3)
TOP = 34
EDGE = 8 * TENTH
"""What the axis of heights leaves free on either side, in tenths of a pixel."""
TRACK = 52
"""Height of a track of the timeline, in pixels."""


class Axis:
    """Heights from left to right, long quiet stretches cut short."""

    def __init__(self, heights: Sequence[int], left: int, right: int) -> None:
        """`heights`: all at which something happens, ascending; `left`, `right`: in tenths."""
        self.first, self.last = heights[0], heights[-1]
        quiet = _quiet(heights)
        width = right - left
        short = width // max(QUIET_SHARE, 3 * len(quiet)) if quiet else 0
        loud = width - short * len(quiet)
        span = max(1, self.last - self.first - sum(end - start for start, end in quiet))
        self.pieces: list[Mapped] = []
        at, passed, begin = left, 0, self.first
        for start, end in [*quiet, (self.last, self.last)]:
            passed += start - begin
            upto = left + short * len([p for p in self.pieces if p.cut]) + loud * passed // span
            self.pieces.append(Mapped(begin, start, at, upto, cut=False))
            at, begin = upto, end
            if start != end:
                self.pieces.append(Mapped(start, end, at, at + short, cut=True))
                at += short
        self._begins = [piece.first for piece in self.pieces]

    def x(self, height: int) -> int:
        """Return where a height lies, in tenths of a pixel."""
        height = min(max(height, self.first), self.last)
        piece = self.pieces[max(0, bisect_right(self._begins, height) - 1)]
        span = piece.last - piece.first
        if not span:
            return piece.left
        return piece.left + (piece.right - piece.left) * (height - piece.first) // span

    def cuts(self) -> list[Mapped]:
        """Return the stretches that are cut short."""
        return [piece for piece in self.pieces if piece.cut]

    def ticks(self, count: int) -> Iterator[int]:
        """Yield round heights, about so many, far enough from one another and from the cuts."""
        loud = [piece for piece in self.pieces if not piece.cut and piece.right > piece.left]
        width = sum(piece.right - piece.left for piece in loud) or 1
        last = None
        for piece in loud:
            wanted = max(1, count * (piece.right - piece.left) // width)
            step = round_step(max(1, piece.last - piece.first), wanted)
            height = -(-piece.first // step) * step
            while height <= piece.last:
                if last is None or self.x(height) - last >= 52 * TENTH:
                    last = self.x(height)
                    yield height
                height += step


def _quiet(heights: Sequence[int]) -> list[tuple[int, int]]:
    """Return the stretches in which nothing happens that would take most of the axis."""
    gaps = [(end - start, start, end) for start, end in pairwise(heights) if end > start]
    if len(gaps) < 2:
        return []
    median = sorted(gaps)[len(gaps) // 2][0]
    whole = heights[-1] - heights[0]
    long = [one for one in gaps if one[0] > 6 * median and one[0] * QUIET_SHARE > whole]
    longest = sorted(long, reverse=True)[:QUIET_MAX]
    return sorted((start, end) for _, start, end in longest)


def round_step(span: int, count: int) -> int:
    """Return 1, 2 or 5 times a power of ten that divides `span` into at most `count` parts."""
    power = 1
    while True:
        for factor in (1, 2, 5):
            if span <= factor * power * count:
                return factor * power
        power *= 10


def number(tenths: int) -> str:
    """Return tenths of a pixel as SVG writes them."""
    whole, rest = divmod(abs(tenths), TENTH)
    return f"{'-' if tenths < 0 else ''}{whole}{f'.{rest}' if rest else ''}"


@dataclass(frozen=True)
class Series:
    """A line of the chart: a measure, and its value from each height on."""

    measure: Measure
    number: int
    steps: list[tuple[int, int]]


class Plot:
    """What a chart of a report shows: its lines, upright marks, and tracks."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.scales = scales(report)
        self.quantities = changes(report)
        charted = [one for one in report.measures if one.charted]
        self.series = [
            Series(measure, place, steps)
            for place, measure in enumerate(
                [one for one in charted if one.unit not in HEIGHTS][:SERIES_MAX], 1
            )
            if (steps := self._steps(measure))
        ]
        self.uprights = self._uprights([one for one in report.measures if one.unit in HEIGHTS])
        self.marks: list[Mark] = [
            one for one in timeline(report, MARKS_SHOWN, spread=True) if not isinstance(one, Left)
        ]
        heights = {one.height for one in self.quantities}
        heights |= {height for height, _ in self.uprights}
        heights |= {one.height for one in self.marks if one.height is not None}
        self.heights = sorted(heights)
        self.top = max((value for one in self.series for _, value in one.steps), default=0)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not self.heights

    def _steps(self, measure: Measure) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        for one in self.quantities:
            value = one.values.get(measure.name)
            if value is not None and (not found or found[-1][1] != int(value)):
                found.append((one.height, int(value)))
        return found

    def _uprights(self, measures: Sequence[Measure]) -> list[tuple[int, str]]:
        """Return the heights that measures name, each with what it is."""
        found: dict[int, list[str]] = {}
        for measure in measures:
            last = None
            for one in self.quantities:
                value = one.values.get(measure.name)
                if value is not None and value != last:
                    titles = found.setdefault(int(value), [])
                    if measure.title not in titles:
                        titles.append(measure.title)
                    last = value
        return [(height, ", ".join(found[height])) for height in sorted(found)]

    def tracks(self) -> list[tuple[str, str]]:
        """Return the tracks that have marks: (name, title)."""
        sides = dict.fromkeys(one.cited.side for one in self.marks if one.kind == "private")
        found = [("chain", "chain")] if any(one.kind == "chain" for one in self.marks) else []
        ordered = sorted(sides, key=lambda side: (side != OURS, side))
        return found + [(side, f"{side}, asserted") for side in ordered]

    def said_at(self, height: int) -> list[tuple[str, str, str]]:
        """Return (measure, title, value in words) of all that is charted, at a height."""
        place = bisect_right([one.height for one in self.quantities], height) - 1
        values = self.quantities[place].values if place >= 0 else {}
        found = []
        for one in self.series:
            value = values.get(one.measure.name)
            scale = self.scales[one.measure.name]
            said = "none" if value is None else f"{scale.show(int(value))} {scale.unit}"
            found.append((one.measure.name, one.measure.title, said))
        return found


def text(words: str) -> str:
    """Return words as SVG and HTML take them, whatever is in them."""
    return escape(plain(words), quote=True)


def chart(plot: Plot, size: Size) -> Iterator[str]:
    """Yield the lines of one SVG."""
    drawing = Drawing(plot, size)
    name = size.name
    tracks = plot.tracks()
    bottom = TOP + size.height
    whole = bottom + 44 + TRACK * len(tracks)
    titles = [short_title(one.measure.title) for one in plot.series]
    yield (
        f'<svg class="chart {name}" viewBox="0 0 {size.width} {whole}" role="group" '
        f'aria-labelledby="{name}-title {name}-desc">'
    )
    yield f'<title id="{name}-title">{text(", ".join(titles) or "events")} over height</title>'
    yield f'<desc id="{name}-desc">{text(_described(plot))}</desc>'
    yield from drawing.grid(bottom)
    yield from drawing.uprights(bottom)
    for one in plot.series:
        yield from drawing.line(one)
    yield from drawing.labels()
    yield from drawing.tracks(tracks, bottom + 44)
    yield from drawing.slider(bottom)
    yield "</svg>"


def _described(plot: Plot) -> str:
    """Return what the chart shows, in words."""
    told = [f"Heights {plot.heights[0]} to {plot.heights[-1]}."]
    for one in plot.series:
        scale = plot.scales[one.measure.name]
        first, last = one.steps[0], one.steps[-1]
        if len(one.steps) == 1:
            told.append(f"{one.measure.title}: {scale.show(first[1])} {scale.unit} throughout.")
        else:
            told.append(
                f"{one.measure.title}: from {scale.show(first[1])} at {first[0]} "
                f"to {scale.show(last[1])} {scale.unit} at {last[0]}, in {len(one.steps)} steps."
            )
    told += [f"{title}: {height}." for height, title in plot.uprights]
    return " ".join(told)


class Drawing:
    """One size of a chart: where things lie, and their SVG."""

    def __init__(self, plot: Plot, size: Size) -> None:
        self.plot = plot
        self.size = size
        self.left = size.left * TENTH
        self.right = (size.width - size.right) * TENTH
        self.axis = Axis(plot.heights, self.left + EDGE, self.right - EDGE)
        self.step = round_step(max(1, plot.top), 5)
        self.most = max(1, -(-plot.top // self.step)) * self.step

    def y(self, value: int) -> int:
        """Return where a value lies, in tenths of a pixel."""
        high = self.size.height * TENTH
        return TOP * TENTH + high - high * max(0, value) // self.most

    def grid(self, bottom: int) -> Iterator[str]:
        """Yield both axes: round values and heights, and where the heights are cut."""
        unit = self._scale()
        left, right = number(self.left), number(self.right)
        yield '<g class="grid" aria-hidden="true">'
        if self.plot.series:
            yield f'<text class="unit" x="{left}" y="{TOP - 12}" dx="-6">{text(unit.unit)}</text>'
            for value in range(0, self.most + 1, self.step):
                y = number(self.y(value))
                yield f'<line x1="{left}" y1="{y}" x2="{right}" y2="{y}"/>'
                said = unit.show(value)
                yield f'<text class="value" x="{left}" y="{y}" dx="-6" dy="4">{said}</text>'
        for height in self.axis.ticks(self.size.ticks):
            x = number(self.axis.x(height))
            yield f'<line class="tick" x1="{x}" y1="{bottom}" x2="{x}" y2="{bottom + 5}"/>'
            yield f'<text class="height" x="{x}" y="{bottom + 19}">{height}</text>'
        for cut in self.axis.cuts():
            yield from self._cut(cut, bottom)
        yield "</g>"

    def _scale(self) -> Scale:
        series = self.plot.series
        return self.plot.scales[series[0].measure.name] if series else Scale("", 0)

    def _cut(self, cut: Mapped, bottom: int) -> Iterator[str]:
        left, wide = number(cut.left), number(cut.right - cut.left)
        middle = number((cut.left + cut.right) // 2)
        yield (
            f'<rect class="cut" x="{left}" y="{TOP}" width="{wide}" height="{self.size.height}"/>'
        )
        told = f"{cut.last - cut.first} quiet" if self.size.name == "wide" else "//"
        yield f'<text class="cut" x="{middle}" y="{bottom - 6}">{told}</text>'

    def uprights(self, bottom: int) -> Iterator[str]:
        """Yield the heights that count: when settling ends, say. Labels do not cover each other."""
        free = [0, 0]
        for height, title in self.plot.uprights:
            x = self.axis.x(height)
            told = f"{title} {height}" if self.size.name == "wide" else str(height)
            wide = len(told) * CHARACTER
            begin = min(max(x - wide // 2, self.left), self.size.width * TENTH - wide)
            row = 0 if begin > free[0] else 1
            free[row] = begin + wide + 8 * TENTH
            at = number(x)
            yield f'<g class="upright" data-height="{height}">'
            yield f"<title>{text(title)}: {height}</title>"
            yield f'<line x1="{at}" y1="{14 + 13 * row}" x2="{at}" y2="{bottom}"/>'
            yield f'<text x="{number(begin)}" y="{10 + 13 * row}">{text(told)}</text></g>'

    def line(self, series: Series) -> Iterator[str]:
        """Yield a measure's line, which goes on level until its value changes, and its points."""
        scale = self.plot.scales[series.measure.name]
        name, title = text(series.measure.name), short_title(series.measure.title)
        yield f'<g class="series s{series.number}" data-measure="{name}">'
        steps = self._thinned(series.steps)
        x, y = self.axis.x(steps[0][0]), self.y(steps[0][1])
        path = [f"M{number(x)} {number(y)}"]
        for height, value in steps[1:]:
            path.append(f"H{number(self.axis.x(height))}V{number(self.y(value))}")
        path.append(f"H{number(self.right)}")
        yield f'<path d="{"".join(path)}"/>'
        if len(series.steps) <= POINTS_SHOWN:
            for height, value in series.steps:
                at = f'cx="{number(self.axis.x(height))}" cy="{number(self.y(value))}"'
                said = f"{title} {scale.show(value)} {scale.unit} from {height} on"
                yield (
                    f'<circle class="point" {at} r="3" data-height="{height}" '
                    f'data-value="{value}"><title>{text(said)}</title></circle>'
                )
        yield "</g>"

    def _thinned(self, steps: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Return what can be seen: of a column of pixels its least, greatest and last value."""
        if len(steps) <= POINTS_SHOWN:
            return steps
        columns: dict[int, list[tuple[int, int]]] = {}
        for step in steps:
            columns.setdefault(self.axis.x(step[0]) // TENTH, []).append(step)
        found = [steps[0]]
        for column in columns.values():
            extremes = {min(column, key=_value), max(column, key=_value)}
            found += [*sorted(extremes), column[-1]]
        return found

    def labels(self) -> Iterator[str]:
        """Yield the lines' names at their ends, moved apart where they meet. A phone has none."""
        if self.size.name != "wide":
            return
        ends = sorted((self.y(one.steps[-1][1]), one.number, one) for one in self.plot.series)
        places: list[int] = []
        for y, _, _ in ends:
            places.append(max(y, places[-1] + 15 * TENTH) if places else y)
        over = places[-1] - (TOP + self.size.height) * TENTH if places else 0
        if over > 0:
            places = [place - over for place in places]
        for place, (_, _, one) in zip(places, ends, strict=True):
            x = number(self.right + 8 * TENTH)
            yield (
                f'<text class="name s{one.number}" x="{x}" y="{number(place + 4 * TENTH)}" '
                f'aria-hidden="true">{text(short_title(one.measure.title))}</text>'
            )

    def tracks(self, tracks: Sequence[tuple[str, str]], top: int) -> Iterator[str]:
        """Yield the timeline's tracks; the marks of each lie above one another where they meet."""
        left, right = number(self.left), number(self.right)
        for row, (name, title) in enumerate(tracks):
            base = top + TRACK * (row + 1) - 10
            yield f'<g class="track {"chain" if name == "chain" else "private"}" role="list" '
            yield f'aria-label="{text(title)}">'
            yield f'<line x1="{left}" y1="{base}" x2="{right}" y2="{base}" aria-hidden="true"/>'
            x = number(self.left - 6 * TENTH)
            shown = title.partition(",")[0]
            yield f'<text class="side" x="{x}" y="{base + 4}" aria-hidden="true">{shown}</text>'
            of_track = [
                one
                for one in self.plot.marks
                if one.height is not None
                and (one.kind == "chain" if name == "chain" else one.kind == "private")
                and (name in ("chain", one.cited.side))
            ]
            yield from self._marks(of_track, base)
            yield "</g>"

    def _marks(self, marks: Sequence[Mark], base: int) -> Iterator[str]:
        piles: dict[int, int] = {}
        for mark in marks:
            column = self.axis.x(mark.height or 0) // (9 * TENTH)
            piles[column] = piles.get(column, 0) + 1
        for column, high in piles.items():
            if high > STACK_MAX:
                x, y = column * 9 + 4, base - 9 * STACK_MAX + 1
                thinned = len(self.plot.marks) < len(self.plot.report.timeline)
                more = "+" if thinned else f"+{high - STACK_MAX}"
                yield f'<text class="more" x="{x}" y="{y}" aria-hidden="true">{more}</text>'
        piles = {}
        for place, mark in enumerate(marks):
            x = self.axis.x(mark.height or 0)
            column = x // (9 * TENTH)
            level = piles[column] = piles.get(column, 0) + 1
            y = base - 9 * (min(level, STACK_MAX) - 1)
            said = f"height {mark.height}, {mark.cited.side} {mark.cited.pos}: {mark.says}"
            at = number(x)
            if mark.kind == "chain":
                shape = f'<path d="M{at} {y - 5}l5 5l-5 5l-5 -5z"/>'
            else:
                shape = f'<circle cx="{at}" cy="{y}" r="4"/>'
            yield (
                f'<g class="mark" role="listitem" tabindex="{0 if place == 0 else -1}" '
                f'data-side="{text(mark.cited.side)}" data-pos="{mark.cited.pos}" '
                f'data-height="{mark.height}" aria-label="{text(said)}">'
                f"<title>{text(said)}</title>{shape}</g>"
            )

    def slider(self, bottom: int) -> Iterator[str]:
        """Yield the line that a pointer or the arrow keys move along the heights."""
        wide = number(self.right - self.left)
        first, last = self.plot.heights[0], self.plot.heights[-1]
        yield f'<g class="cross" hidden="hidden"><line y1="{TOP}" y2="{bottom}"/></g>'
        yield (
            f'<rect class="scrub" x="{number(self.left)}" y="{TOP}" width="{wide}" '
            f'height="{self.size.height}" tabindex="0" role="slider" aria-label="height" '
            f'aria-valuemin="{first}" aria-valuemax="{last}" aria-valuenow="{last}"/>'
        )


def _value(step: tuple[int, int]) -> int:
    return step[1]
