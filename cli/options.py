"""Options that many commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

TAPE_PANEL = "Where"

TapeOption = Annotated[
    Path,
    typer.Option(
        "--tape",
        envvar="STATETAPE_TAPE",
        help="The tape's file. Key, anchor and lock lie beside it.",
        rich_help_panel=TAPE_PANEL,
    ),
]
AnchorOption = Annotated[
    Path | None,
    typer.Option(
        "--anchor",
        envvar="STATETAPE_ANCHOR",
        help="The anchor's file, if it is kept elsewhere (better: on another disk).",
        rich_help_panel=TAPE_PANEL,
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        envvar="STATETAPE_KEY",
        help="The tape's signing key, if it is kept elsewhere.",
        rich_help_panel=TAPE_PANEL,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
IdempotencyOption = Annotated[
    str | None,
    typer.Option("--key", help="Idempotency key: the command takes effect at most once with it."),
]
ByOption = Annotated[str | None, typer.Option("--by", help="Who asks; recorded with the entry.")]
CauseOption = Annotated[
    int | None, typer.Option("--cause", help="Position of the entry that made this necessary.")
]
HappenedOption = Annotated[
    str | None,
    typer.Option("--at", help="When it happened, e.g. 2020-12-01T00:00:00Z (default: now)."),
]
HeightOption = Annotated[
    int | None,
    typer.Option(
        "--height", help="The chain's height it is decided at (default: the newest seen)."
    ),
]

InstanceArgument = Annotated[
    str, typer.Argument(help="machine/key, or the key alone where it is the only one.")
]

DEFAULT_TAPE = Path("statetape.db")
