"""A tape as static files: C2SP's tlog-tiles layout, which any file server can serve.

    checkpoint                     the newest signed checkpoint, with its cosignatures
    tile/<L>/<N>[.p/<W>]           256 (at the right edge: W) hashes of level L
    tile/entries/<N>[.p/<W>]       the entries of level 0's tile N, each with its length before it

A tile's hash i is the root over the leaves from (N * 256 + i) * 256**L; N is written in groups of
three digits, all but the last with an `x` before them. From the tiles alone anyone can make any
proof, and check the tape's root.

Theory of operation of an export.

X1  Everything but `checkpoint` is immutable: what is there already is compared, never written
    again, and never taken away; a difference ends the export (TilesDiffer).
X2  `checkpoint` is replaced last, when every file that it needs is synced. A crash before leaves
    the old checkpoint with more files than it needs; run the export again.
X3  A file appears under its name whole: it is written as `.export.new`, synced and renamed.
X4  One export at a time writes to a folder: it holds a lock on the folder itself.
X5  The folder holds one log: a checkpoint there that the tape does not extend ends the export.

Entries that were collected leave out their bundle, unless it was exported before. Blocks whose
leaf hashes were shrunk leave out their tile of level 0, likewise. What is left out is told.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..fsm.errors import EXIT_FINDING, OperatorError
from .checkpoints import check_root, signed
from .errors import (
    RESTORE,
    HashesShrunk,
    NoteInvalid,
    TapeBusy,
    TapeDamaged,
    TapeForked,
    TapeRolledBack,
)
from .files import failed, read_small, replace, sync_directory
from .merkle import WIDTH, WIDTH_BITS, complete_root, leaf_hashes
from .note import open_note, parse_checkpoint
from .proofs import Tree, root_at, tree_of
from .reader import Reader
from .verifier import HASH_BYTES, NOTE_BYTES_MAX, Checkpoint

LENGTH_BYTES = 2
BODY_BYTES_MAX = 0xFFFF
BUNDLE_BYTES_MAX = WIDTH * (LENGTH_BYTES + BODY_BYTES_MAX)
ENTRIES = "entries"
_UNFINISHED = ".export.new"

Progress = Callable[[int], None]


class TilesDiffer(OperatorError):
    """A file in the folder is not what the tape gives. Nothing was overwritten."""

    code = "tiles-differ"
    exit_status = EXIT_FINDING


@dataclass
class Exported:
    """What an export did: the checkpoint it brought, and how many files are new or were there.

    `left_out`: (path, why) of what the tape can no longer give and the folder did not have.
    """

    checkpoint: Checkpoint
    written: int = 0
    kept: int = 0
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class Tile:
    """A tile by its place: level (-1: the bundle of entries), index, and how many it holds."""

    level: int
    idx: int
    width: int

    @property
    def path(self) -> str:
        """Its path within the folder."""
        name = ENTRIES if self.level < 0 else str(self.level)
        partial = f".p/{self.width}" if self.width < WIDTH else ""
        return f"tile/{name}/{_digits(self.idx)}{partial}"


def _digits(idx: int) -> str:
    """Write a tile's index in groups of three digits: 1234067 is x001/x234/067."""
    groups = [f"{idx % 1000:03}"]
    while idx := idx // 1000:
        groups.append(f"x{idx % 1000:03}")
    return "/".join(reversed(groups))


def tiles_at(level: int, size: int) -> Iterator[Tile]:
    """Yield the tiles of a level (-1: the bundles) in a tree over `size` leaves."""
    hashes = size >> max(level, 0) * WIDTH_BITS
    for idx in range(-(-hashes // WIDTH)):
        yield Tile(level, idx, min(WIDTH, hashes - idx * WIDTH))


def levels(size: int) -> int:
    """Return how many levels of tiles a tree over `size` leaves has."""
    return -(-size.bit_length() // WIDTH_BITS)


def export(reader: Reader, folder: Path, progress: Progress = lambda _: None) -> Exported:
    """Write the tape, as far as its newest checkpoint signs it, as tiles to `folder`.

    progress: called with the number of entries written. See the module's theory of operation for
    what a crash leaves. Raises NotSigned, TilesDiffer, TapeForked, TapeRolledBack, TapeBusy,
    TapeDamaged, StoreFull, StoreFailed.
    """
    under = signed(reader)
    check_root(reader, under)
    done = Exported(under.checkpoint)
    size = under.checkpoint.size
    with _folder(folder) as target:
        _check_before(reader, target, under.checkpoint)
        tree = tree_of(reader, size)
        for tile in tiles_at(0, size):
            _leaves(reader, tree, tile, target, done)
            progress(tile.idx * WIDTH + tile.width)
        for level in range(1, levels(size)):
            for tile in tiles_at(level, size):
                hashes = tree.source(level, tile.idx)
                _check_tile(tree, tile, hashes)
                target.put(tile.path, b"".join(hashes), done)
        target.settle()
        if read_small(folder / "checkpoint", NOTE_BYTES_MAX) != under.note:
            replace(folder / "checkpoint", under.note)
            done.written += 1
        else:
            done.kept += 1
    return done


def _leaves(reader: Reader, tree: Tree, tile: Tile, target: _Folder, done: Exported) -> None:
    """Export a tile of level 0 and its bundle of entries."""
    bundle = Tile(-1, tile.idx, tile.width)
    first = tile.idx * WIDTH + 1
    bodies = list(reader.read(first, first + tile.width - 1))
    whole = len(bodies) == tile.width
    try:
        hashes = leaf_hashes(bodies) if whole else list(tree.source(0, tile.idx))
    except HashesShrunk:
        _shrunk(tree, tile, bundle, target, done)
        return
    _check_tile(tree, tile, hashes)
    target.put(tile.path, b"".join(hashes), done)
    if not whole:
        _compare(target, bundle, hashes, "entries of it were collected", done)
    elif any(len(body) > BODY_BYTES_MAX for body in bodies):
        done.left_out.append((bundle.path, f"an entry has more than {BODY_BYTES_MAX} bytes"))
    else:
        target.put(bundle.path, join_bundle(bodies), done)


def _check_tile(tree: Tree, tile: Tile, hashes: Sequence[bytes]) -> None:
    """A complete tile has the root that is stored above it; the edge gave the root that is signed.

    Raises TapeDamaged: what is exported verifies.
    """
    bits = (tile.level + 1) * WIDTH_BITS
    if tile.width == WIDTH and complete_root(hashes) != tree.complete(bits, tile.idx):
        first, last = (tile.idx << bits) + 1, (tile.idx + 1) << bits
        why = f"the tree node over entries {first} to {last} does not fit what is below it"
        place = f"table node, level {bits}, index {tile.idx}"
        raise TapeDamaged(why, place=place, hint=RESTORE)


def _compare(
    target: _Folder, bundle: Tile, hashes: Sequence[bytes], why: str, done: Exported
) -> None:
    """A bundle that the tape cannot give any more stays if it is there, and is left out if not."""
    there = target.read(bundle.path, BUNDLE_BYTES_MAX)
    if there is None:
        done.left_out.append((bundle.path, why))
    elif leaf_hashes(split_bundle(there) or []) != list(hashes):
        raise _differs(target.root / bundle.path)
    else:
        done.kept += 1


def _shrunk(tree: Tree, tile: Tile, bundle: Tile, target: _Folder, done: Exported) -> None:
    """A block that was shrunk to its root: what the folder has of it is compared with that."""
    root = tree.complete(WIDTH_BITS, tile.idx)
    there = target.read(tile.path, WIDTH * HASH_BYTES)
    entries = target.read(bundle.path, BUNDLE_BYTES_MAX)
    for path, hashes in (
        (tile.path, None if there is None else split_hashes(there)),
        (bundle.path, None if entries is None else leaf_hashes(split_bundle(entries) or [])),
    ):
        if hashes is None:
            done.left_out.append((path, "its hashes were shrunk to one"))
        elif len(hashes) != WIDTH or complete_root(hashes) != root:
            raise _differs(target.root / path)
        else:
            done.kept += 1


def join_bundle(bodies: list[bytes]) -> bytes:
    """Return a bundle: each entry with its length, two bytes, before it."""
    return b"".join(len(body).to_bytes(LENGTH_BYTES, "big") + body for body in bodies)


def split_bundle(content: bytes) -> list[bytes] | None:
    """Return the entries of a bundle, or None if it is none."""
    bodies = []
    at = 0
    while at < len(content):
        end = at + LENGTH_BYTES + int.from_bytes(content[at : at + LENGTH_BYTES], "big")
        if at + LENGTH_BYTES > len(content) or end > len(content):
            return None
        bodies.append(content[at + LENGTH_BYTES : end])
        at = end
    return bodies


def split_hashes(content: bytes) -> list[bytes]:
    """Return the hashes of a tile; the last is shorter than the others if the file was cut."""
    return [content[at : at + HASH_BYTES] for at in range(0, len(content), HASH_BYTES)]


def _check_before(reader: Reader, target: _Folder, now: Checkpoint) -> None:
    """The tape extends the checkpoint that the folder has."""
    note = target.read("checkpoint", NOTE_BYTES_MAX)
    if note is None:
        return
    place = str(target.root / "checkpoint")
    try:
        before = parse_checkpoint(open_note(note, reader.signers()))
    except NoteInvalid as error:
        hint = "the folder holds another log, or was damaged: export to an empty one"
        why = f"no checkpoint of this tape: {error.message}"
        raise TilesDiffer(why, place=place, hint=hint) from None
    if before.size > now.size:
        why = f"it signs {before.size} entries, and the tape's newest checkpoint {now.size}"
        raise TapeRolledBack(why, place=place, hint="restore the newest copy of the tape")
    try:
        root = root_at(reader, before.size)
    except HashesShrunk:
        return  # every file that it needs is compared
    if root != before.root:
        why = f"the tape's first {before.size} entries are not those that were exported"
        raise TapeForked(why, place=place)


def _differs(path: Path) -> TilesDiffer:
    why = "this file is not what the tape gives; nothing was overwritten"
    hint = "find out which of the two is right; export to an empty folder if it is the tape"
    return TilesDiffer(why, place=str(path), hint=hint)


class _Folder:
    """A folder of tiles that is being written."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._touched: set[Path] = set()

    def read(self, path: str, size_max: int) -> bytes | None:
        return read_small(self.root / path, size_max)

    def put(self, path: str, content: bytes, done: Exported) -> None:
        """Write a file that is not there yet, or compare it."""
        target = self.root / path
        self._touched.update(target.parents[: len(Path(path).parents)])
        there = self.read(path, len(content))
        if there is not None:
            if there != content:
                raise _differs(target)
            done.kept += 1
            return
        unfinished = self.root / _UNFINISHED
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            unfinished.unlink(missing_ok=True)  # what a crash left; never what a link leads to
            with unfinished.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except OSError as error:
            raise failed(error, target) from error
        done.written += 1

    def settle(self) -> None:
        """Make every name durable, also those that a crashed export left."""
        for folder in sorted(self._touched):
            try:
                sync_directory(folder)
            except OSError as error:
                raise failed(error, folder) from error


@contextmanager
def _folder(root: Path) -> Iterator[_Folder]:
    """Hold the folder, which is made if it is not there."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise failed(error, root) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            why = "another export writes to this folder"
            raise TapeBusy(why, place=str(root), hint="try again") from None
        yield _Folder(root)
    finally:
        os.close(descriptor)
