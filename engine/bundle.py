"""Dispute bundles: what goes into one, and the two steps of verifying that need statetape.

Exporting gathers, reading only: the instance with what it is linked with, their entries and
machines, the states that these fold to, and the signed objects that a system finds in them.
Verifying runs the verifier's steps, then decides every instance's entries again by the machine's
text in the bundle (10b), and asks the system what no text can change (11).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, NamedTuple

from ..fsm import fold
from ..fsm.entry import ENTRY_BYTES_MAX, Entry, check_canonical, decode
from ..fsm.errors import CallerError, StatetapeError
from ..fsm.evidence import Checker
from ..storage import bundle
from ..storage.bundle import Content
from ..storage.checkpoints import signed
from ..storage.verifier import VerifierKey
from ..storage.verifier.dispute import Bundle, Problem, named, printable
from . import catalogue
from .audit import auditor_of, belonging_on
from .inspect import Inspector, Point
from .links import group_of
from .replay import Replayer

INSTANCES_MAX = 10_000
_HOSTILE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What replaying entries can raise that no machine of ours has decided."""


class PeerKeyInvalid(CallerError):
    """What was given as a peer's key is no public key that a system here knows."""

    code = "peer-key-invalid"


class BundleEmpty(CallerError):
    """Nothing of the instance is at or before that point, or under a signed checkpoint."""

    code = "bundle-empty"


@dataclass
class Exported:
    """A bundle's bytes, what is in it, and what its maker should know."""

    content: bytes = field(repr=False)
    main: str
    origin: str
    size: int
    instances: list[str]
    entries: int
    objects: int
    vkeys: list[str]
    notes: list[str] = field(default_factory=list)


class Chosen(NamedTuple):
    """An instance that goes into a bundle, with its entries."""

    pos: int
    name: str
    spec: int
    bodies: list[bytes]


def export(
    inspector: Inspector,
    name: str,
    others: Sequence[str] = (),
    *,
    alone: bool = False,
    upto: Point | None = None,
    now: int,
) -> Exported:
    """Return a bundle about the instance `name` (whole, or its key alone) and what belongs to it.

    `others`: instances to add; `alone`: none but these. Raises InstanceUnknown, EntryCollected,
    BundleEmpty, BundleTooLarge, NotSigned, TapeDamaged.
    """
    reader = inspector.reader
    main = inspector.find(name)
    notes: list[str] = []
    size = signed(reader).checkpoint.size
    if inspector.world.size > size:
        notes.append(f"the tape has {inspector.world.size} entries; only {size} are signed")
    wanted = dict.fromkeys([main, *map(inspector.find, others)])
    if not alone:
        wanted |= dict.fromkeys(_linked(inspector, main, now, notes))
    chosen = []
    for one in wanted:
        found = _choose(inspector, one, size, upto)
        if found.bodies:
            chosen.append(found)
        elif one == main:
            raise BundleEmpty(f"{one} has no entry that is signed and asked for")
    if len(chosen) > INSTANCES_MAX:
        why = f"{len(chosen)} instances belong; at most {INSTANCES_MAX} go into a bundle"
        raise bundle.BundleTooLarge(why, hint="choose them: --alone and --with")
    content = _content(inspector, chosen)
    made = bundle.build(reader, content, f"statetape {metadata.version('statetape')}")
    keys = [key.text for key in reader.signers()]
    names = [one.name for one in sorted(chosen)]
    many = len(content.entries)
    return Exported(made, main, reader.origin, size, names, many, len(content.objects), keys, notes)


def _linked(inspector: Inspector, name: str, now: int, notes: list[str]) -> Iterator[str]:
    """Yield what belongs to an instance: as its system says, and what it is linked with."""
    auditor = auditor_of(name)
    if auditor is not None:
        for one in belonging_on(inspector, auditor.belonging(name)):
            yield one.name
    group = group_of(inspector, name, now)
    yield from group.names
    notes += [f"not in the bundle: {one.name} ({one.via}): {one.why}" for one in group.missing]
    if group.more:
        notes.append("more instances are linked than were looked at: name them (--with)")


def _choose(inspector: Inspector, name: str, size: int, upto: Point | None) -> Chosen:
    """Return an instance's entries that are signed, and not beyond `upto`."""
    folded = inspector.show(name).folded
    bodies = []
    for body in inspector.bodies(folded.pos):
        entry = decode(body)
        if entry.pos > size or (upto is not None and not upto.includes(entry)):
            break
        bodies.append(body)
    return Chosen(folded.pos, name, folded.spec, bodies)


def _content(inspector: Inspector, chosen: Sequence[Chosen]) -> Content:
    """Return what goes into the bundle: entries, machines, states, objects."""
    specs = sorted({one.spec for one in chosen})
    entries = dict(zip(specs, inspector.reader.bodies_of(specs), strict=True))
    machines = {pos: decode(body, f"entry {pos}").text or "" for pos, body in entries.items()}
    objects: dict[str, dict[str, None]] = {}
    for one in chosen:
        decoded = [decode(body) for body in one.bodies]
        entries |= {entry.pos: body for entry, body in zip(decoded, one.bodies, strict=True)}
        for checker in _checkers(one.name):
            for name, texts in checker.objects(decoded).items():
                objects.setdefault(name, {}).update(dict.fromkeys(texts))
    ordered = {pos: entries[pos] for pos in sorted(entries)}
    instances: dict[int, fold.Folded] = {}
    states = []
    for pos, body in ordered.items():
        fold.fold([body], instances)
        owner = instances.get(fold.step(body).instance or pos)
        if owner is not None:
            told = {"instance": owner.pos, "pos": pos, "seq": owner.seq, "state": owner.state}
            states.append(told)
    rows = {pos: _row(instances[pos]) for pos in sorted(instances)}
    return Content(ordered, machines, states, rows, {k: list(v) for k, v in objects.items()})


def _row(folded: fold.Folded) -> dict[str, Any]:
    """Return an instance as a bundle's replay.json knows it."""
    return {
        "data": folded.data,
        "last": folded.last,
        "name": folded.name,
        "pos": folded.pos,
        "seq": folded.seq,
        "spec": folded.spec,
        "state": folded.state,
    }


def _checkers(name: str) -> list[Checker]:
    machine = name.partition("/")[0]
    return [one for one in catalogue.checkers() if one.checks(machine)]


# verifying


@dataclass
class Verified:
    """A bundle with everything that was found: `problems` of all steps, in order."""

    bundle: Bundle
    problems: list[Problem]
    held: list[str] = field(default_factory=list)
    """What the systems found to be so, in words."""
    open: list[str] = field(default_factory=list)
    """What could not be checked, and why."""
    decided: int = 0
    """Instances whose entries were decided again, every byte as recorded."""
    final: list[str] = field(default_factory=list)
    """Those of them that no later entry can change."""

    @property
    def lines(self) -> list[str]:
        """What was found, for people."""
        held = [f"deciding again gives the same bytes: {self.decided} of {len(self.bundle.rows)}"]
        held += [f"final, no later entry can change it: {name}" for name in self.final]
        lines = self.bundle.told(self.problems, [*held, *self.held])
        return [*lines, *(f"  {printable(one)}" for one in self.open)]


def peer_keys(texts: Sequence[str]) -> list[str]:
    """Return public keys of peers in their one form, by whichever system knows such keys.

    Raises what the last system that was asked raises.
    """
    found = []
    for text in texts:
        refused: StatetapeError | None = None
        for checker in catalogue.checkers():
            try:
                found.append(checker.peer(text))
                break
            except StatetapeError as error:
                refused = error
        else:
            why = refused.message if refused else "no system knows such keys"
            raise PeerKeyInvalid(f"not a peer's key: {why}", place=f"--peer-key {text}")
    return found


def verify(
    data: bytes,
    logs: Sequence[VerifierKey],
    witnesses: Sequence[VerifierKey] = (),
    threshold: int = 0,
    peers: Sequence[str] = (),
) -> Verified:
    """Return everything that is wrong with a bundle's bytes, and what holds. Never raises."""
    found = Bundle(data, logs, witnesses, threshold)
    result = Verified(found, list(found.problems))
    instances = _instances(found, result.problems)
    # One machine after the other: a bundle that goes to and fro would have each loaded again.
    for pos in sorted(instances, key=lambda pos: (found.rows[pos]["spec"], pos)):
        _decide_again(found, pos, instances[pos], result)
    _check_raised(found, instances, result.problems)
    by_name = {str(found.rows[pos]["name"]): instances[pos] for pos in sorted(instances)}
    _ask_systems(found, by_name, peers, result)
    result.problems.sort()
    return result


def _instances(found: Bundle, problems: list[Problem]) -> dict[int, list[Entry]]:
    """Return the entries of each instance; those that are no entries of ours are a problem."""
    instances: dict[int, list[Entry]] = {}
    for pos in sorted(found.entries):
        place = f"entries/{pos:012}.json"
        try:
            entry = check_canonical(found.members[place], place)
        except (StatetapeError, *_HOSTILE) as error:
            problems.append(Problem(10, "entry-not-ours", place, printable(str(error)[:500])))
            continue
        if entry.tape is None:
            owner = entry.instance or pos
            if owner in found.rows:
                instances.setdefault(owner, []).append(entry)
    for pos in sorted(found.rows.keys() - instances.keys()):
        why = "no command created this instance"
        problems.append(Problem(10, "entry-not-ours", f"entries/{pos:012}.json", why))
    return instances


def _decide_again(found: Bundle, pos: int, entries: Sequence[Entry], result: Verified) -> None:
    """Step 10b: the machine in the bundle decides the instance's entries as they are."""
    row = found.rows[pos]
    name = named(str(row["name"]))
    bodies = [_body(found, one) for one in (row["spec"], *(entry.pos for entry in entries))]
    if not all(bodies) or f"spec/{row['spec']:012}.yaml" not in found.members:
        return  # step 9 has said so
    place = f"entries/{pos:012}.json"
    replayer = Replayer(alone=True)
    try:
        report = replayer.run(bodies)
    except (StatetapeError, *_HOSTILE) as error:
        why = printable(f"{name} cannot be decided again: {error}"[:500])
        result.problems.append(Problem(10, "replay-differs", place, why))
        return
    difference = report.difference
    if difference is not None:
        code = "replay-differs" if difference.recorded else "replay-incomplete"
        place = f"entries/{difference.pos:012}.json"
        if difference.pos == row["spec"] and difference.decided is None:
            code, place = "machine-unloadable", f"spec/{difference.pos:012}.yaml"
        result.problems.append(Problem(10, code, place, printable(difference.why[:500])))
        return
    result.open += [f"{name}: {note}" for note in report.notes]
    result.decided += 1
    machine = replayer.world.machines[row["spec"]]
    if machine.states[row["state"]].final:
        result.final.append(name)


def _check_raised(
    found: Bundle, instances: dict[int, list[Entry]], problems: list[Problem]
) -> None:
    """Step 10b: what an instance was sent by another that is here, that one raised; and so back.

    Each is decided again alone, with such events as they are told: here they meet.
    """
    raised: Counter[tuple[int, str, str]] = Counter()
    sent: Counter[tuple[int, str, str]] = Counter()
    last = {}
    for pos, entries in instances.items():
        name = str(found.rows[pos]["name"])
        last[name] = pos, entries[-1].pos
        for entry in entries:
            raised.update((entry.pos, one["event"], one["to"]) for one in entry.raises or ())
            if entry.raised is not None:
                sent[entry.raised, entry.event or "", name] += 1
    for by, event, name in sorted(sent):
        if (by in found.entries or by >= last[name][1]) and not raised[by, event, name]:
            place = f"entries/{last[name][0]:012}.json"
            why = f"{named(name)} was sent {named(event)} by entry {by}, which raised no such"
            problems.append(Problem(10, "replay-differs", place, why))
    for by, event, name in sorted(raised):
        created, newest = last.get(name, (by, by))
        if created < by < newest and sent[by, event, name] < raised[by, event, name]:
            why = f"entry {by} raised {named(event)} to {named(name)}, which was not sent it"
            problems.append(Problem(10, "replay-incomplete", f"entries/{by:012}.json", why))


def _body(found: Bundle, pos: int) -> bytes:
    body = found.members.get(f"entries/{pos:012}.json", b"")
    return body if len(body) <= ENTRY_BYTES_MAX else b""


def _ask_systems(
    found: Bundle, entries: dict[str, list[Entry]], peers: Iterable[str], result: Verified
) -> None:
    """Step 11: what the systems whose machines these are have to say."""
    known: set[str] = set()
    for checker in catalogue.checkers():
        own = {n: e for n, e in entries.items() if checker.checks(n.partition("/")[0])}
        if not own:
            continue
        try:
            checked = checker.check(own, list(peers))
            objects = checker.objects([entry for some in own.values() for entry in some])
        except _HOSTILE as error:
            why = f"the system's rules cannot be checked: {error}"[:500]
            result.problems.append(Problem(11, "system-unsure", "entries", printable(why)))
            continue
        for name, texts in objects.items():
            known.add(f"vouchers/{name}.txt")
            _compare_object(found, name, texts, result.problems)
        result.held += checked.held
        result.open += checked.open
        for doubt in checked.doubts:
            place = f"entries/{doubt.pos:012}.json"
            problem = Problem(11, doubt.code, place, printable(doubt.message[:500]))
            result.problems.append(problem)
    for name in found.members:
        if name.startswith("vouchers/") and name not in known:
            why = "no entry names an object of this id"
            result.problems.append(Problem(11, "object-not-named", name, why))


def _compare_object(
    found: Bundle, name: str, texts: Sequence[str], problems: list[Problem]
) -> None:
    """An object's member holds the texts that the entries have, and is there."""
    place = f"vouchers/{name}.txt"
    wanted = "".join(f"{one}\n" for one in sorted(texts)).encode()
    if found.members.get(place) != wanted:
        what = "is not what the entries name" if place in found.members else "is missing"
        problems.append(Problem(11, "object-not-named", place, f"it {what}"))
