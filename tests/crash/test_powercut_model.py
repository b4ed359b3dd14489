"""The disk model and the trace parser by themselves: no compiler and no child process needed."""

from __future__ import annotations

import random
import struct
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.crash.disk import Directories, Disk, Mode, change_content
from tests.crash.operations import (
    Ack,
    Link,
    MakeDirectory,
    Operation,
    Rename,
    Snapshot,
    Sync,
    SyncDirectory,
    TraceError,
    Truncate,
    Unlink,
    Write,
    parse,
)
from tests.crash.powercut import Trace

EMPTY = Snapshot({}, {})
ONE_FILE = Snapshot({"a": 0}, {0: bytes(4096)}, inodes={7: 0})
MODES = st.sampled_from(Mode)


def disk_after(start: Snapshot, operations: Iterable[Operation], *, model=Directories.STRICT):
    """The disk when all `operations` took place."""
    disk = Disk(start, model)
    for index, operation in enumerate(operations):
        disk.advance(index, operation)
    return disk


def shown(disk: Disk, mode: Mode, count: int = 300) -> set[bytes | None]:
    """Contents of file "a" in `count` images."""
    rng = random.Random(1)
    images = [disk.image(mode, rng).files.get("a") for _ in range(count)]
    return {None if content is None else bytes(content) for content in images}


@pytest.mark.parametrize("mode", Mode)
def test_what_was_synced_is_in_every_image(mode):
    """Invariant 1."""
    data = bytes(range(256)) * 8
    steps = [Link("a", 0), Write(0, 100, data), Sync(0, 2), SyncDirectory("", 3)]

    assert shown(disk_after(EMPTY, steps), mode) == {bytes(100) + data}


def test_a_sync_does_not_cover_what_happened_after_it_began():
    """The second write returned while the sync was under way."""
    steps = [Write(0, 0, b"early"), Write(0, 10, b"late"), Sync(0, 1)]
    early = b"early".ljust(4096, b"\0")

    assert shown(disk_after(ONE_FILE, steps), Mode.DROP) == {early}
    assert len(shown(disk_after(ONE_FILE, steps), Mode.MIXED)) == 2


def test_the_modes_differ_as_they_say():
    """One unsynced write over zeros, and one truncation."""
    data = b"\1" * 2048
    write = disk_after(ONE_FILE, [Write(0, 0, data)])
    before, after = bytes(4096), data + bytes(2048)
    both = disk_after(ONE_FILE, [Write(0, 0, b"1"), Write(0, 0, b"2")])

    assert shown(write, Mode.DROP) == {before}
    assert shown(write, Mode.KEEP) == {after}
    assert shown(write, Mode.MIXED) == shown(write, Mode.REORDER) == {before, after}
    assert {content[0] for content in shown(both, Mode.REORDER)} == {0, *b"12"}
    cut = disk_after(ONE_FILE, [Truncate(0, 10)])
    assert {len(content) for content in shown(cut, Mode.TORN)} == {10, 4096}


def test_only_reordering_lets_an_older_write_win_over_a_newer():
    """Two writes of four bytes that overlap by two."""
    steps = [Truncate(0, 0), Sync(0, 1), Write(0, 0, b"AAAA"), Write(0, 2, b"BBBB")]
    disk = disk_after(ONE_FILE, steps)
    in_order = {b"", b"AAAA", b"\0\0BBBB", b"AABBBB"}

    assert shown(disk, Mode.MIXED) == in_order
    assert shown(disk, Mode.REORDER) == in_order | {b"AAAABB"}


def test_torn_writes_are_torn_at_sectors_and_garble_only_their_own_bytes():
    """A write from 500 to 1100 has pieces of 12, 512 and 76 bytes; its neighbours stay."""
    start = Snapshot({"a": 0}, {0: b"\2" * 4096})
    images = shown(disk_after(start, [Write(0, 500, b"\1" * 600)]), Mode.TORN, 2000)
    pieces = [(500, 512), (512, 1024), (1024, 1100)]
    kinds: Counter[tuple[str, ...]] = Counter()
    for content in images:
        assert content[:500] == b"\2" * 500
        assert content[1100:] == b"\2" * 2996
        known = {1: "new", 2: "old", 0: "zeros"}
        found = [set(content[start:end]) for start, end in pieces]
        kinds[tuple(known.get(min(p), "noise") if len(p) == 1 else "noise" for p in found)] += 1

    assert {kind[1] for kind in kinds} == {"new", "old", "zeros", "noise"}
    assert ("new", "old", "new") in kinds


def test_strict_directories_keep_any_subset_and_journalled_ones_a_prefix():
    """Two files created, one after the other, neither directory entry synced."""
    steps = [Link("a", 0), Link("b", 1)]
    found = {}
    for model in Directories:
        disk, rng = disk_after(EMPTY, steps, model=model), random.Random(1)
        found[model] = {"".join(disk.image(Mode.MIXED, rng).files) for _ in range(200)}

    assert found[Directories.STRICT] == {"", "a", "b", "ab"}
    assert found[Directories.JOURNALLED] == {"", "a", "ab"}


def test_journalled_directories_are_durable_with_any_sync():
    """As ext4 does it: fsync of a file commits all earlier changes of names."""
    steps = [Link("a", 0), Link("b", 1), Sync(1, 2)]

    assert shown(disk_after(EMPTY, steps, model=Directories.JOURNALLED), Mode.DROP) == {b""}
    assert shown(disk_after(EMPTY, steps), Mode.DROP) == {None}


def test_a_rename_between_directories_waits_for_both():
    """Until then it is wholly there or not at all: the file has one name, never two or none."""
    move = [MakeDirectory("sub"), SyncDirectory("", 1), Rename("a", "sub/a", 0)]
    half = disk_after(ONE_FILE, [*move, SyncDirectory("sub", 3)])
    whole = disk_after(ONE_FILE, [*move, SyncDirectory("sub", 3), SyncDirectory("", 3)])
    rng = random.Random(1)
    names = {tuple(half.image(Mode.MIXED, rng).files) for _ in range(100)}

    assert names == {("a",), ("sub/a",)}
    assert tuple(whole.image(Mode.DROP, rng).files) == ("sub/a",)


@st.composite
def histories(draw) -> list[Operation]:
    """Operations on two files, each with one name that comes and goes."""
    steps: list[Operation] = []
    for _ in range(draw(st.integers(0, 30))):
        file = draw(st.integers(0, 1))
        covers = draw(st.integers(0, len(steps)))
        data = draw(st.binary(max_size=600))
        one = st.sampled_from(
            [
                Write(file, draw(st.integers(0, 700)), data),
                Truncate(file, draw(st.integers(0, 700))),
                Sync(file, covers),
                SyncDirectory("", covers),
                Link(f"file{file}", file),
                Unlink(f"file{file}", file),
            ]
        )
        steps.append(draw(one))
    return steps


def replayed(steps: list[Operation], *, durable: bool) -> dict[str, bytes]:
    """The files after all `steps`, or those of them that were synced, worked out from scratch."""
    files = {0: bytearray(), 1: bytearray()}
    names = {}
    for index, step in enumerate(steps):
        rest = steps[index + 1 :]
        if isinstance(step, Write | Truncate):
            synced = any(
                isinstance(s, Sync) and s.file == step.file and s.covers > index for s in rest
            )
            if synced or not durable:
                is_write = isinstance(step, Write)
                change = (step.offset, step.data) if is_write else (step.size, None)
                change_content(files[step.file], [change])
        elif isinstance(step, Link | Unlink):
            synced = any(isinstance(s, SyncDirectory) and s.covers > index for s in rest)
            if synced or not durable:
                names |= {step.path: step.file if isinstance(step, Link) else None}
    return {name: bytes(files[file]) for name, file in names.items() if file is not None}


@settings(deadline=None)
@given(histories())
def test_the_incremental_state_equals_a_replay_from_scratch(steps):
    """In the two modes that leave nothing to chance."""
    disk, rng = disk_after(EMPTY, steps), random.Random(1)

    assert disk.image(Mode.KEEP, rng).files == replayed(steps, durable=False)
    assert disk.image(Mode.DROP, rng).files == replayed(steps, durable=True)


@settings(deadline=None)
@given(histories(), MODES, st.integers())
def test_drawing_an_image_changes_nothing(steps, mode, seed):
    """Images are independent of each other."""
    disk = disk_after(EMPTY, steps)
    before = disk.image(Mode.KEEP, random.Random(0)), disk.image(Mode.DROP, random.Random(0))
    disk.image(mode, random.Random(seed))
    after = disk.image(Mode.KEEP, random.Random(0)), disk.image(Mode.DROP, random.Random(0))

    assert before == after


@pytest.mark.parametrize("per_mode", [1, 5, 8, 9, 25])
def test_cut_points_are_spread_over_the_whole_trace(per_mode, tmp_path):
    """Eight cut points: each once before any twice; acks are those before the cut."""
    steps = tuple(Ack(str(number)) for number in range(7))
    trace = Trace(EMPTY, steps, 0, "", "")
    images = list(trace.images(random.Random(1), per_mode=per_mode, modes=[Mode.DROP]))
    cuts = Counter(len(image.acks) for image in images)

    assert len(images) == per_mode
    assert all(image.acks == trace.acks[: len(image.acks)] for image in images)
    if per_mode >= 8:
        assert set(cuts) == set(range(8))
        assert max(cuts.values()) - min(cuts.values()) <= 1


def test_materialise_replaces_whatever_was_there(tmp_path: Path):
    """Leftovers of an earlier image, such as -shm or -wal, would falsify the next."""
    (tmp_path / "a-shm").write_bytes(b"stale")
    (tmp_path / "old" / "deep").mkdir(parents=True)
    start = Snapshot({"a": 0, "sub/b": 1}, {0: b"one", 1: b"two"}, frozenset({"sub"}))
    for image in Trace(start, (), 0, "", "").images(random.Random(1), per_mode=2):
        image.materialise(tmp_path)

    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*"))
    assert found == ["a", "sub", "sub/b"]
    assert (tmp_path / "sub" / "b").read_bytes() == b"two"


OPENED, WRITTEN, SYNCED, UNLINKED, RENAMED = 1, 2, 4, 7, 8


def packed(kind: int, inode: int, *, value=0, since=0, path=b"", target=b"", data=b"") -> bytes:
    """One record, as recorder.c writes it."""
    sizes = len(path), len(target), len(data)
    header = struct.pack("=IIQQQIIQ", 0x31435250, kind, inode, value, since, *sizes)
    return header + path + target + data


def test_a_reused_inode_number_is_another_file():
    """File systems hand the number of a deleted file to the next one."""
    records = [
        packed(UNLINKED, 7, path=b"a"),
        packed(OPENED, 7, path=b"b"),
        packed(WRITTEN, 7, value=3, data=b"data"),
        packed(RENAMED, 7, path=b"b", target=b"a"),
    ]
    expected = (Unlink("a", 0), Link("b", 1), Write(1, 3, b"data"), Rename("b", "a", 1))

    assert parse(b"".join(records), ONE_FILE) == expected


def test_a_sync_covers_what_was_recorded_when_it_began():
    """Recorded as a length of the trace, handed on as a number of operations."""
    first = packed(OPENED, 9, path=b"acks") + packed(WRITTEN, 7, data=b"x")
    later = packed(WRITTEN, 9, data=b"one\ntw") + packed(WRITTEN, 7, data=b"y")
    trace = first + later + packed(SYNCED, 7, since=len(first)) + packed(WRITTEN, 9, data=b"o\n")
    expected = (Write(0, 0, b"x"), Ack("one"), Write(0, 0, b"y"), Sync(0, 1), Ack("two"))

    assert parse(trace, ONE_FILE) == expected


def test_a_trace_cut_off_anywhere_is_a_prefix():
    """A process may be killed while it writes a record."""
    trace = b"".join(packed(WRITTEN, 7, value=at, data=b"data") for at in range(3))
    whole = parse(trace, ONE_FILE)
    size = len(trace) // 3

    for end in range(len(trace) + 1):
        assert parse(trace[:end], ONE_FILE) == whole[: end // size]


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (b"x" * 48, "no record at byte 0"),
        (packed(WRITTEN, 8, data=b"x"), "inode 8 changed"),
        (packed(RENAMED, 8, target=b"a"), "not modelled"),
        (packed(RENAMED, 7, path=b"a", target=b"acks"), "not modelled"),
        (packed(99, 7), "no record at byte 0"),
    ],
)
def test_a_trace_that_is_not_a_full_account_is_refused(records, reason):
    """Better no verdict than one on half the story."""
    with pytest.raises(TraceError, match=reason):
        parse(records, ONE_FILE)
