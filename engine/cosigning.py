"""A tape has its checkpoints cosigned: asks a witness, and stores what it signed.

What a witness answers is a stranger's: it is bounded, waited for no longer than EXCHANGE_S, and
verified with the witness's key before anything is stored. The same exchange goes by file, where
`request` makes what the witness is given, and `accept` takes what it answered.
"""

from __future__ import annotations

import http.client
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..fsm.errors import CallerError, OperatorError, PeerError
from ..storage import cosignatures
from ..storage.errors import TapeDamaged
from ..storage.proofs import consistency
from ..storage.reader import Reader
from ..storage.tape import Tape
from ..storage.verifier import (
    COSIGNER,
    EvidenceInvalid,
    Signature,
    VerifierKey,
    open_note,
    parse_note,
    parse_signature,
)
from .witness import INCONSISTENT, PATH, SIGNED, SIZE_TYPE, STALE, Answer, Request, parse_size

ANSWER_BYTES_MAX = 16 * 1024
TIMEOUT_S = 10.0
EXCHANGE_S = 30.0
SKEW_S = 600
"""How far a witness's clock may be from ours, when it signs while we wait."""
AGE_S_MAX = 366 * 24 * 3600
"""How old a cosignature may be that comes as a file."""
LINES_MAX = 16
_UNAVAILABLE = 500

Post = Callable[[str, bytes], Answer]
"""Sends a request's body to a witness's URL, and returns what came back."""


class WitnessUrlInvalid(CallerError):
    """A witness's URL is http:// or https://, a host, and perhaps a path."""

    code = "witness-url-invalid"


class WitnessKeyInvalid(CallerError):
    """The key given is not a witness's: those have type 4."""

    code = "witness-key-invalid"


class WitnessUnreachable(OperatorError):
    """The witness did not answer, or says that it cannot. Nothing was stored."""

    code = "witness-unreachable"


class WitnessRefused(PeerError):
    """The witness does not sign for this tape. Nothing was stored."""

    code = "witness-refused"


class WitnessContradicts(PeerError):
    """The witness remembers another history of this tape. Nothing was stored."""

    code = "witness-contradicts"


class WitnessAnswerInvalid(PeerError):
    """What the witness answered is not its cosignature. Nothing was stored."""

    code = "witness-answer-invalid"


@dataclass(frozen=True)
class Cosigned:
    """A cosignature of the checkpoint of `size`; `new` unless this witness's was there before."""

    size: int
    time_s: int
    line: str
    new: bool


def obtain(
    tape: Tape, url: str, key: VerifierKey, clock: Callable[[], int], post: Post | None = None
) -> Cosigned:
    """Sign what the tape holds, have it cosigned, and store the cosignature durably.

    clock: POSIX seconds. Begins where the tape's newest cosignature of this witness is; where the
    witness is elsewhere, it says so, and is asked once more. The tape is locked at neither time.
    Raises the errors of this module, and what reading and writing the tape raises.
    """
    old = known(tape, key)
    for _ in range(2):
        size, asked = request(tape, old)
        found = (post or send)(url, asked.body)
        if found.status != STALE:
            return _taken(tape, size, found, key, clock())
        old = _held(found, url)
    why = "the witness did not keep to the size that it said it holds: others submit, or it jests"
    raise WitnessRefused(why, place=url, hint="try again")


def known(reader: Reader, key: VerifierKey) -> int:
    """Return the largest size that the witness has cosigned, as far as the tape knows; or 0."""
    if key.kind != COSIGNER:
        why = "this is a log's key: `statetape witness new` printed the witness's"
        raise WitnessKeyInvalid(why, place=key.name)
    return cosignatures.newest(reader, key) or 0


def request(tape: Tape, old: int) -> tuple[int, Request]:
    """Sign a checkpoint of everything stored; returns its size, and the request for it.

    old: what the witness has cosigned. Raises WitnessContradicts where that is more.
    """
    tape.take()
    try:
        tape.anchor()
        size = tape.size
        note = cosignatures.note_of(tape, size)
    finally:
        tape.give()
    if note is None:
        raise TapeDamaged("the newest checkpoint is missing", place="table checkpoint")
    if old > size:
        why = f"the witness has cosigned {old} entries, and this tape has {size}"
        hint = "a tail was lost, or an old copy was put back: restore the newest copy"
        raise WitnessContradicts(why, place=str(tape.files.tape), hint=hint)
    proof = consistency(tape, old, size) if old else []
    return size, Request(old, tuple(proof), note.encode())


def accept(tape: Tape, answer: bytes, key: VerifierKey, now_s: int) -> Cosigned:
    """Store a cosignature that came as a file: its line, or a checkpoint with that line.

    Which checkpoint it signs is found out. Raises WitnessAnswerInvalid, and what writing raises.
    """
    known(tape, key)
    line = _line_of(answer, key)
    for size in cosignatures.signed_sizes(tape):
        note = cosignatures.note_of(tape, size)
        if note is not None and _verified(note, line, key) is not None:
            return _stored(tape, size, line, key, now_s - AGE_S_MAX, now_s + SKEW_S)
    why = f"no checkpoint of this tape is what {key.name} signed here"
    raise WitnessAnswerInvalid(why, hint="is it another tape's, or was the tape put back?")


def _held(found: Answer, url: str) -> int:
    """Return the size that a 409 tells."""
    told = parse_size(found.text.removesuffix("\n"))
    if found.content_type.partition(";")[0].strip() != SIZE_TYPE or told is None:
        why = f"it holds another size, and does not say which: {_excerpt(found)}"
        raise WitnessAnswerInvalid(why, place=url)
    return told


def _taken(tape: Tape, size: int, found: Answer, key: VerifierKey, now_s: int) -> Cosigned:
    """Return what came of a request for `size`, stored."""
    if found.status == INCONSISTENT:
        why = f"the witness says that it saw another history of this tape: {_excerpt(found)}"
        hint = "compare with a copy of the tape from before, and with the witness's `witness show`"
        raise WitnessContradicts(why, place=key.name, hint=hint)
    if found.status >= _UNAVAILABLE:
        why = f"the witness cannot answer now ({found.status}): {_excerpt(found)}"
        raise WitnessUnreachable(why, place=key.name, hint="try again")
    if found.status != SIGNED:
        why = f"the witness answered {found.status}: {_excerpt(found)}"
        raise WitnessRefused(why, place=key.name, hint=_HINTS.get(found.status, ""))
    line = _line_of(found.body, key)
    return _stored(tape, size, line, key, now_s - SKEW_S, now_s + SKEW_S)


_HINTS = {
    403: "the witness trusts another key of this tape: `statetape checkpoint key` prints today's",
    404: "it has to be served with `--log KEY`: `statetape checkpoint key` prints this tape's",
}


def _line_of(answer: bytes, key: VerifierKey) -> str:
    """Return the one line of the key's in what a witness answered, not verified yet."""
    if len(answer) > ANSWER_BYTES_MAX:
        raise WitnessAnswerInvalid(f"it is longer than {ANSWER_BYTES_MAX} bytes", place=key.name)
    try:
        if b"\n\n" in answer:
            signatures: list[Signature] = list(parse_note(answer).signatures)
        else:
            lines = answer.decode().removesuffix("\n").split("\n")
            if len(lines) > LINES_MAX:
                raise EvidenceInvalid(f"it has more than {LINES_MAX} lines")
            signatures = [parse_signature(line) for line in lines]
    except (UnicodeDecodeError, EvidenceInvalid) as error:
        why = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)
        raise WitnessAnswerInvalid(f"this is no cosignature: {why}", place=key.name) from None
    own = [one for one in signatures if (one.name, one.key_id) == (key.name, key.id)]
    if len(own) != 1:
        names = ", ".join(sorted({ascii(one.name) for one in signatures}))
        why = "no line is by this witness's key" if not own else "two lines are by one key"
        raise WitnessAnswerInvalid(f"{why}; there are lines of {names}", place=key.name)
    return own[0].line


def _verified(note: str, line: str, key: VerifierKey) -> Signature | None:
    """Return the cosignature in `line` if it is the key's over the checkpoint in `note`."""
    text, _, _ = note.rpartition("\n\n")
    try:
        [(_, signature)] = open_note(f"{text}\n\n{line}\n".encode(), [key]).signed
    except EvidenceInvalid:
        return None
    return signature


def _stored(
    tape: Tape, size: int, line: str, key: VerifierKey, earliest_s: int, latest_s: int
) -> Cosigned:
    """Store a line if it is the key's over the checkpoint of `size`, of a time that can be."""
    signature = _verified(cosignatures.note_of(tape, size) or "", line, key)
    if signature is None or signature.time_s is None:
        why = f"it does not fit the checkpoint of {size} entries"
        raise WitnessAnswerInvalid(why, place=key.name)
    if not earliest_s <= signature.time_s <= latest_s:
        why = f"it says that it was signed at {signature.time_s} s since 1970"
        hint = "the witness's clock or this computer's is wrong"
        raise WitnessAnswerInvalid(f"{why}, which cannot be", place=key.name, hint=hint)
    new = cosignatures.add(tape, size, line)
    return Cosigned(size, signature.time_s, line, new)


def _excerpt(found: Answer) -> str:
    return ascii(found.text.strip()[:200])


# HTTP


def send(url: str, body: bytes) -> Answer:
    """Return a witness's answer to a request, by HTTP. No redirect is followed.

    Raises WitnessUrlInvalid, WitnessUnreachable, WitnessAnswerInvalid.
    """
    secure, host, port, path = _address(url)
    answers: queue.SimpleQueue[Answer | Exception] = queue.SimpleQueue()

    def exchange() -> None:
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(host, port, timeout=TIMEOUT_S)
        try:
            headers = {"Content-Type": "text/plain; charset=utf-8", "User-Agent": "statetape"}
            connection.request("POST", path, body, headers)
            with connection.getresponse() as response:
                content = response.read(ANSWER_BYTES_MAX + 1)
                if response.length and len(content) <= ANSWER_BYTES_MAX:
                    raise http.client.IncompleteRead(content, response.length)
                kind_of = response.getheader("Content-Type", "")
                answers.put(Answer(response.status, kind_of, content))
        except Exception as error:
            answers.put(error)
        finally:
            with suppress(Exception):
                connection.close()

    # A thread, because no timeout bounds the whole: not looking a name up, nor an answer that
    # comes a byte at a time.
    threading.Thread(target=exchange, daemon=True).start()
    try:
        found = answers.get(timeout=EXCHANGE_S)
    except queue.Empty:
        raise WitnessUnreachable(f"no answer within {EXCHANGE_S:g} s", place=url) from None
    if isinstance(found, http.client.HTTPException):
        raise WitnessAnswerInvalid(f"this is no HTTP: {found!r}"[:200], place=url) from found
    if isinstance(found, UnicodeError):
        raise WitnessUrlInvalid("no host can have that name", place=url) from found
    if isinstance(found, OSError):
        raise WitnessUnreachable(found.strerror or str(found), place=url) from found
    if isinstance(found, Exception):
        raise found
    if len(found.body) > ANSWER_BYTES_MAX:
        raise WitnessAnswerInvalid(f"it is longer than {ANSWER_BYTES_MAX} bytes", place=url)
    return found


def _address(url: str) -> tuple[bool, str, int | None, str]:
    """Return whether to use TLS, and the host, port and path of a witness's URL."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = urlsplit(""), None, None
    plain = url.isascii() and url.isprintable() and " " not in url
    if parts.scheme not in ("http", "https") or not host or not plain or "@" in parts.netloc:
        why = "a witness's URL is http:// or https://, a host, and perhaps a path"
        raise WitnessUrlInvalid(why, place=url)
    if parts.query or parts.fragment:
        raise WitnessUrlInvalid("a witness's URL ends with its path", place=url)
    return parts.scheme == "https", host, port, parts.path.rstrip("/") + PATH
