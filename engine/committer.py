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

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")

BATCH_MAX = 10_000


class Job(Generic[Ask, Answer]):
    """One request and, once `done`, its answer or error."""

    __slots__ = ("answer", "ask", "done", "error", "future")

    def __init__(self, ask: Ask, future: asyncio.Future[Answer] | None = None) -> None:
        self.ask = ask
        self.answer: Answer | None = None
        self.error: BaseException | None = None
        self.done = False
        self.future = future

    def result(self) -> Answer:
        """Return the answer, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.answer  # type: ignore[return-value]


class Committer(Generic[Ask, Answer]):
    """Runs jobs in batches; see the module's theory of operation."""

    def __init__(self, run: Callable[[Sequence[Job[Ask, Answer]]], None]) -> None:
        """`run` gives each job its answer or error, durably; it never raises."""
        self._run = run
        self._queue: deque[Job[Ask, Answer]] = deque()
        self.leader = threading.RLock()
        self._wake = threading.Semaphore(0)
        self._woken = False
        self._worker: threading.Thread | None = None
        self._closing = False

    def execute(self, asks: Sequence[Ask]) -> list[Job[Ask, Answer]]:
        """Run requests, all in one batch, and return their finished jobs."""
        jobs: list[Job[Ask, Answer]] = [Job(ask) for ask in asks]
        self._queue.extend(jobs)
        with self.leader:
            while not jobs[-1].done:
                self._lead()
        return jobs

    def submit(self, ask: Ask) -> asyncio.Future[Answer]:
        """Queue a request from an event loop; the future gets its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.append(Job(ask, future))
        if not self._woken:
            self._woken = True
            if self._worker is None:
                self._start()
            self._wake.release()
        return future

    def _start(self) -> None:
        self._worker = threading.Thread(target=self._work, name="statetape-commit", daemon=True)
        self._worker.start()

    def _work(self) -> None:
        while True:
            self._wake.acquire()
            self._woken = False
            with self.leader:
                while self._queue:
                    self._lead()
            if self._closing:
                return

    def _lead(self) -> None:
        """Run one batch of what is queued. Called with the leadership."""
        queue = self._queue
        batch = [queue.popleft() for _ in range(min(len(queue), BATCH_MAX))]
        if not batch:
            return
        self._run(batch)
        loops: dict[asyncio.AbstractEventLoop, list[Job[Ask, Answer]]] = {}
        for job in batch:
            job.done = True
            if job.future is not None:
                loops.setdefault(job.future.get_loop(), []).append(job)
        for loop, jobs in loops.items():
            with suppress(RuntimeError):  # the loop was closed: nobody waits any more
                loop.call_soon_threadsafe(_deliver, jobs)

    def close(self) -> None:
        """Run what is queued, and end the worker."""
        self._closing = True
        if self._worker is not None:
            self._wake.release()
            self._worker.join()
            self._worker = None
        with self.leader:
            while self._queue:
                self._lead()


def _deliver(jobs: Sequence[Job[Ask, Answer]]) -> None:
    for job in jobs:
        future = job.future
        if future is None or future.done():
            continue
        if job.error is not None:
            future.set_exception(job.error)
        else:
            future.set_result(job.answer)  # type: ignore[arg-type]
