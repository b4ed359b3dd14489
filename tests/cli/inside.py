"""The command line within this process: what costs nothing to start can be asked often."""

from __future__ import annotations

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path

import typer
from statetape.cli.main import register


class Inside:
    """Runs commands on one tape; returns what they printed. Errors are raised as they are."""

    def __init__(self, tape: Path) -> None:
        self.tape = tape
        self.command = typer.main.get_command(register())

    def __call__(self, *words: str) -> str:
        printed = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with redirect_stdout(printed):
            sys.stdout.reconfigure(write_through=True)
            words = (*words, "--tape", str(self.tape))
            with self.command.make_context("statetape", list(words)) as context:
                context.command.invoke(context)
        return printed.buffer.getvalue().decode()

    def lines(self, *words: str) -> list[str]:
        """Return the lines that a command prints."""
        return self(*words).splitlines()

    def json(self, *words: str):
        """Return what a command prints with --json."""
        return json.loads(self(*words, "--json"))
