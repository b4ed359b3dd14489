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


ORDER = """\
machine: shop.order
version: 1
title: An order
data:
  price: attofil
  any: json?
states:
  placed: {initial: true}
  paid: {final: true}
events:
  pay:
    params: {amount: attofil}
    go: [{from: placed, to: paid, when: amount >= price}, {from: placed}]
"""


class Shell:
    """Runs `statetape` in a directory, on one tape."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tape = folder / "tape.db"

    def __call__(self, *words: str | bytes, stdin: str | None = None, **environment: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "statetape.cli.main", *words],
            cwd=self.folder,
            env=self._environment(environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def script(self, script: str, **environment: str) -> Ended:
        """Run a shell's script; in it `statetape` is the command line."""
        start = f'statetape() {{ "{sys.executable}" -m statetape.cli.main "$@"; }}\n'
        done = subprocess.run(
            ["bash", "-c", start + script],
            cwd=self.folder,
            env=self._environment(environment),
            capture_output=True,
            text=True,
            timeout=120,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if "STATETAPE" not in name}
        return env | {"STATETAPE_TAPE": str(self.tape), "COLUMNS": "100", **more}

    def order(self, key: str = "4711") -> Ended:
        """Begin an instance of a machine from a file."""
        (self.folder / "order.yaml").write_text(ORDER)
        return self("new", "order.yaml", key, "price=2")
