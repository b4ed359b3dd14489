"""Every benchmark, a line of JSON each."""

from __future__ import annotations

from . import (
    auditing,
    bundles,
    collecting,
    commits,
    explaining,
    importing,
    proving,
    reading,
    startup,
    timers,
    whatif,
)

for benchmark in (
    commits,
    timers,
    startup,
    importing,
    reading,
    explaining,
    whatif,
    auditing,
    proving,
    bundles,
    collecting,
):
    benchmark.main()
