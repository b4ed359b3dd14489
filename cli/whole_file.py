"""A file that appears whole: what stood there before stays until the last byte of the new one."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ..fsm.errors import CallerError

if TYPE_CHECKING:
    from ..storage.files import Files

DEVICES = (Path("/dev"), Path("/proc"))


class FileOfTape(CallerError):
    """The file to write is one of the tape's own. Nothing was written."""

    code = "file-of-tape"


def refuse_own(path: Path, files: Files) -> None:
    """Raise FileOfTape where `path`, by whatever name or link, is one of the tape's own files."""
    for one in files.all():
        if _same(path, one):
            what = "the tape itself" if one == files.tape else "one of the tape's own files"
            why = f"this is {what}; nothing was written"
            raise FileOfTape(why, place=str(path), hint="name another file")


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there: then only its name can be the other's
        return os.path.realpath(one) == os.path.realpath(other)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Open `path` for writing; it gets its content, synced, when the block ends without an error.

    Until then, and after a crash, it has its old content. A device or a pipe is written straight.
    Raises OSError.
    """
    if _is_direct(path):
        # Not cut off: a descriptor may be that of a file which others add to as well.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC), "wb") as out:
            yield out
        return
    from ..storage.files import sync_directory, temporary

    path = Path(os.path.realpath(path))
    # The process in its name, and O_EXCL: nobody else's file is touched.
    new = temporary(Path(f"{path}.{os.getpid()}"))
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as out:
            if path.exists():
                os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
            yield out
            out.flush()
            os.fsync(descriptor)
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def _is_direct(path: Path) -> bool:
    """Whether `path` names no file of its own: a device, a pipe, or a descriptor."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(None, "it is a directory")
    return not stat.S_ISREG(mode) or any(map(path.absolute().is_relative_to, DEVICES))
