"""Whole histories out and in: one entry per line, byte for byte.

An export is the entries' exact bytes, a line each. Importing appends them to a tape that holds a
prefix of the same history (or none), so running an import twice adds nothing, and exporting again
gives the same bytes. A line that is not canonical or cannot follow those before it, or a history
that parts from the tape's own, is refused with its line before anything of it is stored.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from ..fsm.composite import BUILTIN, Map, Optional
from ..fsm.decide import PARKED
from ..fsm.entry import (
    ENTRY_BYTES_MAX,
    FORMAT,
    HEAD,
    HOLD,
    OPENED,
    RELEASE,
    REORG,
    SPEC,
    Entry,
    EntryInvalid,
    check_canonical,
)
from ..fsm.errors import StatetapeError
from ..fsm.fold import Folded, fold
from ..fsm.machine import Field, Machine
from ..fsm.types import Json, exact_int
from ..storage.errors import HashesShrunk, NoteInvalid, TapeForked, TapeMissing, TapeTooNew
from ..storage.files import Files
from ..storage.merkle import WIDTH, WIDTH_BITS, complete_root, leaf_hashes
from ..storage.note import (
    SignerKey,
    open_note,
    parse_checkpoint,
    parse_signer_key,
    parse_verifier_key,
    sign_note,
)
from ..storage.reader import Reader
from ..storage.tape import Tape
from ..storage.verifier import EMPTY_ROOT, Checkpoint
from .commands import Hold, Observe, Send, check_head, check_hold, check_name, check_options
from .engine import Engine
from .loading import machine_of, spec_entry
from .replay import differing
from .world import check_format, key_scope

BATCH = 1000
ORIGIN_CHARS_MAX = 200

Progress = Callable[[int], None]


def export_events(reader: Reader, out: BinaryIO, progress: Progress = lambda _: None) -> int:
    """Write every entry's bytes, a line each; returns how many."""
    count = 0
    for body in reader.read():
        out.write(body + b"\n")
        count += 1
        if count % BATCH == 0:
            progress(count)
    return count


def read_lines(path: Path) -> Iterator[tuple[str, bytes, Entry]]:
    """Yield (place, bytes, entry) of each line. Raises EntryInvalid at the line that is wrong."""
    expected = 0
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(ENTRY_BYTES_MAX + 2), b""), 1):
            place = f"{path}:{number}"
            if not line.endswith(b"\n"):
                raise EntryInvalid("the line does not end, or is longer than an entry", place=place)
            body = line[:-1]
            entry = check_canonical(body, place)
            expected += 1
            if entry.pos != expected:
                why = f"position {entry.pos}, and {expected} comes next"
                hint = "of a tape that was collected from only what is left can be exported: "
                hint += "such a history has holes, and only a whole one is imported"
                raise EntryInvalid(why, place=place, hint=hint if entry.pos > expected else "")
            if (entry.tape == OPENED) != (expected == 1):
                raise EntryInvalid("a history begins with one `opened` entry", place=place)
            yield place, body, entry


def import_events(
    path: Path,
    files: Files,
    *,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
    progress: Progress = lambda _: None,
) -> tuple[int, int]:
    """Append the history in `path` to a tape; returns (entries read, entries added).

    A tape that is not there is created, with a signing key of its own. The whole file is checked
    before the first line is stored. Crash: run it again; what was stored is recognised.
    Raises EntryInvalid with the line, TapeForked where the tape's history is another.
    """
    count = _check(path)
    created = 0
    try:
        tape = Tape.open_to_write(files)
    except TapeMissing:
        _, first, opened = next(read_lines(path))
        tape = Tape.create(files, first, origin=opened.origin or "", seed=entropy(32))
        created = 1
    engine = Engine(tape)
    try:
        return count, created + _append(engine, read_lines(path), progress)
    finally:
        engine.close()


def _check(path: Path) -> int:
    """Check a whole file, also that each entry fits those before it; returns its entries."""
    history = _History()
    for place, body, entry in read_lines(path):
        try:
            history.take(body, entry)
        except TapeTooNew as error:
            raise TapeTooNew(error.message, place=place, hint=error.hint) from None
        except StatetapeError as error:
            why = error.message if isinstance(error, EntryInvalid) else str(error)
            raise EntryInvalid(why, place=place) from None
    if history.size == 0:
        raise EntryInvalid("the file holds no entry", place=str(path))
    return history.size


class _History:
    """What a history has so far, as far as the next entry can contradict it.

    Whatever works on a tape relies on what is checked here: machines that load, instances whose
    state, data and timers are those of their machine, keys that were taken once. Whether entries
    were decided so, replay says.
    """

    def __init__(self) -> None:
        self.size = 0
        self.machines: dict[int, Machine] = {}
        self.digests: set[str | None] = set()
        self.instances: dict[int, Folded] = {}
        self.names: set[str] = set()
        self.held: set[str] = set()
        self.keys: dict[tuple[int, str], int] = {}

    def take(self, body: bytes, entry: Entry) -> None:
        """Take the next entry. Raises StatetapeError where it cannot follow."""
        height = exact_int(entry.height)
        options = (entry.key, entry.by, entry.cause, entry.at, height)
        check_options(Send("", "", {}, *options), self.size)
        if entry.raised is not None and not 0 < entry.raised <= self.size:
            raise EntryInvalid(f"there is no entry {entry.raised} that could have raised it")
        if entry.recorded is not None:
            BUILTIN["time"].coerce(entry.recorded, "recorded")
        if entry.tape is not None:
            told = self._about_tape(entry, height)
            if told != entry:
                names = ", ".join(differing(entry, told))
                raise EntryInvalid(f"{names}: not what an entry {entry.tape!r} says here")
        else:
            self._about_instance(body, entry)
        self.size = entry.pos

    def _about_tape(self, entry: Entry, height: int | None) -> Entry:
        """Return all that an entry about the tape itself may say."""
        if entry.tape == OPENED:
            check_format(entry)
            _check_origin(entry.origin or "")
            return Entry(at=entry.at, format=FORMAT, origin=entry.origin, pos=1, tape=OPENED)
        if entry.tape == SPEC:
            if entry.digest in self.digests:
                raise EntryInvalid("this machine's text is on the tape already")
            machine = machine_of(entry)
            self.machines[entry.pos] = machine
            self.digests.add(entry.digest)
            return spec_entry(entry, machine)
        if entry.tape in (HOLD, RELEASE):
            return self._about_hold(entry)
        if entry.tape not in (HEAD, REORG):
            raise EntryInvalid(f"a tape has no {entry.tape!r} entry")
        check_head(Observe(entry.chain or "", -1 if height is None else height))
        return Entry(
            at=entry.at,
            by=entry.by,
            cause=entry.cause if entry.tape == REORG else None,
            chain=entry.chain,
            height=entry.height,
            pos=entry.pos,
            recorded=entry.recorded,
            tape=entry.tape,
        )

    def _about_hold(self, entry: Entry) -> Entry:
        hold = Hold(entry.name or "", entry.text or "", entry.tape == RELEASE, entry.by, entry.at)
        check_hold(hold)
        if hold.instance not in self.names:
            raise EntryInvalid(f"no entry created {hold.instance}")
        if hold.release and hold.instance not in self.held:
            raise EntryInvalid(f"{hold.instance} is not on hold")
        if hold.release:
            self.held.remove(hold.instance)
        else:
            self.held.add(hold.instance)
        return Entry(
            at=entry.at,
            by=entry.by,
            name=entry.name,
            pos=entry.pos,
            recorded=entry.recorded,
            tape=entry.tape,
            text=entry.text,
        )

    def _about_instance(self, body: bytes, entry: Entry) -> None:
        owner = entry.instance
        if owner is not None and owner not in self.instances:
            raise EntryInvalid(f"no entry created instance {owner}")
        named = entry.create or entry.name
        if owner is None and not named:
            raise EntryInvalid("it belongs to no instance, and names none")
        if named:
            check_name(named)
        if owner is None and entry.create and entry.outcome is None:
            owner = entry.pos
            if entry.spec not in self.machines:
                raise EntryInvalid(f"entry {entry.spec} holds no machine")
            if entry.create in self.names:
                raise EntryInvalid(f"{entry.create} was created before")
            self.names.add(entry.create)
        if entry.key is not None:
            taken = self.keys.setdefault(key_scope(entry), entry.pos)
            if taken != entry.pos:
                raise EntryInvalid(f"key {entry.key!r} was taken at position {taken}")
        if owner is not None:
            comes = 1 if owner == entry.pos else self.instances[owner].seq + 1
            if entry.seq != comes:
                raise EntryInvalid(f"seq {entry.seq}, and {comes} comes next")
        _follows(entry, self.instances.get(owner or 0))
        if owner is not None:
            fold([body], self.instances)
            instance = self.instances[owner]
            _fits(entry, instance, self.machines[instance.spec])


def _check_origin(origin: str) -> None:
    """Raise EntryInvalid unless checkpoints under this name can be signed, kept and read back."""
    signer = SignerKey(origin, bytes(32))
    checkpoint = Checkpoint(origin, 0, EMPTY_ROOT)
    try:
        kept = parse_signer_key(signer.text), parse_verifier_key(signer.verifier.text)
        note = sign_note(checkpoint.text, signer).encode()
        signed = parse_checkpoint(open_note(note, [signer.verifier]))
    except NoteInvalid as error:
        raise EntryInvalid(f"origin {origin[:80]!r} names no tape: {error.message}") from None
    sound = kept == (signer, signer.verifier) and signed == checkpoint
    if not sound or len(origin) > ORIGIN_CHARS_MAX:
        raise EntryInvalid(f"origin {origin[:80]!r} names no tape")


def _follows(entry: Entry, instance: Folded | None) -> None:
    """Raise EntryInvalid where nothing waited for what an entry says followed by itself.

    `instance`: as it was before the entry; None: there was none.
    """
    if entry.timer is not None and (instance is None or entry.timer not in instance.timers):
        raise EntryInvalid(f"timer {entry.timer[:80]!r} was not armed")
    parked = () if instance is None else instance.parked
    if entry.offer is not None and all(pos != entry.offer for pos, _, _ in parked):
        raise EntryInvalid(f"no command of position {entry.offer} was parked")


def _fits(entry: Entry, instance: Folded, machine: Machine) -> None:
    """Raise StatetapeError where an instance, after its entry, is none of its machine's."""
    state = machine.states.get(instance.state)
    if state is None:
        raise EntryInvalid(f"{machine.name} has no state {instance.state!r}")
    created = entry.pos == instance.pos
    changed = entry.set or {}
    for name in [*changed, *(machine.fields if created else ())]:
        field = machine.fields.get(name)
        if field is None:
            raise EntryInvalid(f"{machine.name} has no field {name!r}")
        _fits_type(field, instance.data.get(name), changed.get(name))
    declared = {timer.name: timer for timer in state.timers}
    parked = {f"{PARKED}{pos}" for pos, _, _ in instance.parked}
    for name, (kind, deadline, _) in instance.timers.items():
        if name in parked and kind == "at" and machine.defer_for_us is not None:
            BUILTIN["time"].coerce(deadline, name)
            continue
        timer = declared.get(name)
        if timer is None or kind != timer.clock:
            why = f"timer {name!r} is armed `{kind}`, and state {state.name} has no such timer"
            raise EntryInvalid(why)
        timer.point.coerce(deadline, name)


def _fits_type(field: Field, value: Json, patch: Json) -> None:
    """Raise StatetapeError unless a field's value is in its type's form; of a map, what changed."""
    of = field.type
    if isinstance(of, Optional):
        if value is None:
            return
        of = of.of
    if isinstance(of, Map) and isinstance(value, dict) and isinstance(patch, dict):
        value = {key: value[key] for key in patch if key in value}
    if of.to_json(of.coerce(value, field.name)) != value:
        raise EntryInvalid(f"{field.name} is not in the form of {of.name}")


def _append(engine: Engine, lines: Iterator[tuple[str, bytes, Entry]], progress: Progress) -> int:
    """Compare what the tape has, then store the rest in batches."""
    tape = engine.tape
    had = tape.size
    for idx in range(-(-had // WIDTH)):
        _compare(tape, idx, list(islice(lines, min(WIDTH, had - idx * WIDTH))))
    batch: list[bytes] = []
    for _, body, entry in lines:
        batch.append(body)
        if len(batch) == BATCH:
            engine.adopt(batch)
            progress(entry.pos)
            batch = []
    if batch:
        engine.adopt(batch)
    return tape.size - had


def _compare(tape: Tape, idx: int, lines: list[tuple[str, bytes, Entry]]) -> None:
    """Raise TapeForked unless these are the tape's first entries in block `idx`.

    By their hashes, which are there although entries were collected; of a block whose hashes were
    shrunk, by its root. Raises HashesShrunk where the file ends within such a block.
    """
    hashes = leaf_hashes([body for _, body, _ in lines])
    why = "this entry differs from the tape's at the same position"
    hint = "import into a tape of its own"
    first = idx * WIDTH + 1
    try:
        stored = tape.leaves(first, first + len(lines) - 1) if lines else []
    except HashesShrunk:
        if len(lines) < WIDTH:
            raise
        if complete_root(hashes) != tape.subtree(WIDTH_BITS, idx):
            why = "this entry, or one of the 255 after it, differs from the tape's"
            raise TapeForked(why, place=lines[0][0], hint=hint) from None
        return
    for (place, _, _), one, other in zip(lines, hashes, stored, strict=True):
        if one != other:
            raise TapeForked(why, place=place, hint=hint)
