"""What every rendering of an audit says alike: amounts, headlines, evidence, what is left out.

Texts of a report quote what is on tapes, and so what a hostile peer wrote. `plain` makes of them
one line without control characters; each rendering then escapes what its own form gives a meaning
to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ..fsm.audit import CLEAR, FOUND, UNDECIDABLE
from ..fsm.composite import BUILTIN
from ..fsm.types import Amount

if TYPE_CHECKING:
    from ..fsm.audit import Cited, Mark, Measure, Quantities, Report, Signed, Verdict

HEIGHTS = ("epoch", "height")
"""Units of measures whose values are heights themselves: a deadline, say."""
ORDER = (FOUND, UNDECIDABLE, CLEAR)
ID_CHARS = 16
COSTLY_SHOWN = 2

Of = TypeVar("Of")


def plain(text: str) -> str:
    """Return a text on one line, with escapes for whatever would steer a screen.

    Also for what changes the direction of writing, or cannot be seen.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape", "surrogatepass").decode()
        for one in text
    )


def show_amount(value: str | None, unit: str | None) -> str:
    """Return an amount as people read it: exact, in the unit's larger name where it is large."""
    if value is None:
        return "none"
    kind = BUILTIN.get(unit or "")
    if isinstance(kind, Amount):
        return kind.show(int(value))
    return f"{value} {unit}" if unit and unit not in HEIGHTS else value


class Scale(NamedTuple):
    """In which unit all values of a measure are written, and its power of ten."""

    unit: str
    power: int

    def show(self, value: int) -> str:
        """Return a value in this unit, exactly, without naming it."""
        whole, rest = divmod(abs(value), 10**self.power)
        tail = f".{rest:0{self.power}d}".rstrip("0") if rest else ""
        return f"{'-' if value < 0 else ''}{whole}{tail}"


def scale_of(unit: str, largest: int) -> Scale:
    """Return how values of a unit are written next to each other, of which this is the largest."""
    kind = BUILTIN.get(unit)
    if isinstance(kind, Amount):
        power = kind.decimals[kind.main]
        if largest >= 10 ** (power - 6):
            return Scale(kind.main, power)
    return Scale(unit, 0)


def sorted_verdicts(report: Report) -> list[Verdict]:
    """Return the verdicts: found, undecidable, clear; of each kind as the catalogue goes."""
    return sorted(report.verdicts, key=lambda one: ORDER.index(one.outcome))


def of_outcome(report: Report, outcome: str) -> list[Verdict]:
    """Return the verdicts of one outcome."""
    return [one for one in report.verdicts if one.outcome == outcome]


def headline(report: Report) -> str:
    """Return the whole audit in one sentence."""
    found = of_outcome(report, FOUND)
    open_ = of_outcome(report, UNDECIDABLE)
    undecided = f"{len(open_)} cannot be decided" if open_ else ""
    if not found:
        looked = f"no dispute found: {len(report.verdicts)} looked at"
        return ", ".join(filter(None, (looked, undecided)))
    told = f"{counted(len(found), 'dispute', 'disputes')} found"
    costly = [one for one in found if one.amount is not None and bearing(one)]
    if len(found) == 1 and bearing(found[0]):
        told = f"{told}: {bearing(found[0])}"
    elif costly:
        more = ", …" if len(costly) > COSTLY_SHOWN else ""
        borne = ", ".join(f"{bearing(one)} ({one.dispute})" for one in costly[:COSTLY_SHOWN])
        told = f"{told}: {borne}{more}"
    return ", ".join(filter(None, (told, undecided)))


def counted(number: int, one: str, many: str) -> str:
    """Return a number with the word that goes with it."""
    return f"{number} {one if number == 1 else many}"


def bearing(verdict: Verdict) -> str:
    """Return who bears it, and how much; "" where nobody does."""
    amount = "" if verdict.amount is None else show_amount(verdict.amount, verdict.unit)
    if verdict.bearer == "nobody":
        return f"{amount}, borne by nobody" if amount else ""
    if verdict.bearer == "undecided":
        return f"who bears {amount or 'it'} is undecided"
    return f"the {verdict.bearer} bears {amount or 'it'}"


def cited_words(cited: Cited) -> str:
    """Return where a piece of evidence stands."""
    height = f", height {cited.height}" if cited.height is not None else ""
    return f"{cited.side} {cited.pos}{height}"


def signed_words(signed: Signed) -> str:
    """Return what a signature shows."""
    holds = "holds" if signed.valid else "DOES NOT HOLD"
    says = f": {signed.says}" if signed.says else ""
    return f"signature over {shortened(signed.over)} by {signed.signer} {holds}{says}"


def shortened(identifier: str) -> str:
    """Return the beginning of a long identifier."""
    return identifier if len(identifier) <= ID_CHARS + 1 else f"{identifier[:ID_CHARS]}…"


def first_and_last(rows: Sequence[Of], first: int, last: int) -> tuple[list[Of], int, list[Of]]:
    """Return the first rows, how many are left out, and the last ones."""
    if len(rows) <= first + last:
        return list(rows), 0, []
    return list(rows[:first]), len(rows) - first - last, list(rows[-last:])


def short_title(title: str) -> str:
    """Return a measure's name where there is little room: what stands before its explanation."""
    return title.partition(":")[0]


def heading(measure: Measure, scale: Scale) -> str:
    """Return how a column of a measure's values is headed."""
    title = short_title(measure.title)
    return title if scale.unit in HEIGHTS else f"{title} ({scale.unit})"


def changes(report: Report) -> list[Quantities]:
    """Return the quantities of the heights at which any of them changed."""
    found: list[Quantities] = []
    for one in report.quantities:
        if not found or one.values != found[-1].values:
            found.append(one)
    return found


def columns(report: Report) -> list[Measure]:
    """Return the measures that ever have a value."""
    named = {
        name for one in report.quantities for name, value in one.values.items() if value is not None
    }
    return [measure for measure in report.measures if measure.name in named]


def scales(report: Report) -> dict[str, Scale]:
    """Return how each measure is written: measures of one unit alike."""
    largest: dict[str, int] = {}
    units = {measure.name: measure.unit for measure in report.measures}
    for one in report.quantities:
        for name, value in one.values.items():
            if value is not None and name in units:
                unit = units[name]
                largest[unit] = max(largest.get(unit, 0), abs(int(value)))
    return {name: scale_of(unit, largest.get(unit, 0)) for name, unit in units.items()}


class Left(NamedTuple):
    """Marks of the timeline that a rendering leaves out: how many, and between which heights."""

    marks: int
    first: int | None
    last: int | None


def timeline(report: Report, limit: int, *, spread: bool = False) -> list[Mark | Left]:
    """Return at most `limit` marks, and what was left out between them.

    What a verdict rests on that is not clear stays first, then what the chain did, then the rest;
    of those that do not all fit the first ones, or (`spread`) evenly chosen ones.
    """
    marks = report.timeline
    if len(marks) <= limit:
        return list(marks)
    cited = {
        (one.side, one.pos)
        for verdict in report.verdicts
        if verdict.outcome != CLEAR
        for one in verdict.entries
    }
    classes: tuple[list[int], list[int], list[int]] = ([], [], [])
    for number, mark in enumerate(marks):
        rests = (mark.cited.side, mark.cited.pos) in cited
        classes[0 if rests else 1 if mark.kind == "chain" else 2].append(number)
    kept: set[int] = set()
    for numbers in classes:
        left = limit - len(kept)
        kept.update(_spread(numbers, left) if spread else numbers[:left])
    shown: list[Mark | Left] = []
    for number, mark in enumerate(marks):
        if number in kept:
            shown.append(mark)
            continue
        last = shown[-1] if shown else None
        if isinstance(last, Left):
            shown[-1] = Left(last.marks + 1, last.first, mark.height)
        else:
            shown.append(Left(1, mark.height, mark.height))
    return shown


def _spread(numbers: Sequence[int], limit: int) -> Sequence[int]:
    """Return at most `limit` of these, evenly chosen."""
    if len(numbers) <= limit:
        return numbers
    return [numbers[place * len(numbers) // limit] for place in range(limit)]
