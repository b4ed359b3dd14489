"""What the documentation takes from the program: help texts and the demo's transcript."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout, suppress
from pathlib import Path

from statetape.cli.main import register
from typer.main import get_command

ROOT = Path(__file__).resolve().parents[1]
CLI_REFERENCE = ROOT / "docs" / "reference" / "cli.md"
README = ROOT / "README.md"
TRANSCRIPT_BEGINS = "<!-- demo transcript: `make docs` writes it, a test compares it -->\n```text\n"
TRANSCRIPT_ENDS = "```\n<!-- end of the transcript -->\n"
WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z")
A_TIME = "2026-01-01T00:00:00.000000Z"


def plain() -> dict[str, str]:
    """Return the environment of a plain terminal of 100 columns."""
    env = {name: value for name, value in os.environ.items() if "STATETAPE" not in name}
    return env | {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}


def run(*words: str, cwd: Path | None = None) -> str:
    """Return what a command prints, on a plain terminal of 100 columns."""
    done = subprocess.run(
        [sys.executable, "-m", "statetape.cli.main", *words],
        cwd=cwd,
        env=plain(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def cli_reference() -> str:
    """Return the reference of every command, from its own help."""
    parts = [
        "# Commands\n",
        "Written from `--help` by `make docs`; a test compares. Exit codes: 0 done; 1 a finding",
        "(damage, a mismatch, failed conformance, a refused command); 2 usage; 74 input/output;",
        "75 try again; 70 a bug.\n",
    ]
    for words, text in helps():
        shown = "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")
        parts.append(f"## {words}\n\n```text\n{shown}\n```\n")
    return "\n".join(parts)


def helps() -> list[tuple[str, str]]:
    """Return every command, as it is typed, and its help; of one process, on a plain terminal."""
    program = [sys.executable, "-m", "tests.documents"]
    done = subprocess.run(program, cwd=ROOT, env=plain(), capture_output=True, check=True)
    return [(words, text) for words, text in json.loads(done.stdout)]


def _every_help() -> list[tuple[str, str]]:
    """The work of that process: ask each command, groups before what is in them."""
    found = []
    waiting: list[tuple[str, ...]] = [()]
    command = get_command(register())
    while waiting:
        words = waiting.pop(0)
        with redirect_stdout(io.StringIO()) as printed, suppress(SystemExit):
            command.main([*words, "--help"], prog_name="statetape")
        found.append((" ".join(["statetape", *words]), printed.getvalue()))
        one = command
        for word in words:
            one = one.commands[word]
        inner = [(*words, name) for name in getattr(one, "commands", {})]
        waiting = inner + waiting
    return found


def demo_transcript() -> str:
    """Return what the demo prints, with its times made the same."""
    with tempfile.TemporaryDirectory() as folder:
        return WHEN.sub(A_TIME, run("demo", cwd=Path(folder)))


def readme_with(transcript: str) -> str:
    """Return the README with this transcript in its place."""
    text = README.read_text()
    before, rest = text.split(TRANSCRIPT_BEGINS)
    _, after = rest.split(TRANSCRIPT_ENDS)
    return before + TRANSCRIPT_BEGINS + transcript + TRANSCRIPT_ENDS + after


if __name__ == "__main__":
    json.dump(_every_help(), sys.stdout)
