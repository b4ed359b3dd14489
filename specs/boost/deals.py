"""From Boost's rows of storage deals and direct deals to their histories.

Theory of operation. A row says where a deal is; its log, where the file has it, says how it came
there. So a deal's events are those that its log tells of, in their order and with their times, and
after them whatever the row knows and the log does not (older lines are removed; the log may be in
another file): a checkpoint that was passed, an error, an end. What the log tells again, a machine
only notes. Nothing of a deal is kept meanwhile but where it is.

B1  An item is named by what it says, never by where it stands. A checkpoint is reached once and a
    deal ends once, so those are named by themselves, whoever tells of them; other lines of a log by
    what they say; what only the row says by that (`row …`). So a file that lost old rows and gained
    new ones adds the new.
B2  Boost keeps no time of an error. One that comes, goes and comes again at the same checkpoint
    without any log is seen once.
B3  A log in a file of its own is told of beside the deal (`boost.deal_log`), and does not move it:
    whether it is a storage deal's or a direct deal's, only the other file says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fsm.importing import Begin, Event, Item, Note, Tables
from .columns import Columns, Identities, digest, numbered
from .messages import CANCELLED, TERMINATED, move, shortened

LOG = "boost.deal_log"
COMPLETE = "Complete"
ENDS = ("Cancelled", "Failed", "FailedPaused", COMPLETE)


@dataclass(frozen=True)
class Line:
    """A checkpoint line: a table, the machine that it is, and its checkpoints in order."""

    table: str
    machine: str
    checkpoints: tuple[str, ...]


_HEAD = ("Accepted", "Transferred")
_TAIL = ("AddedPiece", "IndexedAndAnnounced")
STORAGE = Line("Deals", "boost.storage_deal", (*_HEAD, "Published", "PublishConfirmed", *_TAIL))
DIRECT = Line("DirectDeals", "boost.direct_deal", (*_HEAD, *_TAIL))

COLUMNS = {
    "Deals": (
        "ID CreatedAt PieceCID PieceSize IsOffline VerifiedDeal ClientAddress ProviderAddress "
        "Label StartEpoch EndEpoch StoragePricePerEpoch ProviderCollateral ClientCollateral "
        "DealDataRoot TransferType TransferSize ChainDealID PublishCID SectorID Length "
        "Checkpoint CheckpointAt Error Retry"
    ),
    "DirectDeals": (
        "ID CreatedAt PieceCID PieceSize ClientAddress ProviderAddress AllocationID StartEpoch "
        "EndEpoch SectorID Length Checkpoint CheckpointAt Error Retry"
    ),
    "DealLogs": "DealUUID CreatedAt LogLevel LogMsg LogParams Subsystem",
    "FundsLogs": "DealUUID CreatedAt Amount LogText",
    "StorageLogs": "DealUUID CreatedAt TransferSize LogText",
    "ProposalLogs": "DealUUID Accepted Reason CreatedAt ClientAddress PieceSize",
}


@dataclass
class Course:
    """Where a deal is by what was told of it so far. `error`: what it is paused for, or None."""

    line: Line
    checkpoint: str = "Accepted"
    error: str | None = None
    over: bool = False

    def take(self, event: str, params: Mapping[str, Any]) -> None:
        """Follow an event, as the machine does."""
        if self.over:
            return
        if event in self.line.checkpoints:
            if self.behind(event):
                self.checkpoint, self.error = event, None
        elif event == "Paused":
            self.error = str(params.get("error", ""))
        elif event == "Started":
            self.error = None
        elif event in ENDS:
            self.over = True

    def behind(self, checkpoint: str) -> bool:
        """Whether a checkpoint is still to be reached."""
        order = self.line.checkpoints
        return order.index(self.checkpoint) < order.index(checkpoint)

    def lacks(self, checkpoint: str, error: str, retry: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the events that bring the deal to where its row says it is."""
        if self.over:
            return []
        if checkpoint == COMPLETE:
            return [_end(error)]
        found: list[tuple[str, Mapping[str, Any]]] = []
        if self.behind(checkpoint):
            found.append((checkpoint, {}))
            self.take(checkpoint, {})
        if error:  # also where the log told of it: its line may be gone the next time
            why = {"error": error, "retry": retry}
            found.append(("Paused", {name: text for name, text in why.items() if text}))
        elif not error and self.error is not None:
            found.append(("Started", {}))
        return found


@dataclass
class _Row:
    """What is kept of a deal's row until its log was read."""

    instance: str
    place: str
    checkpoint: str
    error: str
    retry: str
    at: int | None
    course: Course
    told: int | None = None
    """When the log spoke of the deal's course last."""


@dataclass
class Deals:
    """Reads the deals of one file."""

    tables: Tables
    _rows: dict[str, _Row] = field(default_factory=dict)
    _logs: dict[str, None] = field(default_factory=dict)
    """The deals whose log has begun."""

    def items(self) -> Iterator[Item]:
        """Yield the deals, what their log tells, what their rows know besides, and the rest."""
        for line in (STORAGE, DIRECT):
            for columns in numbered(line.table, self.tables(line.table)):
                yield from self._begins(line, columns)
                yield from columns.complaints
        for table, (event, read) in WRITTEN.items():
            yield from self._written(table, event, read)
            if table == "DealLogs":
                for row in self._rows.values():
                    yield from _lacking(row)

    def _begins(self, line: Line, columns: Columns) -> Iterator[Item]:
        place, key, created = columns.place, columns.key("ID"), columns.time("CreatedAt")
        if not key:
            yield Note(place, "a deal without an ID")
            return
        if key in self._rows:
            yield Note(place, f"another deal {key}")
            return
        at = columns.time("CheckpointAt") or created
        instance = f"{line.machine}/{key}"
        self._rows[key] = _Row(
            instance,
            place,
            columns.text("Checkpoint"),
            shortened(columns.text("Error")),
            columns.text("Retry"),
            at,
            Course(line),
        )
        yield Begin(once="begin", place=place, machine=line.machine, key=key, at=created)
        yield from self._log_begins(key, place, created)
        recorded = _recorded(line, columns)
        yield _event(f"row {digest(recorded)}", place, instance, "Recorded", recorded, at)

    def _written(
        self, table: str, event: str, read: Callable[[Columns], dict[str, Any]]
    ) -> Iterator[Item]:
        """Yield each row of a table as an entry of its deal's log, and how it moved the deal."""
        identities = Identities()
        for columns in numbered(table, self.tables(table)):
            identity = identities.of(columns.row)
            key = columns.key("DealUUID")
            if not key:
                yield Note(columns.place, "no deal is named")
                continue
            at = columns.time("CreatedAt")
            yield from self._log_begins(key, columns.place, at)
            once = f"{event} {identity}"
            yield _event(once, columns.place, f"{LOG}/{key}", event, read(columns), at)
            if table == "DealLogs" and key in self._rows:
                yield from _moves(self._rows[key], columns, identity, at)
            yield from columns.complaints

    def _log_begins(self, key: str, place: str, at: int | None) -> Iterator[Item]:
        if key in self._logs:
            return
        self._logs[key] = None
        yield Begin(once="begin", place=place, machine=LOG, key=key, at=at)
        row = self._rows.get(key)
        if row is not None:
            deal = {"deal": row.instance}
            yield _event("deal", place, f"{LOG}/{key}", "BelongsTo", deal, at)


def _moves(row: _Row, columns: Columns, identity: str, at: int | None) -> Iterator[Item]:
    """Yield what a log line tells of its deal's course."""
    moved = move(columns.text("LogMsg"), columns.row.get("LogParams"))
    if moved is None:
        return
    course = row.course
    if moved.checkpoint and moved.event not in (*course.line.checkpoints, COMPLETE):
        yield Note(columns.place, f"unknown checkpoint {moved.event!r}")
        return
    course.take(moved.event, moved.params)
    when = row.at if at is None else at
    row.told = when
    once = moved.event if moved.checkpoint or moved.event in ENDS else identity
    yield _event(once, columns.place, row.instance, moved.event, moved.params, when)


def _lacking(row: _Row) -> Iterator[Item]:
    """Yield what the row knows of a deal and its log does not tell."""
    known = (*row.course.line.checkpoints, COMPLETE)
    if row.checkpoint not in known:
        yield Note(row.place, f"unknown checkpoint {row.checkpoint!r}")
        return
    if row.course.over and row.checkpoint != COMPLETE:
        why = f"its log says that it is over, its row that it is at {row.checkpoint}"
        yield Note(row.place, f"{row.instance}: {why}", warning=True)
    for event, params in row.course.lacks(row.checkpoint, row.error, row.retry):
        once = event
        if event in ("Paused", "Started"):
            once = f"row {event} {digest(row.checkpoint, row.at, *sorted(params.items()))}"
        times = [one for one in (row.at, row.told) if one is not None]
        yield _event(once, row.place, row.instance, event, params, max(times, default=None))


def _recorded(line: Line, columns: Columns) -> dict[str, Any]:
    """Return what a row holds of a deal besides where it is."""
    found = columns.given(
        client=lambda: columns.text("ClientAddress"),
        provider=lambda: columns.text("ProviderAddress"),
        piece=lambda: columns.text("PieceCID"),
        piece_bytes=lambda: columns.whole("PieceSize"),
        start_epoch=lambda: columns.whole("StartEpoch"),
        end_epoch=lambda: columns.whole("EndEpoch"),
        sector=lambda: columns.text("SectorID") if columns.whole("Length") else None,
    )
    if line is DIRECT:
        return found | columns.given(allocation=lambda: columns.text("AllocationID"))
    return found | columns.given(
        offline=lambda: columns.flag("IsOffline"),
        transfer_type=lambda: columns.text("TransferType"),
        transfer_bytes=lambda: columns.whole("TransferSize"),
        price_per_epoch=lambda: columns.whole("StoragePricePerEpoch"),
        provider_collateral=lambda: columns.whole("ProviderCollateral"),
        client_collateral=lambda: columns.whole("ClientCollateral"),
        chain_deal=lambda: str(columns.whole("ChainDealID") or ""),
        publish_message=lambda: columns.text("PublishCID"),
        label=lambda: columns.text("Label"),
        data_root=lambda: columns.text("DealDataRoot"),
        verified=lambda: columns.flag("VerifiedDeal"),
    )


def _event(
    once: str, place: str, instance: str, event: str, params: Mapping[str, Any], at: int | None
) -> Event:
    return Event(once=once, place=place, instance=instance, event=event, params=params, at=at)


def _end(error: str) -> tuple[str, Mapping[str, Any]]:
    """Return how a deal ended whose checkpoint is Complete."""
    if error == CANCELLED:
        return "Cancelled", {}
    if error == TERMINATED:
        return "FailedPaused", {}
    return ("Failed", {"error": error}) if error else (COMPLETE, {})


def _log(columns: Columns) -> dict[str, Any]:
    return columns.given(
        level=lambda: columns.text("LogLevel"),
        message=lambda: columns.text("LogMsg"),
        parameters=lambda: columns.text("LogParams"),
        subsystem=lambda: columns.text("Subsystem"),
    )


def _funds(columns: Columns) -> dict[str, Any]:
    return columns.given(
        amount=lambda: columns.whole("Amount"), message=lambda: columns.text("LogText")
    )


def _storage(columns: Columns) -> dict[str, Any]:
    return columns.given(
        bytes=lambda: columns.whole("TransferSize"), message=lambda: columns.text("LogText")
    )


def _proposal(columns: Columns) -> dict[str, Any]:
    return columns.given(
        accepted=lambda: columns.flag("Accepted"),
        reason=lambda: columns.text("Reason"),
        client=lambda: columns.text("ClientAddress"),
        piece_bytes=lambda: columns.whole("PieceSize"),
    )


WRITTEN: Mapping[str, tuple[str, Callable[[Columns], dict[str, Any]]]] = {
    "DealLogs": ("Log", _log),
    "FundsLogs": ("Funds", _funds),
    "StorageLogs": ("Storage", _storage),
    "ProposalLogs": ("Proposal", _proposal),
}
"""What is written down about deals: the table's event, and how its rows are read."""
