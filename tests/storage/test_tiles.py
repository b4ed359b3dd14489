"""Tiles in a static folder: the layout, growing, crashing half-way, damage found and named."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from statetape.storage.errors import StoreFailed, TapeBusy, TapeDamaged, TapeForked, TapeRolledBack
from statetape.storage.files import Files
from statetape.storage.merkle import WIDTH
from statetape.storage.reader import Reader
from statetape.storage.tile_check import check_tiles
from statetape.storage.tiles import Tile, TilesDiffer, export, join_bundle, split_bundle

from .oracle import Definition, leaf
from .tapes import FIRST, append, new_tape, open_tape, seeded, vandal

BODIES = [FIRST, *(b'{"n":%d}' % number for number in range(1, 66_000))]
DEFINITION = Definition([leaf(body) for body in BODIES])


def grown(path: Path, size: int) -> Path:
    """Let the tape at `path` (made, if it is not there) have `size` entries, all signed."""
    with open_tape(path) if path.exists() else new_tape(path) as tape:
        append(tape, *BODIES[tape.size : size])
    return path


@contextmanager
def reading(path: Path):
    with Reader.open(Files.of(path)) as reader:
        yield reader


def exported(path: Path, folder: Path):
    with reading(path) as reader:
        return export(reader, folder)


def check(path: Path, folder: Path, **options):
    with reading(path) as reader:
        keys = reader.signers()
    return check_tiles(folder, keys, **options)


def damaged(path: Path, folder: Path) -> list[str]:
    return [finding.place for finding in check(path, folder).findings]


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A tape of 66,000 entries, and the folder that it was exported to."""
    path = tmp_path_factory.mktemp("large") / "t.db"
    grown(path, 66_000)
    done = exported(path, path.parent / "tiles")
    assert not done.left_out
    return path, path.parent / "tiles"


@pytest.fixture
def small(tmp_path):
    """A tape of 600 entries, and the folder that it was exported to."""
    path = grown(tmp_path / "t.db", 600)
    exported(path, tmp_path / "tiles")
    return path, tmp_path / "tiles"


def test_paths_are_those_of_the_specification():
    """Groups of three digits; the width where a tile is partial."""
    assert Tile(0, 1_234_067, 256).path == "tile/0/x001/x234/067"
    assert Tile(2, 5, 17).path == "tile/2/005.p/17"
    assert Tile(-1, 999, 256).path == "tile/entries/999"
    assert Tile(-1, 1000, 1).path == "tile/entries/x001/000.p/1"


def test_every_hash_and_entry_is_where_the_specification_says(large):
    """66,000 entries: hash i of tile n at level l is the root over its 256**l leaves."""
    _, folder = large
    files = files_of(folder)

    for level, size in enumerate((66_000, 257, 1)):
        span = 256**level
        for idx in range(-(-size // WIDTH)):
            width = min(WIDTH, size - idx * WIDTH)
            content = files.pop(Tile(level, idx, width).path)
            assert content == b"".join(
                DEFINITION.root(at * span, (at + 1) * span)
                for at in range(idx * WIDTH, idx * WIDTH + width)
            )
    for idx in range(258):
        some = BODIES[idx * WIDTH : (idx + 1) * WIDTH]
        content = files.pop(Tile(-1, idx, len(some)).path)
        assert content == b"".join(len(body).to_bytes(2, "big") + body for body in some)
    assert files.pop("checkpoint").splitlines()[1] == b"66000"
    assert files == {}


def test_a_sound_folder_is_found_sound(large):
    """By the log's key alone; under another's nothing is looked at."""
    path, folder = large
    checked = check(path, folder)

    assert checked.findings == checked.absent == []
    assert checked.checkpoint.size == 66_000
    assert checked.files == len(files_of(folder))
    with reading(grown(path.parent / "other.db", 1)) as other:
        keys = other.signers()
    keys = [type(keys[0])("somebody/else", keys[0].public)]
    assert [one.place for one in check_tiles(folder, keys).findings] == ["checkpoint"]


SIZES = (1, 2, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 65_537)


def test_growing_keeps_what_was_exported_and_ends_where_one_export_does(tmp_path):
    """Partial tiles beside the full ones they grew into; sound at every size on the way."""
    path, folder = tmp_path / "t.db", tmp_path / "tiles"
    before: dict[str, bytes] = {}
    for size in SIZES:
        grown(path, size)
        done = exported(path, folder)
        files = files_of(folder)
        kept = {name: content for name, content in before.items() if name != "checkpoint"}

        assert kept.items() <= files.items()
        assert done.written == len(files) - len(kept), size
        assert damaged(path, folder) == []
        before = files
    again = exported(path, folder)
    exported(path, tmp_path / "at once")

    assert (again.written, files_of(folder)) == (0, before)
    assert files_of(tmp_path / "at once").items() <= before.items()


def test_nothing_that_is_there_is_written_again(small):
    """Not even with what it holds: an immutable file keeps its inode and its time."""
    path, folder = small
    before = {one: one.stat() for one in folder.rglob("*") if one.is_file()}
    grown(path, 700)
    exported(path, folder)

    changed = [one for one, was in before.items() if one.stat().st_ino != was.st_ino]
    assert changed == [folder / "checkpoint"]


def test_what_others_put_into_the_folder_stays(small):
    """An export removes nothing that it did not write."""
    path, folder = small
    (folder / "index.html").write_text("a page")
    (folder / "tile/0/notes").write_text("notes")
    grown(path, 700)
    exported(path, folder)

    assert (folder / "index.html").read_text() == "a page"
    assert (folder / "tile/0/notes").read_text() == "notes"
    assert damaged(path, folder) == []


def test_after_a_crash_between_any_two_files_the_next_export_goes_on(tmp_path):
    """The old checkpoint stands, and its tiles verify, until every file of the new one is there."""
    path, folder = grown(tmp_path / "t.db", 300), tmp_path / "tiles"
    exported(path, folder)
    old = files_of(folder)
    grown(path, 1000)
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    exported(path, whole)
    order = sorted(
        set(files_of(whole)) - set(old), key=lambda name: (whole / name).stat().st_mtime_ns
    )
    assert len(order) > 6
    for count in range(len(order) + 1):
        crashed = tmp_path / f"crashed {count}"
        shutil.copytree(folder, crashed)
        for name in order[:count]:
            (crashed / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(whole / name, crashed / name)
        (crashed / ".export.new").write_bytes(b"half a fi")

        assert damaged(path, crashed) == []
        exported(path, crashed)
        (crashed / ".export.new").unlink(missing_ok=True)
        assert files_of(crashed) == files_of(whole)


def test_an_export_that_fails_half_way_leaves_the_old_checkpoint(tmp_path):
    """Something stands where a folder has to be; when it is gone, the export goes on."""
    path, folder = grown(tmp_path / "t.db", 200), tmp_path / "tiles"
    exported(path, folder)
    old = (folder / "checkpoint").read_bytes()
    grown(path, 600)
    (folder / "tile/1").write_text("in the way")
    with pytest.raises(StoreFailed) as error:
        exported(path, folder)

    assert "tile/1" in error.value.place
    assert (folder / "checkpoint").read_bytes() == old
    assert (folder / "tile/0/000").exists()
    assert damaged(path, folder) == []
    (folder / "tile/1").unlink()
    exported(path, folder)
    assert check(path, folder).checkpoint.size == 600


def test_every_changed_file_is_named(small):
    """Each file of the folder, one at a time, changed at a few places, cut, and taken away."""
    path, folder = small
    rng = seeded("tiles")
    for name, content in files_of(folder).items():
        for _ in range(4):
            changed = bytearray(content)
            changed[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            (folder / name).write_bytes(bytes(changed))
            assert damaged(path, folder) == [name]
        (folder / name).write_bytes(content[:-1])
        assert damaged(path, folder) == [name]
        (folder / name).unlink()
        if name.startswith("tile/entries/"):
            assert (damaged(path, folder), check(path, folder).absent) == ([], [name])
        else:
            assert damaged(path, folder) == [name]
        (folder / name).write_bytes(content)
    assert damaged(path, folder) == []


def test_a_changed_file_among_66000_entries_is_named(large):
    """On all three levels, complete tiles and the right edge, bundles included."""
    path, folder = large
    for name in [
        "tile/0/000",
        "tile/0/257.p/208",
        "tile/1/000",
        "tile/1/001.p/1",
        "tile/2/000.p/1",
        "tile/entries/100",
        "tile/entries/257.p/208",
    ]:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(
            content[:45] + b"\0" + content[46:] if len(content) > 45 else b"\0" * 32
        )
        found = check(path, folder).findings
        (folder / name).write_bytes(content)
        assert [one.place for one in found] == [name]
        if name == "tile/entries/100":
            assert found[0].message == f"entry {100 * 256 + 4} is not what was signed"


def test_two_damaged_files_are_both_named(small):
    """One hides the other nowhere: a tile, a bundle, and a tile above them."""
    path, folder = small
    names = ["tile/0/001", "tile/1/000.p/2", "tile/entries/000"]
    for name in names:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(bytes([content[0] ^ 1]) + content[1:])

    assert set(names) <= set(damaged(path, folder))


def test_a_damaged_partial_tile_of_an_earlier_checkpoint_is_named(small):
    """It still serves whoever holds that checkpoint."""
    path, folder = small
    grown(path, 700)
    exported(path, folder)
    for name in ("tile/0/002.p/88", "tile/entries/002.p/88"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:-1] + b"?")
        assert damaged(path, folder) == [name]
        (folder / name).write_bytes(content)


def test_an_export_refuses_a_folder_that_holds_something_else(small, tmp_path):
    """A changed file, another log's checkpoint, a fork, a later state: nothing is overwritten."""
    path, folder = small
    tile = folder / "tile/0/001"
    content = tile.read_bytes()
    tile.write_bytes(bytes(len(content)))
    with pytest.raises(TilesDiffer) as error:
        exported(path, folder)
    assert error.value.place == str(tile)
    assert tile.read_bytes() == bytes(len(content))
    tile.write_bytes(content)

    older = tmp_path / "older.db"
    shutil.copytree(folder, tmp_path / "later")
    with new_tape(older) as tape:
        append(tape, *BODIES[1:500])
    with pytest.raises(TapeRolledBack):
        exported(older, folder)
    with open_tape(older) as tape:
        append(tape, *(b"another %d" % number for number in range(200)))
    with pytest.raises(TapeForked):
        exported(older, folder)
    (folder / "checkpoint").write_text("no checkpoint")
    with pytest.raises(TilesDiffer):
        exported(path, folder)


def test_an_export_refuses_a_tape_whose_hashes_do_not_fit(small, tmp_path):
    """What is exported verifies: a damaged node or entry ends the export before its tile."""
    path, _ = small
    with vandal(path) as db:
        db.execute("UPDATE entry SET body = 'x', crc = crc32('x') WHERE pos = 300")
    with pytest.raises(TapeDamaged) as error:
        exported(path, tmp_path / "new")
    assert error.value.place == "table node, level 8, index 1"
    assert not (tmp_path / "new/checkpoint").exists()


def test_one_export_at_a_time_writes_to_a_folder(small):
    """Another is told to try again."""
    path, folder = small
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(TapeBusy):
        exported(path, folder)
    os.close(descriptor)
    exported(path, folder)


def test_a_folder_with_pipes_in_it_is_checked_all_the_same(small):
    """Whoever opens a pipe waits for somebody to write to it."""
    path, folder = small
    tile, partial = Tile(0, 0, WIDTH).path, Tile(-1, 1, 1).path
    assert damaged(path, folder) == []
    (folder / tile).unlink()
    os.mkfifo(folder / tile)
    if not (folder / partial).exists():
        (folder / partial).parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(folder / partial)

    assert tile in damaged(path, folder)


def test_an_export_writes_through_no_link_in_the_folder(small, tmp_path):
    """Where it begins a file somebody may have put a link to another file."""
    path, folder = small
    precious = tmp_path / "precious"
    precious.write_text("kept")
    (folder / ".export.new").symlink_to(precious)
    (folder / "checkpoint").unlink()
    shutil.rmtree(folder / "tile")
    exported(path, folder)

    assert precious.read_text() == "kept"
    assert damaged(path, folder) == []
    assert not any(one.is_symlink() for one in folder.rglob("*"))


def collected(path: Path, idx: int, *, shrunk: bool = False) -> None:
    """Take a block's entries away, all but the first; `shrunk`: and its leaf hashes, all."""
    hashes = b"".join(DEFINITION.leaves[idx * WIDTH : (idx + 1) * WIDTH])
    keep = 0 if shrunk else 1
    with vandal(path) as db:
        if shrunk:
            db.execute("INSERT INTO shrunk VALUES (?)", (idx,))
        else:
            db.execute("INSERT INTO tile VALUES (?, ?)", (idx, hashes))
        first = idx * WIDTH + 1 + keep
        db.execute("DELETE FROM entry WHERE pos BETWEEN ? AND ?", (first, (idx + 1) * WIDTH))


def test_collected_entries_leave_out_their_bundle_and_nothing_else(small, tmp_path):
    """Named; the tiles are the same, and verify."""
    path, before = small
    collected(path, 1)
    done = exported(path, tmp_path / "new")

    assert [name for name, _ in done.left_out] == ["tile/entries/001"]
    expected = files_of(before)
    del expected["tile/entries/001"]
    assert files_of(tmp_path / "new") == expected
    checked = check(path, tmp_path / "new")
    assert (checked.findings, checked.absent) == ([], ["tile/entries/001"])


def test_a_folder_keeps_what_was_collected_after_it_was_exported(small):
    """Compared with the hashes that stayed: a changed bundle is no bundle of this tape."""
    path, folder = small
    before = files_of(folder)
    collected(path, 1)
    done = exported(path, folder)
    assert (done.left_out, files_of(folder)) == ([], before)

    collected(path, 0, shrunk=True)
    done = exported(path, folder)
    assert (done.left_out, files_of(folder)) == ([], before)
    for name in ("tile/entries/001", "tile/entries/000", "tile/0/000"):
        (folder / name).write_bytes(before[name][:-1] + b"?")
        with pytest.raises(TilesDiffer) as error:
            exported(path, folder)
        assert error.value.place == str(folder / name)
        (folder / name).write_bytes(before[name])


def test_a_shrunk_block_leaves_out_its_tile_and_its_bundle(small, tmp_path):
    """Both named; the rest verifies, if the check is told from where on tiles have to be there."""
    path, _ = small
    collected(path, 0, shrunk=True)
    done = exported(path, tmp_path / "new")
    names = ["tile/0/000", "tile/entries/000"]

    assert [name for name, _ in done.left_out] == names
    assert damaged(path, tmp_path / "new") == ["tile/0/000"]
    assert check(path, tmp_path / "new", minimum_index=256).findings == []
    assert check(path, tmp_path / "new", minimum_index=255).findings != []


def test_bundles_come_apart_as_they_were_joined():
    """Of any lengths; what is cut anywhere is no bundle, or one of fewer entries."""
    bodies = [b"", b"x", b"y" * 300, b"z" * 65_535]
    content = join_bundle(bodies)

    assert split_bundle(content) == bodies
    whole = {0, 2, 5, 307, len(content)}
    for end in [*range(310), len(content) - 1]:
        assert (split_bundle(content[:end]) is not None) == (end in whole), end
