"""Passphrases and secret keys on their way in: from a terminal, a file, or the environment.

Never from an argument, which every process on the machine can read. What is read here is shown
nowhere: where a file cannot be read, its name is told only if it is not a key or a passphrase
itself, given by mistake.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import CallerError
from .output import UsageInvalid

if TYPE_CHECKING:
    from ..engine.wallet import OpenKey

PASSPHRASE_SETTING = "STATETAPE_PASSPHRASE"  # noqa: S105 - its name, not a passphrase
PASSPHRASE_BYTES_MAX = 1024
KEY_TEXT_BYTES_MAX = 4096
PANEL = "Wallet"

WalletOption = Annotated[
    Path,
    typer.Option(
        "--wallet",
        envvar="STATETAPE_WALLET",
        help="The keystore's file.",
        rich_help_panel=PANEL,
    ),
]
PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        help=(
            "File with the passphrase on one line; - for stdin. Without it, the environment's "
            f"{PASSPHRASE_SETTING} is used, or the terminal is asked."
        ),
        rich_help_panel=PANEL,
    ),
]
DEFAULT_WALLET = Path("statetape.wallet")


class PassphraseMissing(CallerError):
    """No passphrase was given, or not in a form that can be one. Nothing of it is shown."""

    code = "passphrase-missing"


class KeyTextMissing(CallerError):
    """The file with the key cannot be read."""

    code = "key-text-missing"


def passphrase(file: Path | None, what: str, *, new: bool = False) -> bytes:
    """Return the passphrase: from `file`, else the environment, else asked for on the terminal.

    what: what it is for, for the prompt. new: asked for twice, because nothing else would notice a
    slip. Raises PassphraseMissing.
    """
    if file is not None:
        given = _line_of(file)
    elif PASSPHRASE_SETTING in os.environ:
        given = os.fsencode(os.environ[PASSPHRASE_SETTING])
    else:
        given = _asked(what, new=new)
    if not given:
        raise PassphraseMissing("the passphrase is empty", place="passphrase")
    if len(given) > PASSPHRASE_BYTES_MAX:
        why = f"a passphrase has at most {PASSPHRASE_BYTES_MAX} bytes"
        raise PassphraseMissing(why, place="passphrase")
    return given


def _line_of(file: Path) -> bytes:
    try:
        # A byte more than allowed, and the end of the line.
        content = _read(file, PASSPHRASE_BYTES_MAX + 3)
    except OSError as error:
        why = f"the file cannot be read: {error.strerror}"
        raise PassphraseMissing(why, place="--passphrase-file") from None
    line = content.removesuffix(b"\n").removesuffix(b"\r")
    if b"\n" in line or b"\r" in line:
        why = "the file has more than one line; a passphrase is one"
        raise PassphraseMissing(why, place="--passphrase-file")
    return line


def _asked(what: str, *, new: bool) -> bytes:
    """Ask on the terminal, without echo. There is none: PassphraseMissing."""
    import getpass
    import warnings

    hint = f"give --passphrase-file FILE, or set {PASSPHRASE_SETTING}"
    if not (sys.stdin.isatty() or sys.stderr.isatty()):
        raise PassphraseMissing("there is no terminal to ask for the passphrase", hint=hint)
    with warnings.catch_warnings():
        # Where it cannot switch the echo off, it would go on with a warning.
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            given = getpass.getpass(f"Passphrase for {what}: ")
            again = getpass.getpass("The same again: ") if new and given else given
        except getpass.GetPassWarning:
            why = "the terminal would show the passphrase"
            raise PassphraseMissing(why, hint=hint) from None
        except EOFError:
            raise PassphraseMissing("no passphrase was typed", hint=hint) from None
    if given != again:
        raise PassphraseMissing("the two passphrases differ; nothing was stored")
    return given.encode("utf-8", "surrogateescape")


def refuse_two_readers(first: Path | None, second: Path | None) -> None:
    """Raise UsageInvalid where two things are to be read from standard input."""
    if first is not None and second is not None and str(first) == str(second) == "-":
        raise UsageInvalid("only one of them can be read from standard input (-)")


def content_of(file: Path, size_max: int, place: str) -> bytes:
    """Return the bytes of a file, or of standard input for -. Raises KeyTextMissing.

    place: how an error calls it where its name may be a secret.
    """
    try:
        content = _read(file, size_max + 1)
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
        raise KeyTextMissing(why, place=_shown(file, place)) from None
    if len(content) > size_max:
        raise KeyTextMissing(f"has more than {size_max} bytes", place=_shown(file, place))
    return content


def key_text(file: Path, place: str) -> str:
    """Return the text of a secret key in a file, or on standard input for -."""
    return content_of(file, KEY_TEXT_BYTES_MAX, place).decode("utf-8", "replace")


def _shown(file: Path, place: str) -> str:
    from ..specs.filecoin.keys import is_secret

    return place if is_secret(str(file)) else str(file)


def _read(file: Path, size_max: int) -> bytes:
    if str(file) == "-":
        return sys.stdin.buffer.read(size_max)
    with file.open("rb") as opened:
        return opened.read(size_max)


def open_key(wallet: Path, name: str, passphrase_file: Path | None) -> OpenKey:
    """Return a key of the wallet, its passphrase asked for as `passphrase` does."""
    from ..engine.wallet import Wallet

    keys = Wallet(wallet)
    keys.store.record(name)  # what is not there needs no passphrase
    return keys.open(name, passphrase(passphrase_file, f"key {name}"))
