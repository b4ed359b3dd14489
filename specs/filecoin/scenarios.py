"""Scenario files of the payment channel actor: cases as data, read into commands and checks.

A case has `initial` (the channel's ID, parties, balance, epoch, actors, address map) and `steps`,
each a message with the epoch it is included at, the mocked outside world (`env`), and what is
expected: result, full state, sends. Steps with a `real_signature` are decided by verifying it, and
its bytes are compared with our own encoding. docs/reference/scenarios.md has the whole format.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

from ...fsm.errors import StatetapeError
from ...fsm.scenario import Result, Step
from .address import canonical
from .payment_channel import resolve
from .signature import signer_of
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
UNKNOWN_METHOD = 99
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
    if method == "Constructor":
        event = None
        params = _construct(initial, step)
    else:
        event = _EVENTS.get(method, "call")
        params = _params(method, step)

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
    )


def _construct(initial: Mapping[str, Any], step: Mapping[str, Any]) -> dict[str, Any]:
    attempt = (step.get("env") or {}).get("create_attempt")
    given = step.get("params") or {}
    return {
        "id": initial["channel"],
        "from": given.get("from", initial["from"]),
        "to": given.get("to", initial["to"]),
        "value": initial["balance"],
        "caller": step["caller"],
        "caller_type": step["caller_type"],
        "addresses": initial.get("address_map") or {},
        "actors": initial.get("actors") or {},
        "create_exits": {attempt["to"]: attempt["exit"]} if attempt else {},
    }


def _params(method: str, step: Mapping[str, Any]) -> dict[str, Any]:
    given = step.get("params")
    if method == "_SetBalance":
        return {"balance": given["balance"]}  # type: ignore[index]
    params: dict[str, Any] = {"value": step.get("value", "0"), "caller": step["caller"]}
    if method == "Send":
        return params
    params["caller_type"] = step.get("caller_type", "account")
    if method == "UpdateChannelState":
        return params | _redemption(given, step)
    if method not in _EVENTS:
        return params | {"method": UNKNOWN_METHOD}
    if given is not None:
        params["params"] = given
    env = step.get("env") or {}
    exits = ("send_to_exit", "send_from_exit")
    return params | {name: env[name] for name in exits if name in env}


def _redemption(given: Mapping[str, Any] | None, step: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that say what was redeemed, and what is known of its signature."""
    if given is None:
        return {}
    env = step.get("env") or {}
    params: dict[str, Any] = {"sv": _voucher_text(given["sv"])}
    params["secret"] = given.get("secret_hex") or ""
    names = {"expect_signer": "auth_actor", "signed_by": "signed_by", "extra_exit": "extra_exit"}
    params |= {param: env[name] for name, param in names.items() if name in env}
    if "real_signature" not in step:
        params |= {name: env[name] for name in ("auth_exit", "auth_returned") if name in env}
    return params


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
        amount=int(sv["amount"]),
        min_settle_height=sv["min_settle_height"],
        merges=tuple(Merge(merge["lane"], merge["nonce"]) for merge in sv["merges"]),
        signature=signature
        and Signature(_SIGNATURE_TYPES[signature["type"]], bytes.fromhex(signature["data_hex"])),
    )


def _check_result(step: Mapping[str, Any], result: Result) -> Iterator[str]:
    expected = step["expect"]
    if expected["result"] == "ok":
        if result.outcome != "accepted":
            yield f"expected ok, was {result.outcome}: {_said(result.reason)}"
        return
    if result.outcome != "rejected":
        yield f"expected {expected.get('exit_name')} {expected.get('reason')}, was {result.outcome}"
        return
    said = result.reason or {}
    for member, name in (("exit_code", "code"), ("exit_name", "name"), ("reason", "reason")):
        if expected.get(member) is not None and expected[member] != said.get(name):
            yield f"{member}: expected {expected[member]}, was {_said(said)}"


def _said(reason: Any) -> str:
    reason = reason or {}
    parts = [str(reason[name]) for name in ("code", "name", "reason") if name in reason]
    return " ".join(parts) or str(reason.get("kind", "no reason"))


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
        shifted["settling_at"] += shift
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
    return [
        {name: str(value) if name != "method" else int(value) for name, value in effect.items()}
        for effect in effects
    ]


def _check_signature(initial: Mapping[str, Any], step: Mapping[str, Any]) -> Iterator[str]:
    """Compare a real voucher with our own encoding, and its signer with the one recovered."""
    real = step.get("real_signature")
    if real is None:
        return
    voucher = _voucher(step["params"]["sv"])
    ours = {
        "voucher_cbor_hex": voucher.encode().hex(),
        "voucher_cli_base64url_unpadded": voucher.text(),
        "signing_bytes_hex": voucher.signing_bytes().hex(),
        "blake2b256_hex": voucher.id_hex,
    }
    if voucher.signature is not None and "recovered_signer" in real:
        signer = signer_of(voucher.signing_bytes(), voucher.signature)
        ours["recovered_signer"] = signer
        ours["recovered_signer_id"] = resolve(initial.get("address_map") or {}, signer)
    for name, value in ours.items():
        if name in real and real[name] != value:
            yield f"{name}: expected {real[name]}, was {value}"
    text = real.get("voucher_cli_base64url_unpadded")
    if text is not None and parse(text) != voucher:
        yield "the voucher's text decodes to another voucher"
    message = (step.get("on_chain") or {}).get("message_b64")
    if message is not None and voucher.encode() not in base64.b64decode(message):
        yield "the recorded message does not carry this voucher"


ADAPTER = PaymentChannelScenarios()
