"""What can go wrong with a tape's files, by name."""

from __future__ import annotations

from ..fsm.errors import (
    EXIT_FINDING,
    EXIT_IO,
    CallerError,
    ConflictError,
    OperatorError,
    PeerError,
)

RESTORE = "restore the tape from a backup; `statetape verify` lists all damage"
"""What to do about damage to the evidence."""


class TapeMissing(CallerError):
    """There is no tape at that path."""

    code = "tape-missing"


class TapeExists(CallerError):
    """There is a tape at that path already."""

    code = "tape-exists"


class FilesOverlap(CallerError):
    """Two of a tape's files were given the same path."""

    code = "files-overlap"


class EntryCollected(CallerError):
    """The entry at this position was collected: its leaf hash is kept, its bytes are gone."""

    code = "entry-collected"


class HashesShrunk(CallerError):
    """The leaf hashes asked for were shrunk to the root of their block of 256."""

    code = "hashes-shrunk"


class NotATape(OperatorError):
    """The file is not a tape of statetape; it was not touched."""

    code = "not-a-tape"


class TapeTooNew(OperatorError):
    """A newer statetape wrote this tape; this one would misread it."""

    code = "tape-too-new"


class TapeDamaged(OperatorError):
    """Stored bytes are not what was written. `place` names the position, page or table."""

    code = "tape-damaged"
    exit_status = EXIT_FINDING


class TapeRolledBack(OperatorError):
    """The tape is shorter than its anchor: a tail was lost, or an old copy was put back."""

    code = "tape-rolled-back"
    exit_status = EXIT_FINDING


class TapeForked(OperatorError):
    """The tape has another history than its anchor signed."""

    code = "tape-forked"
    exit_status = EXIT_FINDING


class AnchorMissing(OperatorError):
    """The tape's anchor is gone: a lost tail could not be noticed."""

    code = "anchor-missing"
    exit_status = EXIT_FINDING


class AnchorInvalid(OperatorError):
    """The anchor is no checkpoint of this tape signed by its key."""

    code = "anchor-invalid"
    exit_status = EXIT_FINDING


class KeyInvalid(OperatorError):
    """The tape's signing key is missing, unreadable, or another tape's."""

    code = "key-invalid"


class NoteInvalid(PeerError):
    """A signed note or checkpoint is malformed, or a known signature on it fails."""

    code = "note-invalid"


class StoreFull(OperatorError):
    """The disk is full. Nothing of the command was stored; free space and send it again."""

    code = "store-full"
    exit_status = EXIT_IO


class StoreFailed(OperatorError):
    """The disk or the file system failed. Nothing of the command was acknowledged."""

    code = "store-failed"
    exit_status = EXIT_IO


class OutcomeUnknown(OperatorError):
    """A commit failed half-way: it may have happened. Reopen, then ask by idempotency key."""

    code = "outcome-unknown"
    exit_status = EXIT_IO


class TapePoisoned(OperatorError):
    """An earlier failure made this handle untrustworthy: close it and open the tape again."""

    code = "tape-poisoned"
    exit_status = EXIT_IO


class TapeBusy(ConflictError):
    """Another process holds the tape longer than we wait. Try again."""

    code = "tape-busy"
