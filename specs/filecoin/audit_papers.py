"""Vouchers as evidence: decoded once, named by what was signed, and whose signature they carry.

Theory of operation. A voucher reaches the audit as a text that somebody recorded; nothing about it
is believed. P1: its id is the BLAKE2b-256 of the signed bytes, so copies whose signatures differ
are one voucher. P2: a text is decoded once and its signature recovered once, however many entries
and tapes repeat it. P3: what cannot be read or verified here is kept, with the reason; nothing
raises.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import blake2b

from ...fsm.audit import Signed
from ...fsm.errors import StatetapeError
from .address import PROTOCOL_SECP256K1, protocol
from .signature import signer_of, verify
from .voucher import (
    SIGNATURE_DELEGATED,
    SIGNATURE_SECP256K1,
    Signature,
    SignedVoucher,
    parse,
)

PAYER = "payer"
PAYEE = "payee"
OTHER = "other"
NOBODY = "nobody"
UNKNOWN = "unknown"

THREADS = 2
THREADED_FROM = 1000
"""So many signatures before threads are worth their start."""


@dataclass(slots=True)
class Copy:
    """One text of a voucher: its signature, the key it leads to, and whose key that is.

    `signer`: the recovered key address, "" where the signature does not tell. `by`: payer, payee,
    other (a key that is neither's), nobody (it is unsigned), or unknown; `note` says why.
    """

    text: str
    signature: Signature | None
    signer: str = ""
    by: str = UNKNOWN
    note: str = ""


@dataclass(slots=True)
class Voucher:
    """A voucher by its id, with every copy that was seen. `terms` is None: it does not decode.

    `id`: 64 hexadecimal digits; "" of a text that does not decode (`problem` says why).
    `for_channel`: its channel address is the audited channel's, in any form. `by`: whose it is by
    its best copy: payer, payee, unknown, other or nobody.
    """

    id: str
    terms: SignedVoucher | None
    signing: bytes = b""
    problem: str = ""
    for_channel: bool = False
    copies: list[Copy] = field(default_factory=list)
    by: str = UNKNOWN
    _taken: dict[str, bool | None] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """The first eight digits of the id, for people."""
        return self.id[:8] or "unreadable"

    @property
    def title(self) -> str:
        """The voucher in words."""
        if self.terms is None:
            return f"voucher that does not decode ({self.problem})"
        terms = self.terms
        return f"voucher {self.short} (lane {terms.lane}, nonce {terms.nonce}, {terms.amount})"

    @property
    def signed(self) -> tuple[Signed, ...]:
        """The signatures as evidence, one for each copy that has one."""
        return tuple(
            Signed(
                over=self.id,
                signer=copy.signer or copy.by,
                valid=copy.by in (PAYER, PAYEE),
                says=f"{self.title}: {copy.note or f'signed by the {copy.by}'}",
            )
            for copy in self.copies
            if copy.signature is not None
        )

    def redeemable_by_signature(self, by: str) -> bool | None:
        """Whether the chain takes its signature as `by`'s; None where that cannot be told here."""
        return self._taken.get(by)

    def judge(self, keys: Keys, channel: Collection[str]) -> None:
        """Say whose the copies' signatures are, and whether the voucher is the channel's."""
        self.for_channel = self.terms is not None and self.terms.channel_addr in channel
        for copy in self.copies:
            _judge(self.signing, copy, keys)
        found = {copy.by for copy in self.copies}
        ranking = (PAYER, PAYEE, UNKNOWN, OTHER, NOBODY)
        self.by = next((one for one in ranking if one in found), UNKNOWN)
        on_chain = [
            copy.by
            for copy in self.copies
            if copy.signature is not None and copy.signature.type != SIGNATURE_DELEGATED
        ]
        unsure = None if UNKNOWN in on_chain else False
        self._taken = {by: True if by in on_chain else unsure for by in (PAYER, PAYEE)}


@dataclass(frozen=True, slots=True)
class Keys:
    """The key addresses of both parties, as the chain or an applied message shows them."""

    payer: tuple[str, ...] = ()
    payee: tuple[str, ...] = ()


class Shelf:
    """Every voucher of an audit, by id, and the texts that are none (P1 to P3)."""

    def __init__(self) -> None:
        """Begin empty; `read` fills it, `judge` says whose the signatures are."""
        self.vouchers: dict[str, Voucher] = {}
        self.unreadable: list[Voucher] = []
        self._texts: dict[str, tuple[Voucher, Copy | None]] = {}

    def read(self, text: object) -> Voucher:
        """Return the voucher of a recorded text, whatever that is."""
        shown = text if isinstance(text, str) else repr(text)[:80]
        known = self._texts.get(shown)
        if known is not None:
            return known[0]
        copy = None
        try:
            terms = parse(text)  # type: ignore[arg-type]  # it refuses what is no text
        except StatetapeError as error:
            voucher = Voucher("", None, problem=str(error)[:200])
            self.unreadable.append(voucher)
        else:
            signing = _signing_bytes(shown, terms)
            name = blake2b(signing, digest_size=32).hexdigest()
            voucher = self.vouchers.setdefault(name, Voucher(name, terms, signing))
            copy = Copy(shown, terms.signature)
            voucher.copies.append(copy)
        self._texts[shown] = (voucher, copy)
        return voucher

    def copy(self, text: object) -> Copy | None:
        """Return the copy that a text is, None where it does not decode."""
        self.read(text)
        return self._texts[text if isinstance(text, str) else repr(text)[:80]][1]

    def recover(self, text: object) -> str:
        """Return the key address that a text's signature recovers to, "" where it does not tell."""
        voucher, copy = self.read(text), self.copy(text)
        if copy is not None and copy.signature is not None and not copy.signer:
            copy.signer = _recovered(voucher.signing, copy.signature)
        return "" if copy is None else copy.signer

    def judge(self, keys: Keys, channel: Collection[str]) -> None:
        """Say of every copy whose signature it is, and of every voucher whether it is ours.

        `channel`: the addresses that the chain resolves to the audited channel.
        """
        names = frozenset(channel)
        self._recover_all()
        for voucher in self.vouchers.values():
            voucher.judge(keys, names)

    def _recover_all(self) -> None:
        """Recover every signer not recovered yet; of many, on two threads (it is all in C)."""
        waiting = [
            (voucher.signing, copy, copy.signature)
            for voucher in self.vouchers.values()
            for copy in voucher.copies
            if copy.signature is not None
            and not copy.signer
            and copy.signature.type in (SIGNATURE_SECP256K1, SIGNATURE_DELEGATED)
        ]
        if len(waiting) < THREADED_FROM:
            _recover_some(waiting)
            return
        parts = [waiting[start :: 2 * THREADS] for start in range(2 * THREADS)]
        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(_recover_some, parts))


def _recover_some(waiting: Iterable[tuple[bytes, Copy, Signature]]) -> None:
    for signing, copy, signature in waiting:
        copy.signer = _recovered(signing, signature)


def _signing_bytes(text: str, terms: SignedVoucher) -> bytes:
    """Return the signed bytes of a text that decodes: the same, with null for the signature.

    A text that decodes is canonical (voucher.py, invariant 1), so nothing is encoded once more.
    """
    if terms.signature is None:
        return terms.signing_bytes()
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    size = 1 + len(terms.signature.data)
    head = 1 if size < 24 else 2  # of a byte string of at most 200 bytes
    return raw[: -size - head] + b"\xf6"


def _recovered(signing: bytes, signature: Signature) -> str:
    try:
        return signer_of(signing, signature)
    except StatetapeError:
        return ""


def _judge(signing: bytes, copy: Copy, keys: Keys) -> None:
    """Fill in whose signature a copy carries, and why that cannot be told."""
    if copy.signature is None:
        copy.by, copy.note = NOBODY, "not signed"
        return
    unsure = ""
    for by, addresses in ((PAYER, keys.payer), (PAYEE, keys.payee)):
        for address in addresses:
            answer, why = made_by(signing, copy, address)
            if answer:
                copy.by, copy.note = by, why
                return
            unsure = unsure or (why if answer is None else "")
    if unsure or not keys.payer:
        copy.by = UNKNOWN
        copy.note = unsure or "no key address of the payer is known"
        return
    copy.by = OTHER
    copy.note = f"not the payer's signature: it recovers to {copy.signer or 'no key'}"


def may_be_payers(copy: Copy | None) -> bool:
    """Whether the chain takes a copy as signed by the payer, or nobody here can tell."""
    if copy is None or copy.signature is None or copy.signature.type == SIGNATURE_DELEGATED:
        return False
    return copy.by in (PAYER, UNKNOWN)


def made_by(signing: bytes, copy: Copy, address: str) -> tuple[bool | None, str]:
    """Whether the holder of a key address made a signature (None: cannot be told), and a note."""
    if copy.signature is None:
        return False, "not signed"
    kind = copy.signature.type
    try:
        if kind == SIGNATURE_SECP256K1 and protocol(address) == PROTOCOL_SECP256K1:
            return copy.signer == address, ""
        if verify(signing, copy.signature, address):
            return True, "type 3: good off chain, undecodable on chain" * (
                kind == SIGNATURE_DELEGATED
            )
    except StatetapeError as error:
        return None, f"cannot be verified here: {error.message}"
    return False, ""
