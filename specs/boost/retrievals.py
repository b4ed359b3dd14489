"""From Boost's retrieval log to histories: a retrieval's row, its deal's events, its transfer's.

Theory of operation. The deal's events are sent to the table that Boost's provider ran, by name.
What the table makes of an event is compared with the status that Boost recorded after it, row by
row: where they differ, `Found` says so and goes on from what was recorded. So neither the record
nor the difference is lost, and one does not hide what comes after it.

R1  A row is compared with the row before it, and with nothing else. So what is said of it does not
    depend on how many older rows the file still has: Boost removes them.
R2  Boost does not record ProviderEventBlockSent. Where an event fits only after it, it was there.
R3  A deal whose first row is not its opening began before what the file holds: it begins here in
    the status of that row, and the row itself is only noted.
R4  A transfer's events have no status of their own. Where they are there from the opening on, the
    status of the transfer in the retrieval's row is compared with where they lead.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ...fsm.importing import Begin, Event, Item, Machines, Note, Tables
from ...fsm.machine import Machine
from ..golog.decode import ALIASES
from ..golog.table import Table
from .columns import Columns, Identities, digest, numbered
from .recorded import recorded

RETRIEVAL = "boost.retrieval"
MARKET = "boost.market_deal"
TRANSFER = "boost.data_transfer"
SENT = "ProviderEventBlockSent"
OPENED = "ProviderEventOpen"
TRANSFER_OPENED = "Open"

COLUMNS = {
    "RetrievalDealStates": (
        "CreatedAt UpdatedAt LocalPeerID PeerID DealID TransferID PayloadCID PieceCID "
        "PaymentInterval PaymentIntervalIncrease PricePerByte UnsealPrice Status Message TotalSent "
        "DTStatus DTMessage"
    ),
    "RetrievalMarketEvents": "PeerID DealID CreatedAt Name Status Message",
    "RetrievalDataTransferEvents": "PeerID TransferID CreatedAt Name Message",
}


class _Part:
    """A deal's or a transfer's machine: the exact table, and the text of what is recorded."""

    def __init__(self, name: str, title: str, exact: Machine) -> None:
        self.name = name
        self.table = Table(exact)
        self.text = recorded(self.table, name, title)

    def knows(self, status: str) -> bool:
        """Whether the machine can be in a state of that name."""
        return status in self.table.exact.states


@dataclass
class _Ended:
    """How a transfer's row says it stands: the status, when, and where that was written."""

    status: str
    at: int | None
    place: str


@dataclass
class Retrievals:
    """Reads the retrievals of one file."""

    tables: Tables
    machines: Machines
    _begun: dict[str, None] = field(default_factory=dict)
    _of_transfer: dict[str, str] = field(default_factory=dict)
    """The retrieval that a transfer is of."""
    _stands: dict[str, _Ended] = field(default_factory=dict)
    """How each transfer stands, by its key."""

    @functools.cached_property
    def market(self) -> _Part:
        """The machine of a deal."""
        exact = self.machines("filecoin.gfm_retrieval_provider")
        return _Part(MARKET, "Retrieval deal, as Boost records it", exact)

    @functools.cached_property
    def transfer(self) -> _Part:
        """The machine of a transfer."""
        exact = self.machines("filecoin.dt_channel")
        return _Part(TRANSFER, "Data transfer, as Boost records it", exact)

    def items(self) -> Iterator[Item]:
        """Yield the retrievals, then the events of their deals and transfers."""
        yield from self._rows()
        yield from self._market()
        yield from self._transfers()

    def _rows(self) -> Iterator[Item]:
        for columns in numbered("RetrievalDealStates", self.tables("RetrievalDealStates")):
            peer = columns.key("PeerID")
            if not peer:
                yield Note(columns.place, "a retrieval without a peer")
                continue
            created, updated = columns.time("CreatedAt"), columns.time("UpdatedAt")
            deal, transfer = columns.whole("DealID"), columns.whole("TransferID")
            key = f"{peer}.{deal}" if deal else f"{peer}.at-{digest(created, *_values(columns))}"
            if f"{RETRIEVAL}/{key}" not in self._begun:
                self._begun[f"{RETRIEVAL}/{key}"] = None
                yield Begin(
                    once="begin", place=columns.place, machine=RETRIEVAL, key=key, at=created
                )
            yield _event(
                f"row {digest(*_values(columns))}",
                columns.place,
                f"{RETRIEVAL}/{key}",
                "Recorded",
                _recorded(columns),
                updated if updated is not None else created,
            )
            if transfer:
                name = f"{peer}.{transfer}"
                self._of_transfer[name] = key
                status = columns.text("DTStatus")
                self._stands[name] = _Ended(status, updated, columns.place)
            yield from columns.complaints

    def _market(self) -> Iterator[Item]:
        """Yield the events of deals, each compared with the status that was recorded after it."""
        identities = Identities()
        status_of: dict[str, str] = {}
        for columns in numbered("RetrievalMarketEvents", self.tables("RetrievalMarketEvents")):
            identity = identities.of(columns.row)
            peer, deal = columns.key("PeerID"), columns.whole("DealID")
            name, status = columns.text("Name"), _printed(columns.text("Status"))
            if not peer or deal is None or not name:
                yield Note(columns.place, "no deal or no event is named")
                continue
            key = f"{peer}.{deal}"
            at = columns.time("CreatedAt")
            before = status_of.get(key)
            known = self.market.knows(status)
            if known:
                status_of[key] = status
            else:
                yield Note(columns.place, f"unknown status {status!r}", warning=True)
            if before is None:
                opened = name == OPENED or not known
                begun = self.market.table.initial if opened else status
                yield from self._part(self.market, key, key, columns.place, at, begun)
                if not opened:
                    why = f"{key}: the rows before {name} are gone; it begins in {status}"
                    yield Note(columns.place, why, warning=True)
                    continue
            yield from self._compared(columns, key, identity, before, at)
            yield from columns.complaints

    def _compared(
        self, columns: Columns, key: str, identity: str, before: str | None, at: int | None
    ) -> Iterator[Item]:
        name, status = columns.text("Name"), _printed(columns.text("Status"))
        instance, place, table = f"{MARKET}/{key}", columns.place, self.market.table
        source = before if before is not None else table.initial
        to = table.after(source, name)
        sent = table.after(source, SENT)
        if to != status and sent is not None and table.after(sent, name) == status:
            to = status
            params = {"status": sent, "message": "not recorded by Boost; what follows shows it"}
            yield _event(f"sent {identity}", place, instance, SENT, params, at)
        params = columns.given(status=lambda: status, message=lambda: columns.text("Message"))
        yield _event(identity, place, instance, name, params, at)
        if to != status and self.market.knows(status):
            leads = f"leads to {to}" if to else "does not take it"
            why = f"Boost recorded {status} after {name}; from {source} the table {leads}"
            found = {"found": status, "why": why}
            yield _event(f"found {identity}", place, instance, "Found", found, at)

    def _transfers(self) -> Iterator[Item]:
        identities = Identities()
        state_of: dict[str, str] = {}
        table = "RetrievalDataTransferEvents"
        for columns in numbered(table, self.tables(table)):
            identity = identities.of(columns.row)
            peer, transfer = columns.key("PeerID"), columns.whole("TransferID")
            name, at = columns.text("Name"), columns.time("CreatedAt")
            if not peer or transfer is None or not name:
                yield Note(columns.place, "no transfer or no event is named")
                continue
            key = f"{peer}.{transfer}"
            if f"{TRANSFER}/{key}" not in self._begun:
                retrieval = self._of_transfer.get(key, "")
                first = self.transfer.table.initial
                yield from self._part(self.transfer, key, retrieval, columns.place, at, first)
                if name == TRANSFER_OPENED:
                    state_of[key] = first
            if key in state_of:
                to = self.transfer.table.after(state_of[key], name)
                state_of[key] = to if to is not None else state_of[key]
            params = _message(columns)
            yield _event(identity, columns.place, f"{TRANSFER}/{key}", name, params, at)
            yield from columns.complaints
        for key, state in state_of.items():
            yield from self._stand(key, state)

    def _stand(self, key: str, state: str) -> Iterator[Item]:
        """Yield what a transfer's row says otherwise than its events (R4)."""
        stands = self._stands.get(key)
        if stands is None or stands.status in ("", state):
            return
        if not self.transfer.knows(stands.status):
            why = f"unknown status of a transfer {stands.status!r}"
            yield Note(stands.place, why, warning=True)
            return
        why = f"Boost recorded {stands.status}; its events lead to {state}"
        found = {"found": stands.status, "why": why}
        once = f"stands {digest(stands.status, stands.at)}"
        yield _event(once, stands.place, f"{TRANSFER}/{key}", "Found", found, stands.at)

    def _part(
        self, part: _Part, key: str, retrieval: str, place: str, at: int | None, state: str
    ) -> Iterator[Item]:
        """Yield the beginning of a deal or a transfer, tied to its retrieval if there is one."""
        whole, name = f"{RETRIEVAL}/{retrieval}", f"{part.name}/{key}"
        if name not in self._begun:
            self._begun[name] = None
            yield Begin(
                once="begin",
                place=place,
                machine=part.name,
                key=key,
                text=part.text,
                state=state,
                at=at,
            )
        if whole in self._begun:
            yield _event("retrieval", place, name, "BelongsTo", {"retrieval": whole}, at)
            yield _event(f"part {part.name}", place, whole, "HasPart", {"part": name}, at)


def _event(
    once: str, place: str, instance: str, event: str, params: Mapping[str, Any], at: int | None
) -> Event:
    return Event(once=once, place=place, instance=instance, event=event, params=params, at=at)


def _printed(status: str) -> str:
    """Return a status by the table's name, where it is printed by another."""
    return ALIASES.get(status, status)


def _values(columns: Columns) -> list[tuple[str, Any]]:
    return sorted(columns.row.items())


def _message(columns: Columns) -> dict[str, Any]:
    return columns.given(message=lambda: columns.text("Message"))


def _recorded(columns: Columns) -> dict[str, Any]:
    return columns.given(
        status=lambda: columns.text("Status"),
        message=lambda: columns.text("Message"),
        transfer_status=lambda: columns.text("DTStatus"),
        transfer_message=lambda: columns.text("DTMessage"),
        total_sent=lambda: columns.whole("TotalSent"),
        price_per_byte=lambda: columns.whole("PricePerByte"),
        unseal_price=lambda: columns.whole("UnsealPrice"),
        payment_interval=lambda: columns.whole("PaymentInterval"),
        payment_interval_increase=lambda: columns.whole("PaymentIntervalIncrease"),
        own_peer=lambda: columns.text("LocalPeerID"),
        peer=lambda: columns.text("PeerID"),
        payload=lambda: columns.text("PayloadCID"),
        piece=lambda: columns.text("PieceCID"),
    )
