"""`voucher`: decode, verify and create Filecoin payment vouchers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING, CallerError
from .options import JsonOption
from .output import say, say_json

if TYPE_CHECKING:
    from ..specs.filecoin.voucher import SignedVoucher

voucher = typer.Typer(
    no_args_is_help=True, help="Filecoin payment vouchers: decode, verify, create."
)

VoucherArgument = Annotated[
    str, typer.Argument(help="The voucher's text (base64url), its CBOR in hex, or - for stdin.")
]


class SecretKeyInvalid(CallerError):
    """The file does not hold a secp256k1 secret key. Nothing of it is shown."""

    code = "secret-key-invalid"


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
    secret_key: Annotated[
        Path,
        typer.Option(
            "--secret-key",
            help="File with the payer's secp256k1 secret key, 64 hex digits; - for stdin.",
        ),
    ],
    lane: Annotated[int, typer.Option(help="The lane.")] = 0,
    nonce: Annotated[int, typer.Option(help="Above every earlier nonce of the lane.")] = 1,
    time_lock_min: Annotated[int, typer.Option(help="First epoch it can be redeemed at.")] = 0,
    time_lock_max: Annotated[int, typer.Option(help="Last epoch; 0 for none.")] = 0,
    min_settle_height: Annotated[int, typer.Option(help="Floor for settling.")] = 0,
    json: JsonOption = False,
) -> int:
    """Create and sign a voucher, and print its text. The key is read, used, and never stored."""
    from ..fsm.composite import BUILTIN
    from ..specs.filecoin.address import canonical
    from ..specs.filecoin.signature import sign_secp256k1
    from ..specs.filecoin.voucher import SignedVoucher

    unsigned = SignedVoucher(
        channel_addr=canonical(channel),
        time_lock_min=time_lock_min,
        time_lock_max=time_lock_max,
        secret_pre_image=b"",
        extra=None,
        lane=lane,
        nonce=nonce,
        amount=BUILTIN["attofil"].parse(amount, "amount"),
        min_settle_height=min_settle_height,
        merges=(),
        signature=None,
    )
    signature = sign_secp256k1(_secret_key(secret_key), unsigned.signing_bytes())
    made = unsigned._replace(signature=signature)
    if json:
        say_json({"voucher": made.text(), "id": made.id_hex, "signer": _signer(made)})
    else:
        say(made.text())
    return EXIT_DONE


def _secret_key(path: Path) -> bytes:
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text()
        key = bytes.fromhex(text.strip())
    except OSError as error:
        raise SecretKeyInvalid(f"cannot read: {error.strerror}", place=str(path)) from None
    except ValueError:
        key = b""
    if len(key) != 32:
        raise SecretKeyInvalid("a secret key is 64 hex digits", place=str(path))
    return key
