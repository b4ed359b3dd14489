"""Pure functions of the channel account: one side's book of a channel, as lotus keeps it.

Theory of operation. The book knows vouchers and messages of its own side, and of the chain what
this node *saw* (`seen`), which may be old. From both:

1. The lane view starts from the lanes that were seen; on each lane the newest voucher of the book
   replaces what is there, unless its nonce is lower. It is kept, not computed from all vouchers.
2. A voucher is examined against it in the order of paychmgr's checks; `examine` gives the first
   that fails, as an answer and never as an error: an account takes note of everything.
3. Submitted is a watermark: a message that carries nonce n of a lane marks every nonce up to n. If
   the message fails its mark goes, and what it had marked may be submitted again.
4. What can be redeemed (`best`) is what UpdateChannelState would take as far as the book knows.

Typed forms are those of `channel_account.yaml`: `vouchers` maps lane to (id to record).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from ...fsm.errors import PeerError, StatetapeError
from ...fsm.types import Scalar, Type
from . import policies
from .address import canonical, is_id
from .payment_channel import MAX_LANE, blake2b256, is_key
from .signature import verify_off_chain
from .stored_voucher import account_of, described, read, record_of
from .voucher import SignedVoucher

PAGE: Final = 64
"""Lanes that one answer names: an entry has its bounds."""

ADD: Final = "add"
CHECK: Final = "check"
"""As `add`, without asking for duplicates or for the least gain."""
CREATE: Final = "create"
"""As `check`, before it is signed."""

Lanes = Mapping[int, Mapping[str, int]]
Book = Mapping[str, Any]
Record = Mapping[str, Any]
Vouchers = Mapping[int, Mapping[str, Record]]
Marks = Mapping[int, Sequence[Mapping[str, Any]]]

_NO_LANE: Mapping[str, int] = {"redeemed": 0, "nonce": 0}


def examine(
    sv: str,
    proof: str,
    min_delta: int,
    mode: str,
    book: Book,
    lanes: Lanes,
    vouchers: Vouchers,
) -> dict[str, Any]:
    """Return what the account finds of a voucher, by the checks of paychmgr in their order.

    `answer`: "ok", or the first check that fails, by its slug; then nothing was looked at that
    comes behind it. `delta`: what the voucher adds to its lane. `shortfall`: what the channel
    lacks. `duplicate`: it is in the book to the last byte. `literal` and `strict`: what those two
    policies say of it, whatever this account follows.
    """
    voucher = read(sv)
    if voucher is None:
        return _finding("VOUCHER_UNDECODABLE", None)
    terms = policies.Terms(
        book["head"], book["settling_at"], book["min_settle_height"], book["margin"]
    )
    found = _finding(policies.OK, sv)
    found["literal"] = policies.literal(voucher, terms)
    found["strict"] = policies.strict(voucher, terms)
    before = lanes.get(voucher.lane, _NO_LANE)["redeemed"]
    found["delta"] = voucher.amount - before
    for slug in _failures(voucher, proof, mode, book, lanes, vouchers, terms, found):
        if slug:
            return found | {"answer": slug}
    if mode == ADD and not found["duplicate"] and found["delta"] < min_delta:
        return found | {"answer": "DELTA_TOO_SMALL"}
    return found


def _failures(
    voucher: SignedVoucher,
    proof: str,
    mode: str,
    book: Book,
    lanes: Lanes,
    vouchers: Vouchers,
    terms: policies.Terms,
    found: dict[str, Any],
) -> Iterator[str]:
    """Yield, check by check, what is wrong, or "" where it holds."""
    yield "" if book["channel"] else "CHANNEL_UNKNOWN"
    yield "PROOF_NOT_EMPTY" if proof else ""
    known = vouchers.get(voucher.lane, {}).get(found["id"])
    if mode == ADD and known is not None and known["mark"] == found["mark"]:
        found["duplicate"] = True
        found["delta"] = 0
        return
    yield "" if voucher.channel_addr == book["channel"] else "CHANNEL_ADDR_MISMATCH"
    refused = policies.conditions(book["policy"], voucher, terms)
    yield "" if refused == policies.OK else refused
    yield "" if book["present"] else "CHANNEL_NOT_ON_CHAIN"
    if mode != CREATE:
        yield "" if _signed_by(voucher, book["payer_key"]) else "SIGNATURE_INVALID"
    lane = lanes.get(voucher.lane)
    if lane is not None:
        yield "NONCE_TOO_LOW" if voucher.nonce <= lane["nonce"] else ""
        yield "AMOUNT_NOT_HIGHER" if voucher.amount <= lane["redeemed"] else ""
    yield "MERGES_NOT_SUPPORTED" if voucher.merges else ""
    over = total(lanes) + found["delta"] - book["balance"]
    if over > 0:
        found["shortfall"] = over
        yield "INSUFFICIENT_FUNDS"


def _finding(answer: str, sv: str | None) -> dict[str, Any]:
    told = described(sv) if sv is not None else None
    terms = told or {"id": "", "mark": "", "lane": 0, "nonce": 0, "amount": 0}
    found = {name: terms[name] for name in ("id", "mark", "lane", "nonce", "amount")}
    for name in ("time_lock_min", "time_lock_max", "min_settle_height"):
        found[name] = terms.get(name, 0)
    said = {"delta": 0, "shortfall": 0, "duplicate": False, "literal": "", "strict": ""}
    return {"answer": answer, **found, **said}


def _signed_by(voucher: SignedVoucher, payer_key: str) -> bool:
    """Whether the payer signed: lotus takes no other signature off chain."""
    if voucher.signature is None or not payer_key:
        return False
    try:
        return verify_off_chain(voucher.signing_bytes(), voucher.signature, payer_key)
    except PeerError:
        return False


def total(lanes: Lanes) -> int:
    """Return what all lanes together promise."""
    return sum(lane["redeemed"] for lane in lanes.values())


def lane_view(seen: Lanes, newest: Lanes) -> dict[int, Mapping[str, int]]:
    """Return the lanes as promised: those seen, replaced by the book's newest where not older."""
    view = dict(seen)
    for lane, promised in newest.items():
        if lane not in view or promised["nonce"] >= view[lane]["nonce"]:
            view[lane] = promised
    return view


def newest_with(newest: Lanes, lane: int, nonce: int, amount: int) -> dict[str, int]:
    """Return a lane's newest voucher after one more was stored; an equal nonce replaces."""
    known = newest.get(lane)
    if known is not None and known["nonce"] > nonce:
        return dict(known)
    return {"redeemed": amount, "nonce": nonce}


def stored(vouchers: Vouchers, sv: str, order: int) -> dict[str, Record]:
    """Return the vouchers of a voucher's lane with it among them."""
    told = described(sv)
    if told is None:
        return {}
    kept = (
        "nonce",
        "amount",
        "time_lock_min",
        "time_lock_max",
        "secret_hash",
        "plain",
        "mark",
    )
    record = {name: told[name] for name in kept}
    return {**vouchers.get(told["lane"], {}), told["id"]: {**record, "order": order}}


def with_lane(lanes: Lanes, lane: int, nonce: int, amount: int) -> dict[int, Mapping[str, int]]:
    """Return lanes with one more voucher; an older one changes nothing."""
    return {**lanes, lane: newest_with(lanes, lane, nonce, amount)}


def next_nonce(newest: Lanes, handed: Mapping[int, int], lane: int) -> int:
    """Return the nonce of the next voucher on a lane: one above every nonce of the book's own.

    As in lotus the chain is not asked. `handed`: the highest nonce that was given out to be signed.
    """
    return 1 + max(newest.get(lane, _NO_LANE)["nonce"], handed.get(lane, 0))


def unsigned(channel: str, lane: int, nonce: int, amount: int, conditions: Book) -> str:
    """Return the text of a voucher before it is signed; "" where it cannot be encoded."""
    voucher = SignedVoucher(
        channel,
        conditions["time_lock_min"],
        conditions["time_lock_max"],
        b"",
        None,
        lane,
        nonce,
        amount,
        conditions["min_settle_height"],
        (),
        None,
    )
    try:
        return voucher.text()
    except StatetapeError:
        return ""


def dominated(vouchers: Vouchers, last: Mapping[int, str], found: Book) -> str:
    """Return the id of the lane's newest voucher before `found`, if `found` is better in all.

    It is if it is worth no less and can be redeemed whenever the other can. "": there is none.
    """
    known = last.get(found["lane"], "")
    one = vouchers.get(found["lane"], {}).get(known)
    if one is None or known == found["id"] or found["amount"] < one["amount"]:
        return ""
    ends, others = found["time_lock_max"], one["time_lock_max"]
    wider = found["time_lock_min"] <= max(one["time_lock_min"], 0)
    return known if wider and (ends == 0 or 0 != others <= ends) else ""


def watermark(marks: Marks, spent: Mapping[int, int], lane: int) -> int:
    """Return up to which nonce a lane's vouchers are submitted; -1: none is."""
    highest = [mark["nonce"] for mark in marks.get(lane, ())]
    return max(highest, default=-1) if lane not in spent else max([spent[lane], *highest])


def marked(
    marks: Marks, lane: int, nonce: int, message: str, height: int
) -> tuple[Mapping[str, Any], ...]:
    """Return a lane's marks with one more message under way."""
    mark = {"nonce": nonce, "message": message, "height": height}
    return (*unmarked(marks, lane, nonce, message), mark)


def unmarked(marks: Marks, lane: int, nonce: int, message: str) -> tuple[Mapping[str, Any], ...]:
    """Return a lane's marks without a message's; message "": without any of that nonce."""
    return tuple(
        mark
        for mark in marks.get(lane, ())
        if mark["nonce"] != nonce or message not in ("", mark["message"])
    )


def marks_above(marks: Marks, lane: int, nonce: int) -> tuple[Mapping[str, Any], ...]:
    """Return a lane's marks that a redeemed nonce leaves open."""
    return tuple(mark for mark in marks.get(lane, ()) if mark["nonce"] > nonce)


def without(marks: Marks, lanes: Sequence[int]) -> dict[int, Sequence[Mapping[str, Any]]]:
    """Return the marks without those of some lanes: their messages are taken for lost."""
    return {lane: kept for lane, kept in marks.items() if lane not in lanes}


def best(
    vouchers: Vouchers,
    marks: Marks,
    spent: Mapping[int, int],
    secrets: Mapping[str, bytes],
    seen: Book,
    height: int,
    first: int,
) -> tuple[Mapping[str, Any], ...]:
    """Return, by lane, the voucher of the greatest amount that can be redeemed at `height`.

    At most PAGE of them, from lane `first` on. The first stored wins a tie. What the chain would
    refuse, as far as `seen` (balance, to_send, settling_at, lanes) tells, is left out: it is not
    spendable now, and nothing is said of later.
    """
    chosen: list[Mapping[str, Any]] = []
    for lane in sorted(lane for lane in vouchers if first <= lane <= MAX_LANE):
        if len(chosen) == PAGE:
            break
        candidates = [
            (-one["amount"], one["order"], known)
            for known, one in _open(vouchers[lane], lane, marks, spent, seen)
            if _window(one, seen, height) and _can_pay(one, lane, seen)
            if one["secret_hash"] == "" or one["secret_hash"] in secrets
        ]
        if candidates:
            known = min(candidates)[2]
            one = vouchers[lane][known]
            secret = secrets.get(one["secret_hash"], b"")
            item = {"lane": lane, "nonce": one["nonce"], "amount": one["amount"]}
            ends = {"closes": one["time_lock_max"]}
            chosen.append({**item, "id": known, "secret": secret, **ends})
    return tuple(chosen)


def more_from(items: Sequence[Mapping[str, Any]]) -> int:
    """Return the lane from which on `best` was not asked yet, or 0 if its answer was whole."""
    return items[-1]["lane"] + 1 if len(items) == PAGE else 0


def _open(
    of_lane: Mapping[str, Record],
    lane: int,
    marks: Marks,
    spent: Mapping[int, int],
    seen: Book,
) -> Iterator[tuple[str, Record]]:
    """Yield what is neither submitted nor void on the chain, nor worth less than nothing."""
    on_chain = seen["lanes"].get(lane)
    below = max(watermark(marks, spent, lane), -1 if on_chain is None else on_chain["nonce"])
    for known, one in of_lane.items():
        if one["nonce"] > below and one["plain"] and one["amount"] >= 0:
            yield known, one


def _window(one: Record, seen: Book, height: int) -> bool:
    lock, ends, settling_at = one["time_lock_min"], one["time_lock_max"], seen["settling_at"]
    if height < lock or (ends != 0 and height > ends):
        return False
    return bool(settling_at == 0 or height < settling_at)


def _can_pay(one: Record, lane: int, seen: Book) -> bool:
    redeemed = seen["lanes"].get(lane, _NO_LANE)["redeemed"]
    to_send = seen["to_send"] + one["amount"] - redeemed
    return bool(0 <= to_send <= seen["balance"])


def agenda(
    vouchers: Vouchers,
    marks: Marks,
    spent: Mapping[int, int],
    seen: Book,
    height: int,
    margin: int,
) -> int:
    """Return the next height above `height` at which another voucher may be best; 0: none.

    That is where a time lock opens, or, `margin` before it closes, where it must be used.
    """
    heights = []
    for lane, of_lane in vouchers.items():
        for _, one in _open(of_lane, lane, marks, spent, seen):
            heights.append(one["time_lock_min"])
            if one["time_lock_max"] > 0:
                heights.append(one["time_lock_max"] - margin)
    return min((one for one in heights if one > height), default=0)


def locked_until(
    vouchers: Vouchers, marks: Marks, spent: Mapping[int, int], seen: Book, height: int
) -> int:
    """Return when the last time lock opens of what is not redeemed; 0: none is locked."""
    locks = [
        one["time_lock_min"]
        for lane, of_lane in vouchers.items()
        for _, one in _open(of_lane, lane, marks, spent, seen)
    ]
    return max((lock for lock in locks if lock > height), default=0)


def said_or(said: int | None, other: int) -> int:
    """Return what was said, or the other figure where nothing was."""
    return other if said is None else said


def secret_hash(secret: bytes) -> str:
    """Return the hash that vouchers name a secret by, in hex."""
    return blake2b256(secret).hex()


def is_channel(to: str, channel: str, actor: str) -> bool:
    """Whether a message to `to` was for this channel: its f2 or its f0 address.

    Where the actor's ID is not known, an f0 address may be it: whoever addressed this account with
    the message has resolved it.
    """
    own = _canonical(to)
    if own and own in (_canonical(channel), _canonical(actor)):
        return True
    return bool(own) and not actor and is_id(own)


def key_of_payer(direction: int, control: str, target: str, given: str) -> str:
    """Return the key address that the payer signs with, or "" where it is not known."""
    payer = _canonical(given or (control if direction == OUTBOUND else target))
    return payer if payer and is_key(payer) else ""


def channel_address(key: str, given: str) -> str:
    """Return the channel's address: as given, else the account's key if that is one; or ""."""
    return _canonical(given or key)


def _canonical(text: str) -> str:
    try:
        return canonical(text)
    except StatetapeError:
        return ""


OUTBOUND: Final = 2

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        account_of,
        agenda,
        best,
        described,
        channel_address,
        dominated,
        examine,
        is_channel,
        key_of_payer,
        lane_view,
        locked_until,
        marked,
        marks_above,
        more_from,
        newest_with,
        next_nonce,
        record_of,
        said_or,
        secret_hash,
        stored,
        total,
        unmarked,
        unsigned,
        watermark,
        with_lane,
        without,
    )
}
TYPES: Mapping[str, Type] = {"address": Scalar("address", canonical)}
