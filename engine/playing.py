"""Play one instance's recorded commands again, some of them changed, in a world of their own.

Theory of operation. The ledger that the engine uses decides everything; here is only what it is
given, in the order of the record:

  1. Commands (also events that other instances raised) are given again, each at its recorded
     clock, time and height; of a dropped one only its time passes.
  2. What followed by itself is not given: a timer's firing is a moment at which that timer may
     fire, an event that the instance raised to itself one at which what waits may be delivered.
  3. A timer fires at its deadline, before whatever comes after; only where the record saw the same
     timer fire late, it is as late. The tape's heads of the machine's chain pass at their places. A
     machine that fires without end is slowed down after FIRINGS_MAX: its clock then jumps from one
     moment of the record to the next.
     The clock is the tape's. But a history that was told afterwards to a machine without timers (an
     imported log's) has the clock of its entries' own times, which ends with the last of them.
  4. What is raised to others is told in its entry, and goes nowhere.

Nothing here can reach the tape: the world has no source, and nobody stores what is staged.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..fsm.decide import PARKED, Raised
from ..fsm.entry import Entry, decode
from ..fsm.errors import StatetapeError
from ..fsm.fold import Armed
from ..fsm.machine import Machine
from ..fsm.types import exact_int
from .commands import Create, Send, asked
from .deadlines import WALL, Item
from .ledger import Ledger
from .loading import machine_of
from .pairing import COMMAND, DROPPED, INSERTED, Pairing
from .recording import LINKS_DEEP_MAX, Chain, Link
from .replay import too_deep
from .world import Nothing, World

FIRINGS_MAX = 100_000
"""Timers that fire at their deadlines where the record did not see them fire."""


@dataclass(frozen=True)
class Head:
    """A chain's head as the tape observed it: where, how high, and when."""

    pos: int
    height: int
    happened: int


@dataclass(frozen=True)
class Record:
    """What the tape holds of one instance, and what passed meanwhile.

    `entries` are by position, in order. `heads` are those of the what-if machine's chain, rising.
    `size` and `end` are position and clock of the tape's last entry.
    """

    name: str
    machine: Machine
    bodies: Sequence[bytes]
    entries: dict[int, Entry]
    heads: Sequence[Head]
    size: int
    end: int

    def follows(self, entry: Entry) -> bool:
        """Whether an entry followed by itself: it is nobody's command, nor another instance's."""
        return entry.timer is not None or entry.offer is not None or entry.raised in self.entries

    @property
    def retold(self) -> bool:
        """Whether this was told afterwards, to a machine that knows no time."""
        timed = any(state.timers for state in self.machine.states.values())
        last = next(reversed(self.entries.values()))
        return last.recorded is not None and not timed

    def clocks(self) -> dict[int, int]:
        """Return when each entry happened by its own time, but never before the one before it."""
        found: dict[int, int] = {}
        entries = list(self.entries.values())
        # A creation that nobody gave a time is as old as what came next.
        clock = min(entry.at for entry in entries[:2])
        for entry in entries:
            if entry.recorded is not None:
                clock = max(clock, entry.at)
            found[entry.pos] = clock
        return found


@dataclass(frozen=True)
class Insertion:
    """A command to insert, with typed parameters; `before` None: after the last entry."""

    before: int | None
    event: str
    params: Mapping[str, Any]


class Play:
    """Plays a record up to some entry, with changes. See the module's theory of operation."""

    def __init__(
        self,
        record: Record,
        machine: Machine,
        pairing: Pairing,
        drop: frozenset[int] = frozenset(),
        insert: Sequence[Insertion] = (),
        *,
        changed: bool = True,
    ) -> None:
        """`changed`: whether anything may be otherwise; if not, all clocks are as recorded."""
        self.record = record
        self.machine = machine
        self.pairing = pairing
        self.world = World(Nothing(), machine_of)
        self.ledger = Ledger(self.world)
        self.bodies: list[bytes] = []
        """The entries of the what-if, as staged, in their own order."""
        self._drop = drop
        self._insert: dict[int | None, list[Insertion]] = {}
        for insertion in insert:
            self._insert.setdefault(insertion.before, []).append(insertion)
        retold = changed and record.retold
        self._heads = deque(() if retold else record.heads)
        self._end = None if retold else record.end
        self._clock = record.clocks() if retold else {}
        """When commands happened, where that is not when the tape learned of them."""
        self._same_chain = record.machine.chain == machine.chain
        self._now = 0
        """The clock of what was played last."""
        self._height: int | str | None = None
        """The height that the record decided at last."""
        self._expected: tuple[int | None, int] = (None, 0)
        """Deliveries that the record still has at a clock."""
        self._fired = 0
        """Timers that fired where the record did not see them fire."""
        self.world.add_machine(self.world.grow(0), machine)

    def run(self, upto: int, *, on: bool) -> None:
        """Play every entry up to position `upto`; `on`: and then go on to the tape's end."""
        entries = [entry for entry in self.record.entries.values() if entry.pos <= upto]
        for entry, ahead in zip(entries, self._counted(entries), strict=True):
            self._expected = (self._when(entry), ahead)
            self._deliver_above()
            self._insert_before(entry)
            self._pass_heads(entry.pos)
            if not self.record.follows(entry):
                self._play(entry)
            else:
                if entry.timer is not None:
                    self._fire(entry)
                elif entry.offer is None and self.ledger.waiting:
                    self._deliver(entry)
                self.pairing.recorded_followed(entry)
            self._now = self._when(entry)
            self._height = entry.height if entry.height is not None else self._height
        self._expected = (None, 0)
        self._deliver_above()
        for insertion in self._insert.get(None, ()):
            self._give(INSERTED, None, self._inserted(insertion), self._now)
        self._deliver_above()
        if on and self._end is not None:
            self._pass_heads(self.record.size + 1)
            self._pass_time(self._end)
        self.pairing.close()

    def _counted(self, entries: Sequence[Entry]) -> list[int]:
        """Return, for each entry, how many deliveries are still to come at its clock.

        What waits within a batch of commands is delivered after the last of them, and this is how
        the record says so.
        """
        counts = [0] * len(entries)
        count = 0
        clock = None
        for index in range(len(entries) - 1, -1, -1):
            entry = entries[index]
            if self._when(entry) != clock:
                count = 0
                clock = self._when(entry)
            count += entry.raised in self.record.entries
            counts[index] = count
        return counts

    def _when(self, entry: Entry) -> int:
        """Return the clock at which an entry is played."""
        return self._clock.get(entry.pos, entry.happened)

    # commands

    def _play(self, entry: Entry) -> None:
        """Give a recorded command again, or let only its time pass."""
        now = self._when(entry)
        if entry.raised is None or now != self._now:  # within a turn's deliveries nothing fires
            self._pass_time(now)
        if entry.pos in self._drop:
            self.pairing.command(DROPPED, entry, None)
        else:
            self._give(COMMAND, entry, self._command(entry), now)

    def _command(self, entry: Entry) -> Create | Send | Link:
        """Return the command that an entry records. Its key and cause are the record's affair."""
        name = self.record.name
        params = entry.params or {}
        if entry.raised is not None:
            depth = LINKS_DEEP_MAX + 1 if too_deep(entry) else 1
            raised = Raised(entry.event or "", None, params)
            return Link(entry.raised, entry.at, name, raised, depth, Chain())
        at = entry.at if entry.recorded is not None else None
        height = exact_int(entry.height) if self._same_chain else None
        options = (None, entry.by, None, at, height)
        if entry.create is None:
            return Send(name, entry.event or "", params, *options)
        state = None
        if entry.event == self.record.machine.adopt.name:
            state = entry.to or self.machine.initial
        return Create(asked(self.machine, entry), name, params, *options, state)

    def _give(self, how: str, entry: Entry | None, command: Create | Send | Link, now: int) -> None:
        """Let the ledger decide a command at clock `now`, after everything due before it."""
        self._now = now
        try:
            if isinstance(command, Link):
                self.ledger.deliver_one(command, now)
            else:
                self.ledger.run(command, now)
        except StatetapeError as error:
            self._followed()
            self.pairing.command(how, entry, None, (error.code, str(error)))
            return
        first, *rest = self._staged()
        self.pairing.command(how, entry, first)
        for one in rest:
            self.pairing.decided_followed(one)

    def _insert_before(self, entry: Entry) -> None:
        """Give what is to be inserted here: before a timer fires, just before it is due."""
        for insertion in self._insert.get(entry.pos, ()):
            now, upto = self._when(entry), entry.pos
            armed = self._armed(entry.timer)
            if armed is not None and armed[0] == "at":
                now = max(self._now, min(now, armed[1] - 1))
            elif armed is not None:
                reached = (head.pos for head in self._heads if head.height >= armed[1])
                upto = min(upto, next(reached, upto))
            self._pass_heads(upto)
            self._pass_time(now)
            self._give(INSERTED, None, self._inserted(insertion), now)
            self._deliver_above()

    def _inserted(self, insertion: Insertion) -> Send:
        height = None
        if self._same_chain and self.world.height(self.machine.chain) is None:
            height = exact_int(self._height)
        name = self.record.name
        return Send(name, insertion.event, insertion.params, height=height)

    # what follows

    def _fire(self, entry: Entry) -> None:
        """Fire the timer that fired here, if it is due in the what-if too."""
        now = self._when(entry)
        name = self._own_name(entry.timer)
        self._pass_time(now, sparing=name)
        chain = self.machine.chain
        height = exact_int(entry.height) if self._same_chain else None
        if chain is not None and height is not None and height > (self.world.height(chain) or 0):
            self.world.heads[chain] = (height, 0)
        armed = self._armed(entry.timer)
        if armed is None or armed[1] > (now if armed[0] == "at" else self.world.height(chain) or 0):
            return
        instance = self.world.instance(self.record.name)
        if instance is not None:
            self.ledger.fire(instance.pos, name, now)
            self._followed()

    def _armed(self, recorded_name: str | None) -> Armed | None:
        """Return a timer of the record as the what-if has it armed, or None."""
        instance = self.world.instance(self.record.name)
        if instance is None or recorded_name is None:
            return None
        return instance.timers.get(self._own_name(recorded_name))

    def _own_name(self, name: str | None) -> str:
        """Return a timer's name in the what-if: that of a deferral holds a position."""
        if name is None or not name.startswith(PARKED):
            return name or ""
        return f"{PARKED}{self.pairing.own.get(int(name.removeprefix(PARKED)))}"

    def _pass_heads(self, upto: int) -> None:
        """Let the heads pass that were observed before position `upto`."""
        chain = self.machine.chain or ""
        while self._heads and self._heads[0].pos < upto:
            head = self._heads.popleft()
            self._pass_time(head.happened)
            self._now = head.happened
            if head.height > (self.world.height(chain) or -1):
                self.world.heads[chain] = (head.height, 0)
                self._pass_time(head.happened)

    def _pass_time(self, now: int, sparing: str | None = None) -> None:
        """Fire what is due until `now`, each at its deadline, up to the timer `sparing`."""
        deadlines = self.world.deadlines
        while (now >= deadlines.soonest or deadlines.heights) and deadlines.pending(
            now, self.world.heads
        ):
            clock, item = self._due(now)
            if item is None or item[2] == sparing:
                return
            self._fired += 1
            when = now
            if clock == WALL and self._fired <= FIRINGS_MAX:
                when = min(now, max(self._now, item[0]))
            self._now = when
            self.ledger.fire(item[3], item[2], when)
            self._followed()
            self._deliver_above()

    def _due(self, now: int) -> tuple[str, Item | None]:
        """Return the timer that is due next, and by which clock."""
        deadlines = self.world.deadlines
        for clock in deadlines.clocks:
            upto = now if clock == WALL else self.world.height(clock)
            item = None if upto is None else deadlines.due(clock, upto)
            if item is not None:
                return clock, item
        return WALL, None

    def _deliver_above(self) -> None:
        """Deliver what the instance raised to itself, but for what the record delivers later."""
        clock, count = self._expected
        allowed = count if clock == self._now else 0
        while len(self.ledger.waiting) > allowed:
            self._deliver()

    def _deliver(self, entry: Entry | None = None) -> None:
        """Deliver what waits first; `entry` is what the record has there.

        How many links of other instances lie before it, only the record knows.
        """
        link = self.ledger.waiting.popleft()
        if entry is not None and too_deep(entry):
            same = (self.pairing.positions.get(link.pos), link.raised.event)
            if same == (entry.raised, entry.event):
                link = link._replace(depth=LINKS_DEEP_MAX + 1)
        self.ledger.deliver_one(link, self._now)
        self._followed()

    def _followed(self) -> None:
        for entry in self._staged():
            self.pairing.decided_followed(entry)

    def _staged(self) -> list[Entry]:
        """Take what the ledger staged, and of what was raised keep what comes back."""
        ledger = self.ledger
        bodies = ledger.staged
        self.bodies += bodies
        entries = [decode(body) for body in bodies]
        bodies.clear()
        if ledger.waiting:
            own = [link for link in ledger.waiting if link.instance == self.record.name]
            ledger.waiting.clear()
            ledger.waiting.extend(own)
        self.world.settled()
        self.world.window.clear()
        return entries
