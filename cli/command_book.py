"""`voucher add`: put a voucher into one's own book, under its own name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..fsm.errors import EXIT_DONE, EXIT_FINDING
from .command_voucher import VoucherArgument, voucher
from .options import (
    DEFAULT_TAPE,
    AnchorOption,
    ByOption,
    HappenedOption,
    HeightOption,
    JsonOption,
    KeyFileOption,
    TapeOption,
)
from .output import UsageInvalid, say, say_json

if TYPE_CHECKING:
    from ..engine.engine import Engine
    from ..specs.filecoin.voucher import SignedVoucher


def add(app: typer.Typer) -> None:
    """Add this command to its group, which another module adds to the app."""
    del app
    voucher.command("add")(put)


def put(
    channel: Annotated[str, typer.Argument(help="The channel's key, as its account is named by.")],
    text: VoucherArgument,
    issued: Annotated[bool, typer.Option("--issued", help="We have signed it: we pay.")] = False,
    received: Annotated[bool, typer.Option("--received", help="It came: we are paid.")] = False,
    min_delta: Annotated[
        str, typer.Option("--min-delta", help='Refuse it if it adds less, e.g. "2 nanofil".')
    ] = "0",
    by: ByOption = None,
    at: HappenedOption = None,
    height: HeightOption = None,
    tape: TapeOption = DEFAULT_TAPE,
    anchor: AnchorOption = None,
    key_file: KeyFileOption = None,
    json: JsonOption = False,
) -> int:
    """Put a voucher into the book, and say what the channel's account makes of it.

    Its record is filecoin.voucher/CHANNEL/ID, the ID being the digest of what was signed. The
    account, filecoin.channel_account/CHANNEL, takes it or says why not, by lotus's checks in their
    order; what the literal and the strict rule for MinSettleHeight say is shown beside it. A
    received voucher that is there already is offered again, perhaps with another signature. A
    refusal exits with 1.

    The account goes by what it was told of the chain (its event chain_seen). Where the channel's
    own record on this tape says otherwise, that is pointed out.
    """
    from ..engine.engine import Engine
    from ..fsm.composite import BUILTIN
    from ..fsm.moments import parse_time
    from .command_voucher import _read

    if issued == received:
        raise UsageInvalid("say --issued or --received: which side are we?", place="voucher add")
    read = _read(text)
    given = {
        "role": "issued" if issued else "received",
        "min_delta": str(BUILTIN["attofil"].parse(min_delta, "--min-delta")),
    }
    happened = None if at is None else parse_time(at, "--at")
    options = {"by": by, "at": happened, "height": height}
    with Engine.open(tape, anchor=anchor, key=key_file) as engine:
        receipt, name = _put(engine, channel, read, given, options)
        instance = engine.world.instance(name)
        found = _found(name, receipt, instance)
        unheard = _unheard(engine, channel)
        if unheard:
            found["unheard"] = unheard
    if json:
        say_json(found)
    else:
        for line in _lines(found):
            say(line)
    return EXIT_FINDING if "refusal" in found else EXIT_DONE


def _put(
    engine: Engine,
    channel: str,
    read: SignedVoucher,
    given: dict[str, str],
    options: dict[str, Any],
) -> tuple[Any, str]:
    """Create the voucher's record, or offer it again; returns the receipt and the record's name."""
    from ..specs.filecoin.stored_voucher import RECORD, record_of

    name = record_of(channel, read.id_hex)
    if engine.world.instance(name) is None or given["role"] == "issued":
        key = name.partition("/")[2]
        return engine.create(RECORD, key, {"sv": read.text(), **given}, **options), name
    again = {"copy": read.text(), "min_delta": given["min_delta"]}
    return engine.send(name, "offered_again", again, **options), name


def _found(name: str, receipt: Any, instance: Any) -> dict[str, Any]:
    """Return what is now on the tape of a voucher."""
    found: dict[str, Any] = {"instance": name, "pos": receipt.pos, "outcome": receipt.outcome}
    if receipt.outcome == "rejected":
        reason = receipt.reason
        return {**found, "refusal": reason.get("reason") or reason["kind"]}
    data = instance.data
    found |= {"state": instance.state, "delta": str(data["delta"])}
    found |= {name: data[name] for name in ("literal", "strict") if data[name]}
    if data["refusal"]:
        found |= {"refusal": data["refusal"], "shortfall": str(data["shortfall"])}
    elif not data["literal"]:
        found["answer"] = "none"
    return found


def _unheard(engine: Engine, channel: str) -> list[str]:
    """Return where the account has not heard what the channel's own record on the tape says."""
    from ..specs.filecoin.books import compare
    from ..specs.filecoin.stored_voucher import account_of

    account = engine.world.instance(account_of(channel))
    chain = engine.world.instance(f"filecoin.payment_channel/{channel}")
    if account is None or chain is None:
        return []
    decisive = ("balance", "to_send", "settling_at")
    return [str(one) for one in compare(chain.data, account.data) if one.what in decisive]


def _lines(found: dict[str, Any]) -> list[str]:
    from ..fsm.composite import BUILTIN

    def amount(what: str) -> str:
        return BUILTIN["attofil"].show(int(found[what]))

    lines = [f"{found['instance']}  position {found['pos']}"]
    if "refusal" in found:
        lacks = (
            f", the channel lacks {amount('shortfall')}" if int(found.get("shortfall", 0)) else ""
        )
        lines.append(f"  refused: {found['refusal']}{lacks}")
    elif "answer" in found:
        lines.append("  no account of this channel is on the tape: nobody has looked at it")
        lines.append(
            "  (statetape new filecoin.channel_account CHANNEL direction=1 control=OURS"
            " target=THEIRS; direction=2 where we pay)"
        )
    else:
        lines.append(f"  {found['state']}: it adds {amount('delta')}")
    if found.get("refusal") == "CHANNEL_NOT_ON_CHAIN":
        lines.append('  (the account goes by its event chain_seen: balance="10 FIL", say)')
    lines += [f"  the account has not heard: {one}" for one in found.get("unheard", [])]
    rules = [rule for rule in ("literal", "strict") if rule in found]
    return lines + [f"  by the {rule} rule: {found[rule]}" for rule in rules]
