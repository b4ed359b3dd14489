"""A collection keeps the promised proofs: old ones hold, and the rest can still be made."""

from __future__ import annotations

import pytest
from statetape.engine import collection
from statetape.storage.checkpoints import prove_entry, signed
from statetape.storage.cosignatures import signed_sizes
from statetape.storage.errors import EntryCollected, HashesShrunk
from statetape.storage.examination import examine
from statetape.storage.files import Files
from statetape.storage.proofs import consistency, root_at
from statetape.storage.reader import Reader
from statetape.storage.tile_check import check_tiles
from statetape.storage.tiles import export
from statetape.storage.verifier import check_consistency

from ..storage.tapes import Clock, open_engine
from ..storage.test_collection import notes

STEP = 9
"""Of so many entries one is asked for."""


def taken(path, folder):
    """Entries, proofs of some of them, and the tape as tiles, before anything is collected."""
    with Reader.open(Files.of(path)) as reader:
        bodies = list(reader.read())
        proofs = {at: prove_entry(reader, at + 1).content for at in range(0, len(bodies), STEP)}
        export(reader, folder)
        return bodies, proofs, reader.signers()


@pytest.mark.parametrize("shrinking", [False, True])
def test_proofs_are_kept_by_a_collection(tmp_path, shrinking):
    """Old proofs hold; new ones of every entry are made, or refused where hashes were shrunk.

    Every checkpoint still leads to the newest one, but those that cut a shrunk block.
    """
    path, clock = tmp_path / "t.db", Clock()
    notes(path, clock, 200).close()
    bodies, proofs, keys = taken(path, tmp_path / "tiles")
    clock.forward(3 * 3600)
    with open_engine(path, clock) as engine:
        assert collection.collect(engine, shrinking=shrinking, uncosigned=True).entries > 1000

    with Reader.open(Files.of(path)) as reader:
        shrunk = {idx for (idx,) in reader.query("SELECT idx FROM shrunk")}
        assert bool(shrunk) == shrinking
        gone = 0
        for index, proof in proofs.items():
            body = bodies[index]
            assert examine(proof, body, keys).index == index
            if index // 256 in shrunk:
                with pytest.raises(HashesShrunk):
                    prove_entry(reader, index + 1)
            else:
                assert examine(prove_entry(reader, index + 1).content, body, keys).index == index
            try:
                reader.body(index + 1)
            except EntryCollected:
                gone += 1
        assert gone > 100
        newest = signed(reader).checkpoint
        for size in signed_sizes(reader):
            old = signed(reader, size).checkpoint
            if size % 256 and size // 256 in shrunk:
                with pytest.raises(HashesShrunk):
                    root_at(reader, size)
                continue
            assert root_at(reader, size) == old.root
            proof = consistency(reader, size, newest.size)
            check_consistency(size, newest.size, proof, old.root, newest.root)


@pytest.mark.parametrize("shrinking", [False, True])
def test_tiles_exported_before_a_collection_go_on_after_it(tmp_path, shrinking):
    """The folder keeps its bundles; a new one is without them, and says so."""
    path, clock = tmp_path / "t.db", Clock()
    notes(path, clock, 200).close()
    _, _, keys = taken(path, tmp_path / "tiles")
    clock.forward(3 * 3600)
    with open_engine(path, clock) as engine:
        collection.collect(engine, shrinking=shrinking, uncosigned=True)
    with Reader.open(Files.of(path)) as reader:
        kept = export(reader, tmp_path / "tiles")
        new = export(reader, tmp_path / "new")
        minimum = reader.minimum_index

    assert kept.left_out == []
    assert "tile/entries/000" in [name for name, _ in new.left_out]
    assert ("tile/0/001" in [name for name, _ in new.left_out]) == shrinking
    for folder in ("tiles", "new"):
        checked = check_tiles(tmp_path / folder, keys, minimum_index=minimum)
        assert (checked.findings, checked.checkpoint) == ([], kept.checkpoint)
