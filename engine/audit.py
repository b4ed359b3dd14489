"""Audit an instance: gather what one tape, or both sides' tapes, say of it and what belongs to it.

What follows from the entries is the system's to say (its `audits.py`, found by the catalogue).
Here they are gathered: reading only, from tapes that were compared with their anchors, in order of
position, in as many queries as there are hundreds of entries, however many instances they are of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from ..fsm.audit import OURS, THEIRS, Auditor, Book, Cited, Report, Statement
from ..fsm.entry import Entry, decode
from ..fsm.errors import CallerError
from ..storage import projection
from . import catalogue
from .commands import InstanceUnknown
from .inspect import Inspector

MEANT_SHOWN = 5


class Belonging(NamedTuple):
    """An instance of an audit: where it was created, its name, and how many entries it has."""

    pos: int
    name: str
    seq: int


class AuditImpossible(CallerError):
    """No system says how instances of that machine are audited."""

    code = "audit-impossible"


class SameTape(CallerError):
    """The counterparty's tape is our own, or a copy of it: one side cannot be compared with itself.

    A tape is known by the name in its checkpoints, whatever its file is called.
    """

    code = "same-tape"


def audit(
    inspector: Inspector,
    name: str,
    counterparty: Inspector | None = None,
    *,
    timeline: bool = True,
) -> Report:
    """Return the audit of an instance, given whole or by its key alone.

    `inspector` has our tape open, `counterparty` the other side's. `timeline`: with it, for
    whoever shows it. Raises InstanceUnknown,
    AuditImpossible, SameTape, TapeDamaged, and what the system's auditor raises.
    """
    instance, auditor = audited(inspector, name)
    if counterparty is not None and counterparty.reader.origin == inspector.reader.origin:
        place = str(counterparty.reader.files.tape)
        why = f"it is {inspector.reader.origin}, the tape that it should be compared with"
        raise SameTape(why, place=place, hint="name the other side's tape")
    books = [book(OURS, inspector, auditor.belonging(instance))]
    if counterparty is not None:
        books.append(book(THEIRS, counterparty, auditor.belonging(instance)))
        if not books[1].entries:
            place = str(counterparty.reader.files.tape)
            why = f"nothing on the counterparty's tape belongs to {instance}"
            raise InstanceUnknown(why, place=place, hint="is this the other side's tape?")
    report = auditor.report(instance, books, timeline=timeline)
    lost = list(collected(OURS, inspector, auditor.belonging(instance)))
    if counterparty is not None:
        lost += collected(THEIRS, counterparty, auditor.belonging(instance))
    return replace(report, undecidable=(*report.undecidable, *lost)) if lost else report


def collected(side: str, inspector: Inspector, belonging: Sequence[str]) -> Iterator[Statement]:
    """Yield what nobody can tell any more, since a tape's entries about it were collected."""
    world = inspector.world
    if not world.any_gone:
        return
    matches = _matching(belonging)
    gone = {**world.gone, **projection.gone(inspector.reader)}
    found = sorted((pos, name) for name, pos in gone.items() if matches(name))
    if found:
        told = ", ".join(name for _, name in found[:MEANT_SHOWN])
        more = f" and {len(found) - MEANT_SHOWN} more" if len(found) > MEANT_SHOWN else ""
        entries = tuple(
            Cited(side, pos, "instances were collected")
            for pos in sorted({pos for pos, _ in found})
        )
        why = f"What is gone from the tape ({side}): {told}{more} belonged to it and was collected."
        yield Statement(why, entries)


def audited(inspector: Inspector, name: str) -> tuple[str, Auditor]:
    """Return the instance that `name` means among those that can be audited, and its auditor.

    Raises InstanceUnknown, AuditImpossible.
    """
    meant = inspector.named(name)
    audits: dict[tuple[str, ...], tuple[str, Auditor]] = {}
    for one in meant:
        auditor = auditor_of(one)
        if auditor is not None:
            # Names to which the same belongs are one audit; it bears the name that comes first.
            belonging = tuple(auditor.belonging(one))
            if belonging not in audits or one == belonging[0]:
                audits[belonging] = (one, auditor)
    found = list(audits.values())
    if len(found) == 1:
        return found[0]
    if found:
        told = ", ".join(one for one, _ in found[:MEANT_SHOWN])
        why = f"{len(found)} instances that can be audited have the key {name!r}"
        raise InstanceUnknown(why, hint=f"did you mean {told}?")
    one = inspector.find(name)  # or it says what comes near
    machine = one.partition("/")[0]
    machines = [told for told in catalogue.paths() if auditor_of(f"{told}/") is not None]
    hint = f"audited are instances of {', '.join(machines)}" if machines else ""
    raise AuditImpossible(f"nobody says how a {machine} is audited", hint=hint)


def auditor_of(instance: str) -> Auditor | None:
    """Return who audits an instance of that name, or None."""
    machine = instance.partition("/")[0]
    return next((one for one in catalogue.auditors() if one.audits(machine)), None)


def book(side: str, inspector: Inspector, belonging: Sequence[str]) -> Book:
    """Return what one tape says of the instances of these names (see Auditor.belonging).

    Raises TapeDamaged where the index does not lead to an instance's entries, all of them.
    """
    reader = inspector.reader
    instances = belonging_on(inspector, belonging)
    size = inspector.world.size
    return Book(
        side=side,
        origin=reader.origin,
        vkey=reader.signers()[-1].text,
        size=size,
        root=reader.edge_at(size).root().hex(),
        names={one.pos: one.name for one in instances},
        entries=list(_entries(inspector, instances)),
        heads={chain: height for chain, (height, _) in inspector.world.heads.items()},
    )


def belonging_on(inspector: Inspector, belonging: Sequence[str]) -> list[Belonging]:
    """Return the instances on a tape that have these names, by position.

    A name that ends in `/` stands for every instance whose name begins with it.
    """
    whole = sorted(name for name in belonging if not name.endswith("/"))
    begins = sorted(name for name in belonging if name.endswith("/"))
    matches = _matching(belonging)
    found = {}
    for row in projection.instances_named(inspector.reader, whole, begins):
        found[row.pos] = Belonging(row.pos, row.name, row.seq)
    for folded in inspector.world.tail():
        if matches(folded.name):
            found[folded.pos] = Belonging(folded.pos, folded.name, folded.seq)
    return [found[pos] for pos in sorted(found)]


def _matching(belonging: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a name is one of those that belong, or begins as one that ends in `/`."""
    whole = frozenset(belonging)
    begins = tuple(name for name in belonging if name.endswith("/"))
    return lambda name: name in whole or name.startswith(begins)


def _entries(inspector: Inspector, instances: Sequence[Belonging]) -> Iterator[Entry]:
    """Yield the entries of these instances, in order of position. Raises TapeDamaged.

    The index that finds them is only a projection, so what it finds is checked.
    """
    owners: dict[int, int] = {}
    for instance, positions in inspector.histories([one.pos for one in instances]).items():
        for pos in positions:
            if pos in owners:
                raise projection.misled(instance)
            owners[pos] = instance
    seqs = dict.fromkeys((one.pos for one in instances), 0)
    wanted = sorted(owners)
    for pos, body in zip(wanted, inspector.reader.bodies_of(wanted), strict=True):
        entry = decode(body, f"entry {pos}")
        owner = owners[pos]
        seqs[owner] += 1
        if entry.pos != pos or seqs[owner] != entry.seq or owner not in (entry.instance, pos):
            raise projection.misled(owner)
        yield entry
    for one in instances:
        if seqs[one.pos] != one.seq:
            raise projection.misled(one.pos)
