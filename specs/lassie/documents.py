"""The JSON documents of a file: one, or one per line, or one after the other.

A document that is broken ends where the next one begins, as far as that can be told; so the others
are read all the same. Whether a document is a batch is asked elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

_SPACE = re.compile(rb"[ \t\r\n]*+")
# Up to the first brace outside of any text after which another document begins.
_DOCUMENT = re.compile(rb'(?>[^"}]+|"(?>[^"\\\n]+|\\.)*+"|\}(?![ \t\r\n]*+\{))*+(\})?', re.DOTALL)
_NEXT = re.compile(rb'\n[ \t\r\n]*+(?=\{[ \t\r\n]*+"events")')
_BOM = b"\xef\xbb\xbf"
_SYNTAX = msgspec.json.Decoder(msgspec.Raw)


class Document(NamedTuple):
    """One document: the line where it begins, its bytes, and why it is none, if so."""

    line: int
    body: bytes
    problem: str | None = None


def documents(source: bytes) -> Iterator[Document]:
    """Yield the documents of a file in their order, broken ones included."""
    at = len(_BOM) if source.startswith(_BOM) else 0
    view = memoryview(source)
    if problem_of(view[at:]) is None:
        yield Document(1, source[at:])
        return
    line = 1
    line_end = -1
    counted = 0
    while (start := _SPACE.match(source, at).end()) < len(source):  # type: ignore[union-attr]
        line += source.count(b"\n", counted, start)
        counted = start
        if line_end < start:
            line_end = source.find(b"\n", start)
            line_end = len(source) if line_end < 0 else line_end
        at = line_end
        problem = problem_of(view[start:at])
        if problem is not None:
            at, problem = _several_lines(source, start, line_end)
        yield Document(line, source[start:at], problem)


def problem_of(body: bytes | memoryview) -> str | None:
    """Return why these bytes are not one JSON document, or None."""
    try:
        _SYNTAX.decode(body)
    except msgspec.DecodeError as error:
        return str(error)
    except RecursionError:
        return "nested too deeply"
    return None


def _several_lines(source: bytes, start: int, line_end: int) -> tuple[int, str | None]:
    """Return where a document ends that is not just its line, and why it is none, if so."""
    if source[start] not in b"{[":
        return line_end, problem_of(source[start:line_end])
    match = _DOCUMENT.match(source, start)
    whole = match is not None and (match[1] is not None or match.end() == len(source))
    end = match.end() if match is not None and whole else len(source)
    problem = problem_of(memoryview(source)[start:end])
    if problem is None:
        return end, None
    following = _NEXT.search(source, start, end)
    return (following.end() if following else end), problem
