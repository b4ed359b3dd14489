"""The importer of this system: `statetape import go-log FILE`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...fsm.importing import Importer, Item, Machines
from .reading import Reading


class GoLog:
    """The log of a Go program: what go-statemachine refused in it, decoded."""

    title = "log of a Go program: what its state machines refused, decoded"
    tables: Mapping[str, tuple[str, ...]] = {}

    def items(self, source: bytes, machines: Machines) -> Iterator[Item]:
        """Yield what the log says of machines; notes for the rest."""
        return Reading(source, machines).items()


IMPORTERS: Mapping[str, Importer] = {"go-log": GoLog()}
