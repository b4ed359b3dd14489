"""Cosignatures on a tape: what witnesses signed of its checkpoints.

A line is kept as its witness wrote it, beside the size of the checkpoint that it signs. Whether it
is the witness's only the witness's key can tell, which the tape does not hold: whoever adds a line
has verified it, and whoever relies on one verifies it again. Of each witness and size the first
line stays: it is the earliest proof that the entries were there.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator

from ..fsm.errors import PeerError
from . import verifier
from .reader import READ_ROWS, Reader
from .tape import Tape
from .verifier import SIZE_MAX, EvidenceInvalid, Signature, VerifierKey

COSIGNATURES_MAX = 64
"""Witnesses of one checkpoint: a note has at most 100 signatures (verifier.SIGNATURES_MAX)."""
LINE_BYTES_MAX = 512
_ID_CHARACTERS = 5
"""Characters of base64 that 30 of a key id's 32 bits decide, whatever follows the id."""


class CosignatureInvalid(PeerError):
    """A cosignature is not one of a checkpoint on this tape. Nothing was stored."""

    code = "cosignature-invalid"


def add(tape: Tape, size: int, line: str) -> bool:
    """Store a verified cosignature of the checkpoint of `size` durably.

    line: without its newline. Returns whether it is new; False, and nothing stored, where this
    witness's cosignature of that size is there already. Raises CosignatureInvalid, and what
    `Tape.take` and `Tape.write` raise.
    """
    given = parse(line)
    tape.take()
    try:
        if note_of(tape, size) is None:
            raise CosignatureInvalid(f"the tape has no checkpoint of {size} entries")
        known = [parse(one) for one in of(tape, size)]
        if any((one.name, one.key_id) == (given.name, given.key_id) for one in known):
            return False
        if len(known) >= COSIGNATURES_MAX:
            why = f"{COSIGNATURES_MAX} witnesses have signed that checkpoint: no more are kept"
            raise CosignatureInvalid(why)

        def insert() -> None:
            tape.db.execute("INSERT INTO cosignature VALUES (?, ?)", (size, line))

        tape.write((), insert)
        return True
    finally:
        tape.give()


def of(reader: Reader, size: int) -> list[str]:
    """Return the cosignatures of the checkpoint of `size`: lines without their newline."""
    if not _kept(reader):
        return []
    rest = "WHERE size = ? ORDER BY line"
    return [line for (line,) in reader.table("cosignature", "line", tuple[str], rest, (size,))]


def newest(reader: Reader, key: VerifierKey | None = None) -> int | None:
    """Return the largest size that has a cosignature (by this witness), or None.

    By the name and the id on the line, which prove nothing.
    """
    if not _kept(reader):
        return None
    start = ""
    if key is not None:
        start = f"\u2014 {key.name} {b64encode(key.id).decode()[:_ID_CHARACTERS]}"
    rest = "WHERE substr(line, 1, ?) = ? ORDER BY size DESC LIMIT 1"
    rows = reader.table("cosignature", "size", tuple[int], rest, (len(start), start))
    return rows[0][0] if rows else None


def sizes(reader: Reader) -> list[int]:
    """Return the sizes of all checkpoints that somebody cosigned, ascending."""
    if not _kept(reader):
        return []
    rows = reader.table("cosignature", "DISTINCT size", tuple[int], "ORDER BY size")
    return [size for (size,) in rows]


def note_of(reader: Reader, size: int) -> str | None:
    """Return the signed checkpoint of `size` as the tape holds it, or None."""
    rows = reader.table("checkpoint", "note", tuple[str], "WHERE size = ?", (size,))
    return rows[0][0] if rows else None


def note_with_cosignatures(reader: Reader, size: int) -> str | None:
    """Return the signed checkpoint of `size` with all its cosignatures, or None."""
    with reader.snapshot():
        note = note_of(reader, size)
        return None if note is None else note + "".join(f"{line}\n" for line in of(reader, size))


def signed_sizes(reader: Reader) -> Iterator[int]:
    """Yield the sizes of all checkpoints, newest first."""
    below = SIZE_MAX
    rest = "WHERE size < ? ORDER BY size DESC LIMIT ?"
    while rows := reader.table("checkpoint", "size", tuple[int], rest, (below, READ_ROWS)):
        yield from (size for (size,) in rows)
        [below] = rows[-1]


def problems(reader: Reader) -> Iterator[tuple[str, str]]:
    """Yield (place, what) for each line that is no cosignature, or is of no checkpoint here."""
    if not _kept(reader):
        return
    lines = reader.table("cosignature", "size, line", tuple[int, str], "ORDER BY size, line")
    signed = {size for (size,) in reader.table("checkpoint", "size", tuple[int])}
    for size, line in lines:
        place = f"table cosignature, size {size}"
        if size not in signed:
            yield place, "there is no checkpoint of that size"
        try:
            parse(line)
        except CosignatureInvalid as error:
            yield place, error.message


def parse(line: str) -> Signature:
    """Return what a cosignature's line says, verified by nobody. Raises CosignatureInvalid."""
    try:
        read = verifier.parse_signature(line)
    except EvidenceInvalid as error:
        raise CosignatureInvalid(str(error)) from None
    if read.time_s is None:
        raise CosignatureInvalid("this signature has no time: it is not a cosignature")
    if len(line.encode()) > LINE_BYTES_MAX:
        raise CosignatureInvalid(f"a cosignature has at most {LINE_BYTES_MAX} bytes")
    return read


def _kept(reader: Reader) -> bool:
    """Whether this tape can hold cosignatures: an old one that is only read cannot."""
    return bool(reader.query("SELECT 1 FROM sqlite_schema WHERE name = 'cosignature'"))
