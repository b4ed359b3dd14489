"""`statetape --help`, beside a Python that does nothing."""

from __future__ import annotations

import statistics
import subprocess
import sys

from .workload import report, seconds

ROUNDS = 9


def main() -> None:
    """Print the figure."""
    help_s = _median([sys.executable, "-m", "statetape.cli.main", "--help"])
    bare_s = _median([sys.executable, "-c", ""])
    report("statetape --help", "s", help_s, None, "< 0.3 s", bare_python=round(bare_s, 4))


def _median(command: list[str]) -> float:
    return statistics.median(
        seconds(lambda: subprocess.run(command, check=True, capture_output=True))
        for _ in range(ROUNDS)
    )


if __name__ == "__main__":
    main()
