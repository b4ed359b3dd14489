"""What the documentation takes from the program: help texts and the demo's transcript."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLI_REFERENCE = ROOT / "docs" / "reference" / "cli.md"
README = ROOT / "README.md"
TRANSCRIPT_BEGINS = "<!-- demo transcript: `make docs` writes it, a test compares it -->\n```text\n"
TRANSCRIPT_ENDS = "```\n<!-- end of the transcript -->\n"
WHEN = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6})?Z")
A_TIME = "2026-01-01T00:00:00.000000Z"

COMMANDS = (
    (),
    ("demo",),
    ("new",),
    ("send",),
    ("head",),
    ("list",),
    ("show",),
    ("history",),
    ("explain",),
    ("diff",),
    ("verify",),
    ("replay",),
    ("recover",),
    ("import",),
    ("export",),
    ("spec",),
    ("spec", "list"),
    ("spec", "show"),
    ("spec", "check"),
    ("spec", "conform"),
    ("spec", "diagram"),
    ("voucher",),
    ("voucher", "decode"),
    ("voucher", "verify"),
    ("voucher", "create"),
)


def run(*words: str, cwd: Path | None = None) -> str:
    """Return what a command prints, on a plain terminal of 100 columns."""
    env = {name: value for name, value in os.environ.items() if "STATETAPE" not in name}
    env |= {"COLUMNS": "100", "TERMINAL_WIDTH": "100", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        [sys.executable, "-m", "statetape.cli.main", *words],
        cwd=cwd,
        env=env,
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
    for words in COMMANDS:
        lines = [line.rstrip() for line in run(*words, "--help").splitlines()]
        text = "\n".join(lines).strip("\n")
        parts.append(f"## statetape {' '.join(words)}".rstrip() + f"\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


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
