"""One flipped bit anywhere: harmless or reported, never served as good. Promise 2.

Every bit of a minimal tape; of larger ones a seeded sample. STATETAPE_FLIPS sets how many are drawn
(`make crash` draws many), STATETAPE_SEED which, and STATETAPE_ALL_FLIPS=1 flips every bit of every
file (about half an hour on each core).
"""

from __future__ import annotations

import gc
import os
import signal
import sqlite3
import struct
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing import get_context
from pathlib import Path
from random import Random

import pytest
from statetape.fsm.errors import StatetapeError

from .damage import InMemory, Tally, Whole, fast_directory, flipped, verdict
from .tapes import long_tape, minimal_tape, seeded, served, small_tape
from .vectors import ROOT

ALL = "STATETAPE_ALL_FLIPS" in os.environ
FLIPS = int(os.environ.get("STATETAPE_FLIPS", "400"))
PAGE = 4096
FILE_HEADER = 100
HEADER_BITS = 8 * FILE_HEADER
MINIMAL_PAGE = 512
PIECES = len(os.sched_getaffinity(0))
CLOSELY_EVERY = 20
"""After one in so many harmless flips everything that is served is asked for; after the others the
rows are compared. In the file's header always."""


def where(bit: int) -> str:
    return f"bit {bit}: page {bit // 8 // PAGE + 1}, byte {bit // 8 % PAGE}"


def sample(content: bytes, count: int, rng: Random) -> list[int]:
    """Some bits of the header, and `count` others: half of them where there is content."""
    used = [place for place, byte in enumerate(content) if byte]
    anywhere = [rng.randrange(len(content) * 8) for _ in range(count // 2)]
    return [
        *rng.sample(range(HEADER_BITS), min(HEADER_BITS, count // 8)),
        *anywhere,
        *(rng.choice(used) * 8 + rng.randrange(8) for _ in range(count - count // 2)),
    ]


def judged(make: str, target: str, bits: Iterable[int]) -> Tally:
    """Flip each of `bits` of the file `target` of a fresh tape, and judge what follows."""
    tally = Tally()
    with fast_directory() as folder:
        path = folder / "t.db"
        MAKERS[make](path)
        whole = Whole(path)
        content = whole.files["-wal" if target == "wal" else ""]
        for number, bit in enumerate(bits):
            whole.restore(path, **{target: flipped(content, bit)})
            closely = bit < HEADER_BITS or number % CLOSELY_EVERY == 0
            tally.add(where(bit), verdict(path, whole, closely=closely))
    return tally


def campaign(make: str, target: str, count: int) -> Tally:
    """Judge a sample of the flips, or all of them on all cores."""
    with fast_directory() as folder:
        path = folder / "t.db"
        MAKERS[make](path)
        content = Path(f"{path}-wal" if target == "wal" else path).read_bytes()
    if not ALL:
        return judged(make, target, sample(content, count, seeded(f"{make} {target}")))
    tally = Tally()
    bits = range(len(content) * 8)
    pieces = [bits[start : start + 20_000] for start in range(0, len(bits), 20_000)]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for piece in pool.map(judged, [make] * len(pieces), [target] * len(pieces), pieces):
            tally.merge(piece)
    return tally


KILLED = """
import os, sys
from pathlib import Path
from tests.storage.tapes import open_engine, small_tape
path = Path(sys.argv[1])
small_tape(path)
engine = open_engine(path)
for name in "abc":
    engine.send(f"tests.gate/{name}", "visit", {"text": "into the WAL"}, key="k9")
engine.flush()
engine.anchor()
os.kill(os.getpid(), 9)
"""


def killed_tape(path: Path) -> None:
    """A tape whose process was killed after it anchored: the newest entries are in the WAL."""
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL


MAKERS = {"small": small_tape, "long": long_tape, "killed": killed_tape}


def gaps(content: bytes) -> list[range]:
    """The places in each page between its list of cells and its first cell: SQLite reads none."""
    found = []
    for start in range(0, len(content), MINIMAL_PAGE):
        head = start or FILE_HEADER
        kind, _, cells, first = struct.unpack_from(">BHHH", content, head)
        if kind in (2, 5, 10, 13):
            listed = head + (12 if kind in (2, 5) else 8) + 2 * cells
            found.append(range(listed, start + first))
    return found


def swept(bits: range) -> Tally:
    """Flip each of these bits of a minimal tape's file."""
    tally = Tally()
    with fast_directory() as folder:
        path = folder / "t.db"
        minimal_tape(path)
        content = path.read_bytes()
        unread = {place for gap in gaps(content) for place in gap} if not ALL else set()
        judge = InMemory(path)
        for bit in bits:
            if bit >> 3 not in unread:
                tally.add(where(bit), judge.verdict(flipped(content, bit)))
    return tally


def test_every_flip_of_a_minimal_tape_is_harmless_or_reported():
    """All of them; those between a page's cells, which nothing reads, all at once."""
    rng = seeded("minimal")
    tally = Tally()
    with fast_directory() as folder, ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        path = folder / "t.db"
        minimal_tape(path)
        content = path.read_bytes()
        rest = range(HEADER_BITS, len(content) * 8)
        pieces = pool.map(swept, [rest[start::PIECES] for start in range(PIECES)])
        judge = InMemory(path)
        for _ in range(20):
            noisy = bytearray(content)
            for gap in gaps(content):
                noisy[gap.start : gap.stop] = rng.randbytes(len(gap))
            assert judge.verdict(bytes(noisy)) == "harmless"
        whole = Whole(path)
        for bit in range(HEADER_BITS):
            whole.restore(path, tape=flipped(content, bit))
            tally.add(where(bit), verdict(path, whole, closely=False))
        for piece in pieces:
            tally.merge(piece)
    print(tally)

    assert not tally.bad, str(tally)
    unread = sum(map(len, gaps(content))) * 8
    assert tally.counts.total() == len(content) * 8 - (0 if ALL else unread)
    assert tally.counts["reported"] > 0.9 * (len(content) * 8 - unread)


def test_every_flip_of_the_file_is_harmless_or_reported():
    """Header, schema, entries, checkpoints, signer, projections, indexes, and the space between."""
    tally = campaign("small", "tape", FLIPS)
    print(tally)

    assert not tally.bad, str(tally)
    assert tally.counts["reported"] > 100
    assert tally.counts["harmless"] > 100


def test_every_flip_of_a_tape_with_tree_nodes_is_harmless_or_reported():
    """The same with 300 entries and a stored node."""
    tally = campaign("long", "tape", FLIPS // 2)
    print(tally)

    assert not tally.bad, str(tally)


def test_every_flip_of_a_wal_left_behind_is_harmless_or_reported():
    """SQLite stops at the first bad frame and says nothing; the anchor remembers the tail."""
    tally = campaign("killed", "wal", FLIPS // 2)
    print(tally)

    assert not tally.bad, str(tally)
    assert tally.counts["reported"] > 100


def test_every_flip_of_the_file_under_a_wal_is_harmless_or_reported():
    """The file of a killed process: some of its pages are newer in the WAL."""
    tally = campaign("killed", "tape", FLIPS // 2)
    print(tally)

    assert not tally.bad, str(tally)


def test_sqlite_s_own_check_misses_most_flips_of_entries():
    """Negative control: PRAGMA integrity_check is no check of content."""
    rng = seeded("control")
    missed = 0
    with fast_directory() as folder:
        path = folder / "t.db"
        small_tape(path)
        content = path.read_bytes()
        texts = [content.index(b"early"), content.index(b"owner of b"), content.index(b"late")]
        for _ in range(200):
            bit = (rng.choice(texts) + rng.randrange(4)) * 8 + rng.randrange(6)
            path.write_bytes(flipped(content, bit))
            with closing(sqlite3.connect(path)) as db:
                missed += db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]

    assert missed > 180


def test_a_wal_that_no_anchor_covers_loses_its_tail_unnoticed():
    """Negative control: without the anchor, flips of a WAL would silently shorten history."""
    rng = seeded("tail")
    shorter = 0
    with fast_directory() as folder:
        path = folder / "t.db"
        killed_tape(path)
        whole = Whole(path)
        wal = whole.files["-wal"]
        full = whole.answers["size"]
        for _ in range(50):
            whole.restore(path, wal=flipped(wal, rng.randrange(len(wal) * 8)))
            with closing(sqlite3.connect(path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
                shorter += db.execute("SELECT max(pos) FROM entry").fetchone()[0] < full

    assert shorter > 5


@contextmanager
def deadline(seconds: float):
    """Raise TimeoutError when the block takes longer."""

    def late(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def unverified(path: Path, whole: Whole) -> str:
    """What is served from a damaged tape that nobody verified: "same", "refused", or what is wrong.

    A command whose idempotency key was damaged may be taken again: only `verify` sees that.
    """
    try:
        with deadline(1):
            answers = served(path)
    except StatetapeError:
        return "refused"
    except Exception as error:
        return f"raised {type(error).__name__}"
    finally:
        gc.collect()  # what was open when it failed must be closed before the file changes again
    history = [name for name in ("export", "shown", "history", "heads") if name in answers]
    different = [name for name in history if answers[name] != whole.answers[name]]
    return f"served otherwise: {different}" if different else "same"


def used_bits(page: bytes, number: int) -> list[int]:
    """The bits of a page's bytes that are not zero."""
    base = (number - 1) * PAGE
    return [(base + i) * 8 + bit for i, byte in enumerate(page[:PAGE]) if byte for bit in range(8)]


def root_page(path: Path, name: str) -> int:
    """The number of a table's or index's first page."""
    with closing(sqlite3.connect(path)) as db:
        sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
        return db.execute(sql, (name,)).fetchone()[0]


@pytest.mark.parametrize(
    "place", ["anywhere", "instance_timers", "history", "sqlite_autoindex_instance_1", "entry"]
)
def test_a_damaged_tape_that_nobody_verified_serves_what_was_written_or_refuses(place):
    """Export, state, history and heads; no other error, and no endless search."""
    rng = seeded(f"unverified {place}")
    tally: dict[str, list[str]] = {}
    with fast_directory() as folder:
        path = folder / "t.db"
        small_tape(path)
        number = 0 if place == "anywhere" else root_page(path, place)
        whole = Whole(path)
        content = whole.files[""]
        if number:
            bits = used_bits(content[(number - 1) * PAGE :], number)
            bits = rng.sample(bits, min(len(bits), FLIPS // 8))
        else:
            bits = sample(content, FLIPS // 8, rng)
        gc.collect()
        gc.freeze()
        for bit in bits:
            whole.restore(path, tape=flipped(content, bit))
            bits_so_far = tally.setdefault(unverified(path, whole), [])
            bits_so_far.append(where(bit))
            if len(tally.get("raised TimeoutError", ())) == 3:
                break
        gc.unfreeze()
    counts = {what: len(bits) for what, bits in tally.items()}
    print(counts)

    wrong = {what: bits[:3] for what, bits in tally.items() if what not in ("same", "refused")}
    assert not wrong, (counts, wrong)
