"""10,000 overdue timers, fired durably."""

from __future__ import annotations

from statetape.engine.commands import Create
from statetape.engine.engine import Engine

from .workload import machine, names, report, seconds, workspace

TIMERS = 10_000
HOUR_US = 3_600_000_000


def main() -> None:
    """Print the figure."""
    now = [1_600_000_000_000_000]
    with workspace() as path:
        told = machine()
        with Engine.open(path / "tape.db", clock=lambda: now[0]) as engine:
            engine.execute_many([Create(told, name, {"owner": "me"}) for name in names(TIMERS)])
        now[0] += 2 * HOUR_US
        with Engine.open(path / "tape.db", clock=lambda: now[0]) as engine:
            fired = 0

            def fire() -> None:
                nonlocal fired
                fired = engine.tick()

            took = seconds(fire)
    if fired != TIMERS:
        raise AssertionError(f"{fired} timers fired")
    report("10,000 overdue timers fired durably", "1/s", TIMERS / took, None, ">= 10,000/s")


if __name__ == "__main__":
    main()
