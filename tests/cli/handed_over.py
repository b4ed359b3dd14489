"""The bundle of the how-to about handing evidence over, and what the commands print of it."""

from __future__ import annotations

import io
import re
import shlex
import tempfile
from contextlib import chdir, redirect_stdout
from pathlib import Path

import typer
from statetape.cli.main import register
from statetape.engine.inspect import Inspector
from statetape.specs.filecoin.demo_dispute import CHANNEL

from .disputed_channel import OF_THIS_TAPE, played

HOW_TO = Path(__file__).resolve().parents[2] / "docs/how-to/hand-over-evidence.md"
COMMAND = re.compile(r"^(\w+\$) statetape (.*)\n(?:.*\n)*?(?=\n?\w+\$ |```$)", re.MULTILINE)
KEY_OF_THIS_TAPE = re.compile(r"(?<=…)\+[0-9a-f]{8}\+[A-Za-z0-9+/=]{44}")

SIZE = re.compile(r": \d{6} bytes$", re.MULTILINE)
"""The bundle holds the machines' texts: each comment in one would be another size."""


def how_to(folder: Path) -> str:
    """Return the how-to with each of its commands followed by what it prints."""
    played(folder)
    tape = folder / "statetape-demo-payee.db"
    with Inspector.open(tape) as inspector:
        known = {"$LOG_KEY": inspector.reader.signers()[-1].text, "$CHANNEL": CHANNEL}
    command = typer.main.get_command(register())

    def run(block: re.Match[str]) -> str:
        words = [known.get(word, word) for word in shlex.split(block[2])]
        if "export" in words:
            words += ["--tape", str(tape)]
        with (
            redirect_stdout(io.StringIO()) as printed,
            command.make_context("statetape", words) as context,
        ):
            context.command.invoke(context)
        told = KEY_OF_THIS_TAPE.sub("+…", OF_THIS_TAPE.sub("…", printed.getvalue()))
        told = SIZE.sub(": … bytes", told)
        return f"{block[1]} statetape {block[2]}\n{told}"

    with chdir(folder):
        return COMMAND.sub(run, HOW_TO.read_text())


def main() -> None:
    """Write the how-to again."""
    with tempfile.TemporaryDirectory() as folder:
        HOW_TO.write_text(how_to(Path(folder)))


if __name__ == "__main__":
    main()
