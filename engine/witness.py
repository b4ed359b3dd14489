"""The witness protocol, without a network: C2SP tlog-witness, `add-checkpoint`.

A request is bytes, and so is its answer; what is remembered between them is storage's
(storage/witness.py). The same request travels by HTTP (engine/witness_server.py) or as a file.

    old 8                        how many entries the sender thinks the witness has cosigned
    PlRNCrwHpqhGrupue0L7gxbj…    0 to 63 hashes: the consistency proof from there
                                 an empty line
    example.com/tape             the signed checkpoint
    …

Where the specification changed, the newer text is followed (C2SP pull request 280): another root
at the size that the witness holds is 422, as any inconsistency; a 409 always tells that size.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass

from ..fsm.errors import PeerError
from ..storage.note import cosign
from ..storage.verifier import (
    HASH_BYTES,
    PROOF_HASHES_MAX,
    SIZE_MAX,
    EvidenceInvalid,
    decode_base64,
    open_checkpoint,
    parse_checkpoint,
    parse_note,
)
from ..storage.witness import Witness

PATH = "/add-checkpoint"
BODY_BYTES_MAX = 64 * 1024
TEXT = "text/plain; charset=utf-8"
SIZE_TYPE = "text/x.tlog.size"
SIGNED, BAD, FORBIDDEN, UNKNOWN, STALE, INCONSISTENT = 200, 400, 403, 404, 409, 422
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


class RequestInvalid(PeerError):
    """A request to a witness is malformed."""

    code = "witness-request-invalid"


@dataclass(frozen=True)
class Request:
    """A signed checkpoint, with the proof that it extends the tree of `old_size` entries."""

    old_size: int
    proof: tuple[bytes, ...]
    note: bytes

    @property
    def body(self) -> bytes:
        """The exact bytes of the request."""
        hashes = "".join(f"{b64encode(one).decode()}\n" for one in self.proof)
        return f"old {self.old_size}\n{hashes}\n".encode() + self.note


@dataclass(frozen=True)
class Answer:
    """What a witness answers: HTTP's status, the type of the body, and the body."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")


def parse_size(text: str) -> int | None:
    """Return a size in decimal without leading zeroes, or None if it is none."""
    if not _SIZE.fullmatch(text) or int(text) > SIZE_MAX:
        return None
    return int(text)


def parse_request(body: bytes) -> Request:
    """Return what a request says, or raise RequestInvalid."""
    if len(body) > BODY_BYTES_MAX:
        raise RequestInvalid(f"a request has at most {BODY_BYTES_MAX} bytes")
    head, blank, note = body.partition(b"\n\n")
    try:
        first, *lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise RequestInvalid("what comes before the checkpoint is ASCII") from None
    old = parse_size(first.removeprefix("old ")) if first.startswith("old ") else None
    if old is None or not blank:
        raise RequestInvalid("a request begins with `old SIZE`, hashes, and an empty line")
    if len(lines) > PROOF_HASHES_MAX:
        raise RequestInvalid(f"a proof has at most {PROOF_HASHES_MAX} hashes")
    return Request(old, tuple(map(_hash, lines)), note)


def _hash(line: str) -> bytes:
    try:
        raw = decode_base64(line, "a hash")
    except EvidenceInvalid as error:
        raise RequestInvalid(str(error)) from None
    if len(raw) != HASH_BYTES:
        raise RequestInvalid(f"a hash has {HASH_BYTES} bytes")
    return raw


def answer(witness: Witness, body: bytes, now_s: int) -> Answer:
    """Return the witness's answer to a request; a cosignature only after what it says is durable.

    now_s: POSIX seconds. Raises what `Witness` raises where its state fails: then nothing is
    signed, and the same request can come again.
    """
    try:
        request = parse_request(body)
        text = parse_note(request.note).text
        origin = parse_checkpoint(text).origin
    except (RequestInvalid, EvidenceInvalid) as error:
        return _told(BAD, str(error))
    keys = witness.trusted(origin)
    if not keys:
        return _told(UNKNOWN, "this witness trusts no log of that name")
    try:
        checkpoint = open_checkpoint(request.note, keys)
    except EvidenceInvalid as error:
        return _told(FORBIDDEN, str(error))
    if request.old_size > checkpoint.size:
        why = f"the checkpoint is of {checkpoint.size} entries, fewer than {request.old_size}"
        return _told(BAD, why)
    note = request.note.decode()
    verdict = witness.advance(checkpoint, note, request.old_size, request.proof, now_s)
    if verdict.kind == "stale":
        return Answer(STALE, SIZE_TYPE, f"{verdict.size}\n".encode())
    if verdict.kind == "inconsistent":
        why = f"not the history of which this witness cosigned {verdict.size} entries"
        return _told(INCONSISTENT, f"{why}: {verdict.why}")
    return Answer(SIGNED, TEXT, cosign(text, witness.signer, verdict.time_s).encode())


def _told(status: int, why: str) -> Answer:
    return Answer(status, TEXT, f"{why}\n".encode())
