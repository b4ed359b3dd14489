"""Proofs: the prover against the verifier, and both against the definition written out naively."""

from __future__ import annotations

import pytest
from statetape.storage.errors import HashesShrunk, TapeDamaged
from statetape.storage.files import Files
from statetape.storage.merkle import WIDTH
from statetape.storage.proofs import BeyondTape, Tree, consistency, inclusion, root_at
from statetape.storage.reader import Reader
from statetape.storage.verifier import EvidenceInvalid, check_consistency, check_inclusion

from .oracle import Definition, holds_consistency, holds_inclusion, leaf
from .tapes import FIRST, append, new_tape, seeded, vandal

BORDERS = [1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537]
DRAWS = 300
BODIES = [FIRST, *(b"%d" % number for number in range(1, 66_200))]
DEFINITION = Definition([leaf(body) for body in BODIES])


@pytest.fixture(scope="module")
def tape(tmp_path_factory):
    """A tape of 66,200 entries, over all borders of blocks and levels."""
    path = tmp_path_factory.mktemp("proofs") / "t.db"
    with new_tape(path) as made:
        append(made, *BODIES[1:])
    with Reader.open(Files.of(path)) as reader:
        yield reader


def pairs(name: str) -> list[tuple[int, int]]:
    """Pairs of sizes, the smaller first: all borders with one another, and draws at random."""
    rng = seeded(name)
    made = [(old, size) for old in BORDERS for size in BORDERS if old <= size]
    while len(made) < DRAWS:
        size = rng.randrange(1, 1 << rng.randrange(1, 17))
        made.append((rng.randint(1, size), size))
    return made


def test_inclusion_is_the_definitions_and_verifies(tape):
    """Entry by entry: the same hashes as PATH gives, and they lead to the root."""
    for pos, size in pairs("inclusion"):
        proof = inclusion(tape, pos - 1, size)
        root = DEFINITION.root(0, size)

        assert proof == DEFINITION.path(pos - 1, 0, size), (pos, size)
        assert root_at(tape, size) == root
        check_inclusion(pos - 1, size, leaf(BODIES[pos - 1]), proof, root)
        assert holds_inclusion(pos - 1, size, leaf(BODIES[pos - 1]), proof, root)


def test_consistency_is_the_definitions_and_verifies(tape):
    """Size by size: the same hashes as PROOF gives, and they lead to both roots."""
    for old, size in pairs("consistency"):
        proof = consistency(tape, old, size)
        roots = DEFINITION.root(0, old), DEFINITION.root(0, size)

        assert proof == DEFINITION.proof(old, size), (old, size)
        check_consistency(old, size, proof, *roots)
        assert holds_consistency(old, size, proof, *roots)


def test_small_trees_whole():
    """Every entry and every older size of all trees up to 40 leaves."""
    leaves = DEFINITION.leaves
    for size in range(1, 41):
        tree = Tree(size, lambda level, idx, size=size: leaves[:size])
        assert tree.root() == DEFINITION.root(0, size)
        for other in range(size):
            assert tree.inclusion(other) == DEFINITION.path(other, 0, size)
            assert tree.consistency(other + 1) == DEFINITION.proof(other + 1, size)


def flips(hashes: list[bytes]):
    """Yield every list that differs from `hashes` in one bit."""
    for place, one in enumerate(hashes):
        for bit in range(len(one) * 8):
            changed = bytearray(one)
            changed[bit // 8] ^= 1 << bit % 8
            yield [*hashes[:place], bytes(changed), *hashes[place + 1 :]]


def refused(check, *arguments) -> bool:
    try:
        check(*arguments)
    except EvidenceInvalid:
        return True
    return False


@pytest.mark.parametrize(
    ("pos", "size"), [(1, 2), (256, 257), (257, 300), (300, 65_536), (65_536, 65_537)]
)
def test_every_single_bit_change_of_an_inclusion_proof_is_refused(tape, pos, size):
    """In the proof, the leaf, the root; a hash too many, too few; another index or size."""
    proof = inclusion(tape, pos - 1, size)
    one, root = leaf(BODIES[pos - 1]), DEFINITION.root(0, size)

    assert not refused(check_inclusion, pos - 1, size, one, proof, root)
    for changed in flips([one, *proof, root]):
        first, *rest, last = changed
        assert refused(check_inclusion, pos - 1, size, first, rest, last)
    assert refused(check_inclusion, pos - 1, size, one, proof[:-1], root)
    assert refused(check_inclusion, pos - 1, size, one, [*proof, root], root)
    for other in {pos - 2, pos, 0, size - 1} - {pos - 1}:
        assert refused(check_inclusion, other, size, one, proof, root)


@pytest.mark.parametrize(
    ("old", "size"), [(1, 2), (255, 256), (256, 257), (257, 65_537), (65_536, 65_537), (3, 7)]
)
def test_every_single_bit_change_of_a_consistency_proof_is_refused(tape, old, size):
    """In the proof or in either root; a hash too many, too few; other sizes."""
    proof = consistency(tape, old, size)
    roots = DEFINITION.root(0, old), DEFINITION.root(0, size)

    assert not refused(check_consistency, old, size, proof, *roots)
    for changed in flips([*proof, *roots]):
        assert refused(check_consistency, old, size, changed[:-2], *changed[-2:])
    assert refused(check_consistency, old, size, proof[:-1], *roots)
    assert refused(check_consistency, old, size, [*proof, roots[0]], *roots)
    assert refused(check_consistency, size, size, proof, *roots)
    assert refused(check_consistency, 0, size, proof, *roots)


def test_what_the_tape_never_was_is_refused_by_name(tape):
    """Sizes beyond it, entries beyond the size, and an old size of nothing."""
    entries = len(BODIES)
    for call in [
        lambda: inclusion(tape, 0, entries + 1),
        lambda: inclusion(tape, 10, 10),
        lambda: inclusion(tape, -1, 10),
        lambda: consistency(tape, 0, 10),
        lambda: consistency(tape, 11, 10),
        lambda: root_at(tape, entries + 1),
        lambda: root_at(tape, -1),
    ]:
        with pytest.raises(BeyondTape) as error:
            call()
        assert error.value.place == str(tape.files.tape)


@pytest.fixture
def small(tmp_path):
    """A closed tape of 600 entries: two complete blocks and a bit."""
    path = tmp_path / "t.db"
    with new_tape(path) as made:
        append(made, *BODIES[1:600])
    return path


def shrink(path, idx: int) -> None:
    """Take a block's entries and leaf hashes away, as collecting it in two steps does."""
    with vandal(path) as db:
        db.execute("INSERT INTO shrunk VALUES (?)", (idx,))
        first = idx * WIDTH + 1
        db.execute("DELETE FROM entry WHERE pos BETWEEN ? AND ?", (first, first + WIDTH - 1))


def test_a_shrunk_block_gives_no_proof_below_its_root_and_every_one_beside_it(small):
    """What a collection leaves is proved as ever; what it took is refused by its name."""
    shrink(small, 0)
    with Reader.open(Files.of(small)) as reader:
        for pos in (257, 300, 512, 513, 600):
            assert inclusion(reader, pos - 1, 600) == DEFINITION.path(pos - 1, 0, 600)
        for old in (256, 257, 300, 512, 599):
            assert consistency(reader, old, 600) == DEFINITION.proof(old, 600)
            assert root_at(reader, old) == DEFINITION.root(0, old)
        for call in [
            lambda: inclusion(reader, 0, 600),
            lambda: inclusion(reader, 255, 600),
            lambda: consistency(reader, 100, 600),
            lambda: consistency(reader, 255, 256),
            lambda: root_at(reader, 255),
        ]:
            with pytest.raises(HashesShrunk, match="shrunk") as error:
                call()
            assert error.value.hint


@pytest.mark.parametrize("what", ["a node", "an entry"])
def test_no_proof_is_made_of_damaged_hashes(small, what):
    """A changed node gives no proof that fails elsewhere later; a changed entry neither."""
    with vandal(small) as db:
        if what == "a node":
            db.execute("UPDATE node SET root = zeroblob(32) WHERE idx = 0")
        else:
            db.execute("UPDATE entry SET body = 'x' WHERE pos = 3")
    with Reader.open(Files.of(small)) as reader, pytest.raises(TapeDamaged):
        inclusion(reader, 2, 600)
