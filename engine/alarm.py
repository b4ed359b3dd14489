"""The alarm clock: wakes an engine for its next timer, and to anchor what is new.

The tape is the truth: nothing is stored here, and a missed or doubled wake-up does no harm,
because waking means `Engine.tick`, which fires what is due and nothing else. APScheduler keeps one
job for the earliest wall-clock deadline and one for the anchor; heights need no clock, they fire
when they are observed.
"""

from __future__ import annotations

import datetime
import logging
import threading
from typing import Self

from apscheduler.schedulers.background import BackgroundScheduler

from ..fsm.errors import StatetapeError
from .engine import ANCHOR_EVERY_S, Engine

_TIMER = "timer"
_ANCHOR = "anchor"
_SOON = datetime.timedelta(milliseconds=1)
_log = logging.getLogger("statetape.alarm")


class Alarm:
    """Runs an engine's timers by the clock, from entering until leaving the context."""

    def __init__(self, engine: Engine, *, anchor_every_s: float = ANCHOR_EVERY_S) -> None:
        self.engine = engine
        self.anchor_every_s = anchor_every_s
        self.scheduler = BackgroundScheduler(timezone=datetime.UTC)
        self._set_for: int | None = None
        self._stopping = False
        self._at_work = threading.Lock()

    def __enter__(self) -> Self:
        self.engine.after_commit = self.reset
        self.scheduler.add_job(
            self._anchor, "interval", seconds=self.anchor_every_s, id=_ANCHOR, coalesce=True
        )
        self.scheduler.start()
        self.wake()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        self.engine.after_commit = lambda: None
        # Not waiting here: the scheduler would hold its lock, which a job at work may want.
        self.scheduler.shutdown(wait=False)
        with self._at_work:
            pass

    def reset(self) -> None:
        """Set the alarm to the earliest deadline; called after every commit."""
        soonest = self.engine.world.deadlines.soonest
        if soonest != self._set_for and not self._stopping:
            self._set(self.engine.next_deadline())
            self._set_for = self.engine.world.deadlines.soonest

    def _set(self, deadline_us: int | None) -> None:
        if deadline_us is None:
            if self.scheduler.get_job(_TIMER):
                self.scheduler.remove_job(_TIMER)
            return
        seconds = max(0.0, (deadline_us - self.engine.clock()) / 1_000_000)
        at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds) + _SOON
        self.scheduler.add_job(
            self.wake,
            "date",
            run_date=at,
            id=_TIMER,
            replace_existing=True,
            misfire_grace_time=None,
        )

    def wake(self) -> None:
        """Fire what is due, and set the alarm again."""
        with self._at_work:
            if self._stopping:
                return
            try:
                self.engine.tick()
            except StatetapeError as error:
                _log.error("timers could not fire: %s", error)
            self._set_for = None
            self.reset()

    def _anchor(self) -> None:
        with self._at_work:
            if self._stopping:
                return
            try:
                self.engine.anchor()
            except StatetapeError as error:
                _log.error("the tape could not be anchored: %s", error)
