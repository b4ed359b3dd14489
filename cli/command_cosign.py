"""`cosign`: have one's own tape signed by a witness, by HTTP or by files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE
from .evidence import read_file, say_bytes, witness_keys
from .options import DEFAULT_TAPE, AnchorOption, JsonOption, KeyFileOption, TapeOption
from .output import UsageInvalid, say, say_json

if TYPE_CHECKING:
    from ..engine.cosigning import Cosigned
    from ..storage.files import Files
    from ..storage.tape import Tape
    from ..storage.verifier import VerifierKey

OFFLINE_PANEL = "Without a network"


UrlArgument = Annotated[
    str | None,
    typer.Argument(metavar="[WITNESS_URL]", help="The witness's address: http:// or https://."),
]
WitnessKeyOption = Annotated[
    str | None,
    typer.Option(
        "--witness-key", metavar="VKEY", help="The witness's key: `witness new` printed it."
    ),
]
RequestOption = Annotated[
    bool,
    typer.Option(
        "--request",
        help="Write the request, for the witness's `witness sign`.",
        rich_help_panel=OFFLINE_PANEL,
    ),
]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        help="With --request: the file to write.",
        rich_help_panel=OFFLINE_PANEL,
    ),
]
OldOption = Annotated[
    int | None,
    typer.Option(
        help="With --request: the entries that the witness holds (default: what this tape "
        "knows of it, with --witness-key; else 0).",
        min=0,
        rich_help_panel=OFFLINE_PANEL,
    ),
]
AnswerOption = Annotated[
    Path | None,
    typer.Option(
        "--add",
        metavar="FILE",
        help="Store what the witness answered; - for standard input.",
        rich_help_panel=OFFLINE_PANEL,
    ),
]


def add(app: typer.Typer) -> None:
    """Add this command to the app."""
    app.command(rich_help_panel="Decide and prove")(cosign)


def cosign(
    url: UrlArgument = None,
    witness_key: WitnessKeyOption = None,
    request: RequestOption = False,
    output: OutputOption = None,
    old: OldOption = None,
    answer: AnswerOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Have a witness sign what the tape is now, so that it cannot become another unnoticed.

    Signs a checkpoint, submits it with the proof that it extends what the witness signed before,
    verifies the cosignature, and stores it on the tape.
    """
    if (url is not None) + request + (answer is not None) != 1:
        raise UsageInvalid("give one of WITNESS_URL, --request and --add")
    if not request and (output is not None or old is not None):
        raise UsageInvalid("--output and --old belong to --request")
    [key] = witness_keys([witness_key], None) if witness_key is not None else [None]
    from ..storage.files import Files

    files = Files.of(tape, anchor, key_file)
    if request:
        _request(files, key, old, output, json=json)
        return EXIT_DONE
    if key is None:
        raise UsageInvalid("--witness-key is needed: nothing is stored unverified")
    _tell(_cosigned(files, key, url, answer), key, json=json)
    return EXIT_DONE


def _cosigned(files: Files, key: VerifierKey, url: str | None, answer: Path | None) -> Cosigned:
    """Return the cosignature that came from a URL or in a file, stored."""
    from ..engine import cosigning
    from .command_witness import now_s

    content = read_file(answer, cosigning.ANSWER_BYTES_MAX) if answer is not None else b""
    tape = _opened(files)
    try:
        if url is not None:
            return cosigning.obtain(tape, url, key, now_s)
        return cosigning.accept(tape, content, key, now_s())
    finally:
        tape.close()


def _request(
    files: Files, key: VerifierKey | None, old: int | None, output: Path | None, *, json: bool
) -> None:
    """Write a request to its file, whole or not at all, or to standard output."""
    from ..engine import cosigning
    from .whole_file import refuse_own, whole_file

    if output is not None:
        refuse_own(output, files)
    elif json:
        raise UsageInvalid("--json belongs to --output: the request itself is no JSON")
    tape = _opened(files)
    try:
        if old is None:
            old = cosigning.known(tape, key) if key is not None else 0
        size, made = cosigning.request(tape, old)
    finally:
        tape.close()
    if output is None:
        say_bytes(made.body)
        return
    with whole_file(output) as file:
        file.write(made.body)
    if json:
        say_json({"old": old, "size": size, "output": str(output)})


def _opened(files: Files) -> Tape:
    from ..storage.tape import Tape

    return Tape.open_to_write(files)


def _tell(found: Cosigned, key: VerifierKey, *, json: bool) -> None:
    """Say what a witness signed."""
    from ..fsm.moments import show_time

    when = show_time(found.time_s * 1_000_000)
    if json:
        said = {"size": found.size, "time": when, "line": found.line, "new": found.new}
        say_json({"witness": key.name, **said})
        return
    say(f"{key.name} cosigned {found.size} entries at {when}")
    if not found.new:
        say("its first cosignature of them is on the tape already, and stays")
