"""Lines of a Go program's log: what each says, when, and which line it is.

Understood are the console and the JSON lines of zap, the JSON lines of zerolog, and the marks of
`go test` between them. A line is told from others by its octets and by how often they came before:
lines carry their time, so what comes again in another copy of the log, or in one that grew, is the
same line.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .rules import POP, UPSTREAM
from .times import microseconds

LINE_BYTES_MAX = 65_536
SAID_CHARS_MAX = 1_000
DIGITS = tuple("0123456789")

_OF_A_MACHINE = re.compile(
    rb"Invalid transition|Unknown event|for event|event transition|executing step|No state for"
    rb"|state machine|event planner"
)
"""One of these is in every line that is read for more than its first words."""
_OF_ZEROLOG = re.compile(rb'\{"level":"[a-z]+",.*"message":', re.DOTALL)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONSOLE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:]{8}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)\s+"
    r"(?:DEBUG|INFO|WARN|ERROR|DPANIC|PANIC|FATAL)\s+(.*)\Z",
    re.IGNORECASE | re.DOTALL,
)
_STACK = re.compile(r"\s+(?:- )?[^\s:]+(?::[0-9]+)?\Z")
_TEST = re.compile(r"=== (?:RUN|CONT|NAME)\s+(\S+)")
_TEST_ENDS = re.compile(r"(?:--- (?:FAIL|PASS|SKIP)|FAIL\b|PASS\b|ok\s|panic: )")
_OF_POP = re.compile(rb"\bpopn\.go\b|myelnet/pop\b")
_OF_UPSTREAM = re.compile(rb"filecoin-project/(?:lotus|boost)\b|\bboostd\b|\blotus-miner\b")


@dataclass(frozen=True)
class Line:
    """One line. `number` counts from 1; `said` is its text, shortened.

    `at`: its time in microseconds, or None. `message`: what is searched for words of a machine; ""
    where there are none. `test`: the test that ran, or "". `program`: what wrote the log, as far as
    is known by then. `follows`: it continues the line before it (a stack trace). `whole`: none of
    it was cut off.
    """

    number: int
    said: str
    at: int | None
    message: str
    test: str
    program: str | None
    follows: bool
    whole: bool
    octets: bytes

    def identity(self) -> str:
        """Return what tells this line from others, but not from its repetitions."""
        return hashlib.sha256(self.octets).hexdigest()[:20]


def read_lines(source: bytes) -> Iterator[Line]:
    """Yield the lines of a log; never fails, whatever the octets."""
    test = ""
    program: str | None = None
    logged = False
    start = 0
    number = 0
    while start < len(source):
        end = source.find(b"\n", start)
        end = len(source) if end < 0 else end
        octets = source[start : min(end, start + LINE_BYTES_MAX)].rstrip(b"\r")
        whole = end - start <= LINE_BYTES_MAX
        start = end + 1
        number += 1
        program = _program(octets, program)
        if _OF_A_MACHINE.search(octets):
            text = _COLOUR.sub("", octets.decode("utf-8", "backslashreplace"))
            at, message, logged = _parse(text)
            follows = False
        else:
            text = octets[:SAID_CHARS_MAX].decode("utf-8", "backslashreplace")
            at, message = None, ""
            test = _running(text, test)
            follows = logged and bool(_STACK.match(text))
            logged = follows or (text[:1] in DIGITS and bool(_CONSOLE.match(text)))
        yield Line(number, _shown(text), at, message, test, program, follows, whole, octets)


def _shown(text: str) -> str:
    text = text[:SAID_CHARS_MAX]
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else " " for char in text)


def _parse(text: str) -> tuple[int | None, str, bool]:
    """Return a line's time, what it says, and whether it is a line of a logger."""
    if text.startswith("{"):
        return _json(text)
    match = _CONSOLE.match(text)
    if match is None:
        return None, text, False
    return microseconds(match[1]), match[2], True


def _json(text: str) -> tuple[int | None, str, bool]:
    try:
        said: Any = json.loads(text, parse_float=str)
    except (ValueError, RecursionError):
        return None, text, False
    if not isinstance(said, dict):
        return None, text, False
    parts = [said.get(name) for name in ("msg", "message", "error", "err")]
    at = next((said[name] for name in ("ts", "time", "T") if name in said), None)
    return microseconds(at), ": ".join(str(part) for part in parts if part), True


def _program(octets: bytes, known: str | None) -> str | None:
    """Return which program writes this log: only pop's own lines are zerolog's."""
    if known == POP:
        return POP
    if _OF_ZEROLOG.match(octets) or _OF_POP.search(octets):
        return POP
    if known is None and _OF_UPSTREAM.search(octets):
        return UPSTREAM
    return known


def _running(text: str, test: str) -> str:
    begun = _TEST.match(text)
    if begun:
        return begun[1][:100]
    return "" if _TEST_ENDS.match(text) else test
