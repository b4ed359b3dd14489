"""Every benchmark, a line of JSON each."""

from __future__ import annotations

from . import commits, importing, reading, startup, timers

for benchmark in (commits, timers, startup, importing, reading):
    benchmark.main()
