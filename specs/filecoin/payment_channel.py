"""Pure functions of the payment channel machine: what its expressions cannot say by themselves.

They take and give the typed forms of `payment_channel.yaml`'s types: addresses as canonical text,
amounts and heights as ints, lanes as dicts. None raises for what a peer or a chain can send: an
answer says what is wrong, and the machine turns it into the actor's exit code.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...fsm.errors import PeerError, StatetapeError
from ...fsm.types import Scalar, Type
from .address import canonical, is_id, protocol
from .signature import verify
from .voucher import (
    SIGNATURE_BLS,
    SIGNATURE_SECP256K1,
    Signature,
    SignedVoucher,
    parse,
)

MAX_LANE = 2**63 - 1

BUILTIN_ACTORS = frozenset(
    {
        "account",
        "cron",
        "datacap",
        "eam",
        "ethaccount",
        "init",
        "market",
        "miner",
        "multisig",
        "paych",
        "paymentchannel",
        "placeholder",
        "power",
        "reward",
        "storagemarket",
        "storageminer",
        "storagepower",
        "system",
        "verifiedregistry",
        "verifreg",
    }
)
"""Actor types that may call methods below 2^24: the builtin actors other than the EVM contract."""

CHAIN_SIGNATURE_TYPES = (SIGNATURE_SECP256K1, SIGNATURE_BLS)
"""What the actor's decoder knows. Type 3 exists off chain; on chain it is undecodable."""

KEY_PROTOCOLS = (1, 3, 4)
"""Address protocols that name a key: secp256k1, BLS, delegated."""

_RETURNED = {
    "true": "ok",
    "false": "rejected",
    "nothing": "nothing",
    "undecodable": "undecodable",
    "no_actor": "no_actor",
}
"""What AuthenticateMessage returned, and what that means. Anything else is no boolean."""

Lane = Mapping[str, int]


def is_builtin(caller_type: str) -> bool:
    """Whether an actor of this type may call the channel's methods."""
    return caller_type in BUILTIN_ACTORS


def has_code(actors: Mapping[str, str] | None, actor_id: str) -> bool:
    """Whether an ID address has an actor behind it; where nothing is known, it is taken to."""
    return actors is None or actor_id in actors


def resolve(addresses: Mapping[str, str], address: str) -> str:
    """Return the ID address that the chain resolves `address` to, or "" where it resolves none."""
    return address if is_id(address) else addresses.get(address, "")


def known_addresses(addresses: Mapping[str, str], key: str, actor_id: str) -> dict[str, str]:
    """Return `addresses`, and the instance's key as the channel's own address, if it is one."""
    try:
        own = canonical(key)
    except StatetapeError:
        return dict(addresses)
    return dict(addresses) if is_id(own) else {**addresses, own: actor_id}


@functools.lru_cache(maxsize=256)
def _parsed(text: str) -> SignedVoucher | None:
    try:
        return parse(text)
    except StatetapeError:
        return None


def decode_voucher(text: str) -> dict[str, Any] | None:
    """Return the fields of a voucher, or None where the actor could not decode it.

    Undecodable on chain: anything that is not the canonical encoding, a signature of another type
    than secp256k1 or BLS, an empty signature string.
    """
    voucher = _parsed(text)
    if voucher is None:
        return None
    signature = voucher.signature
    if signature is not None and signature.type not in CHAIN_SIGNATURE_TYPES:
        return None
    extra = voucher.extra
    return {
        "channel_addr": voucher.channel_addr,
        "time_lock_min": voucher.time_lock_min,
        "time_lock_max": voucher.time_lock_max,
        "secret_pre_image": voucher.secret_pre_image,
        "extra": extra
        and {"to": extra.actor, "method": extra.method, "value": 0, "data_hex": extra.data.hex()},
        "lane": voucher.lane,
        "nonce": voucher.nonce,
        "amount": voucher.amount,
        "min_settle_height": voucher.min_settle_height,
        "merges": tuple({"lane": lane, "nonce": nonce} for lane, nonce in voucher.merges),
        "signed": signature is not None,
    }


def authenticate(
    text: str,
    signer: str,
    addresses: Mapping[str, str],
    actors: Mapping[str, str] | None,
    exit_code: int | None,
    returned: str | None,
    signed_by: str | None,
) -> dict[str, Any]:
    """Return what asking the signer's actor gives: `answer` and, where it failed, `exit`.

    The chain's own record (`exit_code`, `returned`) decides where there is one; then somebody
    else's finding (`signed_by`); else the signature is verified here, with a key address that
    resolves to the signer. Answers: ok, rejected, nothing, undecodable, no_actor, unknown_key.
    """
    if exit_code is not None and exit_code != 0:
        return {"answer": "rejected", "exit": exit_code}
    if returned is not None:
        return {"answer": _RETURNED.get(returned, "undecodable"), "exit": 16}
    if exit_code is not None:
        return {"answer": "ok", "exit": 0}
    if actors is not None and actors.get(signer, "account") != "account":
        # Only account actors answer; others fall back to returning nothing.
        return {"answer": "nothing", "exit": 24}
    if signed_by is not None:
        return _verdict(resolve(addresses, signed_by) == signer)
    voucher = _parsed(text)
    keys = [address for address, actor in addresses.items() if actor == signer and is_key(address)]
    if voucher is None or voucher.signature is None or not keys:
        return {"answer": "unknown_key", "exit": 0}
    return _verdict(any(_verifies(voucher, voucher.signature, key) for key in keys))


def _verifies(voucher: SignedVoucher, signature: Signature, key: str) -> bool:
    try:
        return verify(voucher.signing_bytes(), signature, key)
    except PeerError:
        return False


def _verdict(good: bool) -> dict[str, Any]:
    return {"answer": "ok", "exit": 0} if good else {"answer": "rejected", "exit": 16}


def is_key(address: str) -> bool:
    """Whether an address names a key, so that a signature can be verified with it."""
    return protocol(address) in KEY_PROTOCOLS


def merge_lanes(
    lanes: Mapping[int, Lane], own: int, merges: Sequence[Mapping[str, int]]
) -> dict[str, Any]:
    """Return the lanes after a voucher's merges, and what they subtract.

    In list order, each seeing the ones before it: a merge may not name the voucher's own lane, an
    oversized or missing one, and must raise the lane's nonce. `failure` names the first that does
    not hold. A merged lane keeps what was redeemed on it; only its nonce moves.
    """
    after = dict(lanes)
    others = 0
    failure = ""
    for merge in merges:
        lane = merge["lane"]
        if lane == own:
            failure = "MERGE_SELF"
        elif lane > MAX_LANE:
            failure = "LANE_ID_TOO_BIG"
        elif lane not in after:
            failure = "MERGE_LANE_MISSING"
        elif after[lane]["nonce"] >= merge["nonce"]:
            failure = "MERGE_NONCE_OUTDATED"
        if failure:
            break
        others += after[lane]["redeemed"]
        after[lane] = {"redeemed": after[lane]["redeemed"], "nonce": merge["nonce"]}
    return {"failure": failure, "others": others, "lanes": after}


def blake2b256(data: bytes) -> bytes:
    """Return the BLAKE2b-256 digest of `data`."""
    return hashlib.blake2b(data, digest_size=32).digest()


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        has_code,
        is_builtin,
        known_addresses,
        resolve,
        decode_voucher,
        authenticate,
        merge_lanes,
        blake2b256,
    )
}
TYPES: Mapping[str, Type] = {"address": Scalar("address", canonical)}
