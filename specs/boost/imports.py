"""The importer of this system: `statetape import boost FILE`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...fsm.importing import Importer, Item, Machines, Tables
from . import deals, retrievals


class Boost:
    """A database of Boost: its deals, their log, its retrieval log, or all of them in one file."""

    title = "database of Boost: deals with their checkpoints and logs, retrievals with their events"
    tables: Mapping[str, tuple[str, ...]] = {
        name: tuple(columns.split())
        for name, columns in {**deals.COLUMNS, **retrievals.COLUMNS}.items()
    }

    def items(self, source: Tables, machines: Machines) -> Iterator[Item]:
        """Yield what the tables say, whichever of them the file has."""
        yield from deals.Deals(source).items()
        yield from retrievals.Retrievals(source, machines).items()


IMPORTERS: Mapping[str, Importer] = {"boost": Boost()}
