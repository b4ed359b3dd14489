"""Group commit: many callers, one sync.

Theory of operation. A caller puts a job into the queue and then tries to become the leader. The
leader takes everything that is queued, runs it as one transaction, and hands out the results; the
others find their job done when they get the leadership. So whatever arrives while a sync runs
shares the next one, and a lone caller commits in its own thread, with no hand-over. Callers on an
event loop must not block, so a worker thread leads for them.

Nothing is handed out before the transaction is durable.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import msgspec

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

BATCH_MAX = 10_000


class Job(msgspec.Struct, Generic[Ask, Answer], gc=False):
    """One request and, once `done`, its answer or error."""

    ask: Ask
    future: asyncio.Future[Answer] | None = None
    answer: Answer | None = None
    error: BaseException | None = None
    done: bool = False

    def result(self) -> Answer:
        """Return the answer, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.answer  # type: ignore[return-value]


class Committer(Generic[Ask, Answer]):
    """Runs jobs in batches; see the module's theory of operation."""

    def __init__(
        self,
        run: Callable[[Sequence[Job[Ask, Answer]]], None],
        run_alone: Callable[[Ask], Answer],
    ) -> None:
        """`run` gives each job its answer or error, durably, even where it is interrupted.

        `run_alone` does the same for one request, and returns or raises.
        """
        self._run = run
        self._run_alone = run_alone
        self._queue: deque[Job[Ask, Answer]] = deque()
        self.leader = threading.RLock()
        self._wake = threading.Semaphore(0)
        self._rousing = threading.Lock()
        self._woken = False
        self._worker: threading.Thread | None = None
        self._closing = False

    def execute(self, asks: Sequence[Ask]) -> list[Job[Ask, Answer]]:
        """Run requests, all in one batch, and return their finished jobs."""
        jobs: list[Job[Ask, Answer]] = [Job(ask) for ask in asks]
        self._queue.extend(jobs)
        self._wait(jobs[-1])
        return jobs

    def execute_one(self, ask: Ask) -> Answer:
        """Run one request; returns its answer or raises its error."""
        if not self._queue and self.leader.acquire(blocking=False):
            try:
                return self._run_alone(ask)
            finally:
                self.leader.release()
        job: Job[Ask, Answer] = Job(ask)
        self._queue.append(job)
        self._wait(job)
        return job.result()

    def _wait(self, job: Job[Ask, Answer]) -> None:
        """Lead until a job is done, or find that another leader did it."""
        with self.leader:
            while not job.done:
                self._lead()

    def submit(self, ask: Ask) -> asyncio.Future[Answer]:
        """Queue a request from an event loop; the future gets its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(Job(ask, future))
        if not self._woken:
            self._rouse()
        return future

    def _rouse(self) -> None:
        """Make sure that somebody leads for what was queued: the worker, or after `close` we."""
        with self._rousing:
            if not self._closing:
                if not self._woken:
                    self._woken = True
                    if self._worker is None:
                        self._start()
                    self._wake.release()
                return
        self._drain()

    def _start(self) -> None:
        self._worker = threading.Thread(target=self._work, name="statetape-commit", daemon=True)
        self._worker.start()

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            self._woken = False
            self._drain()
            if self._closing:
                return

    def _drain(self) -> None:
        with self.leader:
            while self._queue:
                self._lead()

    def _lead(self) -> None:
        """Run one batch of what is queued. Called with the leadership."""
        queue = self._queue
        batch: list[Job[Ask, Answer]] = []
        while queue and len(batch) < BATCH_MAX:
            batch.append(queue.popleft())
        try:
            self._run(batch)
        finally:
            waiting = []
            for job in batch:
                job.done = True
                if job.future is not None:
                    waiting.append(job)
            if waiting:
                self._hand_over(waiting)

    @staticmethod
    def _hand_over(waiting: Sequence[Job[Ask, Answer]]) -> None:
        """Give finished jobs to their event loops, one wake-up per loop."""
        loops: dict[asyncio.AbstractEventLoop, list[Job[Ask, Answer]]] = {}
        for job in waiting:
            if job.future is not None:
                loops.setdefault(job.future.get_loop(), []).append(job)
        for loop, jobs in loops.items():
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(_deliver, jobs)

    def close(self) -> None:
        """Run what is queued, and end the worker. What is asked later runs in its own thread."""
        with self._rousing:
            self._closing = True
            worker, self._worker = self._worker, None
        if worker is not None:
            self._wake.release()
            worker.join()
        self._woken = False
        self._drain()


def _deliver(jobs: Sequence[Job[Ask, Answer]]) -> None:
    for job in jobs:
        future = job.future
        if future is None or future.done():
            continue
        if job.error is not None:
            future.set_exception(job.error)
        else:
            future.set_result(job.answer)  # type: ignore[arg-type]
