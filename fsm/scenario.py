"""A scenario: commands for one machine and what must come of each, as a system's adapter reads it.

A system's `scenarios.py` turns a case of its own file format into these; the engine runs them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .types import Json


@dataclass(frozen=True)
class Result:
    """What a step came to: the command's outcome, and the instance after it in JSON form.

    `entered` is the state whose entry ran because of it, perhaps the same again; None: the command
    was only recorded, or refused. `fields` are the names of all data that the machine holds; `asks`
    is what entering the state it is in now makes the outside do.
    """

    outcome: str
    reason: Json
    effects: list[Json]
    exists: bool
    state: str | None
    data: Mapping[str, Json]
    entered: str | None = None
    fields: tuple[str, ...] = ()
    asks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """One command. `event` None creates the instance; `check` returns what is wrong, in words.

    `existing` is the event and parameters to send where the instance to create exists already.
    With a `state`, the instance to create is in mid-life: `params` are its data fields; what the
    machine does not hold is left out, for a case may know more of the original than we keep.
    """

    label: str
    machine: str
    key: str
    event: str | None
    params: Mapping[str, Any]
    chain: str | None
    height: int | None
    check: Callable[[Result], list[str]]
    existing: tuple[str, Mapping[str, Any]] | None = None
    state: str | None = None


class Adapter(Protocol):
    """How a system reads its scenario files."""

    def recognises(self, case: Json) -> bool:
        """Whether a case is of this system's format."""

    def runs(self, case: Json) -> Iterator[tuple[str, list[Step]]]:
        """Yield each run of a case: a label ("" for the only one) and its steps.

        Raises ValueError or LookupError where the case is malformed.
        """
