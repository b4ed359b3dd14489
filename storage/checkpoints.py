"""The signed checkpoints that a tape holds, with their witnesses' lines; and proofs under them."""

from __future__ import annotations

from dataclasses import dataclass

from ..fsm.errors import CallerError
from .cosignatures import note_with_cosignatures, signed_sizes
from .errors import RESTORE, NoteInvalid, TapeDamaged
from .note import open_note, parse_checkpoint
from .proofs import BeyondTape, inclusion, root_at, tree_of
from .reader import Reader
from .verifier import Checkpoint, EvidenceInvalid, Proof, Signature, check_inclusion, parse_note


class NotSigned(CallerError):
    """No checkpoint is signed at that size, or none covers that entry yet."""

    code = "not-signed"


_SIGNS = "`statetape checkpoint` signs everything that is stored"


@dataclass(frozen=True)
class Signed:
    """A checkpoint with the note that holds it: the log's signature, and cosignatures."""

    checkpoint: Checkpoint
    note: bytes

    @property
    def cosignatures(self) -> tuple[Signature, ...]:
        """The lines of witnesses; whoever relies on them has to have the witnesses' keys."""
        return tuple(line for line in parse_note(self.note).signatures if line.time_s is not None)


def signed(reader: Reader, size: int | None = None) -> Signed:
    """Return the checkpoint of a size (default: the newest) that a key of the tape signed.

    Raises NotSigned, and TapeDamaged where what is stored is not signed, or signs another root.
    """
    with reader.snapshot():
        newest = next(signed_sizes(reader), None) if size is None else size
        note = None if newest is None else note_with_cosignatures(reader, newest)
        if newest is None or note is None:
            what = "no checkpoint" if size is None else f"no checkpoint of {size} entries"
            hint = _SIGNS if size is None else "`statetape checkpoint list` names those there are"
            raise NotSigned(f"{what} is signed", place=str(reader.files.tape), hint=hint)
        place = f"checkpoint {newest}"
        try:
            checkpoint = parse_checkpoint(open_note(note.encode(), reader.signers()))
        except NoteInvalid as error:
            raise TapeDamaged(error.message, place=place, hint=RESTORE) from None
        if checkpoint.size != newest:
            raise TapeDamaged(f"it signs {checkpoint.size} entries", place=place, hint=RESTORE)
    return Signed(checkpoint, note.encode())


def prove_entry(
    reader: Reader, pos: int, size: int | None = None, *, with_entry: bool = False
) -> Proof:
    """Return the proof that the entry at `pos` is under the checkpoint of a size, or the newest.

    `with_entry` puts the entry's bytes beside it, so that one file is all that is needed. Raises
    NotSigned where no checkpoint covers the entry; BeyondTape, HashesShrunk, TapeDamaged; and
    EntryCollected where bytes are wanted that are gone.
    """
    with reader.snapshot():
        if not 0 < pos <= reader.stored_size():
            why = f"the tape has {reader.stored_size()} entries; there is no entry {pos}"
            raise BeyondTape(why, place=str(reader.files.tape))
        under = signed(reader, size)
        checkpoint = under.checkpoint
        if pos > checkpoint.size:
            which = "newest" if size is None else "chosen"
            why = f"the {which} checkpoint signs the first {checkpoint.size} entries"
            raise NotSigned(why, place=f"entry {pos}", hint=_SIGNS)
        hashes = inclusion(reader, pos - 1, checkpoint.size)
        leaf = tree_of(reader, checkpoint.size).leaf(pos - 1)
        try:
            check_inclusion(pos - 1, checkpoint.size, leaf, hashes, checkpoint.root)
        except EvidenceInvalid:
            why = f"the first {checkpoint.size} entries are not those that were signed"
            raise TapeDamaged(why, place=f"checkpoint {checkpoint.size}", hint=RESTORE) from None
        extra = (reader.body(pos) or b"") if with_entry else b""
    return Proof(pos - 1, tuple(hashes), under.note, extra)


def check_root(reader: Reader, under: Signed) -> None:
    """Raise TapeDamaged unless the tape's entries give the root that was signed."""
    size = under.checkpoint.size
    if root_at(reader, size) != under.checkpoint.root:
        why = f"the first {size} entries are not those that were signed"
        raise TapeDamaged(why, place=f"checkpoint {size}", hint=RESTORE)
