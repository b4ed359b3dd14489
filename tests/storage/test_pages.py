"""Whole pages that are not what was written: misdirected, lost, repeated or old writes."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from .damage import Tally, Whole, fast_directory, reports, verdict
from .tapes import append, long_tape, new_tape, open_engine, seeded, served, small_tape

PAGE = 4096


def judged(path: Path, damaged: dict[str, bytes], *, closely: bool = False) -> Tally:
    """Judge the tape at `path` with each of these contents in the place of its own."""
    whole = Whole(path)
    tally = Tally()
    for what, content in damaged.items():
        whole.restore(path, tape=content)
        tally.add(what, verdict(path, whole, closely=closely))
    print(tally)
    return tally


def pages(content: bytes) -> list[bytes]:
    return [content[start : start + PAGE] for start in range(0, len(content), PAGE)]


@pytest.fixture
def path():
    """Where the test's tape lies."""
    with fast_directory() as folder:
        yield folder / "t.db"


@pytest.mark.parametrize("make", [small_tape, long_tape])
def test_two_pages_in_each_other_s_place_are_reported(path, make):
    """Every pair that differs: the pages of two empty tables are the same bytes."""
    make(path)
    before = pages(path.read_bytes())
    damaged = {}
    for one, other in combinations(range(len(before)), 2):
        if before[one] == before[other]:
            continue
        swapped = before.copy()
        swapped[one], swapped[other] = before[other], before[one]
        damaged[f"pages {one + 1} and {other + 1}"] = b"".join(swapped)

    tally = judged(path, damaged)
    assert not tally.bad, str(tally)
    assert tally.counts == {"reported": len(damaged)}


@pytest.mark.parametrize("make", [small_tape, long_tape])
def test_a_page_in_the_place_of_another_is_reported(path, make):
    """A misdirected write: the page stands where it belongs and also where it does not."""
    make(path)
    before = pages(path.read_bytes())
    damaged = {}
    for source in range(len(before)):
        for target in range(len(before)):
            if before[source] != before[target]:
                changed = before.copy()
                changed[target] = before[source]
                damaged[f"page {source + 1} over {target + 1}"] = b"".join(changed)

    tally = judged(path, damaged)
    assert not tally.bad, str(tally)
    assert tally.counts == {"reported": len(damaged)}


@pytest.mark.parametrize("fill", [b"\x00", b"\xff", b"a"])
def test_an_overwritten_page_or_sector_is_reported(path, fill):
    """Each page, and each 512-byte sector that holds anything."""
    small_tape(path)
    content = path.read_bytes()
    damaged = {
        f"{size} bytes at {at}": content[:at] + fill * size + content[at + size :]
        for size in (PAGE, 512)
        for at in range(0, len(content), size)
        if content[at : at + size].strip(b"\x00")
    }

    tally = judged(path, damaged)
    assert not tally.bad, str(tally)
    assert tally.counts == {"reported": len(damaged)}


def test_a_page_as_it_was_before_is_reported(path):
    """A lost write: each page that changed since, alone and all but one."""
    with open_engine(path) as engine:
        engine.tape.move_wal(whole=True)
    small_tape(path)
    older = pages(path.read_bytes())
    with open_engine(path) as engine:
        for name in "abc":
            engine.send(f"tests.gate/{name}", "visit", {"text": "newer"}, key="k9")
        engine.observe("chain", 11)
    newer = pages(path.read_bytes())
    changed = [n for n, page in enumerate(newer) if n >= len(older) or page != older[n]]
    damaged = {}
    for number in changed:
        if number < len(older):
            lost = newer.copy()
            lost[number] = older[number]
            damaged[f"page {number + 1} is old"] = b"".join(lost)
            kept = older + newer[len(older) :]
            kept[number] = newer[number]
            damaged[f"page {number + 1} alone is new"] = b"".join(kept)

    tally = judged(path, damaged)
    assert not tally.bad, str(tally)
    assert tally.counts["reported"] >= len(changed)


def test_a_shortened_file_is_reported(path):
    """At each page, and in the middle of each."""
    small_tape(path)
    content = path.read_bytes()
    damaged = {f"{size} bytes": content[:size] for size in range(0, len(content), PAGE // 2)}

    tally = judged(path, damaged)
    assert not tally.bad, str(tally)
    assert tally.counts == {"reported": len(damaged)}


def test_what_is_appended_to_the_file_changes_nothing_or_is_reported(path):
    """Zeros, noise, the file's own pages again: a piece of a page or several."""
    small_tape(path)
    content = path.read_bytes()
    rng = seeded("appended")
    more = {
        "zeros": bytes(PAGE),
        "noise": rng.randbytes(3 * PAGE),
        "a piece": rng.randbytes(100),
        "itself": content,
        "a page": content[-PAGE:],
    }

    tally = judged(path, {what: content + data for what, data in more.items()}, closely=True)
    assert not tally.bad, str(tally)


def test_random_damage_of_every_size_is_harmless_or_reported(path):
    """Runs of noise from a byte to some pages, anywhere; several at once."""
    long_tape(path)
    content = path.read_bytes()
    rng = seeded("noise")
    damaged = {}
    for number in range(400):
        changed = bytearray(content)
        for _ in range(rng.choice([1, 1, 2, 5])):
            size = rng.choice([1, 2, 4, 16, 512, PAGE, 3 * PAGE])
            at = rng.randrange(len(content) - size)
            changed[at : at + size] = rng.randbytes(size)
        damaged[f"number {number}"] = bytes(changed)

    tally = judged(path, damaged)
    assert not tally.bad, str(tally)
    assert tally.counts["reported"] > 200


def test_undamaged_files_are_judged_harmless(path):
    """Negative control: the judge says "reported" of nothing that is whole."""
    small_tape(path)
    content = path.read_bytes()

    assert judged(path, {"the same": content}, closely=True).counts == {"harmless": 1}


def test_the_judge_notices_what_is_served_otherwise(path):
    """Negative control: another sound tape in the place of this one, with its anchor."""
    small_tape(path)
    whole = Whole(path)
    with open_engine(path) as engine:
        engine.send("tests.gate/b", "visit", {"text": "more"})

    assert served(path) != whole.answers
    assert verdict(path, whole).startswith("served otherwise")


def test_the_judge_notices_an_error_without_a_name(path, monkeypatch):
    """Negative control: a traceback is no report."""
    small_tape(path)
    whole = Whole(path)
    monkeypatch.setattr("tests.storage.damage.verify", lambda _reader: 1 // 0)

    assert verdict(path, whole) == "verify raised ZeroDivisionError"


def test_a_tape_of_many_pages_is_judged_too(path):
    """Entries of every size: overflow pages, and interior pages of the table's tree."""
    rng = seeded("overflow")
    tape = new_tape(path)
    for _ in range(20):
        append(tape, *(rng.randbytes(rng.choice([10, 1000, 30_000])).hex().encode() for _ in "xx"))
    tape.close()
    content = path.read_bytes()
    anchors = Path(f"{path}.anchor").read_bytes()
    reported = 0
    for _ in range(300):
        at = rng.randrange(len(content))
        changed = bytearray(content)
        changed[at] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(changed))
        for suffix in ("-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        reported += bool([place for place, _ in reports(path) if not place.startswith("schema")])

    assert Path(f"{path}.anchor").read_bytes() == anchors
    assert reported > 250
