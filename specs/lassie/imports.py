"""Importers of the Lassie system."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ...fsm.importing import Importer, Item, Machines, Note
from .documents import Document, documents
from .recorder import AGGREGATE, SINGLE, Refused, beginning, read_batch

_AGGREGATES_HAVE = (b'"endTime"', b'"startTime"')
_SINGLES_HAVE = (b'"eventName"', b'"phase"')


class LassieImporter:
    """Batches of Lassie's event recorder, of either version, as they were posted."""

    title = "batches of Lassie's event recorder: one JSON document, one per line, or in sequence"
    tables: Mapping[str, tuple[str, ...]] = {}

    def __init__(self, now: int = 0) -> None:
        self.now = now

    def as_of(self, now: int) -> Importer:
        """Return the importer with this clock: events from the future are refused."""
        return LassieImporter(now)

    def items(self, source: bytes, machines: Machines) -> Iterator[Item]:  # noqa: ARG002
        """Yield what each batch says; a batch that is refused becomes a note, whole."""
        begun: set[str] = set()
        for document in documents(source):
            yield from beginning(self._batch(document), begun)

    def _batch(self, document: Document) -> list[Item]:
        place = f"line {document.line}"
        if document.problem is not None:
            return [Note(place, document.problem)]
        try:
            return read_batch(_version(document.body), document.body, self.now, place)
        except Refused as refusal:
            return [Note(refusal.place, refusal.why)]


def _version(body: bytes) -> int:
    """Return which of the recorder's two paths takes a batch like this."""
    single = any(member in body for member in _SINGLES_HAVE)
    aggregate = any(member in body for member in _AGGREGATES_HAVE)
    return AGGREGATE if aggregate and not single else SINGLE


IMPORTERS: Mapping[str, Importer] = {"lassie": LassieImporter()}
