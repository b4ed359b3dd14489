"""Every benchmark, a line of JSON each."""

from __future__ import annotations

from . import commits, explaining, importing, reading, startup, timers, whatif

for benchmark in (commits, timers, startup, importing, reading, explaining, whatif):
    benchmark.main()
