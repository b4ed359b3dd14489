"""Scenario files of the payment channel actor: cases as data, read into commands and checks.

A case has `initial` (the channel's ID, parties, balance, epoch, actors, address map) and `steps`,
each a message with the epoch it is included at, the mocked outside world (`env`), and what is
expected: result, full state, sends. Steps with a `real_signature` are decided by verifying it, and
its bytes are compared with our own encoding. docs/reference/scenarios.md has the whole format.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...fsm.errors import PeerError, StatetapeError
from ...fsm.scenario import Result, Step
from .address import canonical
from .payment_channel import is_key, resolve
from .signature import signer_of, verify
from .voucher import (
    SIGNATURE_TYPE_NAMES,
    Merge,
    ModVerifyParams,
    Signature,
    SignedVoucher,
    parse,
)

MACHINE = "filecoin.payment_channel"
CHAIN = "filecoin"
CONSTRUCTOR = 1
UNKNOWN_METHOD = 99
SECRET_BYTES_KEPT = 257
"""One more than the actor takes: an entry has 64 KiB, and a secret that is too long is refused
before anything looks into it."""
NO_ACTOR = {"code": 5, "name": "SYS_INVALID_RECEIVER"}
"""How the chain answers a message to a channel that does not exist (yet)."""
UNDECODABLE = "!"
"""Stands for a voucher that cannot even be encoded: no text decodes from it."""

_SIGNATURE_TYPES = {name: number for number, name in SIGNATURE_TYPE_NAMES.items()}
_EVENTS = {
    "UpdateChannelState": "update_channel_state",
    "Settle": "settle",
    "Collect": "collect",
    "Send": "send",
    "_SetBalance": "observe_balance",
}
_REASON = {"exit_code": "code", "exit_name": "name", "reason": "reason"}
_DECIMAL = re.compile(r"-?[0-9]+")
UNKNOWN_SIGNATURE = 0
"""A type byte that no signature has: the actor cannot decode it."""
_STATE_FIELDS = (
    "from",
    "to",
    "to_send",
    "settling_at",
    "min_settle_height",
    "lanes",
    "balance",
)


class PaymentChannelScenarios:
    """The adapter."""

    def recognises(self, case: Any) -> bool:
        """Whether a case has this format: messages to a channel."""
        if not isinstance(case, dict) or not isinstance(case.get("initial"), dict):
            return False
        steps = case.get("steps")
        messages = isinstance(steps, list) and all(
            isinstance(step, dict) and "method" in step for step in steps
        )
        return messages and "channel" in case["initial"]

    def runs(self, case: Any) -> Iterator[tuple[str, list[Step]]]:
        """Yield the case once, or once for each of its variants, at their epochs."""
        initial = case["initial"]
        first = initial["epoch"]
        for variant in initial.get("variants") or [{"id": "", "epoch": first}]:
            shift = variant["epoch"] - first
            yield (
                str(variant["id"]),
                [_step(case, number, step, shift) for number, step in enumerate(case["steps"], 1)],
            )


def _step(case: Mapping[str, Any], number: int, step: Mapping[str, Any], shift: int) -> Step:
    initial = case["initial"]
    method = step["method"]
    existing = None
    if method == "Constructor":
        event = None
        params = _construct(initial, step)
        shared = ("caller", "caller_type", "params_were")
        call = {"method": CONSTRUCTOR} | {name: params[name] for name in shared}
        existing = ("call", call | _given(step, "value"))
    else:
        event = _EVENTS.get(method, "call")
        params = _params(method, initial, step)

    def check(result: Result) -> list[str]:
        return [
            *_check_result(step, result),
            *_check_state(step, result, shift),
            *_check_effects(step, result),
            *_check_signature(initial, step),
        ]

    return Step(
        label=f"step {number} ({method})",
        machine=MACHINE,
        key=initial["channel"],
        event=event,
        params=params,
        chain=CHAIN,
        height=step["epoch"] + shift,
        check=check,
        existing=existing,
    )


def _given(holder: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return those members that are there and not null."""
    return {name: holder[name] for name in names if holder.get(name) is not None}


def _env(step: Mapping[str, Any]) -> Mapping[str, Any]:
    return step.get("env") or {}


def _construct(initial: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    attempt = _env(step).get("create_attempt")
    parties, params_were = _parties(initial, step.get("params"))
    return {
        "id": initial["channel"],
        **parties,
        "value": initial["balance"],
        "caller": step.get("caller") or "f01",
        "caller_type": step.get("caller_type") or "init",
        "addresses": initial.get("address_map") or {},
        "actors": _actors(initial.get("actors")),
        "params_were": params_were,
        "create_exits": {attempt["to"]: attempt["exit"]} if attempt else {},
    }


def _parties(initial: Mapping[str, Any], given: Any) -> tuple[dict[str, str], str]:
    """Return payer and payee, and how the actor finds its parameters."""
    stand_in = {"from": initial["from"], "to": initial["to"]}
    if given is None:
        return stand_in, "none"
    try:
        return {name: canonical(given[name]) for name in stand_in}, "decoded"
    except (LookupError, TypeError, PeerError):
        return stand_in, "undecodable"


def _actors(known: Any) -> dict[str, str] | None:
    """Return the actors that have code, with their types where these are given."""
    if known is None or isinstance(known, dict):
        return known
    return dict.fromkeys(known, "account")


def _params(method: str, initial: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    given = step.get("params")
    if method == "_SetBalance":
        return {"balance": given["balance"]}  # type: ignore[index]
    params = _given(step, "value", "caller")
    if method == "Send":
        return {"value": "0", **params}
    params |= _given(step, "caller_type")
    if method == "UpdateChannelState":
        return params | _redemption(given, initial, step)
    if method not in _EVENTS:
        return params | {"method": UNKNOWN_METHOD}
    if given is not None:
        params["params"] = json.dumps(given)
    return params | _given(_env(step), "send_to_exit", "send_from_exit")


def _redemption(
    given: Mapping[str, Any] | None, initial: Mapping[str, Any], step: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the parameters that say what was redeemed, and what is known of its signature.

    The signature is a dummy unless the step has a `real_signature` and the case a key to verify it
    with: then nobody's word about it is taken.
    """
    if given is None:
        return {}
    env = _env(step)
    secret = bytes.fromhex(given.get("secret_hex") or "")
    params: dict[str, Any] = {
        "sv": _voucher_text(given["sv"]),
        "secret": secret[:SECRET_BYTES_KEPT].hex(),
        **_given(env, "extra_exit"),
    }
    if env.get("expect_signer") is not None:
        params["auth_actor"] = env["expect_signer"]
    if "real_signature" in step and any(map(is_key, initial.get("address_map") or ())):
        return params
    if isinstance(env.get("auth_returned"), bool):
        params["auth_returned"] = "true" if env["auth_returned"] else "false"
    else:
        params |= _given(env, "auth_returned")
    if env.get("signed_by") is not None and not env.get("auth_exit"):
        return params | _given(env, "signed_by")
    return params | {"auth_exit": env.get("auth_exit") or 0}


def _voucher_text(sv: Mapping[str, Any] | str) -> str:
    if isinstance(sv, str):
        return sv
    try:
        return _voucher(sv).text()
    except StatetapeError:
        return UNDECODABLE


def _voucher(sv: Mapping[str, Any]) -> SignedVoucher:
    extra = sv.get("extra")
    signature = sv.get("signature")
    return SignedVoucher(
        channel_addr=canonical(sv["channel_addr"]),
        time_lock_min=sv["time_lock_min"],
        time_lock_max=sv["time_lock_max"],
        secret_pre_image=bytes.fromhex(sv["secret_pre_image_hex"]),
        extra=extra
        and ModVerifyParams(
            canonical(extra["actor"]), extra["method"], bytes.fromhex(extra["data_hex"])
        ),
        lane=sv["lane"],
        nonce=sv["nonce"],
        amount=_amount(sv["amount"]),
        min_settle_height=sv["min_settle_height"],
        merges=tuple(Merge(merge["lane"], merge["nonce"]) for merge in sv.get("merges") or ()),
        signature=signature and _signature(signature),
    )


def _amount(given: Any) -> int:
    if isinstance(given, str) and _DECIMAL.fullmatch(given):
        return int(given)
    if isinstance(given, int) and not isinstance(given, bool):
        return given
    raise ValueError(f"an amount is a decimal string, this is {given!r}")


def _signature(given: Mapping[str, Any]) -> Signature:
    named = given["type"]
    number = named if isinstance(named, int) else _SIGNATURE_TYPES.get(named, UNKNOWN_SIGNATURE)
    return Signature(number, bytes.fromhex(given["data_hex"]))


def _check_result(step: Mapping[str, Any], result: Result) -> Iterator[str]:
    expected = step["expect"]
    if expected["result"] == "ok":
        if result.outcome != "accepted":
            yield f"expected ok, was {result.outcome}: {_said(result.reason)}"
        return
    if result.outcome != "rejected":
        yield f"expected {_said(_as_reason(expected))}, was {result.outcome}"
        return
    said = result.reason or {}
    if said.get("kind") == "unknown_instance":
        said = {**NO_ACTOR, "reason": expected.get("reason")}
    for member, name in _REASON.items():
        if expected.get(member) is not None and expected[member] != said.get(name):
            yield f"{member}: expected {expected[member]}, was {_said(said)}"


def _as_reason(expected: Mapping[str, Any]) -> dict[str, Any]:
    return {name: expected[member] for member, name in _REASON.items() if member in expected}


def _said(reason: Any) -> str:
    reason = reason or {}
    parts = [str(reason[name]) for name in _REASON.values() if reason.get(name) is not None]
    return " ".join(parts) or str(reason.get("kind", "a refusal"))


def _check_state(step: Mapping[str, Any], result: Result, shift: int) -> Iterator[str]:
    if "expect_state" not in step:
        return
    expected = step["expect_state"]
    if expected is None:
        if result.exists:
            yield "expected no channel, and there is one"
        return
    if not result.exists:
        yield "expected a channel, and there is none"
        return
    if expected.get("deleted"):
        if result.state != "collected":
            yield f"expected the channel deleted, it is {result.state}"
        return
    if result.state == "collected":
        yield "expected a channel, and it is deleted"
    shifted = dict(expected)
    if shifted.get("settling_at"):
        shifted["settling_at"] = int(shifted["settling_at"]) + shift
    for name in ("from", "to"):
        if name in shifted:
            shifted[name] = canonical(shifted[name])
    for name in _STATE_FIELDS:
        if name in shifted and _plain(shifted[name]) != _plain(result.data.get(name)):
            yield f"{name}: expected {shifted[name]}, was {result.data.get(name)}"


def _plain(value: Any) -> Any:
    """Return a value with its numbers as ints, however they are written."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str) and value.lstrip("-").isdecimal():
        return int(value)
    return value


def _check_effects(step: Mapping[str, Any], result: Result) -> Iterator[str]:
    expected = step.get("expect_effects")
    if expected is None:
        return
    sends = [{k: v for k, v in effect.items() if k != "do"} for effect in result.effects]
    if _plain_list(sends) != _plain_list(expected):
        yield f"effects: expected {expected}, were {sends}"


def _plain_list(effects: list[Any]) -> list[Any]:
    return [{name: _plain_send(name, value) for name, value in one.items()} for one in effects]


def _plain_send(name: str, value: Any) -> Any:
    if name == "to":
        return canonical(value)
    return int(value) if name in ("method", "value") else str(value)


def _check_signature(initial: Mapping[str, Any], step: Mapping[str, Any]) -> Iterator[str]:
    """Compare a real voucher with our own encoding, and its signer with the one recovered."""
    real = step.get("real_signature")
    if real is None:
        return
    voucher = _voucher(step["params"]["sv"])
    ours: dict[str, str | None] = {
        "voucher_cbor_hex": voucher.encode().hex(),
        "voucher_cli_base64url_unpadded": voucher.text(),
        "signing_bytes_hex": voucher.signing_bytes().hex(),
        "blake2b256_hex": voucher.id_hex,
    }
    if "recovered_signer" in real:
        signer = _signer(voucher, real["recovered_signer"])
        ours["recovered_signer"] = signer
        ours["recovered_signer_id"] = signer and resolve(initial.get("address_map") or {}, signer)
    for name, value in ours.items():
        if name in real and real[name] != value:
            yield f"{name}: expected {real[name]}, was {value}"
    text = real.get("voucher_cli_base64url_unpadded")
    if text is not None and parse(text) != voucher:
        yield "the voucher's text decodes to another voucher"
    message = (step.get("on_chain") or {}).get("message_b64")
    if message is not None and voucher.encode() not in base64.b64decode(message):
        yield "the recorded message does not carry this voucher"


def _signer(voucher: SignedVoucher, claimed: str | None) -> str | None:
    """Return who signed; where a signature does not tell, the claimed one if it verifies."""
    if voucher.signature is None:
        return None
    try:
        return signer_of(voucher.signing_bytes(), voucher.signature)
    except PeerError:
        if claimed is None:
            return None
        good = verify(voucher.signing_bytes(), voucher.signature, canonical(claimed))
        return claimed if good else None


ADAPTER = PaymentChannelScenarios()
