"""Recover a tape after a crash: check it, catch up, fire what is overdue, and say what was found.

Opening a tape does most of this by itself; recovering says it. What was in flight can be known
only as far as it was stored: entries beyond the anchor were written by a session that did not end
in good order, and their senders may never have been told.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ..fsm.entry import Entry, decode
from ..fsm.errors import SpecError
from ..storage import projection
from ..storage.errors import RESTORE, TapeDamaged
from ..storage.files import Files
from ..storage.tape import Tape
from ..storage.verify import verify_entries
from . import collection
from .engine import Engine, wall_clock
from .loading import folded_of

SHOWN_MAX = 20


@dataclass
class Recovery:
    """What recovering a tape found and did."""

    entries: int = 0
    anchored: int | None = None
    projected: int = 0
    unanchored: list[Entry] = field(default_factory=list)
    unanchored_count: int = 0
    fired: list[Entry] = field(default_factory=list)
    fired_count: int = 0
    effects_behind: dict[str, int] = field(default_factory=dict)
    open_instances: int = 0
    open_timers: int = 0
    unloadable: dict[int, str] = field(default_factory=dict)
    rebuilt: bool = False
    new_anchor: bool = False


def recover(
    path: str | Path,
    *,
    anchor: str | Path | None = None,
    key: str | Path | None = None,
    new_anchor: bool = False,
    rebuild: bool = False,
    clock: Callable[[], int] = wall_clock,
    progress: Callable[[int], None] = lambda _: None,
) -> Recovery:
    """Recover the tape at `path`; raises by name what cannot be recovered from.

    Checks the anchor (at open) and every entry's hash and tree, folds what the projections lack
    (`rebuild`: all of it), fires overdue timers, and anchors the result. `new_anchor` goes on where
    anchor or signing key were lost. Crash: run it again.
    """

    found = Recovery(rebuilt=rebuild, new_anchor=new_anchor)
    if rebuild:
        seed = secrets.token_bytes(32) if new_anchor else None
        _forget(Tape.open_to_write(Files.of(path, anchor, key), new_seed=seed))
    with Engine.open(
        path, anchor=anchor, key=key, create=False, clock=clock, new_anchor=new_anchor
    ) as engine:
        tape = engine.tape
        for finding in chain(verify_entries(tape, progress), collection.findings(tape)):
            raise TapeDamaged(finding.message, place=finding.place, hint=RESTORE)
        found.entries = tape.size
        found.anchored = tape.anchored_size or None
        found.projected = projection.projected(tape)
        first = tape.anchored_size + 1
        found.unanchored_count = max(0, tape.size - tape.anchored_size)
        last = min(tape.size, first + SHOWN_MAX - 1)
        found.unanchored = [decode(body) for body in tape.read(first, last)]
        found.fired_count = engine.tick()
        fired = tape.read(found.entries + 1, found.entries + SHOWN_MAX)
        found.fired = [entry for entry in map(decode, fired) if entry.timer is not None]
        engine.flush()
        found.effects_behind = {
            name: tape.size - pos
            for name, pos in projection.cursors(tape).items()
            if pos < tape.size
        }
        for row in projection.instances(tape):
            found.open_timers += bool(folded_of(row).timers)
            try:
                machine = engine.world.machine(row.spec)
            except SpecError as error:
                found.unloadable[row.spec] = str(error)
                continue
            found.open_instances += not machine.states[row.state].final
        found.entries = tape.size
    return found


def _forget(tape: Tape) -> None:
    """Throw the projections away, so that the next open folds everything.

    No world is loaded for it: a damaged projection may be why this is asked for.
    """
    tape.take()
    try:
        tape.write((), lambda: projection.forget(tape))
    finally:
        tape.give()
        tape.abandon()
