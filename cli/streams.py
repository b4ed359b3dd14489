"""Standard output and error that never fail in the middle of a command.

What cannot be written is dropped, and why is noted: so a command runs to its end, whatever becomes
of its words, and its exit code is its own. A closed pipe is no failure: whoever closed it has read
enough. Characters that the encoding lacks are escaped.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import TYPE_CHECKING, BinaryIO, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Stream(io.RawIOBase):
    """The bytes of one descriptor, on their way out. `failure` says why some were dropped."""

    def __init__(self, descriptor: int, *, closed: bool) -> None:
        self.descriptor = descriptor
        self.failure: OSError | None = None
        self._closed_before = closed
        self._unread = False

    def write(self, content: ReadableBuffer, /) -> int:
        """Write, or drop what cannot be written; returns how many bytes are done with."""
        size = memoryview(content).nbytes
        while not (self.failure or self._unread):
            try:
                if self._closed_before:
                    raise OSError(errno.EBADF, "it is closed")
                return os.write(self.descriptor, content)
            except BlockingIOError:
                select.select([], [self.descriptor], [])
            except BrokenPipeError:
                self._unread = True
            except OSError as error:
                self.failure = error
        return size

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def fileno(self) -> int:
        """The descriptor."""
        return self.descriptor

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return os.isatty(self.descriptor)


def install() -> Stream:
    """Put such streams in the places of standard output and error; returns the output's.

    A descriptor that was closed leads nowhere from here on: else the next file to be opened, a
    tape's perhaps, would get its number, and with it what is printed.
    """
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(free)
    output = Stream(1, closed=_was_closed(sys.__stdout__))
    sys.stdout = _text(output, sys.__stdout__)
    sys.stderr = _text(Stream(2, closed=_was_closed(sys.__stderr__)), sys.__stderr__)
    return output


def _was_closed(before: TextIO | None) -> bool:
    """Whether the interpreter found this descriptor closed."""
    return before is None


def _text(stream: Stream, before: TextIO | None) -> io.TextIOWrapper:
    encoding = before.encoding if before is not None else "utf-8"
    lines = stream.descriptor == 2 or stream.isatty()
    buffered = io.BufferedWriter(stream)
    return io.TextIOWrapper(buffered, encoding, "backslashreplace", line_buffering=lines)


def binary_output() -> BinaryIO:
    """Return standard output for bytes: this one fails at once where it fails. Close it."""
    sys.stdout.flush()
    if _was_closed(sys.__stdout__):
        raise OSError(errno.EBADF, "it is closed")
    return os.fdopen(os.dup(1), "wb")
