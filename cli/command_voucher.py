"""`voucher`: decode, verify and create Filecoin payment vouchers."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING, CallerError
from .options import JsonOption
from .output import UsageInvalid, say, say_json
from .passphrase import (
    DEFAULT_WALLET,
    PassphraseOption,
    WalletOption,
    content_of,
    key_text,
    open_key,
    refuse_two_readers,
)

if TYPE_CHECKING:
    from ..specs.filecoin.voucher import Merge, ModVerifyParams, Signature, SignedVoucher

voucher = typer.Typer(
    no_args_is_help=True, help="Filecoin payment vouchers: decode, verify, create, keep."
)

SECRET_BYTES_MAX = 256
"""The chain takes no longer secret."""

VoucherArgument = Annotated[
    str, typer.Argument(help="The voucher's text (base64url), its CBOR in hex, or - for stdin.")
]
SecretKeyOption = Annotated[
    Path | None,
    typer.Option(
        "--secret-key",
        help="File with the payer's secp256k1 secret key, 64 hex digits; - for stdin.",
    ),
]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Name of the payer's key in the wallet.")
]
SecretHashOption = Annotated[
    str | None,
    typer.Option(
        "--secret-hash",
        help="Redeemable only with the secret whose BLAKE2b-256 this is, 64 hex digits.",
    ),
]
SecretOption = Annotated[
    Path | None,
    typer.Option(
        "--secret",
        help=(
            "The same, from a file with that secret, to its last byte (at most 256); - for stdin. "
            "Only the hash goes into the voucher."
        ),
    ),
]
ExtraOption = Annotated[
    str | None,
    typer.Option(
        "--extra",
        metavar="ACTOR:METHOD[:HEX]",
        help="A call that must succeed first: of this actor's method, with these parameters.",
    ),
]
MergeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--merge",
        metavar="LANE:NONCE",
        help=(
            "Fold in what was redeemed on another lane, whose vouchers up to this nonce become "
            "void; may be repeated."
        ),
    ),
]


class VoucherOptionInvalid(CallerError):
    """What a voucher is to say is not in the form that its option takes."""

    code = "voucher-option-invalid"


def add(app: typer.Typer) -> None:
    """Add this group to the app."""
    app.add_typer(voucher, name="voucher", rich_help_panel="Machines and vouchers")


def _read(text: str) -> SignedVoucher:
    from ..specs.filecoin.voucher import decode as decode_cbor
    from ..specs.filecoin.voucher import parse

    given = (sys.stdin.read() if text == "-" else text).strip()
    if given.startswith("8b"):
        try:
            return decode_cbor(bytes.fromhex(given))
        except ValueError:
            pass
    return parse(given)


def _amount(value: int) -> str:
    from ..fsm.composite import BUILTIN

    return BUILTIN["attofil"].show(value)


def _signer(read: SignedVoucher) -> str | None:
    """Return the address that the signature recovers to; BLS signatures do not tell it."""
    from ..fsm.errors import PeerError
    from ..specs.filecoin.signature import signer_of

    if read.signature is None:
        return None
    try:
        return signer_of(read.signing_bytes(), read.signature)
    except PeerError:
        return None


@voucher.command()
def decode(text: VoucherArgument, json: JsonOption = False) -> int:
    """Decode a voucher: every field, its id, and who signed it.

    A voucher that is not in its one canonical encoding is refused.
    """
    read = _read(text)
    signer = _signer(read)
    if json:
        said: dict[str, Any] = {**read.lotus_json(), "Id": read.id_hex, "Signer": signer}
        say_json(said)
        return EXIT_DONE
    say(f"voucher {read.id_hex}")
    say(f"  channel            {read.channel_addr}")
    say(f"  lane {read.lane}, nonce {read.nonce}")
    say(f"  amount             {_amount(read.amount)} ({read.amount} attofil), lane total")
    upper = read.time_lock_max or "any"
    say(f"  redeemable from    epoch {read.time_lock_min} to {upper}")
    say(f"  min settle height  {read.min_settle_height}")
    say(f"  secret             {read.secret_pre_image.hex() or 'none needed'}")
    extra = read.extra
    call = f"{extra.actor} method {extra.method} data {extra.data.hex()}" if extra else "none"
    say(f"  extra call         {call}")
    merges = ", ".join(f"lane {lane} up to nonce {nonce}" for lane, nonce in read.merges)
    say(f"  merges             {merges or 'none'}")
    kind = read.signature.type_name if read.signature else "unsigned"
    say(f"  signature          {kind}{f', by {signer}' if signer else ''}")
    return EXIT_DONE


@voucher.command()
def verify(
    text: VoucherArgument,
    signer: Annotated[
        str,
        typer.Option("--signer", help="Key address (f1, f3, f410) of who should have signed."),
    ],
    json: JsonOption = False,
) -> int:
    """Verify a voucher's signature against a key address; exits with 1 if it is another's."""
    from ..specs.filecoin.address import canonical
    from ..specs.filecoin.signature import verify_off_chain

    read = _read(text)
    wanted = canonical(signer)
    good = read.signature is not None and verify_off_chain(
        read.signing_bytes(), read.signature, wanted
    )
    if json:
        said = {"id": read.id_hex, "signer": wanted, "valid": good, "recovered": _signer(read)}
        say_json(said)
    elif good:
        say(f"signed by {wanted}")
    else:
        other = _signer(read)
        found = "it is unsigned" if read.signature is None else "the signature is another's"
        say(f"not signed by {wanted}: {found}{f' ({other})' if other else ''}")
    return EXIT_DONE if good else EXIT_FINDING


@voucher.command()
def create(
    channel: Annotated[str, typer.Argument(help="The channel's address.")],
    amount: Annotated[str, typer.Argument(help='The lane\'s total so far, e.g. "1.5 FIL".')],
    secret_key: SecretKeyOption = None,
    key: KeyOption = None,
    lane: Annotated[int, typer.Option(help="The lane.")] = 0,
    nonce: Annotated[int, typer.Option(help="Above every earlier nonce of the lane.")] = 1,
    time_lock_min: Annotated[int, typer.Option(help="First epoch it can be redeemed at.")] = 0,
    time_lock_max: Annotated[int, typer.Option(help="Last epoch; 0 for none.")] = 0,
    min_settle_height: Annotated[int, typer.Option(help="Floor for settling.")] = 0,
    secret_hash: SecretHashOption = None,
    secret: SecretOption = None,
    extra: ExtraOption = None,
    merge: MergeOption = None,
    wallet: WalletOption = DEFAULT_WALLET,
    passphrase_file: PassphraseOption = None,
    json: JsonOption = False,
) -> int:
    """Create and sign a voucher, and print its text.

    It is signed with a key of the wallet (--key NAME), or with one from a file (--secret-key FILE),
    which is read, used, and never stored.
    """
    from ..fsm.composite import BUILTIN
    from ..specs.filecoin.address import canonical
    from ..specs.filecoin.voucher import SignedVoucher

    for two in ((secret_key, passphrase_file), (secret_key, secret), (secret, passphrase_file)):
        refuse_two_readers(*two)
    unsigned = SignedVoucher(
        channel_addr=canonical(channel),
        time_lock_min=time_lock_min,
        time_lock_max=time_lock_max,
        secret_pre_image=_secret_hash(secret_hash, secret),
        extra=_extra(extra),
        lane=lane,
        nonce=nonce,
        amount=BUILTIN["attofil"].parse(amount, "amount"),
        min_settle_height=min_settle_height,
        merges=tuple([_merge(one) for one in merge or ()]),
        signature=None,
    )
    # What cannot be encoded needs no passphrase.
    signing_bytes = unsigned.signing_bytes()
    sign = _signing_key(secret_key, key, wallet, passphrase_file)
    made = unsigned._replace(signature=sign(signing_bytes))
    if json:
        say_json({"voucher": made.text(), "id": made.id_hex, "signer": _signer(made)})
    else:
        say(made.text())
    return EXIT_DONE


def _signing_key(
    secret_key: Path | None, key: str | None, wallet: Path, passphrase_file: Path | None
) -> Callable[[bytes], Signature]:
    """Return what signs: a key of the wallet, or the one in a file."""
    from ..specs.filecoin import keys

    if secret_key is None and key is not None:
        return open_key(wallet, key, passphrase_file).sign_voucher
    if secret_key is None or key is not None:
        raise UsageInvalid("the payer's key is either --key NAME or --secret-key FILE")
    found = keys.parse(key_text(secret_key, "--secret-key"), "--secret-key")
    return lambda signing_bytes: keys.sign(found, signing_bytes)


def _secret_hash(given: str | None, file: Path | None) -> bytes:
    from ..specs.filecoin.payment_channel import blake2b256

    if given is not None and file is not None:
        raise UsageInvalid("either --secret-hash or --secret")
    if file is not None:
        secret = content_of(file, SECRET_BYTES_MAX, "--secret")
        if not secret:
            raise VoucherOptionInvalid("the secret is empty", place="--secret")
        return blake2b256(secret)
    if given is None:
        return b""
    if not re.fullmatch("[0-9A-Fa-f]{64}", given):
        raise VoucherOptionInvalid("a hash is 64 hexadecimal digits", place="--secret-hash")
    return bytes.fromhex(given)


def _extra(given: str | None) -> ModVerifyParams | None:
    from ..specs.filecoin.address import canonical
    from ..specs.filecoin.voucher import ModVerifyParams

    if given is None:
        return None
    match = re.fullmatch(r"([^:]+):([0-9]{1,20})(?::((?:[0-9A-Fa-f]{2})*))?", given)
    if match is None:
        why = "a call is ACTOR:METHOD:HEX, e.g. f01234:3:80"
        raise VoucherOptionInvalid(why, place="--extra")
    return ModVerifyParams(canonical(match[1]), int(match[2]), bytes.fromhex(match[3] or ""))


def _merge(given: str) -> Merge:
    from ..specs.filecoin.voucher import Merge

    match = re.fullmatch(r"([0-9]{1,20}):([0-9]{1,20})", given)
    if match is None:
        raise VoucherOptionInvalid("a merge is LANE:NONCE, e.g. 3:17", place="--merge")
    return Merge(int(match[1]), int(match[2]))
