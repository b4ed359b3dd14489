"""What a bundle about payment channels must keep to, whatever machine's text it brings along.

The vouchers are read from the entries that name them, their signatures verified against the keys
that the verifier's caller gives, and the chain's arithmetic is done again by its own rule: per lane
the nonce rises, and what the channel owes never passes what was paid in. A refused voucher may be
anything; only what was taken counts. Rules: builtin-actors, actors/paych; lotus, paychmgr.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ...fsm.entry import Entry
from ...fsm.errors import StatetapeError
from ...fsm.evidence import Checked, Doubt
from ...fsm.types import exact_int
from .address import PROTOCOL_ACTOR, PROTOCOL_ID, canonical, protocol
from .payment_channel import merge_lanes
from .signature import SignerUnresolved, signer_of, verify
from .voucher import SignedVoucher, parse

CHANNEL = "filecoin.payment_channel"
ACCOUNT = "filecoin.channel_account"
VOUCHER = "filecoin.voucher"
MACHINES = (CHANNEL, ACCOUNT, VOUCHER)
READ_MAX = 2048
"""Vouchers that are kept as read: a bundle names the same ones again and again."""

STRANGER = "voucher-of-a-stranger"
UNREADABLE = "voucher-unreadable"
ELSEWHERE = "voucher-of-another-channel"
NONCE = "nonce-not-rising"
AMOUNT = "amount-not-rising"
FUNDS = "more-than-the-funds"


class _Taken(NamedTuple):
    """A voucher that was redeemed, issued or accepted: by which entry, and how it reads."""

    pos: int
    text: str
    voucher: SignedVoucher


class _Findings:
    """What one check has found so far."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.open: list[str] = []
        self.doubts: list[Doubt] = []

    def doubt(self, code: str, pos: int, message: str) -> None:
        self.doubts.append(Doubt(code, pos, message))


class ChannelChecker:
    """Checks the evidence about payment channels and the vouchers of either side's book."""

    def checks(self, machine: str) -> bool:
        """Whether it knows this machine."""
        return machine in MACHINES

    def peer(self, text: str) -> str:
        """Return a key address (f1, f3, f410) in its canonical form.

        Raises AddressInvalid, SignerUnresolved.
        """
        if protocol(text) in (PROTOCOL_ID, PROTOCOL_ACTOR):
            why = "that address holds no key"
            raise SignerUnresolved(why, hint="give the key address (f1, f3 or f410)", place=text)
        return canonical(text)

    def objects(self, entries: Sequence[Entry]) -> Mapping[str, Sequence[str]]:
        """Return the vouchers that entries name: by id their texts, a text for each signature."""
        found: dict[str, dict[str, None]] = {}
        for entry in entries:
            read = _read(entry)
            if read is not None:
                found.setdefault(read.voucher.id_hex, {})[read.text] = None
        return {name: tuple(texts) for name, texts in found.items()}

    def check(self, entries: Mapping[str, Sequence[Entry]], peers: Sequence[str] = ()) -> Checked:
        """Return what holds of the channels and vouchers among these instances."""
        findings = _Findings()
        taken: list[_Taken] = []
        funds: dict[str, int] = {}
        promised: dict[str, list[_Taken]] = {}
        for name, some in entries.items():
            machine, _, key = name.partition("/")
            if machine == CHANNEL:
                redeemed, funds[key] = _channel(key, some, findings)
                taken += redeemed
            elif machine == VOUCHER:
                mine = _accepted(key, some, findings)
                taken += mine
                promised.setdefault(key.rpartition("/")[0], []).extend(mine[-1:])
        for key, vouchers in promised.items():
            _promises(sorted(vouchers), funds.get(key), findings)
        _signatures(taken, peers, findings)
        return Checked(findings.held, findings.open, findings.doubts)


def _read(entry: Entry) -> _Taken | None:
    """Return the voucher in an entry's `sv` or `copy`, or None where none can be read."""
    params = entry.params or {}
    text = params.get("copy") or params.get("sv")
    voucher = _parsed(text) if isinstance(text, str) else None
    return None if voucher is None else _Taken(entry.pos, str(text), voucher)


@functools.lru_cache(maxsize=READ_MAX)
def _parsed(text: str) -> SignedVoucher | None:
    try:
        return parse(text)
    except StatetapeError:
        return None


def _number(value: object) -> int:
    return exact_int(value) or 0


def _channel(key: str, entries: Sequence[Entry], findings: _Findings) -> tuple[list[_Taken], int]:
    """Redo a channel's lanes from its accepted messages; returns what was redeemed, and the funds.

    The balance after a payout does not matter: nothing is redeemed after it.
    """
    lanes: dict[int, dict[str, int]] = {}
    owed = funds = 0
    taken: list[_Taken] = []
    others = _other_names(key, entries[:1])
    for entry in entries:
        params: Mapping[str, Any] = entry.params or {}
        if entry.outcome is not None:
            continue
        funds += _number(params.get("value"))
        if entry.event == "observe_balance":
            funds = max(funds, _number(params.get("balance")))
        if entry.event != "update_channel_state":
            continue
        read = _read(entry)
        if read is None:
            findings.doubt(UNREADABLE, entry.pos, "what was redeemed is no voucher")
            continue
        taken.append(read)
        one = read.voucher
        if one.channel_addr in others:
            why = f"the voucher is for {one.channel_addr}: that this is {_shown(key)}"
            findings.open.append(f"entry {entry.pos}: {why}, only the log says")
        elif one.channel_addr != _canonical(key):
            findings.doubt(ELSEWHERE, entry.pos, f"the voucher is for {one.channel_addr}")
        if one.amount < 0:
            findings.doubt(AMOUNT, entry.pos, f"the voucher is over {one.amount}")
        before = lanes.get(one.lane)
        if before is not None and one.nonce <= before["nonce"]:
            why = f"lane {one.lane}: nonce {one.nonce} after {before['nonce']}"
            findings.doubt(NONCE, entry.pos, why)
        elif before is not None and one.amount < before["redeemed"]:
            why = f"lane {one.lane} fell from {before['redeemed']} to {one.amount}"
            findings.open.append(f"entry {entry.pos}: {why}, as the chain allows")
        merging = merge_lanes(lanes, one.lane, [merge._asdict() for merge in one.merges])
        if merging["failure"]:
            findings.doubt(NONCE, entry.pos, f"its merges do not hold: {merging['failure']}")
        owed += one.amount - merging["others"] - (before["redeemed"] if before else 0)
        lanes = {**merging["lanes"], one.lane: {"redeemed": one.amount, "nonce": one.nonce}}
        if owed > funds:
            why = f"the channel owes {owed} of {funds} that were paid in"
            findings.doubt(FUNDS, entry.pos, why)
    if taken:
        what = (
            f"{len(taken)} redeemed, {owed} owed to the payee of {funds} that the log says came in"
        )
        findings.held.append(f"{CHANNEL}/{_shown(key)}: {what}")
    return taken, funds


def _canonical(text: object) -> str:
    """Return an address in its one form, or "" for what is none."""
    try:
        return canonical(text) if isinstance(text, str) else ""
    except StatetapeError:
        return ""


def _shown(key: str) -> str:
    """Return a channel's key for a sentence of ours: what is no address could pass for more."""
    return key if _canonical(key) else ascii(key)


def _other_names(key: str, creation: Sequence[Entry]) -> set[str]:
    """Return other addresses that the channel has if its creation, which the log wrote, is true.

    An actor has an ID, and one address that lasts: who claims two of a kind claims another's.
    """
    params: Mapping[str, Any] = (creation[0].params if creation else None) or {}
    addresses, own = params.get("addresses"), params.get("id")
    found = {_canonical(own)}
    if isinstance(addresses, dict) and found != {""}:
        found |= {_canonical(name) for name, one in addresses.items() if one == own}
    known = _canonical(key)
    kinds = {protocol(known) == PROTOCOL_ID} if known else set()
    others = {one for one in found - {known, ""} if (protocol(one) == PROTOCOL_ID) not in kinds}
    return others if len({protocol(one) == PROTOCOL_ID for one in others}) == len(others) else set()


def _accepted(key: str, entries: Sequence[Entry], findings: _Findings) -> list[_Taken]:
    """Return the voucher of a record, CHANNEL/ID, if it was taken: issued, or accepted by us."""
    creation = entries[0] if entries else None
    if creation is None:
        return []
    copies = [one for one in map(_read, entries) if one is not None]
    if not copies:
        findings.doubt(UNREADABLE, creation.pos, "what is recorded is no voucher")
        return []
    issued = (creation.params or {}).get("role") == "issued"
    accepted = [e.pos for e in entries if e.event == "accepted" and e.outcome is None]
    refused = [e.pos for e in entries if e.event == "refused" and e.outcome is None]
    if refused and not accepted:
        return []
    if not accepted and not issued:
        return []
    pos = accepted[0] if accepted else creation.pos
    channel, _, name = key.rpartition("/")
    for one in copies:
        if one.voucher.id_hex != name:
            findings.doubt(UNREADABLE, one.pos, "the record is named after another voucher")
        if one.voucher.channel_addr != _canonical(channel):
            findings.doubt(ELSEWHERE, one.pos, f"the voucher is for {one.voucher.channel_addr}")
    known = [one for one in copies if one.pos <= pos] or copies
    return [known[-1]._replace(pos=pos)]


def _promises(vouchers: Sequence[_Taken], funds: int | None, findings: _Findings) -> None:
    """In the order in which they were taken, each is the best of its lane so far."""
    lanes: dict[int, SignedVoucher] = {}
    for pos, _, one in vouchers:
        best = lanes.get(one.lane)
        if best is not None and one.nonce <= best.nonce:
            why = f"lane {one.lane}: nonce {one.nonce} was taken after {best.nonce}"
            findings.doubt(NONCE, pos, why)
        if best is not None and one.amount <= best.amount:
            why = f"lane {one.lane}: amount {one.amount} was taken after {best.amount}"
            findings.doubt(AMOUNT, pos, why)
        lanes[one.lane] = one
    total = sum(one.amount for one in lanes.values())
    if funds is not None and vouchers and total > funds:
        why = f"vouchers over {total} were taken, and {funds} were paid in"
        findings.doubt(FUNDS, vouchers[-1].pos, why)


def _signatures(taken: Sequence[_Taken], peers: Sequence[str], findings: _Findings) -> None:
    """Say whose the signatures are of what was taken."""
    if taken and not peers:
        signers = sorted({_signer(one.voucher) for one in taken})
        who = ", ".join(signers)
        why = "no --peer-key was given"
        findings.open.append(f"whose the vouchers are was not checked, {why}: signed by {who}")
        return
    good = 0
    for one in taken:
        answer, why = _signed_by(one.voucher, peers)
        if answer is None:
            findings.open.append(f"entry {one.pos}: the signature cannot be verified here: {why}")
        elif answer:
            good += 1
        else:
            who = _signer(one.voucher)
            findings.doubt(STRANGER, one.pos, f"the voucher is signed by {who}, no peer given")
    if good:
        findings.held.append(f"{good} vouchers are signed by the peers given")


def _signed_by(voucher: SignedVoucher, peers: Sequence[str]) -> tuple[bool | None, str]:
    """Whether one of `peers` signed; None, and why, where that cannot be told here."""
    unsure = ""
    if voucher.signature is None:
        return False, ""
    for peer in peers:
        try:
            if verify(voucher.signing_bytes(), voucher.signature, peer):
                return True, ""
        except StatetapeError as error:
            unsure = error.message
    return (None, unsure) if unsure else (False, "")


def _signer(voucher: SignedVoucher) -> str:
    """Return the address that a signature leads to, or what there is instead."""
    if voucher.signature is None:
        return "nobody"
    try:
        return signer_of(voucher.signing_bytes(), voucher.signature)
    except StatetapeError:
        return f"somebody ({voucher.signature.type_name})"


CHECKER = ChannelChecker()
