"""The engine: one tape, its world, and everybody who sends commands to it.

Theory of operation.

E1  A command is decided inside the transaction that stores it, after everything that other
    processes appended was absorbed: so two engines on one tape never decide from stale state.
E2  The world moves with the transaction. If it fails, the world is rolled back, and every command
    of the batch gets the named error: nothing is half-applied.
E3  A command that cannot be taken (CallerError, ConflictError) fails alone; its batch goes on.
E4  Projections are stored together with entries, every FLUSH_ENTRIES and at close; until then a
    crash costs folding that many entries at the next open.
E5  Timers that are due fire before any command is decided, in the same transaction.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from ..fsm.entry import FORMAT, OPENED, Entry, decode, encode
from ..fsm.errors import StatetapeError
from ..fsm.machine import Machine
from ..storage.errors import (
    OutcomeUnknown,
    StoreFull,
    TapeBusy,
    TapeExists,
    TapeForked,
    TapeMissing,
    TapePoisoned,
)
from ..storage.files import Files
from ..storage.tape import LOCK_TIMEOUT_S, Tape
from ..storage.verifier import Checkpoint
from . import catalogue
from .commands import Command, Create, Observe, Receipt, Send
from .committer import Committer, Job
from .deadlines import WALL
from .ledger import Ledger
from .loading import open_world, store
from .outbox import Pending, acknowledge, pending
from .world import World

FLUSH_ENTRIES = 20_000
FIRE_MAX = 10_000
"""Overdue timers per commit."""
ANCHOR_EVERY_S = 1.0

Clock = Callable[[], int]
"""Microseconds since 1970 UTC."""


def wall_clock() -> int:
    """Return the computer's clock in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


class Engine:
    """A tape with its world. See the module's theory of operation."""

    def __init__(self, tape: Tape, clock: Clock = wall_clock) -> None:
        """Use `Engine.open`; this takes over an open tape."""
        self.tape = tape
        self.clock = clock
        self.world = self._open_world()
        self.ledger = Ledger(self.world)
        self.committer: Committer[Command, Receipt] = Committer(self._run, self._run_alone)
        self.anchor_every_s = ANCHOR_EVERY_S
        self.after_commit: Callable[[], None] = lambda: None
        self._anchored_at = time.monotonic()
        self._broken: StatetapeError | None = None
        self._closed = False

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        anchor: str | Path | None = None,
        key: str | Path | None = None,
        create: bool = True,
        clock: Clock = wall_clock,
        entropy: Callable[[int], bytes] = secrets.token_bytes,
        new_anchor: bool = False,
        timeout_s: float = LOCK_TIMEOUT_S,
        synchronous: str = "FULL",
    ) -> Self:
        """Open the tape at `path` for commands; `create` makes one where there is none.

        `anchor` and `key` say where those files lie (default: beside the tape). `new_anchor`
        goes on where anchor or key were lost. `entropy` gives random bytes for a new tape's name
        and key. `synchronous` other than FULL is for negative controls of crash tests alone.
        Raises OperatorError by name for damage, a lost tail, a fork, a full or failing disk.
        """
        files = Files.of(path, anchor, key)
        seed = entropy(32) if new_anchor else None

        def opened() -> Tape:
            return Tape.open_to_write(
                files, timeout_s=timeout_s, new_seed=seed, synchronous=synchronous
            )

        try:
            tape = opened()
        except TapeMissing:
            if not create:
                raise
            try:
                tape = new_tape(files, clock(), entropy, timeout_s, synchronous)
            except TapeExists:  # another process was faster
                tape = opened()
        try:
            return cls(tape, clock)
        except BaseException:
            tape.abandon()
            raise

    def _open_world(self) -> World:
        """Return the world of the tape, read within a turn: as of one moment, whoever else writes.

        What others wrote since the tape was opened is in it, so it is not absorbed once more.
        """
        tape = self.tape
        tape.take()
        try:
            world = open_world(tape)
            tape.foreign()
        finally:
            tape.give()
        return world

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # commands

    def create(
        self,
        machine: Machine | str,
        key: str,
        params: Mapping[str, Any] | None = None,
        /,
        **options: Any,
    ) -> Receipt:
        """Begin the instance `machine/key`; returns after its entry is durable.

        `machine` is a bundled machine's name, a file's path, or a Machine. `options` are those of
        `Create`: key (for idempotency), by, cause, at, height, state.
        """
        found = machine if isinstance(machine, Machine) else catalogue.find(machine)
        return self.execute(Create(found, f"{found.name}/{key}", params or {}, **options))

    def send(
        self, instance: str, event: str, params: Mapping[str, Any] | None = None, /, **options: Any
    ) -> Receipt:
        """Send an event to an instance; returns after its entry is durable."""
        return self.execute(Send(instance, event, params or {}, **options))

    def observe(self, chain: str, height: int, **options: Any) -> Receipt:
        """Record a chain's head; every timer at or below it fires in the same commit."""
        return self.execute(Observe(chain, height, **options))

    def execute(self, command: Command) -> Receipt:
        """Run one command from any thread. Raises the error of a command that cannot be taken."""
        return self.committer.execute_one(command)

    def execute_many(self, commands: Sequence[Command]) -> list[Receipt | StatetapeError]:
        """Run commands in order, in as few commits as fit; each answer is a receipt or an error."""
        if not commands:
            return []
        jobs = self.committer.execute(commands)
        return [
            job.error if isinstance(job.error, StatetapeError) else job.result() for job in jobs
        ]

    def execute_async(self, command: Command) -> asyncio.Future[Receipt]:
        """Run one command from an event loop; commands in flight together share a sync."""
        return self.committer.submit(command)

    def send_async(
        self, instance: str, event: str, params: Mapping[str, Any] | None = None, /, **options: Any
    ) -> asyncio.Future[Receipt]:
        """`send`, from an event loop."""
        return self.committer.submit(Send(instance, event, params or {}, **options))

    async def execute_many_async(
        self, commands: Sequence[Command]
    ) -> list[Receipt | StatetapeError]:
        """`execute_many`, from an event loop."""
        futures = [self.committer.submit(command) for command in commands]
        return await asyncio.gather(*futures, return_exceptions=True)  # type: ignore[return-value]

    def tick(self) -> int:
        """Fire every timer that is due; returns how many fired."""
        with self.committer.leader:
            return self._fire_due()

    def next_deadline(self) -> int | None:
        """Return the earliest wall-clock deadline in microseconds, or None."""
        with self.committer.leader:
            return self.world.deadlines.earliest(WALL)

    # transactions

    def _run_alone(self, command: Command) -> Receipt:
        """Run one command in a transaction of its own."""
        self._fire_due()
        receipt: Receipt = self._transact(lambda now: self.ledger.run(command, now))
        self._keep_up()
        return receipt

    def _run(self, jobs: Sequence[Job[Command, Receipt]]) -> None:
        """Run a batch: all entries of its commands in one transaction."""
        try:
            self._fire_due()
            self._transact(lambda now: self._decide(jobs, now))
        except BaseException as error:
            interrupted = not isinstance(error, Exception)
            told = OutcomeUnknown("the commit was interrupted") if interrupted else error
            for job in jobs:
                job.answer = None
                job.error = told
            if interrupted:  # it was meant for the thread that happens to lead
                raise
        else:
            self._keep_up()

    def _decide(self, jobs: Sequence[Job[Command, Receipt]], now: int) -> None:
        run = self.ledger.run
        for job in jobs:
            try:
                job.answer = run(job.ask, now)
            except StatetapeError as error:
                job.error = error

    def _fire_due(self) -> int:
        """Fire what is overdue, in commits of at most FIRE_MAX."""
        world = self.world
        deadlines = world.deadlines
        fired = 0
        while deadlines.heights or self.clock() >= deadlines.soonest:
            if not deadlines.pending(self.clock(), world.heads):
                break
            count = self._transact(lambda now: self.ledger.fire_due(now, FIRE_MAX))
            fired += count
            if count < FIRE_MAX:
                break
        return fired

    def _transact(self, work: Callable[[int], Any]) -> Any:
        """Run `work(now)` and store what it staged. Called with the leadership."""
        self._usable()
        tape = self.tape
        world = self.world
        staged = self.ledger.staged
        tape.take()
        try:
            before = self._absorb()
            try:
                now = self.clock()
                result = work(now)
                self.ledger.deliver(now)
                flush = len(world.window) >= FLUSH_ENTRIES
                if staged:
                    tape.write(staged, self._project if flush else None)
            except BaseException:
                world.rollback(before)
                raise
            world.settled()
            if staged and flush:
                world.flushed()
            return result
        finally:
            self.ledger.forget()
            tape.give()

    def _usable(self) -> None:
        """Raise what ended this engine, if something did. Called with the leadership."""
        if self._broken is not None:
            raise self._broken.with_traceback(None)

    def _project(self) -> None:
        store(self.tape, self.world)

    def _absorb(self) -> int:
        """Learn what other processes appended; returns the size that a rollback goes back to.

        A failure here leaves a world that nobody can trust: this engine is done.
        """
        foreign = self.tape.foreign()
        if foreign:
            try:
                self.world.absorb(foreign)
            except StatetapeError as error:
                self._broken = error
                raise
        return self.world.size

    def _keep_up(self) -> None:
        """What may wait until after a commit: the anchor, the WAL, the alarm clock.

        A failure here is not the command's, which is durable: where there was no space or another
        process was at it, the next commit tries again; anything else ends this engine.
        """
        try:
            self.tape.move_wal()
            if time.monotonic() - self._anchored_at >= self.anchor_every_s:
                self.anchor()
        except (StoreFull, TapeBusy):
            pass
        except StatetapeError as error:
            self._broken = error
        self.after_commit()

    def effects(self, consumer: str, limit: int = 1000) -> list[Pending]:
        """Return what a consumer has still to do: about `limit` effects, in order.

        Those of other processes too, as far as they were stored when this was asked.
        """
        with self.committer.leader:
            with self._caught_up():
                pass
            return pending(self.tape, self.world, consumer, limit)

    def acknowledge(self, consumer: str, pos: int) -> None:
        """Note durably that a consumer has done everything up to position `pos`."""
        with self.committer.leader, self._caught_up():
            acknowledge(self.tape, consumer, pos)

    def adopt(self, bodies: Sequence[bytes]) -> None:
        """Append entries that were decided elsewhere, as they are: an import.

        The caller has checked that they are canonical and come next. A failure breaks this
        engine, and leaves on the tape a prefix of what was adopted.
        """
        with self.committer.leader:
            self._usable()
            self.tape.take()
            try:
                if decode(bodies[0]).pos != self._absorb() + 1:
                    why = "another process wrote to the tape meanwhile"
                    raise TapeForked(why, hint="import into a tape of its own")
                self.world.absorb(bodies)
                self.tape.write(bodies, self._project)
                self.world.flushed()
            except StatetapeError as error:
                self._broken = error
                raise
            finally:
                self.tape.give()

    # upkeep

    def anchor(self) -> Checkpoint | None:
        """Sign and write a checkpoint of everything stored, if there is something new."""
        with self.committer.leader:
            self._usable()
            self._anchored_at = time.monotonic()
            return self.tape.anchor()

    def flush(self) -> None:
        """Bring the projections up to the last entry."""
        with self.turn():
            pass

    @contextmanager
    def turn(self) -> Iterator[None]:
        """A turn for upkeep: nobody else writes, and the projections are up to the last entry."""
        with self.committer.leader, self._caught_up():
            if self.world.window:
                self.tape.write((), self._project)
                self.world.flushed()
            yield

    @contextmanager
    def _caught_up(self) -> Iterator[None]:
        """A turn whose world knows what others wrote. Called with the leadership."""
        self._usable()
        self.tape.take()
        try:
            self._absorb()
            yield
        finally:
            self.tape.give()

    def abandon(self) -> None:
        """Let go of the tape as a crash would: nothing is flushed, nothing anchored."""
        with self.committer.leader:
            self._closed = True
            self._broken = TapePoisoned("the engine is closed")
            self.tape.abandon()

    def close(self) -> None:
        """Finish what is queued, catch up the projections, anchor, and let go of the tape.

        Closing again does nothing. A command sent after closing raises TapePoisoned, from
        whichever thread.
        """
        self.committer.close()
        with self.committer.leader:
            if self._closed:
                return
            self._closed = True
            try:
                if not self.tape.poisoned and self._broken is None:
                    self.flush()
            finally:
                self._broken = TapePoisoned("the engine is closed")
                self.tape.close()


def new_tape(
    files: Files,
    now: int,
    entropy: Callable[[int], bytes],
    timeout_s: float = LOCK_TIMEOUT_S,
    synchronous: str = "FULL",
) -> Tape:
    """Create a tape whose first entry gives it its name."""
    origin = f"statetape/{entropy(16).hex()}"
    first = encode(Entry(at=now, format=FORMAT, origin=origin, pos=1, tape=OPENED))
    return Tape.create(
        files,
        first,
        origin=origin,
        seed=entropy(32),
        timeout_s=timeout_s,
        synchronous=synchronous,
    )
