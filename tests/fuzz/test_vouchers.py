"""Hostile vouchers and parameters through the payment channel: money always adds up."""

from __future__ import annotations

import base64
from typing import Any

import cbor2
from hypothesis import given
from hypothesis import strategies as st
from statetape.engine import catalogue
from statetape.fsm.decide import ACCEPTED, Decision, Moment, create, decide
from statetape.fsm.entry import Entry, EntryTooLarge, check_canonical, encode
from statetape.fsm.errors import CallerError
from statetape.specs.filecoin.voucher import Merge, ModVerifyParams, Signature, SignedVoucher

from .budget import fuzzing, no_hang

CHANNEL = catalogue.machine("filecoin.payment_channel")
SAMPLES = [
    "i0IAZAAAQPYAAUIABQCAQgIA",
    "i0IAZAAAQPYAAkIAAxkH0IBCAgA",
    "i0IAZAAAQPYBAUIABACBggADQgIA",
    "i0IAZAAAQPYABEIAMgCAQgIA",
]
ADDRESSES = [
    "f0100",
    "f0101",
    "f0102",
    "f0103",
    "t0101",
    "f01",
    "f0",
    "",
    "f2xjl6b4xwp7wj4qs4nwdmufenzhfu4izqiyehmiq",
]
OPEN = {"id": "f0100", "from": "f0101", "to": "f0102", "value": 100}

small = st.integers(-3, 120)
wide = (
    small
    | st.integers()
    | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, 2**70 + 1, 2**5000])
)
unsigned = st.integers(0, 5) | st.integers(0, 2**64 - 1)
epochs = st.integers(0, 3000) | st.integers(-(2**63), 2**63 - 1)
vouchers = st.builds(
    SignedVoucher,
    st.sampled_from(["f0100", "f0100", "f0100", "f0104"]),
    epochs | st.just(0),
    epochs | st.just(0),
    st.binary(max_size=33) | st.just(b""),
    st.none() | st.builds(ModVerifyParams, st.just("f0103"), unsigned, st.binary(max_size=5)),
    unsigned,
    unsigned,
    small | st.integers(-(2**1000), 2**1000),
    epochs,
    st.lists(st.builds(Merge, unsigned, unsigned), max_size=4).map(tuple),
    st.none() | st.builds(Signature, st.sampled_from([1, 2, 3]), st.binary(max_size=70)),
).map(SignedVoucher.text)
honest = st.builds(
    lambda lane, nonce, amount, merges: SignedVoucher(
        "f0100", 0, 0, b"", None, lane, nonce, amount, 0, merges, Signature(1, b"")
    ).text(),
    st.integers(0, 3),
    st.integers(0, 9),
    st.integers(0, 130),
    st.lists(st.builds(Merge, st.integers(0, 3), st.integers(0, 9)), max_size=2).map(tuple),
)


@st.composite
def broken(draw: st.DrawFn) -> str:
    """Draw a voucher's text with bytes or characters changed, cut or added."""
    text = draw(st.sampled_from(SAMPLES) | vouchers)
    if draw(st.booleans()):
        raw = bytearray(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        for _ in range(draw(st.integers(1, 4))):
            at = draw(st.integers(0, len(raw) - 1))
            raw[at : at + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
            raw = raw or bytearray(b"\x00")
        return base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")
    at = draw(st.integers(0, len(text)))
    return text[:at] + draw(st.text(max_size=3)) + text[at + draw(st.integers(0, 3)) :]


def _dumped(value: Any) -> str:
    return base64.urlsafe_b64encode(cbor2.dumps(value)).decode().rstrip("=")


cbor = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.binary(max_size=5)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=11) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=20,
).map(_dumped)
texts = vouchers | honest | broken() | cbor | st.text(max_size=40) | st.sampled_from(SAMPLES)
plain = st.none() | st.booleans() | wide | st.text(max_size=5) | st.sampled_from(ADDRESSES)
anything = st.recursive(
    plain | st.floats() | st.binary(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(ADDRESSES), inner, max_size=3)
    ),
    max_leaves=6,
)


def decided(
    name: str, state: str, data: dict[str, Any], params: dict[str, Any], height: Any
) -> Decision | None:
    """Decide, and see that what came out can be written; None for a declared error."""
    at = Moment(5, height, "f0100", state, "filecoin")
    with no_hang():
        try:
            if name == "constructor":
                decision = create(CHANNEL, params, at)
            else:
                decision = decide(CHANNEL, name, state, data, {}, params, at)
            body = encode(
                Entry(
                    at=5,
                    pos=1,
                    effects=decision.effects,
                    params=decision.params,
                    reason=decision.reason,
                    set=decision.patch,
                )
            )
        except (CallerError, EntryTooLarge):
            return None
        check_canonical(body)
    return decision


def begun() -> dict[str, Any]:
    """Return the data of a channel of 100."""
    decision = decided("constructor", "open", {}, OPEN, 1)
    assert decision is not None
    assert decision.data is not None
    return decision.data


BEGUN = begun()


def check_money(data: dict[str, Any], state: str) -> None:
    """See that nobody is owed more than there is, and that no coin appeared or vanished."""
    assert data["deposited"] == data["balance"] + data["paid_to"] + data["paid_from"]
    assert data["to_send"] >= 0
    if state != "collected":
        assert data["to_send"] <= data["balance"]


redeeming = st.fixed_dictionaries(
    {"caller": st.sampled_from(["f0101", "f0102", "f0102", "f0109"]), "sv": texts},
    optional={
        "auth_exit": st.just(0),
        "auth_returned": st.sampled_from(
            ["true", "false", "nothing", "undecodable", "no_actor", "x"]
        ),
        "auth_actor": st.sampled_from(["f0101", "f0102"]),
        "signed_by": st.sampled_from(ADDRESSES),
        "secret": st.binary(max_size=5).map(bytes.hex),
        "value": wide,
        "extra_exit": small,
    },
)


@fuzzing()
@given(st.lists(redeeming | st.none(), max_size=6), st.sampled_from([None, 1, 1441, 2**62]))
def test_hostile_vouchers_never_owe_more_than_the_balance(steps: list[Any], height: Any) -> None:
    """Whatever is redeemed in whatever order, with settling in between."""
    state, data = "open", BEGUN
    for params in steps:
        name = "update_channel_state" if params else "settle"
        decision = decided(name, state, data, params or {"caller": "f0101"}, height)
        if decision is not None and decision.outcome == ACCEPTED:
            state, data = decision.to or state, decision.data or data
        check_money(data, state)


@fuzzing()
@given(st.lists(st.tuples(honest, st.integers(-5, 30)), min_size=1, max_size=8))
def test_well_made_vouchers_never_owe_more_than_the_balance(steps: list[tuple[str, int]]) -> None:
    """Lanes, nonces and merges that nearly fit: here most of the rules are reached."""
    data = BEGUN
    for voucher, value in steps:
        params = {"caller": "f0102", "sv": voucher, "auth_exit": 0, "value": value}
        decision = decided("update_channel_state", "open", data, params, 1)
        assert decision is not None
        data = decision.data or data
        check_money(data, "open")


@fuzzing()
@given(
    st.sampled_from([*CHANNEL.events, "constructor", "nope", ""]),
    st.sampled_from(list(CHANNEL.states)),
    st.data(),
    st.sampled_from([None, 1, 2000]),
)
def test_hostile_parameters_are_decided_or_refused_by_name(
    name: str, state: str, data: st.DataObject, height: Any
) -> None:
    """Any values under the right names and the wrong ones, in any state."""
    event = CHANNEL.create if name == "constructor" else CHANNEL.events.get(name)
    names = [param.name for param in event.params] if event else ["x"]
    params = {}
    for one in names:
        if data.draw(st.integers(0, 3)):
            params[one] = data.draw(texts if one == "sv" else anything)
    if not data.draw(st.integers(0, 9)):
        params["extra"] = data.draw(anything)

    decision = decided(name, state, BEGUN, params, height)

    if decision is not None and decision.outcome == ACCEPTED and name != "observe_balance":
        check_money(decision.data or BEGUN, decision.to or state)


def test_samples_are_redeemed() -> None:
    """Negative control: what the fuzzer breaks is accepted unbroken."""
    params = {"caller": "f0102", "sv": SAMPLES[0], "auth_exit": 0}

    decision = decided("update_channel_state", "open", BEGUN, params, 1)

    assert decision is not None
    assert (decision.outcome, (decision.data or {})["to_send"]) == (ACCEPTED, 5)
