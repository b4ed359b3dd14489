"""What the commands about evidence share: the keys that a verifier is given, and small files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import CallerError
from .output import UsageInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..storage.verifier import VerifierKey

KEYS_PANEL = "Whom to trust"

LogKeyOption = Annotated[
    list[str],
    typer.Option(
        "--log-key",
        metavar="VKEY",
        help="Verifier key of the log, name+id+base64 (`statetape checkpoint key`), as its owner "
        "gave it to you; more than one if the log changed its key.",
        rich_help_panel=KEYS_PANEL,
    ),
]
WitnessKeyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--witness-key",
        metavar="VKEY",
        help="Verifier key of a witness; may be given for several.",
        rich_help_panel=KEYS_PANEL,
    ),
]
ThresholdOption = Annotated[
    int | None,
    typer.Option(
        "--threshold",
        metavar="K",
        help="How many of the witnesses must have cosigned (default: all of them).",
        rich_help_panel=KEYS_PANEL,
    ),
]


class VerifierKeyInvalid(CallerError):
    """A key on the command line is no verifier key, or not of the kind that is asked for."""

    code = "verifier-key-invalid"


def log_keys(texts: Sequence[str]) -> list[VerifierKey]:
    """Return the keys of a log in their one-line form. Raises VerifierKeyInvalid."""
    from ..storage.verifier import ED25519

    return [_key(text, "--log-key", ED25519, "a log signs notes (type 1)") for text in texts]


def witness_keys(texts: Sequence[str] | None, threshold: int | None) -> list[VerifierKey]:
    """Return the keys of witnesses, of which `threshold` can have signed.

    Raises VerifierKeyInvalid, UsageInvalid.
    """
    from ..storage.verifier import COSIGNER

    why = "a witness cosigns (type 4)"
    keys = [_key(text, "--witness-key", COSIGNER, why) for text in texts or ()]
    many = len({key.public for key in keys})
    if threshold is not None and not 0 <= threshold <= many:
        raise UsageInvalid(f"--threshold is {threshold}, and {many} witnesses are given")
    return keys


def _key(text: str, option: str, kind: int, why: str) -> VerifierKey:
    from ..storage.verifier import EvidenceInvalid, parse_verifier_key

    try:
        key = parse_verifier_key(text.strip())
    except EvidenceInvalid as error:
        raise VerifierKeyInvalid(str(error), place=option) from None
    if key.kind != kind:
        raise VerifierKeyInvalid(f"{key.name} is a key of type {key.kind}: {why}", place=option)
    return key


def read_file(path: Path, size_max: int) -> bytes:
    """Return the bytes of a file, or of standard input for -. Raises OSError, UsageInvalid."""
    if str(path) == "-":
        content = sys.stdin.buffer.read(size_max + 1)
    else:
        with path.open("rb") as file:
            content = file.read(size_max + 1)
    if len(content) > size_max:
        raise UsageInvalid(f"{path} has more than {size_max} bytes")
    return content


def say_bytes(content: bytes) -> None:
    """Print these exact bytes, whatever the encoding of the output is."""
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
