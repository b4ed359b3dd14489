"""How long the fuzzers run: STATETAPE_FUZZ examples of each (`make fuzz` sets it high)."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("STATETAPE_FUZZ", "500"))
HANG_SECONDS = 20


def fuzzing(share: float = 1.0) -> settings:
    """Return the settings of a fuzzer that runs this share of the examples."""
    return settings(
        max_examples=max(10, int(EXAMPLES * share)),
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


class Hang(BaseException):
    """An example did not come back: worse than a wrong answer, and not to be caught as one."""


@contextmanager
def no_hang(seconds: int = HANG_SECONDS) -> Iterator[None]:
    """Raise Hang if the block takes far longer than any example may."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"no answer after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
