"""A story: the steps of a demonstration, as a system tells them and the command line plays them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .driving import Carry, Perform, delivered
from .entry import Entry


@dataclass(frozen=True)
class Say:
    """A line that says what comes next."""

    text: str


@dataclass(frozen=True)
class Begin:
    """Create an instance; `node`: on whose tape, in a story of several."""

    machine: str
    key: str
    params: Mapping[str, str]
    node: str = ""


@dataclass(frozen=True)
class Event:
    """Send an event. `dies`: the process is killed after storing it, before anybody is told."""

    instance: str
    event: str
    params: Mapping[str, str]
    key: str | None = None
    dies: bool = False
    node: str = ""


@dataclass(frozen=True)
class Height:
    """Observe a chain's head, in a story of several tapes on each of them.

    `block_us`: how long the story's clock takes for each height since the one before.
    """

    chain: str
    height: int
    block_us: int = 0


@dataclass(frozen=True)
class Recover:
    """Recover the tape, as after a crash."""


@dataclass(frozen=True)
class Moment:
    """When the `count`th entry of an event stands on an instance of a node's tape."""

    node: str
    instance: str
    event: str
    count: int = 1


@dataclass(frozen=True)
class Drive:
    """Perform what the nodes' tapes say is to be done, until nothing is left.

    `until`: or until this moment. `dies`: at it the process is killed, with the entry stored.
    """

    carry: Carry = delivered
    until: Moment | None = None
    dies: bool = False


@dataclass(frozen=True)
class Pass:
    """Let time pass, in microseconds."""

    duration_us: int


class TapeOf(NamedTuple):
    """A node's tape, where a command needs the path of another one than its own."""

    node: str


@dataclass(frozen=True)
class Look:
    """A command that only looks at a node's tape. A moment stands for its position.

    `TapeOf` stands for the path of a tape, and a word of several parts for those, joined. `until`:
    what follows a line that begins so is left out.
    """

    node: str
    words: Sequence[str | Moment | TapeOf | Sequence[str | Moment]]
    until: str | None = None


Scene = Say | Begin | Event | Height | Recover | Drive | Pass | Look


@dataclass(frozen=True)
class Story:
    """A whole demonstration, and how to read its end: columns and one row per instance."""

    title: str
    scenes: Sequence[Scene]
    columns: Sequence[str]
    row: Any
    next_steps: Sequence[str] = field(default=())


class Happened(NamedTuple):
    """An entry of a node's tape, whose it is (machine/key), and the state that it left it in."""

    node: str
    instance: str
    state: str
    entry: Entry


class Line(NamedTuple):
    """A line of what happened: on whose tape, to what, and how it went."""

    node: str
    what: str
    how: str


class Figure(NamedTuple):
    """One figure of an instance's ledger, on a node's tape."""

    node: str
    instance: str
    name: str


@dataclass(frozen=True)
class Tale:
    """One telling of a story of several tapes.

    `ends`: (node, instance) → the state it ends in. `apart`: labels of figures in which the tapes
    differ in the end; in all others they agree.
    """

    about: str
    scenes: Sequence[Scene]
    perform: Perform
    ends: Mapping[tuple[str, str], str]
    apart: Sequence[str] = ()
    next_steps: Sequence[Look] = ()


@dataclass(frozen=True)
class Drama:
    """A story of several tapes, told with one fault or another; without a choice, the first.

    `starts_at`: what the clock shows when it begins; `step_us`: how long a command is on its way.
    `tell`: what happened, in lines. `figures`: label → the same figure on each tape.
    """

    title: str
    nodes: Sequence[str]
    tales: Mapping[str, Tale]
    starts_at: int
    step_us: int
    tell: Callable[[Sequence[Happened]], Sequence[Line]]
    figures: Mapping[str, Sequence[Figure]]
