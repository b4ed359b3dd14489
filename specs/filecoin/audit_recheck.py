"""The payment channel actor's checks, run once more on one message: which is the first that fails.

Written from the actor's rules as a table of small functions in the actor's order, apart from the
machine's file on purpose: an audit in which the machine judged itself would show nothing. What only
the chain knows (how calls into other actors ended) is taken from the message's record, as there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import NamedTuple, cast

from ...fsm.types import Json, exact_int
from .audit_papers import Shelf, Voucher, made_by
from .payment_channel import BUILTIN_ACTORS, CHAIN_SIGNATURE_TYPES, MAX_LANE, is_key
from .voucher import SignedVoucher

SETTLE_DELAY = 1440
SECRET_BYTES_MAX = 256


class Lane(NamedTuple):
    """What the chain holds of a lane."""

    redeemed: int
    nonce: int


class State(NamedTuple):
    """The channel without its lanes. Amounts in attofil; phase as the tape names it."""

    phase: str = "absent"
    id: str = ""
    payer: str = ""
    payee: str = ""
    balance: int = 0
    to_send: int = 0
    settling_at: int = 0
    min_settle_height: int = 0
    merged_away: int = 0
    deposited: int = 0
    paid_to: int = 0
    paid_from: int = 0


class Outcome(NamedTuple):
    """What the table gives for a message.

    `code`: the exit code, 0 where every check holds. `row`: the check that fails first, in words
    (its number in the actor's order among them). `undecided`: why the table cannot tell; code and
    reason mean nothing then. `after` and `lanes`: what the message leaves, where it succeeds.
    """

    code: int
    reason: str = ""
    row: str = ""
    undecided: str = ""
    after: State | None = None
    lanes: Mapping[int, Lane] = {}

    @property
    def says(self) -> str:
        """The outcome in words."""
        if self.undecided:
            return f"cannot be told: {self.undecided}"
        return f"exit {self.code} {self.reason}, {self.row}" if self.code else "exit 0"


@dataclass(frozen=True, slots=True)
class Situation:
    """A message and the channel that it meets.

    `lane`: what the chain holds of a lane then. `resolve`: an address to its ID address, or "".
    """

    event: str
    height: int | None
    params: Mapping[str, Json]
    state: State
    lane: Callable[[int], Lane | None]
    resolve: Callable[[object], str]
    addresses: Mapping[str, str]
    actors: Mapping[str, str] | None
    shelf: Shelf
    voucher: Voucher | None = None

    @property
    def caller(self) -> str:
        """The ID address of the sender."""
        return self.resolve(self.params.get("caller"))

    @property
    def value(self) -> int:
        """The funds that the message carries."""
        return whole(self.params.get("value")) or 0

    @property
    def terms(self) -> SignedVoucher:
        """The voucher's terms; for the checks after the one that it decodes."""
        return cast(SignedVoucher, cast(Voucher, self.voucher).terms)

    @property
    def signer(self) -> str:
        """The ID address of the required signer: the party that is not the caller."""
        return self.state.payee if self.caller == self.state.payer else self.state.payer

    @property
    def secret(self) -> bytes | None:
        """The secret that the message carries; None where the record is no secret."""
        return secret_of(self.params.get("secret", ""))


Failure = tuple[int, str] | str | None
"""Exit code and reason; or why it cannot be told; or None, where the check holds."""
Row = tuple[str, Callable[[Situation], Failure]]


def whole(value: object) -> int | None:
    """Return an integer that an entry holds as a number or a decimal string, else None."""
    return exact_int(value)


def secret_of(value: object) -> bytes | None:
    """Return the bytes that an entry holds in hex, None where it holds none."""
    if not isinstance(value, str):
        return None
    try:
        return bytes.fromhex(value)
    except ValueError:
        return None


def check(situation: Situation) -> Outcome:
    """Return what the actor's table gives for a message in the state that it meets."""
    rows = _TABLES.get(situation.event)
    if rows is None:
        return Outcome(0, undecided="no table for this message")
    if situation.state.phase == "collected":
        return Outcome(5, "CHANNEL_DELETED", "the actor is gone after Collect")
    for name, row in rows:
        failure = row(situation)
        if isinstance(failure, str):
            return Outcome(0, row=name, undecided=failure)
        if failure is not None:
            return Outcome(failure[0], failure[1], name)
    return _EFFECTS[situation.event](situation)


def _builtin(situation: Situation) -> Failure:
    kind = situation.params.get("caller_type", "account")
    return None if str(kind) in BUILTIN_ACTORS else (18, "CALLER_NOT_BUILTIN")


def _party(situation: Situation) -> Failure:
    if situation.height is None:
        return "the epoch of its inclusion is not recorded"
    if situation.value < 0:
        return "the record gives a negative value"
    state = situation.state
    known = situation.caller and situation.caller in (state.payer, state.payee)
    return None if known else (18, "CALLER_NOT_PARTY")


def _no_params(situation: Situation) -> Failure:
    return None if situation.params.get("params") is None else (16, "PARAMS_UNEXPECTED")


def _params(situation: Situation) -> Failure:
    if situation.params.get("sv") is None:
        return 16, "PARAMS_MISSING"
    voucher = situation.voucher
    if voucher is None or voucher.terms is None:
        return 21, "PARAMS_UNDECODABLE"
    copy = situation.shelf.copy(situation.params.get("sv"))
    signature = copy.signature if copy is not None else None
    good = signature is None or signature.type in CHAIN_SIGNATURE_TYPES
    return None if good else (21, "PARAMS_UNDECODABLE")


def _signed(situation: Situation) -> Failure:
    copy = situation.shelf.copy(situation.params.get("sv"))
    return None if copy and copy.signature is not None else (16, "VOUCHER_UNSIGNED")


def _not_over(situation: Situation) -> Failure:
    end, height = situation.state.settling_at, situation.height or 0
    return (32, "CHANNEL_SETTLED") if end != 0 and height >= end else None


def _secret_length(situation: Situation) -> Failure:
    secret = situation.secret
    if secret is None:
        return "the recorded secret is not hexadecimal"
    return (16, "SECRET_TOO_LONG") if len(secret) > SECRET_BYTES_MAX else None


_RETURNED: Mapping[str, tuple[int, str]] = {
    "nothing": (24, "AUTHENTICATION_RETURNED_NOTHING"),
    "false": (16, "SIGNATURE_REJECTED"),
    "no_actor": (23, "SIGNER_MISSING"),
}


def _authentic(situation: Situation) -> Failure:
    """The signer's own actor is asked; the record of its answer decides, else the signature."""
    params, signer = situation.params, situation.signer
    asked = params.get("auth_actor")
    if asked is not None and situation.resolve(asked) != signer:
        return "the record asked another actor than the required signer"
    ended, returned = whole(params.get("auth_exit")), params.get("auth_returned")
    if ended:
        return ended, "SIGNATURE_REJECTED"
    if returned is not None:
        unreadable = (21, "AUTHENTICATION_UNDECODABLE")
        return None if returned == "true" else _RETURNED.get(str(returned), unreadable)
    if ended == 0:
        return None
    if situation.actors is not None and situation.actors.get(signer, "account") != "account":
        return 24, "AUTHENTICATION_RETURNED_NOTHING"
    if params.get("signed_by") is not None:
        good = situation.resolve(params.get("signed_by")) == signer
        return None if good else (16, "SIGNATURE_REJECTED")
    return _verified(situation, signer)


def _verified(situation: Situation, signer: str) -> Failure:
    """Whether one of the signer's key addresses made the signature."""
    text = situation.params.get("sv")
    situation.shelf.recover(text)
    copy = situation.shelf.copy(text)
    keys = [name for name, actor in situation.addresses.items() if actor == signer and is_key(name)]
    if not keys or copy is None or situation.voucher is None:
        return "no key address of the required signer is recorded"
    answers = [made_by(situation.voucher.signing, copy, key) for key in keys]
    if any(answer for answer, _ in answers):
        return None
    unsure = [why for answer, why in answers if answer is None]
    return unsure[0] if unsure else (16, "SIGNATURE_REJECTED")


def _channel(situation: Situation) -> Failure:
    found = situation.resolve(situation.terms.channel_addr)
    if not found:
        return 16, "CHANNEL_ADDR_UNRESOLVABLE"
    return None if found == situation.state.id else (16, "CHANNEL_ADDR_MISMATCH")


def _lock_min(situation: Situation) -> Failure:
    early = (situation.height or 0) < situation.terms.time_lock_min
    return (16, "TIME_LOCK_MIN") if early else None


def _lock_max(situation: Situation) -> Failure:
    last = situation.terms.time_lock_max
    return (16, "TIME_LOCK_MAX") if last != 0 and (situation.height or 0) > last else None


def _amount(situation: Situation) -> Failure:
    return (16, "AMOUNT_NEGATIVE") if situation.terms.amount < 0 else None


def _secret(situation: Situation) -> Failure:
    wanted = situation.terms.secret_pre_image
    if not wanted or blake2b(situation.secret or b"", digest_size=32).digest() == wanted:
        return None
    return 16, "SECRET_MISMATCH"


def _extra(situation: Situation) -> Failure:
    if situation.terms.extra is None:
        return None
    ended = whole(situation.params.get("extra_exit", 0))
    if ended is None:
        return "how the voucher's extra call ended is not recorded as a number"
    return (ended, "EXTRA_CALL_FAILED") if ended else None


def _lane_id(situation: Situation) -> Failure:
    return (16, "LANE_ID_TOO_BIG") if situation.terms.lane > MAX_LANE else None


def _nonce(situation: Situation) -> Failure:
    lane = situation.lane(situation.terms.lane)
    stale = lane is not None and lane.nonce >= situation.terms.nonce
    return (16, "NONCE_OUTDATED") if stale else None


class Merged(NamedTuple):
    """What a voucher's merges come to: the first that fails, what they subtract, the lanes."""

    failure: str
    subtracted: int
    lanes: Mapping[int, Lane]


def merged(terms: SignedVoucher, lane_of: Callable[[int], Lane | None]) -> Merged:
    """Return what a voucher's merges come to, in list order, each seeing those before it."""
    lanes: dict[int, Lane] = {}
    others = 0
    for merge in terms.merges:
        source = lanes.get(merge.lane) or lane_of(merge.lane)
        failure = ""
        if merge.lane == terms.lane:
            failure = "MERGE_SELF"
        elif merge.lane > MAX_LANE:
            failure = "LANE_ID_TOO_BIG"
        elif source is None:
            failure = "MERGE_LANE_MISSING"
        elif source.nonce >= merge.nonce:
            failure = "MERGE_NONCE_OUTDATED"
        if failure or source is None:
            return Merged(failure, others, lanes)
        others += source.redeemed
        lanes[merge.lane] = Lane(source.redeemed, merge.nonce)
    return Merged("", others, lanes)


def _merges(situation: Situation) -> Failure:
    failure = merged(situation.terms, situation.lane).failure
    return (16, failure) if failure else None


def _new_to_send(situation: Situation) -> int:
    own = situation.lane(situation.terms.lane)
    replaced = merged(situation.terms, situation.lane).subtracted + (own.redeemed if own else 0)
    return situation.state.to_send + situation.terms.amount - replaced


def _not_negative(situation: Situation) -> Failure:
    return (16, "TO_SEND_NEGATIVE") if _new_to_send(situation) < 0 else None


def _covered(situation: Situation) -> Failure:
    short = _new_to_send(situation) > situation.state.balance + situation.value
    return (16, "INSUFFICIENT_BALANCE") if short else None


def _not_settling(situation: Situation) -> Failure:
    return (20, "ALREADY_SETTLING") if situation.state.settling_at else None


def _settled(situation: Situation) -> Failure:
    end = situation.state.settling_at
    return None if end and (situation.height or 0) >= end else (18, "NOT_SETTLED")


def _payout(name: str, reason: str) -> Callable[[Situation], Failure]:
    def row(situation: Situation) -> Failure:
        ended = whole(situation.params.get(name, 0))
        if ended is None:
            return "how a payout ended is not recorded as a number"
        return (ended, reason) if ended else None

    return row


def _payable(situation: Situation) -> Failure:
    short = situation.state.to_send > situation.state.balance + situation.value
    return (6, "PAYOUT_TO_FAILED") if short else None


def _not_negative_value(situation: Situation) -> Failure:
    return "the record gives a negative value" if situation.value < 0 else None


_UPDATE: Sequence[Row] = (
    ("dispatch (builtin callers only)", _builtin),
    ("dispatch (parameters decode)", _params),
    ("UpdateChannelState check 1 (the caller is a party)", _party),
    ("UpdateChannelState check 2 (the voucher is signed)", _signed),
    ("UpdateChannelState check 3 (epoch below settling_at)", _not_over),
    ("UpdateChannelState check 4 (length of the secret)", _secret_length),
    ("UpdateChannelState check 6 (signature of the other party)", _authentic),
    ("UpdateChannelState checks 7 and 8 (the voucher names this channel)", _channel),
    ("UpdateChannelState check 9 (epoch at least time_lock_min)", _lock_min),
    ("UpdateChannelState check 10 (epoch at most time_lock_max)", _lock_max),
    ("UpdateChannelState check 11 (amount not negative)", _amount),
    ("UpdateChannelState check 12 (hash of the secret)", _secret),
    ("UpdateChannelState check 13 (the extra call)", _extra),
    ("UpdateChannelState check 14 (lane number)", _lane_id),
    ("UpdateChannelState check 15 (the lane's nonce is below the voucher's)", _nonce),
    ("UpdateChannelState checks 16 to 18 (merges)", _merges),
    ("UpdateChannelState check 19 (to_send not negative)", _not_negative),
    ("UpdateChannelState check 20 (to_send within the balance)", _covered),
)
_SETTLE: Sequence[Row] = (
    ("dispatch (builtin callers only)", _builtin),
    ("dispatch (Settle takes no parameters)", _no_params),
    ("Settle check 1 (the caller is a party)", _party),
    ("Settle check 2 (not settling yet)", _not_settling),
)
_COLLECT: Sequence[Row] = (
    ("dispatch (builtin callers only)", _builtin),
    ("dispatch (Collect takes no parameters)", _no_params),
    ("Collect check 1 (the caller is a party)", _party),
    ("Collect check 2 (epoch at least settling_at)", _settled),
    ("Collect step 3 (payout to the payee)", _payout("send_to_exit", "PAYOUT_TO_FAILED")),
    ("Collect step 3 (payout to the payee)", _payable),
    ("Collect step 4 (refund to the payer)", _payout("send_from_exit", "PAYOUT_FROM_FAILED")),
)
_TABLES: Mapping[str, Sequence[Row]] = {
    "update_channel_state": _UPDATE,
    "settle": _SETTLE,
    "collect": _COLLECT,
    "send": (("Send (anybody may)", _not_negative_value),),
}


def _funded(situation: Situation) -> State:
    state, value = situation.state, situation.value
    return state._replace(balance=state.balance + value, deposited=state.deposited + value)


def _after_update(situation: Situation) -> Outcome:
    terms, state = situation.terms, _funded(situation)
    merging = merged(terms, situation.lane)
    floor = terms.min_settle_height
    state = state._replace(
        to_send=_new_to_send(situation),
        merged_away=state.merged_away + merging.subtracted,
        settling_at=max(state.settling_at, floor) if state.settling_at else 0,
        min_settle_height=max(state.min_settle_height, floor),
    )
    lanes = {**merging.lanes, terms.lane: Lane(terms.amount, terms.nonce)}
    return Outcome(0, after=state, lanes=lanes)


def _after_settle(situation: Situation) -> Outcome:
    state = _funded(situation)
    settling_at = max((situation.height or 0) + SETTLE_DELAY, state.min_settle_height)
    return Outcome(0, after=state._replace(settling_at=settling_at))


def _after_collect(situation: Situation) -> Outcome:
    state = _funded(situation)
    refund = state.balance - state.to_send
    after = state._replace(balance=0, paid_to=state.to_send, paid_from=refund)
    return Outcome(0, after=after)


def _after_send(situation: Situation) -> Outcome:
    return Outcome(0, after=_funded(situation))


_EFFECTS: Mapping[str, Callable[[Situation], Outcome]] = {
    "update_channel_state": _after_update,
    "settle": _after_settle,
    "collect": _after_collect,
    "send": _after_send,
}
