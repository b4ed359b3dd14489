"""Check a static folder of tiles against its checkpoint, and name the files that are damaged.

The root that the log signed is the only thing trusted. A hash of level 1 and above stands in the
folder twice: in its tile, and as the root of the tile below. Whichever of the two leads to the
signed root is right, and the other's file is damaged; so it goes down from the root, level by
level, to the entries. Needs no tape.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from . import files
from .merkle import WIDTH, WIDTH_BITS, Edge, complete_root, leaf_hashes
from .tiles import BUNDLE_BYTES_MAX, Progress, Tile, levels, split_bundle, split_hashes, tiles_at
from .verifier import (
    HASH_BYTES,
    NOTE_BYTES_MAX,
    Checkpoint,
    EvidenceInvalid,
    VerifierKey,
    open_checkpoint,
)
from .verify import FINDINGS_MAX, Finding

Hashes = list[bytes | None]
"""Hashes of one level in order; None where a file is missing or is none."""


@dataclass
class Checked:
    """What a check came to: the checkpoint, if it is one, and everything that is wrong.

    `absent`: bundles of entries that are not there, which is no damage: tiles prove without them.
    """

    checkpoint: Checkpoint | None = None
    findings: list[Finding] = field(default_factory=list)
    files: int = 0
    absent: list[str] = field(default_factory=list)


def check_tiles(
    folder: Path,
    keys: Sequence[VerifierKey],
    *,
    minimum_index: int = 0,
    progress: Progress = lambda _: None,
) -> Checked:
    """Check the tiles in `folder` against its checkpoint, which one of `keys` has to have signed.

    minimum_index: tiles of level 0 of entries before it may be missing (the log was shrunk there).
    At most FINDINGS_MAX are listed. Raises StoreFailed where a file cannot be read.
    """
    checked = Checked()
    note = _read_small(folder / "checkpoint", NOTE_BYTES_MAX)
    try:
        if note is None:
            raise EvidenceInvalid("there is no checkpoint")
        checked.checkpoint = open_checkpoint(note, keys)
    except EvidenceInvalid as error:
        checked.findings.append(Finding("checkpoint", str(error)))
        return checked
    checked.files += 1
    check = _Check(folder, checked, checked.checkpoint, minimum_index)
    for finding in check.findings(progress):
        checked.findings.append(finding)
        if len(checked.findings) >= FINDINGS_MAX:
            break
    return checked


class _Check:
    """One run: what the files hold, then what the root says of it."""

    def __init__(
        self, folder: Path, checked: Checked, checkpoint: Checkpoint, minimum_index: int
    ) -> None:
        self.folder = folder
        self.checked = checked
        self.root = checkpoint.root
        self.size = checkpoint.size
        self.minimum_index = minimum_index
        self.levels = levels(self.size)
        self.stored: list[Hashes] = [[] for _ in range(self.levels)]
        """Per level, what its tiles hold; of level 0 the right edge alone."""
        self.below: list[Hashes] = [[] for _ in range(self.levels + 1)]
        """Per level, the roots of the complete tiles one level below."""
        self.trusted: list[Hashes] = [[] for _ in range(self.levels + 1)]
        """Per level, the hashes that lead to the root; None where nothing does."""
        self.two_sources = False
        """Whether the bundle beside the last tile of level 0 is there to tell which is right."""

    def findings(self, progress: Progress) -> Iterator[Finding]:
        """Yield what is wrong, from the files that are missing down to single entries."""
        yield from self._read(progress)
        if not self.size:
            if self.root != Edge().root():
                yield Finding("checkpoint", "an empty tree has the empty root")
            return
        yield from self._edge()
        for level in reversed(range(self.levels - 1)):
            yield from self._complete(level)
        yield from self._bundles(progress)
        yield from self._older()

    def _file(self, tile: Tile) -> bytes | None:
        content = _read_small(self.folder / tile.path, BUNDLE_BYTES_MAX)
        self.checked.files += content is not None
        return content

    def _read(self, progress: Progress) -> Iterator[Finding]:
        """Read every tile once; what is missing or of a wrong length is found here."""
        for level in range(self.levels):
            for tile in tiles_at(level, self.size):
                content = self._file(tile)
                hashes: list[bytes] | None = None
                if content is None:
                    shrunk = (tile.idx + 1) * WIDTH <= self.minimum_index
                    if level or tile.width < WIDTH or not shrunk:
                        yield Finding(tile.path, "the tile is missing")
                elif len(content) != tile.width * HASH_BYTES:
                    why = f"it has {len(content)} bytes; {tile.width} hashes are"
                    yield Finding(tile.path, f"{why} {tile.width * HASH_BYTES}")
                else:
                    hashes = split_hashes(content)
                if level or tile.width < WIDTH:
                    self.stored[level] += hashes or [None] * tile.width
                if tile.width == WIDTH:
                    self.below[level + 1].append(complete_root(hashes) if hashes else None)
                if not level:
                    progress(tile.idx * WIDTH + tile.width)

    # from the root down

    def _edge(self) -> Iterator[Finding]:
        """Find the hashes of the right edge that give the signed root."""
        edges = list(self._edges())
        for choice in product(*(range(len(options)) for _, options in edges)):
            taken = [options[which] for which, (_, options) in zip(choice, edges, strict=True)]
            known = [[one for one in hashes if one is not None] for hashes in taken]
            if any(len(one) < len(hashes) for one, hashes in zip(known, taken, strict=True)):
                continue
            if Edge(self.size, known).root() == self.root:
                self.trusted[: self.levels] = taken
                for which, (path, options) in zip(choice, edges, strict=True):
                    if which and None not in options[0]:
                        yield Finding(path, "it does not lead to the signed root")
                return
        self.trusted[: self.levels] = [options[0] for _, options in edges]  # to name what else
        yield from self._suspects(edges)

    def _suspects(self, edges: list[tuple[str, list[Hashes]]]) -> Iterator[Finding]:
        """Name what may be why the right edge does not give the signed root."""
        why = "the tiles have another root than the checkpoint signs"
        if any(None in options[0] for _, options in edges):
            return  # what is missing was found
        alone = [edges[0][0]] if edges[0][0] and not self.two_sources else []
        suspects = [path for path, options in edges if len(options) > 1] or alone
        for path in suspects or ["checkpoint"]:
            yield Finding(path, why)

    def _edges(self) -> Iterator[tuple[str, list[Hashes]]]:
        """Yield, per level, its right-edge tile and what it may hold: as stored, as below."""
        for level in range(self.levels):
            width = (self.size >> level * WIDTH_BITS) % WIDTH
            if not width:
                yield "", [[]]
                continue
            tile = Tile(level, (self.size >> level * WIDTH_BITS) // WIDTH, width)
            stored = self.stored[level][-width:]
            other = self.below[level][-width:] if level else self._leaves_of(tile)
            options = [stored]
            if len(other) == width and None not in other:
                self.two_sources = self.two_sources or not level
                options += [other] if other != stored else []
            yield tile.path, options

    def _leaves_of(self, tile: Tile) -> Hashes:
        """Return the hashes of a bundle's entries, or nothing."""
        content = _read_small(self.folder / Tile(-1, tile.idx, tile.width).path, BUNDLE_BYTES_MAX)
        bodies = None if content is None else split_bundle(content)
        return list(leaf_hashes(bodies)) if bodies else []

    def _complete(self, level: int) -> Iterator[Finding]:
        """Compare the complete tiles of a level with the hashes above them."""
        trusted: Hashes = []
        for idx, expected in enumerate(self._above(level)):
            tile = Tile(level, idx, WIDTH)
            if not level:
                found = self.below[1][idx]
                if found is not None and expected is not None and found != expected:
                    yield Finding(tile.path, "it does not lead to the signed root")
                continue
            here = slice(idx * WIDTH, (idx + 1) * WIDTH)
            stored, below = self.stored[level][here], self.below[level][here]
            if _root(stored) == expected is not None:
                trusted += stored
            elif expected is not None and _root(below) == expected:
                trusted += below
                if None not in stored:
                    yield Finding(tile.path, "it does not lead to the signed root")
            else:
                trusted += [None] * WIDTH
                if None not in stored:
                    yield Finding(tile.path, "it and what is below it do not lead to the root")
        if level:
            self.trusted[level] = trusted + self.trusted[level]

    def _above(self, level: int) -> Hashes:
        """Return what is known of the roots of a level's complete tiles."""
        return self.trusted[level + 1][: self.size >> (level + 1) * WIDTH_BITS]

    # entries, and partial tiles of earlier checkpoints

    def _bundles(self, progress: Progress) -> Iterator[Finding]:
        for tile in tiles_at(0, self.size):
            bundle = Tile(-1, tile.idx, tile.width)
            content = self._file(bundle)
            if content is None:
                self.checked.absent.append(bundle.path)
                continue
            bodies = split_bundle(content)
            if bodies is None or len(bodies) != tile.width:
                many = "no bundle" if bodies is None else f"a bundle of {len(bodies)} entries"
                yield Finding(bundle.path, f"it is {many}; {tile.width} entries belong there")
                continue
            hashes = leaf_hashes(bodies)
            if tile.width < WIDTH:
                right = self.trusted[0][-tile.width :] == hashes
                right = right or None in self.trusted[0]
            else:
                expected = self._above(0)[tile.idx]
                right = expected is None or complete_root(hashes) == expected
            if not right:
                yield Finding(bundle.path, self._which(tile, hashes))
            progress(tile.idx * WIDTH + tile.width)

    def _which(self, tile: Tile, hashes: Sequence[bytes]) -> str:
        """Say which entry of a bundle is not the one that was signed, as far as its tile tells."""
        content = _read_small(self.folder / tile.path, BUNDLE_BYTES_MAX) or b""
        stored = split_hashes(content)
        differing = [
            at for at, (one, two) in enumerate(zip(hashes, stored, strict=False)) if one != two
        ]
        if len(stored) == len(hashes) and len(differing) == 1:
            return f"entry {tile.idx * WIDTH + differing[0] + 1} is not what was signed"
        return "its entries are not what was signed"

    def _older(self) -> Iterator[Finding]:
        """A partial tile of an earlier checkpoint is the beginning of what it grew into."""
        for level in range(-1, self.levels):
            for tile in tiles_at(level, self.size):
                for path, width in self._partials(tile):
                    content = _read_small(path, BUNDLE_BYTES_MAX) or b""
                    whole = _read_small(self.folder / tile.path, BUNDLE_BYTES_MAX) or b""
                    self.checked.files += 1
                    if not _begins(whole, content, width, level):
                        name = Tile(level, tile.idx, width).path
                        yield Finding(name, f"it is not the beginning of {tile.path}")

    def _partials(self, tile: Tile) -> Iterator[tuple[Path, int]]:
        folder = (self.folder / Tile(tile.level, tile.idx, 1).path).parent
        if folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.name.isascii() and path.name.isdigit() and 0 < int(path.name) < tile.width:
                    yield path, int(path.name)


def _read_small(path: Path, size_max: int) -> bytes | None:
    """Return a file's content, or None where none is: a pipe that a stranger put there is none."""
    return files.read_small(path, size_max) if path.is_file() else None


def _root(hashes: Hashes) -> bytes | None:
    known = [one for one in hashes if one is not None]
    return complete_root(known) if len(known) == WIDTH == len(hashes) else None


def _begins(whole: bytes, part: bytes, width: int, level: int) -> bool:
    """Whether a partial tile or bundle of `width` is the beginning of the present one."""
    if not whole:  # left out since, or missing and found already
        return True
    if level >= 0:
        return len(part) == width * HASH_BYTES and whole.startswith(part)
    bodies = split_bundle(part)
    return bodies is not None and len(bodies) == width and whole.startswith(part)
