"""What a system knows of the evidence in a bundle: its signed objects, and its own arithmetic.

Deciding entries again shows that they follow from the machine's text that the bundle brings along.
A system's `evidence.py` checks what no text can change: whose signatures the objects carry, and
whether the entries keep the rules that every party relies on. Pure functions over entries.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from .entry import Entry


class Doubt(NamedTuple):
    """Something that does not hold: a stable code, the entry's position, and what, in words."""

    code: str
    pos: int
    message: str


class Checked(NamedTuple):
    """What was looked at, in words; what could not be, and why; and what does not hold."""

    held: Sequence[str] = ()
    open: Sequence[str] = ()
    doubts: Sequence[Doubt] = ()


class Checker(Protocol):
    """How a system checks the evidence about instances of its machines."""

    def checks(self, machine: str) -> bool:
        """Whether it knows this machine."""

    def peer(self, text: str) -> str:
        """Return a party's public key in its one form. Raises StatetapeError for none."""

    def objects(self, entries: Sequence[Entry]) -> Mapping[str, Sequence[str]]:
        """Return the signed objects that entries name: by id (64 hex digits) their texts.

        A text is one that stands in an entry as it is; one object may be there in several.
        """

    def check(self, entries: Mapping[str, Sequence[Entry]], peers: Sequence[str] = ()) -> Checked:
        """Return what holds of the instances (by name) of its machines. Never raises.

        peers: public keys, as `peer` gives them, of those whose signatures count.
        """
