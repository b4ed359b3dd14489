"""From commands to entries: the same steps for the engine and for a replay.

Theory of operation. `run(command, now)` decides one command against the world and stages what
follows from it, in this order, as one unit that commits together:

  1. every timer that is due at `now` fires;
  2. the command's own entry (preceded by its machine's text, the first time that it is used);
  3. after a change of state, parked commands that have a row now are offered again, oldest first;
  4. every timer that is due fires, a height's after its head was observed.

Events that were raised meanwhile wait until everything that came before them is decided: `deliver`
takes them in order at the end of the turn, and what they raise goes behind them. They commit with
what raised them, so a hand-over is neither lost nor doubled. At most LINKS_DEEP_MAX in one another
and LINKS_MAX from one command are delivered; the next is refused.

`now` is the tape's clock in microseconds. A replay feeds the recorded commands with the recorded
clock and so stages the recorded bytes, or finds the first difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from ..fsm.decide import (
    ACCEPTED,
    EVALUATION_ERRORS,
    PARKED,
    REJECTED,
    Decision,
    Moment,
    arguments_of,
    create,
    decide,
)
from ..fsm.entry import HEAD, HOLD, RELEASE, REORG, Entry, EntryTooLarge, decode
from ..fsm.errors import CallerError, SpecError
from ..fsm.machine import QUIET, Event
from ..fsm.types import Json, json_int
from ..storage.errors import RESTORE, TapeDamaged
from .commands import (
    DUPLICATE,
    Command,
    Create,
    Hold,
    IdempotencyConflict,
    InstanceCollected,
    InstanceUnknown,
    NotOnHold,
    Observe,
    Receipt,
    Send,
    check_head,
    check_hold,
    check_name,
    check_options,
    check_state,
)
from .deadlines import WALL, Item
from .recording import LINKS_DEEP_MAX, Link, Recorder, stored
from .world import Held, Instance, World

UNLOADABLE = "machine_unloadable"


class Ledger(Recorder):
    """Stages the entries of commands; see the module's theory of operation."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.fires = True
        """Whether due timers fire by themselves; a replay of one instance fires them one by one."""

    def run(self, command: Command, now: int) -> Receipt:
        """Decide `command` at clock `now`, stage its entries, and return what became of it.

        Raises CallerError or ConflictError where the command cannot be taken; then nothing of it
        is staged (timers that were due are).
        """
        deadlines = self.world.deadlines
        if (now >= deadlines.soonest or deadlines.heights) and self._pending(now):
            self.fire_due(now)
        if isinstance(command, Send):
            receipt = self._send(command, now)
        elif isinstance(command, Create):
            receipt = self._create(command, now)
        elif isinstance(command, Observe):
            receipt = self._observe(command, now)
        else:
            receipt = self._hold(command, now)
        if (now >= deadlines.soonest or deadlines.heights) and self._pending(now):
            self.fire_due(now)
        return receipt

    def _pending(self, now: int) -> bool:
        return self.fires and self.world.deadlines.pending(now, self.world.heads)

    def fire_due(self, now: int, limit: int | None = None) -> int:
        """Fire every timer that is due: wall time up to `now`, heights up to the newest heads.

        Returns how many fired; with a `limit`, at most that many. It ends, because what a firing
        arms is due in a later instant.
        """
        fired = 0
        item, clock = self._next_due(now)
        while item is not None:
            self.fire(item[3], item[2], now)
            fired += 1
            if fired == limit:
                break
            item, clock = self._next_due(now, clock)
        return fired

    def _next_due(self, now: int, clock: str = WALL) -> tuple[Item | None, str]:
        """Return the next due timer: `clock`'s own first, then the clocks in order."""
        world = self.world
        deadlines = world.deadlines
        for one in (clock, *deadlines.clocks):
            upto = now if one == WALL else world.height(one)
            item = None if upto is None else deadlines.due(one, upto)
            if item is not None:
                return item, one
        return None, WALL

    # commands

    def _send(self, command: Send, now: int) -> Receipt:
        at, height, key = command.at, command.height, command.key
        by, cause = command.by, command.cause
        plain = at is None and height is None and key is None and by is None and cause is None
        if not plain:
            check_options(command, self.world.size)
        instance = self.world.instance(command.instance)
        if instance is None:
            return self._unknown(command, now)
        machine = instance.machine
        if key is not None:
            known = self._known(command, (instance.pos, key), machine.events)
            if known is not None:
                return known
        if at is None:
            at = now
        if machine.chain is None:
            height = None
        elif height is None:
            height = self.world.height(machine.chain)
        moment = Moment(at, height, instance.key, instance.state, machine.chain)
        decision = decide(
            machine,
            command.event,
            instance.state,
            instance.data,
            instance.timers,
            command.params,
            moment,
        )
        entry = Entry(
            at=at,
            by=by,
            cause=cause,
            event=command.event,
            height=None if height is None else json_int(height),
            instance=instance.pos,
            key=key,
            params=decision.params,
            recorded=None if at == now else now,
        )
        receipt = self._record(instance, entry, decision)
        if decision.to is not None and instance.parked:
            self._offer(instance, moment, now)
        return receipt

    def _create(self, command: Create, now: int) -> Receipt:
        machine = command.machine
        name = command.instance
        check_options(command, self.world.size)
        check_name(name)
        check_state(command)
        creating = command.creation
        if command.key is not None:
            creation = {creating.name: creating}
            known = self._known(command, (0, f"{name} {command.key}"), creation)
            if known is not None:
                return known
        existing = self.world.instance(name)
        at = now if command.at is None else command.at
        chain = machine.chain if existing is None else existing.machine.chain
        height = command.height if command.height is not None else self.world.height(chain)
        gone = existing is None and self.world.gone_position(name) is not None
        if gone:
            params = stored(creating, command.params)
            decision = Decision(REJECTED, params, reason=self._absence(name))
        elif existing is None:
            key = name.partition("/")[2]
            moment = Moment(at, height, key, command.state or machine.initial, machine.chain)
            decision = create(machine, command.params, moment, command.state)
        else:
            reason = {"kind": "already_exists", "state": existing.state}
            params = stored(None, command.params)
            decision = Decision(REJECTED, params, reason=reason)
        entry = Entry(
            at=at,
            by=command.by,
            cause=command.cause,
            create=name,
            event=creating.name,
            height=None if height is None or chain is None else json_int(height),
            key=command.key,
            params=decision.params,
            recorded=None if at == now else now,
        )
        if existing is not None:
            entry.instance = existing.pos
            return self._record(existing, entry, decision)
        if decision.outcome != ACCEPTED:
            entry.to = command.state  # else nothing would say where it was to begin
        entry.spec = self._put_machine(machine, now)
        return self._begin(machine, entry, decision)

    def _observe(self, command: Observe, now: int) -> Receipt:
        """Heights only rise: a lower head is recorded as a reorganisation, the same one not."""
        check_head(command)
        world = self.world
        head = world.heads.get(command.chain)
        if head is not None and head[0] == command.height:
            return Receipt(DUPLICATE, head[1], first=ACCEPTED)
        at = now if command.at is None else command.at
        entry = Entry(
            at=at,
            by=command.by,
            chain=command.chain,
            height=json_int(command.height),
            recorded=None if at == now else now,
            tape=HEAD,
        )
        if head is not None and head[0] > command.height:
            entry.tape = REORG
            entry.cause = head[1]
            return Receipt(ACCEPTED, self._stage(entry, 0), reason={"kind": "reorg"})
        pos = self._stage(entry, 0)
        world.observe(command.chain, command.height, pos)
        return Receipt(ACCEPTED, pos)

    def _unknown(self, command: Send, now: int) -> Receipt:
        """Record a command to an instance that is not there: it must not be lost."""
        check_name(command.instance)
        if command.key is not None:
            known = self._known(command, (0, f"{command.instance} {command.key}"), {})
            if known is not None:
                return known
        at = now if command.at is None else command.at
        reason = self._absence(command.instance)
        entry = Entry(
            at=at,
            by=command.by,
            cause=command.cause,
            event=command.event,
            key=command.key,
            name=command.instance,
            outcome=REJECTED,
            params=stored(None, command.params),
            reason=reason,
            recorded=None if at == now else now,
        )
        pos = self._stage(entry, 0)
        return Receipt(REJECTED, pos, command.instance, None, None, reason)

    def _absence(self, name: str) -> dict[str, Json]:
        """Return the reason to refuse something for an instance that is not there."""
        if self.world.gone_position(name) is not None:
            return {"kind": "collected_instance"}
        return {"kind": "unknown_instance"}

    def _hold(self, command: Hold, now: int) -> Receipt:
        """Record that an instance's entries are to be kept, or need be no longer.

        The same hold again is no new one: so whoever was not told may ask again.
        """
        check_hold(command)
        name, world = command.instance, self.world
        if not world.exists(name):
            gone = world.gone_position(name)
            if gone is not None:
                why = f"{name} was collected (position {gone}): it is too late to keep its entries"
                raise InstanceCollected(why)
            raise InstanceUnknown(f"no instance {name!r} on this tape")
        held = world.holds.get(name)
        if held is None and command.release:
            raise NotOnHold(f"{name} is not on hold")
        again = held is not None and (held.why, held.by) == (command.why, command.by)
        if held is not None and again and not command.release:
            return Receipt(DUPLICATE, held.pos, name, first=ACCEPTED)
        at = now if command.at is None else command.at
        entry = Entry(
            at=at,
            by=command.by,
            name=name,
            recorded=None if at == now else now,
            tape=RELEASE if command.release else HOLD,
            text=command.why,
        )
        pos = self._stage(entry, 0)
        world.hold(name, None if command.release else Held(pos, command.why, command.by))
        return Receipt(ACCEPTED, pos, name)

    def _known(
        self, command: Send | Create, scope: tuple[int, str], events: Mapping[str, Event]
    ) -> Receipt | None:
        """Return the first outcome of a command with this idempotency key, or None."""
        pos = self.world.key_position(*scope)
        if pos is None:
            return None
        entry = decode(self._body(pos), f"entry {pos}")
        creating = isinstance(command, Create)
        name = command.creation.name if isinstance(command, Create) else command.event
        same = (entry.create is not None, entry.event) == (creating, name)
        if isinstance(command, Create) and command.state is not None and entry.instance is None:
            same = same and entry.to == command.state
        if not same or entry.params != stored(events.get(name), command.params):
            why = f"key {command.key!r} was used at position {pos} for another {entry.event!r}"
            raise IdempotencyConflict(why, hint="use a new key for a new command")
        instance = self.world.instance(command.instance)
        return Receipt(
            DUPLICATE,
            pos,
            command.instance,
            entry.seq,
            instance.state if instance else None,
            entry.reason,
            entry.effects,
            first=entry.outcome or ACCEPTED,
        )

    # consequences

    def fire(self, pos: int, name: str, now: int) -> None:
        """Fire one timer of the instance at `pos`: its event, as a command of nobody."""
        instance = self.world.instance_at(pos)
        if instance is None:
            why = f"timer {name!r} is armed, and no entry created instance {pos}"
            raise TapeDamaged(why, place=f"entry {pos}", hint=RESTORE)
        if name.startswith(PARKED):
            self._expire(instance, name, now)
            return
        timers = instance.machine.states[instance.state].timers
        timer = next((timer for timer in timers if timer.name == name), None)
        if timer is None:
            why = f"timer {name!r} is armed, and {instance.state!r} of {instance.name} has no such"
            raise TapeDamaged(why, place=f"entry {instance.timers[name][2]}", hint=RESTORE)
        moment = self._moment(instance, now, self.world.height(instance.machine.chain))
        entry = Entry(at=now, event=timer.event, instance=pos, timer=name)
        if timer.kind == QUIET and instance.refused is not None:
            entry.cause = instance.refused[0]
        params: Mapping[str, Json] = {}
        if timer.arguments:
            with suppress(*EVALUATION_ERRORS):  # the event then lacks them, and is refused
                params = arguments_of(timer, instance.data, moment)
        self._follow(instance, entry, params, moment, now)

    def _expire(self, instance: Instance, name: str, now: int) -> None:
        """Refuse a parked command that has waited for too long."""
        pos = int(name.removeprefix(PARKED))
        event = next((one[1] for one in instance.parked if one[0] == pos), None)
        if event is None:
            why = f"timer {name!r} of {instance.name} is armed, and nothing is parked there"
            raise TapeDamaged(why, place=f"entry {pos}", hint=RESTORE)
        entry = Entry(at=now, event=event, instance=instance.pos, offer=pos, timer=name)
        reason = {"kind": "deferral_expired"}
        self._record(instance, entry, Decision(REJECTED, None, reason=reason))

    def deliver(self, now: int) -> None:
        """Deliver every raised event, and what these raise, in order."""
        while self.waiting:
            self.deliver_one(self.waiting.popleft(), now)

    def deliver_one(self, link: Link, now: int) -> None:
        """Decide and record one raised event, as a command of nobody."""
        try:
            instance = self.world.instance(link.instance)
        except SpecError:  # its machine is from a version that this one cannot load: it rests
            self.refuse_link(link, now, {"kind": UNLOADABLE})
            return
        if instance is None:
            self.refuse_link(link, now, self._absence(link.instance))
            return
        event, params = link.raised.event, link.raised.params
        entry = Entry(at=link.at, event=event, raised=link.pos)
        if link.at != now:
            entry.recorded = now
        entry.instance = instance.pos
        link.chain.left -= 1
        if link.depth > LINKS_DEEP_MAX or link.chain.left < 0:
            self._refuse(instance, entry, params)
            return
        moment = self._moment(instance, link.at, self.world.height(instance.machine.chain))
        self._link = link
        try:
            self._follow(instance, entry, params, moment, now)
        finally:
            self._link = None

    def refuse_link(self, link: Link, now: int, reason: dict[str, Json]) -> None:
        """Record a raised event that reaches no instance, with its parameters where they fit."""
        entry = Entry(
            at=link.at,
            event=link.raised.event,
            name=link.instance,
            outcome=REJECTED,
            params=link.raised.params or None,
            raised=link.pos,
            reason=reason,
            recorded=None if link.at == now else now,
        )
        try:
            self._stage(entry, 0)
        except EntryTooLarge:
            entry.params = None
            self._stage(entry, 0)

    def _refuse(self, instance: Instance, entry: Entry, params: dict[str, Json]) -> None:
        """Record a link too many, with its parameters where they fit."""
        decision = Decision(REJECTED, None, reason={"kind": "links_too_deep"})
        entry.params = params or None
        try:
            self._record(instance, entry, decision)
        except EntryTooLarge:
            entry.params = None
            self._record(instance, entry, decision)

    def _offer(self, instance: Instance, trigger: Moment, now: int) -> None:
        """Offer parked commands again, oldest first, as long as one of them has a row."""
        machine = instance.machine
        while True:
            final = machine.states[instance.state].final
            rows = machine.table[instance.state]
            chosen = next((one for one in instance.parked if final or one[1] in rows), None)
            if chosen is None:
                return
            pos, event, params = chosen
            moment = self._moment(instance, trigger.now, trigger.given_height)
            entry = Entry(at=moment.now, event=event, instance=instance.pos, offer=pos)
            self._follow(instance, entry, params or {}, moment, now)

    def _follow(
        self, instance: Instance, entry: Entry, params: Mapping[str, Any], moment: Moment, now: int
    ) -> None:
        """Decide and record what no caller waits for: whatever goes wrong is a refusal."""
        if moment.given_height is not None:
            entry.height = json_int(moment.given_height)
        if entry.at != now:
            entry.recorded = now
        try:
            decision = decide(
                instance.machine,
                entry.event or "",
                instance.state,
                instance.data,
                instance.timers,
                params,
                moment,
                firing=entry.timer,
            )
            if entry.offer is None:
                entry.params = decision.params
            else:
                decision.params = None
            self._record(instance, entry, decision)
        except CallerError as error:
            entry.to = entry.from_ = entry.set = entry.effects = entry.timers = None
            entry.raises = entry.params = None
            decision = Decision(REJECTED, None, reason={"kind": error.code})
            self._record(instance, entry, decision)
        if decision.to is not None and instance.parked and entry.offer is None:
            self._offer(instance, moment, now)

    @staticmethod
    def _moment(instance: Instance, now: int, height: int | None) -> Moment:
        """Return the moment of something that follows from a command or a clock."""
        chain = instance.machine.chain
        refused = instance.refused[1] if instance.refused else None
        return Moment(
            now, height, instance.key, instance.state, chain, follows=True, refused=refused
        )
