"""What a deal's log says of its course: the lines that Boost writes when something moves.

Boost's tables keep where a deal is; only its log keeps when it came there, and that it was paused
and went on. The words are those of boost's deal execution (v1.5 to v2.3).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "boost-storage-deal"
"""Older versions write it, perhaps with a subsystem, and a colon, in front of each message."""
SHUT_DOWN = "boost was shut down"
TERMINATED = "user manually terminated the deal"
CANCELLED = "Cancelled"

_CHECKPOINT = "updated deal checkpoint in DB"
_PLAIN = {
    "deal execution initiated": "Started",
    "user initiated deal retry": "Retried",
    "resuming deal on boost restart": "Resumed",
    "deal data transfer cancelled by user": "CancelRequested",
    "deal cancelled by user": "Cancelled",
    "deal sealing reached termination state": "Sealed",
}
_FAILED = "deal failed"
_PAUSED = "deal paused because of recoverable error"
_PAUSED_BY_SHUTDOWN = "deal paused because boost was shut down"


@dataclass(frozen=True)
class Move:
    """An event of a deal that its log tells of. `checkpoint`: it is this one that was reached."""

    event: str
    params: Mapping[str, Any]
    checkpoint: str = ""


def plain(message: str) -> str:
    """Return a message without the prefix of older versions."""
    if message.startswith(PREFIX):
        return message.partition(":")[2].strip()
    return message.strip()


def move(message: str, params: object) -> Move | None:
    """Return what a log line says of its deal's course, or None: most say nothing of it."""
    text = plain(message)
    if text == _CHECKPOINT:
        reached = str(_named(params).get("new checkpoint", ""))
        return Move(reached, {}, checkpoint=reached) if reached else None
    if text in _PLAIN:
        return Move(_PLAIN[text], {})
    if text == _PAUSED:
        named = _named(params)
        told = {"error": shortened(named.get("err")), "retry": shortened(named.get("retry"))}
        return Move("Paused", {name: value for name, value in told.items() if value})
    if text == _PAUSED_BY_SHUTDOWN:
        return Move("Paused", {"error": SHUT_DOWN, "retry": "auto"})
    text, error = _older(text, params)
    if text == TERMINATED:  # its parameter is the error of before
        return Move("FailedPaused", {})
    if text == _FAILED:
        return Move("Failed", {"error": error} if error else {})
    return None


def _older(text: str, params: object) -> tuple[str, str]:
    """Return message and error, also of `msg: deal failed, err: …`, as older versions write it."""
    if text.startswith("msg: "):
        said, _, error = text.removeprefix("msg: ").partition(", err: ")
        return said, shortened(error)
    return text, shortened(_named(params).get("err"))


def _named(params: object) -> Mapping[str, Any]:
    """Return the parameters of a log line by name: Boost writes a list of names and values."""
    try:
        told = json.loads(params) if isinstance(params, str) and params else []
    except (ValueError, RecursionError):
        return {}
    if isinstance(told, list) and len(told) == 1 and isinstance(told[0], list):
        told = told[0]
    if isinstance(told, dict):
        return told
    if not isinstance(told, list):
        return {}
    return {str(name): value for name, value in zip(told[::2], told[1::2], strict=False)}


def shortened(value: object) -> str:
    """Return an error's text as it is recorded: the same from a log line and from a row."""
    text = "" if value is None else str(value)
    return "".join(char if char.isprintable() else " " for char in text[:2_000])
