"""A story: the steps of a demonstration, as a system tells them and the command line plays them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Say:
    """A line that says what comes next."""

    text: str


@dataclass(frozen=True)
class Begin:
    """Create an instance."""

    machine: str
    key: str
    params: Mapping[str, str]


@dataclass(frozen=True)
class Event:
    """Send an event. `dies`: the process is killed after storing it, before anybody is told."""

    instance: str
    event: str
    params: Mapping[str, str]
    key: str | None = None
    dies: bool = False


@dataclass(frozen=True)
class Height:
    """Observe a chain's head."""

    chain: str
    height: int


@dataclass(frozen=True)
class Recover:
    """Recover the tape, as after a crash."""


Scene = Say | Begin | Event | Height | Recover


@dataclass(frozen=True)
class Story:
    """A whole demonstration, and how to read its end: columns and one row per instance."""

    title: str
    scenes: Sequence[Scene]
    columns: Sequence[str]
    row: Any
    next_steps: Sequence[str] = field(default=())
