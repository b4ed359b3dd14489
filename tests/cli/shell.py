"""The real command line, in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self):
        """What it printed, as JSON."""
        return json.loads(self.out)


class Shell:
    """Runs `statetape` in a directory, on one tape."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tape = folder / "tape.db"

    def __call__(self, *words: str, stdin: str | None = None, **environment: str) -> Ended:
        env = {name: value for name, value in os.environ.items() if "STATETAPE" not in name}
        env |= {"STATETAPE_TAPE": str(self.tape), "COLUMNS": "100", **environment}
        done = subprocess.run(
            [sys.executable, "-m", "statetape.cli.main", *words],
            cwd=self.folder,
            env=env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(done.returncode, done.stdout, done.stderr)
