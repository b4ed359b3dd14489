"""`wallet`: secret keys, encrypted in a file, and what they sign."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING, CallerError, PeerError
from .options import JsonOption
from .output import UsageInvalid, say, say_json, table
from .passphrase import (
    DEFAULT_WALLET,
    PassphraseOption,
    WalletOption,
    content_of,
    key_text,
    open_key,
    passphrase,
    refuse_two_readers,
)

if TYPE_CHECKING:
    from ..storage.keystore import KeyRecord

wallet = typer.Typer(
    no_args_is_help=True,
    help="Secret keys, encrypted in a file: make, take in, give out, sign, verify.",
)
MESSAGE_BYTES_MAX = 64 << 20

NewNameArgument = Annotated[
    str, typer.Argument(metavar="NAME", help="What the key is to be called, e.g. payer.")
]
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The key's name.")]
MessageArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="File with what is signed; - for stdin.")
]


class Kind(StrEnum):
    """The kinds of keys that a wallet can make."""

    SECP256K1 = "secp256k1"
    ED25519 = "ed25519"


class KeyFileExists(CallerError):
    """The file to export to is there already; it is never replaced."""

    code = "key-file-exists"


def add(app: typer.Typer) -> None:
    """Add this group to the app."""
    app.add_typer(wallet, name="wallet", rich_help_panel="Keep")


def _say_public(record: KeyRecord, *, as_json: bool) -> None:
    if as_json:
        say_json(_public(record))
    else:
        say(record.public)


def _public(record: KeyRecord) -> dict[str, str]:
    return {"name": record.name, "kind": record.kind, "public": record.public}


@wallet.command()
def new(
    name: NewNameArgument,
    kind: Annotated[
        Kind,
        typer.Option(help="secp256k1 signs vouchers; ed25519 signs notes, as tapes and witnesses."),
    ] = Kind.SECP256K1,
    keystore: WalletOption = DEFAULT_WALLET,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> int:
    """Make a key, and print its public part: an address f1…, or a verifier key name+id+base64.

    The passphrase is asked for twice. Without it the key is lost: keep it, and a copy of the file.
    """
    from ..engine.wallet import Wallet

    keys = Wallet(keystore)
    keys.refuse_taken(name)
    record = keys.create(name, kind.value, passphrase(passphrase_file, f"key {name}", new=True))
    _say_public(record, as_json=json)
    return EXIT_DONE


@wallet.command("list")
def list_keys(keystore: WalletOption = DEFAULT_WALLET, json: JsonOption = False) -> int:
    """List the keys: name, kind and public part. Needs no passphrase."""
    from ..engine.wallet import Wallet

    records = Wallet(keystore).keys()
    if json:
        say_json([_public(record) for record in records])
    else:
        rows = [[record.name, record.kind, record.public] for record in records]
        table(("name", "kind", "public"), rows)
    return EXIT_DONE


@wallet.command("import")
def import_key(
    name: NewNameArgument,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="File with the secret key; - for stdin.")
    ],
    keystore: WalletOption = DEFAULT_WALLET,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> int:
    """Store a key that exists, and print its public part.

    Taken are 64 hex digits or what `lotus wallet export` prints (secp256k1), and PRIVATE+KEY+…,
    the key of a tape or a witness (ed25519). The file is left as it is.
    """
    from ..engine.wallet import Wallet, read_key

    refuse_two_readers(file, passphrase_file)
    keys = Wallet(keystore)
    keys.refuse_taken(name)
    text = key_text(file, "FILE")
    read_key(name, text)  # what is no key needs no passphrase
    record = keys.add(name, text, passphrase(passphrase_file, f"key {name}", new=True))
    _say_public(record, as_json=json)
    return EXIT_DONE


@wallet.command("export")
def export_key(
    name: NameArgument,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="New file for the secret; it gets mode 0600."),
    ] = None,
    show_secret: Annotated[
        bool, typer.Option("--show-secret", help="Print the secret instead.")
    ] = False,
    keystore: WalletOption = DEFAULT_WALLET,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> int:
    """Write a key's secret, unencrypted, as other programs read it.

    secp256k1 in the form of `lotus wallet export`, ed25519 as PRIVATE+KEY+…. A file that is there
    is never replaced.
    """
    from ..storage.files import create_private

    if (output is None) != show_secret:
        raise UsageInvalid("the secret goes either to a file (-o FILE) or, with --show-secret, out")
    key = open_key(keystore, name, passphrase_file)
    said = {"name": key.name, "kind": key.kind, "public": key.public}
    if output is None:
        if json:
            say_json({**said, "secret": key.text()})
        else:
            say(key.text())
        return EXIT_DONE
    if not create_private(output, key.text().encode() + b"\n"):
        raise KeyFileExists("there is a file already; nothing was written", place=str(output))
    if json:
        say_json({**said, "file": str(output)})
    else:
        say(f"the secret of {key.public} is in {output}, for whoever can read it")
    return EXIT_DONE


@wallet.command()
def sign(
    name: NameArgument,
    file: MessageArgument,
    note: Annotated[
        bool, typer.Option("--note", help="Sign a text, and print it as a signed note (ed25519).")
    ] = False,
    keystore: WalletOption = DEFAULT_WALLET,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> int:
    """Sign bytes exactly as they are, and print the signature.

    secp256k1: over their BLAKE2b-256; type and signature in hex, as `lotus wallet sign` prints it.
    ed25519: base64. See what you sign: a voucher's or a checkpoint's bytes sign that one.
    """
    refuse_two_readers(file, passphrase_file)
    message = content_of(file, MESSAGE_BYTES_MAX, "FILE")
    key = open_key(keystore, name, passphrase_file)
    made = key.sign_note(_note_text(message, file)) if note else key.sign(message)
    if json:
        said = {"name": key.name, "kind": key.kind, "public": key.public}
        say_json({**said, "note" if note else "signature": made})
    elif note:
        sys.stdout.write(made)
    else:
        say(made)
    return EXIT_DONE


def _note_text(message: bytes, file: Path) -> str:
    from ..storage.errors import NoteInvalid

    try:
        return message.decode()
    except UnicodeDecodeError:
        raise NoteInvalid("a note is UTF-8", place=str(file)) from None


@wallet.command()
def verify(
    public: Annotated[
        str,
        typer.Argument(metavar="PUBLIC", help="A key address (f1…), or a verifier key."),
    ],
    file: MessageArgument,
    signature: Annotated[
        str | None, typer.Argument(metavar="SIGNATURE", help="As `wallet sign` printed it.")
    ] = None,
    note: Annotated[
        bool, typer.Option("--note", help="FILE is a signed note, with its signature.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Verify a signature with a public key; exits with 1 if it does not hold. Needs no wallet."""
    from ..engine.wallet import note_text, verifies

    if (signature is None) != note:
        raise UsageInvalid("a SIGNATURE is needed, or --note for a file that holds its own")
    message = content_of(file, MESSAGE_BYTES_MAX, "FILE")
    why = "the signature is another's, or the content is not what was signed"
    if signature is not None:
        good = verifies(public, message, signature)
    else:
        try:
            good = bool(note_text(public, message))
        except PeerError as error:
            good, why = False, str(error)
    if json:
        say_json({"public": public, "valid": good})
    else:
        say(f"signed by {public}" if good else f"not signed by {public}: {why}")
    return EXIT_DONE if good else EXIT_FINDING
