"""A database of Boost onto a tape: its deals and retrievals with their histories."""

from __future__ import annotations

import pytest
from statetape.engine.engine import Engine
from statetape.engine.importing import import_foreign
from statetape.engine.replay import Replayer
from statetape.fsm.entry import decode
from statetape.fsm.moments import parse_time
from statetape.specs.boost.imports import IMPORTERS
from statetape.storage.foreign import ForeignInvalid

from .sample import (
    CANCELLED,
    CLIENT_PEER,
    COMPLETED,
    DIRECT,
    DONE_DEAL,
    DONE_TRANSFER,
    LOGS,
    MAIN,
    MIGRATIONS,
    PAUSED,
    REJECTED,
    RETRIEVALS,
    STALLED_DEAL,
    STALLED_TRANSFER,
    Database,
    at,
    fill_deals,
    fill_retrievals,
    whole,
)

CHECKPOINTS = ["Transferred", "Published", "PublishConfirmed", "AddedPiece", "IndexedAndAnnounced"]


class Tape:
    """A tape, and databases that are imported onto it."""

    def __init__(self, folder):
        self.folder = folder
        self.engine = Engine.open(folder / "t.db")

    def take(self, database):
        """Import a database."""
        return import_foreign(self.engine, IMPORTERS["boost"], database.path)

    def instance(self, name):
        """Return an instance."""
        return self.engine.world.instance(name)

    def entries(self, name):
        """Return an instance's entries, its beginning first."""
        pos = self.instance(name).pos
        bodies = map(decode, self.engine.tape.read(), iter(lambda: "test", None))
        return [entry for entry in bodies if pos in (entry.instance, entry.pos)]

    def events(self, name, *wanted):
        """Return the events of an instance, or those of them that are wanted."""
        told = [entry.event for entry in self.entries(name)[1:]]
        return [event for event in told if event in wanted] if wanted else told

    def refused(self):
        """Return every refused event."""
        bodies = map(decode, self.engine.tape.read(), iter(lambda: "test", None))
        return [(entry.event, entry.reason["kind"]) for entry in bodies if entry.outcome]


@pytest.fixture
def tape(tmp_path):
    """An empty tape."""
    made = Tape(tmp_path)
    yield made
    made.engine.close()


@pytest.fixture
def sample(tmp_path):
    """A database with everything in it."""
    return whole(tmp_path / "boost.db")


def storage(uuid):
    """Name a storage deal."""
    return f"boost.storage_deal/{uuid}"


def test_a_completed_deal_has_its_checkpoints_at_their_times(tape, sample):
    """They stand in its log alone: the row holds the last."""
    done = tape.take(sample)
    entries = tape.entries(storage(COMPLETED))
    reached = [(entry.event, entry.at) for entry in entries if entry.event in CHECKPOINTS]

    assert done.whole
    assert reached == [
        (name, parse_time(f"2023-01-18T10:{minute:02}:00.123456Z"))
        for minute, name in enumerate(CHECKPOINTS, 1)
    ]
    assert entries[0].at == parse_time("2023-01-18T10:00:00.123456Z")
    data = tape.instance(storage(COMPLETED)).data
    assert (data["chain_deal"], data["sector"], data["sealed"]) == ("20442", "77", True)
    assert data["provider_collateral"] == 12345678901234567890123


def test_a_paused_deal_says_what_it_waits_for(tape, sample):
    """The error, who has to act, and where it goes on."""
    tape.take(sample)
    paused = tape.instance(storage(PAUSED))

    assert paused.state == "Paused"
    assert (paused.data["checkpoint"], paused.data["retry"]) == ("Transferred", "manual")
    assert paused.data["error"].endswith("not enough funds")


def test_a_cancelled_deal_is_not_a_completed_one(tape, sample):
    """Boost keeps both at the checkpoint Complete."""
    tape.take(sample)

    assert tape.instance(storage(CANCELLED)).state == "Cancelled"
    assert tape.events(storage(CANCELLED), "CancelRequested", "Cancelled") == [
        "CancelRequested",
        "Cancelled",
    ]


def test_a_direct_deal_is_another_machine(tape, sample):
    """Nothing of it is published; its allocation is."""
    tape.take(sample)
    direct = tape.instance(f"boost.direct_deal/{DIRECT}")

    assert (direct.state, direct.data["allocation"]) == ("AddedPiece", "31337")


def test_what_was_written_down_about_a_deal_is_beside_it(tape, sample):
    """Log, funds, storage and proposal; each knows the deal, and a rejected one has none."""
    tape.take(sample)
    log = f"boost.deal_log/{COMPLETED}"
    [line, *_] = [entry for entry in tape.entries(log) if entry.event == "Log"]

    assert tape.events(log, "Funds", "Storage", "Proposal") == ["Funds", "Storage", "Proposal"]
    assert line.params["message"] == "deal execution initiated"
    assert line.params["parameters"] == f'["id", "{COMPLETED}"]'
    assert tape.instance(log).data["deal"] == storage(COMPLETED)
    [rejected] = tape.entries(f"boost.deal_log/{REJECTED}")[1:]
    assert (rejected.event, rejected.params["reason"]) == ("Proposal", "no space left")


def test_a_retrieval_is_tied_to_its_deal_and_its_transfer(tape, sample):
    """Rows, deal events and transfer events of one retrieval are one story."""
    tape.take(sample)
    retrieval = tape.instance(f"boost.retrieval/{CLIENT_PEER}.{DONE_DEAL}")
    parts = [
        f"boost.market_deal/{CLIENT_PEER}.{DONE_DEAL}",
        f"boost.data_transfer/{CLIENT_PEER}.{DONE_TRANSFER}",
    ]

    assert (retrieval.state, list(retrieval.data["parts"])) == ("Completed", parts)
    assert [tape.instance(part).state for part in parts] == ["DealStatusCompleted", "Completed"]
    assert [tape.instance(part).data["retrieval"] for part in parts] == [retrieval.name] * 2
    assert tape.refused() == []


def test_a_stalled_retrieval_stands_where_it_stalled(tape, sample):
    """Blocks that Boost does not record show in what follows them; the money due is known."""
    tape.take(sample)
    deal = f"boost.market_deal/{CLIENT_PEER}.{STALLED_DEAL}"
    row = tape.instance(f"boost.retrieval/{CLIENT_PEER}.{STALLED_DEAL}")

    assert tape.instance(deal).state == "DealStatusFundsNeeded"
    assert tape.events(deal)[-3:] == [
        "ProviderEventBlockSent",
        "ProviderEventProcessPayment",
        "ProviderEventPaymentRequested",
    ]
    assert tape.refused() == []
    assert (row.state, row.data["total_sent"], row.data["price_per_byte"]) == ("Open", 1_048_576, 2)


def market_deal(tape, *rows):
    """Import a database with one deal's events, and return the deal's name."""
    database = Database(tape.folder / "retrievals.db", RETRIEVALS)
    for second, (name, status) in enumerate(rows):
        database.market(7, 1, name, status, second=second)
    done = tape.take(database)
    return f"boost.market_deal/{CLIENT_PEER}.7", done


def test_a_status_that_the_table_does_not_lead_to_is_a_finding(tape):
    """Both are kept, what the table makes of it and what Boost recorded; it goes on from there."""
    name, _ = market_deal(
        tape,
        ("ProviderEventOpen", "DealStatusNew"),
        ("ProviderEventDealAccepted", "DealStatusOngoing"),
        ("ProviderEventPaymentRequested", "DealStatusFundsNeeded"),
    )
    found = [entry for entry in tape.entries(name) if entry.event == "Found"]

    assert [entry.params for entry in found] == [
        {
            "found": "DealStatusOngoing",
            "why": "Boost recorded DealStatusOngoing after ProviderEventDealAccepted; from "
            "DealStatusNew the table leads to DealStatusUnsealing",
        }
    ]
    assert tape.instance(name).state == "DealStatusFundsNeeded"
    assert tape.refused() == []


def test_an_event_that_the_table_does_not_take_is_a_finding(tape):
    """It is refused with what would have been taken, and the record is followed."""
    name, done = market_deal(
        tape,
        ("ProviderEventOpen", "DealStatusNew"),
        ("ProviderEventCleanupComplete", "DealStatusCompleted"),
        ("ProviderEventOfTheFuture", "DealStatusErrored"),
    )

    assert tape.refused()[0] == ("ProviderEventCleanupComplete", "no_transition")
    assert tape.refused()[1] == ("ProviderEventOfTheFuture", "undeclared_event")
    assert tape.instance(name).state == "DealStatusCompleted"
    assert done.refused == len(tape.refused()) == 3


def test_a_deal_whose_first_rows_are_gone_begins_where_the_file_does(tape):
    """With a warning that names the row; nothing is made up for what went before."""
    name, done = market_deal(
        tape,
        ("ProviderEventPaymentRequested", "DealStatusFundsNeeded"),
        ("ProviderEventPaymentReceived", "DealStatusOngoing"),
    )

    assert tape.entries(name)[0].to == "DealStatusFundsNeeded"
    assert tape.events(name) == ["ProviderEventPaymentReceived"]
    assert done.warnings == 1


def test_an_unknown_status_is_a_warning(tape):
    """The event is decided by the table."""
    name, done = market_deal(tape, ("ProviderEventOpen", "DealStatusOfTheFuture"))

    assert tape.instance(name).state == "DealStatusNew"
    assert "DealStatusOfTheFuture" in done.notes[0].message


def test_a_transfer_whose_row_says_otherwise_is_a_finding(tape):
    """Its events lead to one status, its row holds another."""
    database = Database(tape.folder / "retrievals.db", RETRIEVALS)
    database.retrieval(STALLED_DEAL, STALLED_TRANSFER, "Ongoing", DTStatus="Cancelled")
    for second, event in enumerate(["Open", "Accept", "TransferInitiated"]):
        database.transfer(STALLED_TRANSFER, 1, event, second=second)
    tape.take(database)
    transfer = f"boost.data_transfer/{CLIENT_PEER}.{STALLED_TRANSFER}"

    assert tape.instance(transfer).state == "Cancelled"
    assert tape.entries(transfer)[-1].params["why"] == (
        "Boost recorded Cancelled; its events lead to Ongoing"
    )


def test_a_second_import_adds_nothing(tape, sample):
    """And every outcome follows from what was recorded."""
    first = tape.take(sample)
    again = tape.take(sample)

    assert first.added > 0
    assert (again.added, again.duplicates, again.whole) == (0, first.added, True)
    assert Replayer().run(tape.engine.tape.read()).difference is None


def test_a_database_that_moved_on_adds_what_is_new(tape, sample):
    """A checkpoint with its line, and then a line alone."""
    tape.take(sample)
    sample.run("UPDATE Deals SET Checkpoint = 'Published', Error = '' WHERE ID = ?", PAUSED)
    sample.run("UPDATE Deals SET CheckpointAt = ?, Retry = 'auto' WHERE ID = ?", at(22), PAUSED)
    sample.log(PAUSED, 20, "user initiated deal retry", "checkpoint", "Transferred")
    sample.log(PAUSED, 20, "deal execution initiated", second=1)
    sample.reached(PAUSED, 22, "Transferred", "Published")
    moved = tape.take(sample)
    sample.log(PAUSED, 23, "awaiting deal publish confirmation")
    talked = tape.take(sample)

    assert tape.events(storage(PAUSED))[-3:] == ["Retried", "Started", "Published"]
    assert tape.instance(storage(PAUSED)).state == "Published"
    assert (moved.added, talked.added) == (6, 1)


def test_a_row_that_moved_on_without_its_log_moves_the_deal(tape):
    """The log may be in another file, or its lines removed."""
    database = Database(tape.folder / "boost.db", MAIN, MIGRATIONS)
    database.deal(PAUSED, "Accepted")
    tape.take(database)
    changes = [
        ("Checkpoint = 'Transferred', CheckpointAt = ?", at(1), "Transferred"),
        ("Error = 'no funds', Retry = ?", "manual", "Paused"),
        ("Error = '', Retry = 'auto', CheckpointAt = ?", at(2), "Transferred"),
        ("Error = 'user manually terminated the deal', Checkpoint = ?", "Complete", "Failed"),
    ]
    states = []
    for change, value, _ in changes:
        database.run(f"UPDATE Deals SET {change} WHERE ID = ?", value, PAUSED)
        tape.take(database)
        states.append(tape.instance(storage(PAUSED)).state)

    assert states[:2] == ["Transferred", "Paused"]
    assert states[3] == "Failed"
    assert tape.events(storage(PAUSED), "FailedPaused") == ["FailedPaused"]


@pytest.mark.parametrize("first", ["main", "logs"])
def test_boosts_own_files_may_come_in_any_order(tape, first):
    """Main database, logs and retrievals are three files; nothing is refused."""
    main = Database(tape.folder / "boost.db", MAIN, MIGRATIONS)
    logs = Database(tape.folder / "boost.logs.db", LOGS)
    retrievals = Database(tape.folder / "retrievals.db", RETRIEVALS)
    fill_deals(main, logs)
    fill_retrievals(retrievals)
    order = [main, logs, retrievals] if first == "main" else [logs, retrievals, main]
    added = sum(tape.take(database).added for database in order)
    again = sum(tape.take(database).added for database in order)

    assert (added > 50, again, tape.refused()) == (True, 0, [])
    assert tape.instance(storage(COMPLETED)).state == "IndexedAndAnnounced"
    assert tape.instance(storage(CANCELLED)).state == "Cancelled"
    assert tape.events(f"boost.deal_log/{PAUSED}", "Log") == ["Log"] * 3


def test_a_database_that_lost_old_rows_adds_nothing_twice(tape, sample):
    """Boost removes old log lines and old retrieval rows."""
    tape.take(sample)
    sample.run("DELETE FROM DealLogs WHERE CreatedAt < ?", at(3))
    sample.run("DELETE FROM RetrievalMarketEvents WHERE Name = 'ProviderEventOpen'")
    sample.run("DELETE FROM RetrievalDataTransferEvents WHERE Name = 'Open'")
    sample.run("VACUUM")
    again = tape.take(sample)

    assert (again.added, again.refused) == (0, 0)


OLD_LOGS = """
CREATE TABLE DealLogs (
    DealUUID TEXT, CreatedAt DateTime, LogLevel TEXT, LogMsg TEXT, LogParams TEXT
);
"""


def test_an_older_version_of_boost_is_read(tape):
    """Without the columns and tables that came later, and with its way of writing a line."""
    database = Database(tape.folder / "old.db", MAIN, OLD_LOGS)
    database.run(
        "INSERT INTO Deals (ID, CreatedAt, Checkpoint, Error) VALUES (?, ?, 'Complete', 'no disk')",
        PAUSED,
        at(0),
    )
    said = "boost-storage-deal:updated deal checkpoint in DB"
    failed = "boost-storage-deal:msg: deal failed, err: no disk"
    told = '[["old checkpoint", "Accepted", "new checkpoint", "Transferred"]]'
    for minute, (message, params) in enumerate(((said, told), (failed, None)), 1):
        database.add(
            "DealLogs",
            DealUUID=PAUSED,
            CreatedAt=at(minute),
            LogLevel="INFO",
            LogMsg=message,
            LogParams=params,
        )
    tape.take(database)

    assert tape.events(storage(PAUSED))[-2:] == ["Transferred", "Failed"]
    assert tape.instance(storage(PAUSED)).data["error"] == "no disk"


def test_a_file_with_none_of_the_tables_is_refused_by_name(tape):
    """Which they are is said; nothing is recorded."""
    other = Database(tape.folder / "other.db", "CREATE TABLE deal (id)")
    size = tape.engine.tape.size

    with pytest.raises(ForeignInvalid, match="none of the tables Deals, DirectDeals"):
        tape.take(other)
    assert tape.engine.tape.size == size


def test_a_view_where_a_table_should_be_is_refused_before_anything_is_recorded(tape, sample):
    """Also where other tables are what they should be."""
    sample.run("DROP TABLE ProposalLogs")
    sample.run("CREATE VIEW ProposalLogs AS SELECT ID AS DealUUID FROM Deals")
    size = tape.engine.tape.size

    with pytest.raises(ForeignInvalid, match="ProposalLogs is no ordinary table"):
        tape.take(sample)
    assert tape.engine.tape.size == size


HOSTILE = [
    b"\xff\xfe",
    None,
    -1,
    2**62,
    3.5,
    "x" * 100_000,
    "\x00\n\t",
    "9" * 5_000,
    "0001-01-01 00:00:00+00:00",
]


@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:12])
def test_a_value_of_the_wrong_kind_costs_that_value_alone(tape, sample, value):
    """In any column of any table: the rest of the row, and every other row, is imported."""
    for table, columns in IMPORTERS["boost"].tables.items():
        for column in columns:
            if column not in ("ID", "DealUUID", "PeerID"):
                sample.add(table, **{**keys(table, column), column: value})
    done = tape.take(sample)

    assert tape.instance(storage(COMPLETED)).state == "IndexedAndAnnounced"
    assert tape.instance(storage("hostile-Label")).data["checkpoint"] == "Accepted"
    assert tape.instance(f"boost.market_deal/{CLIENT_PEER}.{DONE_DEAL}").state.endswith("Completed")
    assert done.read == done.added + done.duplicates
    assert {kind for _, kind in tape.refused()} <= KINDS


KINDS = {"no_transition", "undeclared_event", "terminated"}
"""What a machine may say to an event or a status that is none; never that it was told nonsense."""


def keys(table, column):
    """Return what names a row of a table."""
    if table in ("Deals", "DirectDeals"):
        return {"ID": f"hostile-{column}"}
    return {"PeerID": "hostile"} if table.startswith("Retrieval") else {"DealUUID": "hostile"}


@pytest.mark.parametrize("key", [b"\x00\x01", None, "", "a\nb", "x" * 500, "a b/c"])
def test_a_key_that_names_nothing_is_noted(tape, key):
    """Octets, nothing, a line break: such a row is left out with its place."""
    database = Database(tape.folder / "boost.db", MAIN, MIGRATIONS, LOGS)
    database.run("INSERT INTO DealLogs (DealUUID, LogMsg) VALUES (?, 'x')", key)
    done = tape.take(database)
    named = isinstance(key, str) and key.isprintable() and 0 < len(key) < 200

    assert done.left_out == (0 if named else 1)
    assert done.refused == 0
