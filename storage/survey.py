"""Read and hash all entries of a tape, on every core.

An entry's hash depends on that entry alone, so a tape is cut into stripes that several processes
survey at once. What comes back from a stripe is all that the tree needs of it: the root of every
complete 256 entries, and single leaf hashes only where a checkpoint, or the end, cuts through.

Where entries were collected, their block's tile has the hashes: also those of the entries that are
still there, which must be the same. Where the tile went too, only the stored root is left.

A worker is this module run as a program: `python -m statetape.storage.survey TAPE SIZE WORKER OF`.
It surveys every OF-th stripe and prints one line of JSON for each, in order; a full pipe makes it
wait. Nothing is shared with it and it changes nothing, so it can be killed at any time.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import msgspec

from .checksum import crc32
from .errors import StoreFailed, TapeDamaged
from .files import Files
from .merkle import WIDTH, WIDTH_BITS, complete_root, leaf_hashes
from .reader import READ_ROWS, Reader, Row, split

STRIPE = 1 << 16
"""Entries per stripe: a multiple of WIDTH, and about a tenth of a second of work."""
STRIPES_PER_WORKER = 2
"""A process takes about as long to start as one stripe takes: below this it does not pay."""


class Survey(msgspec.Struct):
    """What one stripe holds: (place, message) of damage, and the hashes that the tree needs.

    `roots` are those of the complete subtrees of 256 entries; `tails[size]` the leaf hashes between
    the last multiple of 256 and `size`, or None where they were shrunk to their root. Both end
    where the stripe could not be read on (`broken`).
    """

    findings: list[tuple[str, str]] = []
    roots: list[bytes] = []
    tails: dict[int, list[bytes] | None] = {}
    broken: bool = False


def survey(reader: Reader, first: int, last: int) -> Survey:
    """Read the entries from `first` (a multiple of 256, plus 1) to `last`; all damage is listed."""
    found = Survey()
    try:
        sql = "SELECT size FROM checkpoint WHERE size BETWEEN ? AND ?"
        cuts = {last}.union(size for (size,) in reader.query(sql, (first, last)))
        for begin in range(first, last + 1, READ_ROWS):
            upto = min(last, begin + READ_ROWS - 1)
            with reader.snapshot():  # rows and tiles of one moment
                blocks = _blocks(reader, begin, upto, found)
            for start, block in zip(range(begin - 1, upto, WIDTH), blocks, strict=True):
                end = min(start + WIDTH, upto)
                if end - start == WIDTH:
                    found.roots.append(complete_root(block) if isinstance(block, list) else block)
                for cut in cuts.intersection(range(start + 1, end + 1)):
                    whole = cut % WIDTH == 0
                    tail = block[: cut - start] if isinstance(block, list) else None
                    found.tails[cut] = [] if whole else tail
    except TapeDamaged as damage:
        found.findings.append((damage.place, damage.message))
        found.broken = True
    return found


def _blocks(reader: Reader, first: int, last: int, found: Survey) -> list[list[bytes] | bytes]:
    """Return, of each block of 256 entries, its leaf hashes, or of one that was shrunk its root."""
    page: list[Row] = [row for rows in reader.rows(first, last) for row in rows]
    bodies = [body for _, body, _ in page]
    if list(map(crc32, bodies)) != [crc for _, _, crc in page]:
        for pos, body, crc in page:
            if crc32(body) != crc:
                found.findings.append((f"entry {pos}", "the stored bytes changed"))
    tiles = reader.tiles((first - 1) // WIDTH, (last - 1) // WIDTH)
    hashes = leaf_hashes(bodies)
    if not tiles and len(page) == last - first + 1:
        return [hashes[start : start + WIDTH] for start in range(0, len(hashes), WIDTH)]
    absent = set(reader.check_absent(first, last, [pos for pos, _, _ in page]))
    there = dict(zip((pos for pos, _, _ in page), hashes, strict=True))
    blocks: list[list[bytes] | bytes] = []
    for base in range(first - 1, last, WIDTH):
        positions = range(base + 1, min(base + WIDTH, last) + 1)
        tile = tiles.get(base // WIDTH)
        if tile is not None:
            blocks.append(_tiled(split(tile), base, there, found))
        elif absent.isdisjoint(positions):
            blocks.append([there[pos] for pos in positions])
        else:
            for pos in there.keys() & set(positions):
                why = "it stands in a block whose leaf hashes were shrunk to their root"
                found.findings.append((f"entry {pos}", why))
            blocks += reader.nodes(WIDTH_BITS, base // WIDTH, 1)
    return blocks


def _tiled(hashes: list[bytes], base: int, there: dict[int, bytes], found: Survey) -> list[bytes]:
    """Return the hashes of a tile; what is there of its entries must have them."""
    for pos, known in enumerate(hashes, base + 1):
        if there.get(pos, known) != known:
            found.findings.append((f"entry {pos}", "its block's tile has another hash for it"))
    return hashes


def stripes(size: int) -> list[tuple[int, int]]:
    """Return the first and last position of every stripe of a tape."""
    return [(start + 1, min(start + STRIPE, size)) for start in range(0, size, STRIPE)]


def surveys(reader: Reader, size: int, workers: int | None = None) -> Iterator[Survey]:
    """Yield the surveys of all stripes of the first `size` entries, in order.

    `workers`: how many processes; by default as many as there are cores and enough stripes for.
    Raises StoreFailed where a process ends before its work does.
    """
    todo = stripes(size)
    if workers is None:
        workers = min(len(os.sched_getaffinity(0)), len(todo) // STRIPES_PER_WORKER)
    if workers < 2:
        for first, last in todo:
            yield survey(reader, first, last)
        return
    with ExitStack() as stack:
        running = []
        for number in range(workers):
            running.append(stack.enter_context(_start(reader.files, size, number, workers)))
            stack.callback(running[-1].kill)
        for number, (first, last) in enumerate(todo):
            process = running[number % workers]
            line = process.stdout.readline() if process.stdout else b""
            if not line:
                why = f"the process that surveys ended with status {process.wait()}"
                raise StoreFailed(why, place=f"entries {first} to {last}")
            yield msgspec.json.decode(line, type=Survey)


def _start(files: Files, size: int, number: int, workers: int) -> subprocess.Popen[bytes]:
    """Start a worker: in a session of its own, so that an interrupt is its parent's to handle."""
    what = [str(files.tape.absolute()), str(size), str(number), str(workers)]
    return subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", __name__, *what],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        start_new_session=True,
    )


def main(tape: str, size: int, number: int, workers: int) -> None:
    """Be a worker: survey every stripe whose turn is this worker's."""
    with Reader.open(Files.of(tape)) as reader:
        for first, last in stripes(size)[number::workers]:
            try:
                sys.stdout.buffer.write(msgspec.json.encode(survey(reader, first, last)) + b"\n")
                sys.stdout.buffer.flush()
            except BrokenPipeError:
                os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
