"""Effects, handed over at least once and in order.

An effect is part of its entry, so it is there exactly when its entry is. A consumer has a name and
a cursor; it asks for what follows its cursor, does it, and acknowledges the position. A crash in
between brings the same effects again: a consumer needs to be idempotent, and the position with the
effect's number within its entry is the key for that.
"""

from __future__ import annotations

from typing import NamedTuple

from ..fsm.entry import decode
from ..fsm.types import Json, ValueInvalid
from ..storage import projection
from ..storage.tape import Tape
from .world import World

PAGE = 1024


class Pending(NamedTuple):
    """One effect to be done: which entry of which instance, its number there, and what."""

    pos: int
    number: int
    instance: str
    effect: Json


def pending(tape: Tape, world: World, consumer: str, limit: int) -> list[Pending]:
    """Return the effects after the consumer's cursor: about `limit`, whole entries at a time.

    As far as the world goes: it can name their instances.
    """
    found: list[Pending] = []
    for body in tape.read(projection.cursor(tape, consumer) + 1, world.size):
        entry = decode(body)
        if entry.effects:
            instance = world.instance_at(entry.instance or entry.pos)
            name = instance.name if instance else ""
            found += [Pending(entry.pos, i, name, one) for i, one in enumerate(entry.effects)]
        if len(found) >= limit:
            break
    return found


def acknowledge(tape: Tape, consumer: str, pos: int) -> None:
    """Move the consumer's cursor to `pos`, durably; called within a turn.

    Raises ValueInvalid for a cursor that would move back, or beyond the tape.
    """
    if not consumer.isidentifier() or consumer == projection.PROJECTED:
        raise ValueInvalid(f"{consumer!r} does not name a consumer", place="consumer")
    if not projection.cursor(tape, consumer) <= pos <= tape.size or pos < 1:
        raise ValueInvalid(f"{pos} is not ahead of the cursor and on the tape", place="pos")
    tape.write((), lambda: projection.move_cursor(tape, consumer, pos))
