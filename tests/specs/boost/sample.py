"""Databases as Boost makes them: its tables as its scripts and migrations leave them, and rows.

The main database, the log database and the retrieval log are files of their own; `whole` puts all
tables into one. Times are written as Go's driver writes them.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import pairwise

MAIN = """
CREATE TABLE Deals (
    ID TEXT, CreatedAt DateTime, SignedProposalCID TEXT, DealProposalSignature BLOB, PieceCID TEXT,
    PieceSize INT, IsOffline BOOL, VerifiedDeal BOOL, ClientAddress TEXT, ProviderAddress TEXT,
    Label TEXT, StartEpoch INT, EndEpoch INT, StoragePricePerEpoch TEXT, ProviderCollateral TEXT,
    ClientCollateral TEXT, ClientPeerID TEXT, DealDataRoot TEXT, InboundFilePath TEXT,
    TransferType TEXT, TransferParams BLOB, TransferSize INT, ChainDealID INT, PublishCID TEXT,
    SectorID INT, Offset INT, Length INT, Checkpoint TEXT, Error TEXT, PRIMARY KEY(ID)
) WITHOUT ROWID;
CREATE INDEX index_deals_created_at on Deals(CreatedAt);
CREATE TABLE FundsLogs (DealUUID TEXT, CreatedAt DateTime, Amount TEXT, LogText TEXT);
CREATE TABLE FundsTagged (DealUUID TEXT, CreatedAt DateTime, Collateral TEXT, PubMsg TEXT);
CREATE TABLE StorageLogs (DealUUID TEXT, CreatedAt DateTime, TransferSize TEXT, LogText TEXT);
CREATE TABLE StorageTagged (DealUUID TEXT, CreatedAt DateTime, TransferSize TEXT);
"""
MIGRATIONS = """
ALTER TABLE Deals ADD CheckpointAt DateTime;
ALTER TABLE Deals ADD Retry TEXT;
ALTER TABLE StorageTagged ADD TransferHost TEXT;
ALTER TABLE Deals ADD FastRetrieval BOOL;
ALTER TABLE Deals ADD AnnounceToIPNI BOOL;
ALTER TABLE Deals ADD CleanupData BOOL;
CREATE TABLE ProposalLogs (
    DealUUID TEXT, Accepted BOOL, Reason TEXT, CreatedAt DateTime, ClientAddress TEXT, PieceSize INT
);
CREATE TABLE SectorState (
    MinerID INT, SectorID INT, UpdatedAt DateTime, SealState TEXT, UNIQUE(MinerID, SectorID)
);
CREATE TABLE DirectDeals (
    ID TEXT, CreatedAt DateTime, PieceCID TEXT, PieceSize INT, CleanupData BOOL,
    ClientAddress TEXT, ProviderAddress TEXT, AllocationID INT, StartEpoch INT, EndEpoch INT,
    InboundFilePath TEXT, InboundFileSize INT, SectorID INT, Offset INT, Length INT,
    Checkpoint TEXT, CheckpointAt DateTime, Error TEXT, Retry TEXT, AnnounceToIPNI BOOL,
    KeepUnsealedCopy BOOL, Notifications TEXT, PRIMARY KEY(ID)
);
"""
LOGS = """
CREATE TABLE DealLogs (
    DealUUID TEXT, CreatedAt DateTime, LogLevel TEXT, LogMsg TEXT, LogParams TEXT, Subsystem TEXT
);
CREATE INDEX index_deal_logs_deal_uuid on DealLogs(DealUUID);
"""
RETRIEVALS = """
CREATE TABLE RetrievalDealStates (
    CreatedAt DateTime, UpdatedAt DateTime, LocalPeerID Text, PeerID TEXT, DealID INT,
    TransferID INT, PayloadCID TEXT, PieceCID TEXT, PaymentInterval INT,
    PaymentIntervalIncrease INT, PricePerByte TEXT, UnsealPrice TEXT, Status TEXT, Message TEXT,
    TotalSent INT, DTStatus TEXT, DTMessage TEXT
);
CREATE TABLE RetrievalDataTransferEvents (
    PeerID TEXT, TransferID INT, CreatedAt DateTime, Name TEXT, Message TEXT
);
CREATE TABLE RetrievalMarketEvents (
    PeerID TEXT, DealID INT, CreatedAt DateTime, Name TEXT, Status TEXT, Message TEXT
);
"""

COMPLETED = "0b0d5a6e-1f3c-4a55-9a37-6d6f2f5f0a01"
PAUSED = "4b9f3a10-77d2-4c5e-8d4b-2f0a5b8c7d02"
CANCELLED = "9c8e7d6f-5a4b-4c3d-9e2f-1a0b9c8d7e03"
DIRECT = "d1ec7dea-0001-4abc-8def-0123456789ab"
REJECTED = "deadbeef-0000-4000-8000-000000000004"
CLIENT_PEER = "12D3KooWClientPeerOfTheSampleDatabase"
STALLED_DEAL, DONE_DEAL = 1674000000001, 1674000000002
STALLED_TRANSFER, DONE_TRANSFER = 1674000000011, 1674000000012


def at(minute, second=0, day=18):
    """Return a time in January 2023 as Go's SQLite driver writes it."""
    return f"2023-01-{day} 10:{minute:02}:{second:02}.123456789+00:00"


class Database:
    """One SQLite file of Boost."""

    def __init__(self, path, *scripts):
        self.path = path
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA synchronous = OFF")
            for script in scripts:
                db.executescript(script)

    def add(self, table, **columns):
        """Insert a row."""
        names = ", ".join(columns)
        places = ", ".join("?" for _ in columns)
        self.run(f"INSERT INTO {table} ({names}) VALUES ({places})", *columns.values())

    def run(self, sql, *values):
        """Change something, as Boost does while it runs."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute(sql, values)

    def deal(self, uuid, checkpoint="Accepted", minute=0, error="", retry="auto", **columns):
        """Insert a storage deal."""
        proposal = {
            "PieceCID": f"baga6ea4seaq{uuid[:8]}",
            "PieceSize": 34359738368,
            "IsOffline": 0,
            "VerifiedDeal": 1,
            "ClientAddress": "f1mpvdsilj4dbvp7gmzjbn4i5m5bkmzjzl3pqfy4q",
            "ProviderAddress": "f01000",
            "Label": "'deal",
            "StartEpoch": 2_500_000,
            "EndEpoch": 4_000_000,
            "StoragePricePerEpoch": "25000000",
            "ProviderCollateral": "12345678901234567890123",
            "ClientCollateral": "0",
            "ClientPeerID": CLIENT_PEER,
            "TransferType": "http",
            "TransferParams": b'{"URL":"http://client/car"}',
            "TransferSize": 31_000_000_000,
            "ChainDealID": 0,
            "SectorID": 0,
            "Offset": 0,
            "Length": 0,
        }
        self.add(
            "Deals",
            **{
                **proposal,
                "ID": uuid,
                "CreatedAt": at(0),
                "Checkpoint": checkpoint,
                "CheckpointAt": at(minute),
                "Error": error,
                "Retry": retry,
                **columns,
            },
        )

    def log(self, uuid, minute, message, *params, level="INFO", second=0):
        """Insert a line of a deal's log, its parameters as Boost's logger writes them."""
        told = json.dumps(["id", uuid, *params])
        self.add(
            "DealLogs",
            DealUUID=uuid,
            CreatedAt=at(minute, second),
            LogLevel=level,
            LogMsg=message,
            LogParams=told,
            Subsystem="",
        )

    def reached(self, uuid, minute, before, after):
        """Insert the line that Boost writes at a checkpoint."""
        words = ("old checkpoint", before, "new checkpoint", after)
        self.log(uuid, minute, "updated deal checkpoint in DB", *words)

    def market(self, deal, minute, name, status, message="", second=0):
        """Insert an event of a retrieval deal."""
        self.add(
            "RetrievalMarketEvents",
            PeerID=CLIENT_PEER,
            DealID=deal,
            CreatedAt=at(minute, second),
            Name=name,
            Status=status,
            Message=message,
        )

    def transfer(self, transfer, minute, name, message="", second=0):
        """Insert an event of a data transfer."""
        self.add(
            "RetrievalDataTransferEvents",
            PeerID=CLIENT_PEER,
            TransferID=transfer,
            CreatedAt=at(minute, second),
            Name=name,
            Message=message,
        )

    def retrieval(self, deal, transfer, status, **columns):
        """Insert the row of a retrieval."""
        row = {
            "CreatedAt": at(0),
            "UpdatedAt": at(9),
            "LocalPeerID": "12D3KooWProviderPeer",
            "PeerID": CLIENT_PEER,
            "DealID": deal,
            "TransferID": transfer,
            "PayloadCID": "bafybeipayload",
            "PieceCID": "",
            "PaymentInterval": 1_048_576,
            "PaymentIntervalIncrease": 1_048_576,
            "PricePerByte": "2",
            "UnsealPrice": "0",
            "Status": f"DealStatus{status}",
            "Message": "",
            "TotalSent": 0,
            "DTStatus": "",
            "DTMessage": "",
        }
        self.add("RetrievalDealStates", **{**row, **columns})


def fill_deals(main, logs):
    """Three storage deals, a direct deal and a rejected proposal."""
    line = ["Accepted", "Transferred", "Published", "PublishConfirmed", "AddedPiece"]
    line.append("IndexedAndAnnounced")
    main.deal(
        COMPLETED,
        "IndexedAndAnnounced",
        5,
        ChainDealID=20442,
        PublishCID="bafypublish",
        SectorID=77,
        Length=34359738368,
    )
    logs.log(COMPLETED, 0, "deal execution initiated", second=1)
    for minute, (before, after) in enumerate(pairwise(line), 1):
        logs.reached(COMPLETED, minute, before, after)
    logs.log(COMPLETED, 8, "deal sealing reached termination state")
    main.add("FundsLogs", DealUUID=COMPLETED, CreatedAt=at(0), Amount="500", LogText="Tag")
    main.add("StorageLogs", DealUUID=COMPLETED, CreatedAt=at(0), TransferSize="9", LogText="Tag")
    error = "recoverable error to publish deal: not enough funds"
    main.deal(PAUSED, "Transferred", 2, error=error, retry="manual")
    logs.log(PAUSED, 0, "deal execution initiated", second=1)
    logs.reached(PAUSED, 2, "Accepted", "Transferred")
    words = ("err", error, "checkpoint", "Transferred", "retry", "manual")
    logs.log(PAUSED, 3, "deal paused because of recoverable error", *words)
    main.deal(CANCELLED, "Complete", 1, error="Cancelled", retry="fatal")
    logs.log(CANCELLED, 0, "deal execution initiated", second=1)
    logs.log(CANCELLED, 1, "deal data transfer cancelled by user")
    logs.log(CANCELLED, 1, "deal cancelled by user", second=1)
    logs.log(CANCELLED, 1, "cleaning up deal", second=2)
    main.add(
        "DirectDeals",
        ID=DIRECT,
        CreatedAt=at(0),
        PieceCID="baga6direct",
        PieceSize=34359738368,
        ClientAddress="f1mpvdsilj4dbvp7gmzjbn4i5m5bkmzjzl3pqfy4q",
        ProviderAddress="f01000",
        AllocationID=31337,
        StartEpoch=2_500_000,
        EndEpoch=4_000_000,
        Checkpoint="AddedPiece",
        CheckpointAt=at(4),
        Error="",
        Retry="auto",
    )
    for uuid, accepted, reason in ((COMPLETED, 1, ""), (REJECTED, 0, "no space left")):
        main.add("ProposalLogs", DealUUID=uuid, Accepted=accepted, Reason=reason, CreatedAt=at(0))


def fill_retrievals(log):
    """A free retrieval that ended well, and a paid one that stalled for want of money."""
    log.retrieval(DONE_DEAL, DONE_TRANSFER, "Completed", TotalSent=1024, DTStatus="Completed")
    for second, (name, status) in enumerate(
        [
            ("Open", "New"),
            ("DealAccepted", "Unsealing"),
            ("UnsealComplete", "Unsealed"),
            ("Complete", "Completing"),
            ("CleanupComplete", "Completed"),
        ]
    ):
        log.market(DONE_DEAL, 1, f"ProviderEvent{name}", f"DealStatus{status}", second=second)
    events = ["Open", "Accept", "TransferInitiated", "DataSent", "FinishTransfer"]
    for second, name in enumerate([*events, "Complete", "CleanupComplete"]):
        log.transfer(DONE_TRANSFER, 1, name, second=second)
    log.retrieval(
        STALLED_DEAL, STALLED_TRANSFER, "FundsNeeded", TotalSent=1_048_576, DTStatus="Ongoing"
    )
    for second, (name, status) in enumerate(
        [
            ("Open", "New"),
            ("DealAccepted", "Unsealing"),
            ("UnsealComplete", "Unsealed"),
            ("ProcessPayment", "Ongoing"),
            ("PaymentRequested", "FundsNeeded"),
        ]
    ):
        log.market(STALLED_DEAL, 2, f"ProviderEvent{name}", f"DealStatus{status}", second=second)


def whole(path):
    """Return a database with all tables and the sample's rows."""
    database = Database(path, MAIN, MIGRATIONS, LOGS, RETRIEVALS)
    fill_deals(database, database)
    fill_retrievals(database)
    return database
