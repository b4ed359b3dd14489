"""Errors of statetape: one root, and below it whose move it is.

Every error that leaves statetape is a `StatetapeError`. Its `code` is stable and never reused;
each code has a paragraph in `docs/reference/errors.md` (a test compares). The second level says
who has to act: the caller, the author of a spec, a peer, nobody but time (conflict), or the
operator. `exit_status` is what the command line ends with.

This module lives in `fsm/` because that folder imports no other; it is the one module of `fsm/`
that `storage/` may import (docs/decisions/0002-import-directions.md).
"""

from __future__ import annotations

from typing import ClassVar

EXIT_DONE = 0
EXIT_FINDING = 1
EXIT_USAGE = 2
EXIT_BUG = 70
EXIT_IO = 74
EXIT_TRY_AGAIN = 75


class StatetapeError(Exception):
    """What went wrong (`message`), where (`place`), and what to do (`hint`)."""

    code: ClassVar[str] = "statetape"
    exit_status: ClassVar[int] = EXIT_FINDING

    def __init__(self, message: str, *, hint: str = "", place: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.place = place

    def __str__(self) -> str:
        """`place: message`, on one line; the hint is printed apart."""
        return f"{self.place}: {self.message}" if self.place else self.message


class CallerError(StatetapeError):
    """The call cannot be taken as it is: fix the call. Nothing was recorded."""

    code = "caller"
    exit_status = EXIT_USAGE


class SpecError(StatetapeError):
    """A machine's file is wrong. `place` is file:line:column."""

    code = "spec-invalid"
    exit_status = EXIT_FINDING


class PeerError(StatetapeError):
    """Bytes from a peer are wrong (a voucher, a history, a checkpoint); they are kept as given."""

    code = "peer"
    exit_status = EXIT_FINDING


class ConflictError(StatetapeError):
    """Somebody else was first, or is still at it: reload and try again."""

    code = "conflict"
    exit_status = EXIT_TRY_AGAIN


class OperatorError(StatetapeError):
    """The disk, the files or the configuration need the operator."""

    code = "operator"
    exit_status = EXIT_IO


class Unavailable(OperatorError):
    """This installation lacks what the command needs. Nothing was recorded."""

    code = "unavailable"
