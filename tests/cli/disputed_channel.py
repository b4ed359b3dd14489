"""The two tapes of the how-to about disputes: those that `demo dispute` leaves behind."""

from __future__ import annotations

import io
import re
import shlex
import tempfile
from contextlib import redirect_stdout
from pathlib import Path

import typer
from statetape.cli import command_demo
from statetape.cli.main import register

HOW_TO = Path(__file__).resolve().parents[2] / "docs/how-to/audit-a-dispute.md"
COMMAND = re.compile(r"^payee\$ statetape (.*)\n(?:.*\n)*?(?=\n?payee\$ |```$)", re.MULTILINE)
OF_THIS_TAPE = re.compile(r"statetape/[0-9a-f]{32}|(?<=root )[0-9a-f]{64}")
"""Names and roots: other ones in each play, since a tape's name is drawn by lot."""


def played(folder: Path) -> Path:
    """Play the story in a folder; returns it."""
    with redirect_stdout(io.StringIO()):
        command_demo.demo("dispute", None, folder / "statetape-demo.db")
    return folder


def how_to(folder: Path) -> str:
    """Return the how-to with each of its commands followed by what it prints."""
    played(folder)
    command = typer.main.get_command(register())

    def run(block: re.Match[str]) -> str:
        words = [
            str(folder / word) if word.startswith("statetape-demo") else word
            for word in shlex.split(block[1])
        ]
        words += ["--tape", str(folder / "statetape-demo-payee.db")]
        with (
            redirect_stdout(io.StringIO()) as printed,
            command.make_context("statetape", words) as context,
        ):
            context.command.invoke(context)
        told = OF_THIS_TAPE.sub("…", printed.getvalue())
        return f"payee$ statetape {block[1]}\n{told}"

    return COMMAND.sub(run, HOW_TO.read_text())


def main() -> None:
    """Write the how-to again."""
    with tempfile.TemporaryDirectory() as folder:
        HOW_TO.write_text(how_to(Path(folder)))


if __name__ == "__main__":
    main()
