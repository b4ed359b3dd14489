"""Every benchmark, a line of JSON each."""

from __future__ import annotations

from . import commits, importing, reading, startup, timers, whatif

for benchmark in (commits, timers, startup, importing, reading, whatif):
    benchmark.main()
