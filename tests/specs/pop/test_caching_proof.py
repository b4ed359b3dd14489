"""The caching proof: only who holds every block of this DAG can answer for this seed."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statetape.fsm.types import ValueInvalid
from statetape.specs.pop.caching_proof import caching_proof, proof_of_blocks

ROOT = b"\x01\x71root"
SEED = bytes(range(16))
BLOCKS = {b"\x01\x02": b"hello", b"\x01\x01": b"", b"\x09": b"x" * 300}

seeds = st.binary(min_size=16, max_size=16)
dags = st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(max_size=40), max_size=6)


def test_the_proof_is_what_its_description_says():
    """Its bytes never change: a peer with another release has to find the same."""
    proof = proof_of_blocks(ROOT, SEED, BLOCKS)

    assert proof.hex() == "156eb04b46155cdafed712495d43da978a19b5651675ffe778f5fd5d6063255c"


def test_the_order_of_the_blocks_and_their_repetition_do_not_matter():
    """A DAG may name a block twice, and is walked in many ways."""
    walked = [*BLOCKS, *reversed(BLOCKS)]

    assert caching_proof(ROOT, SEED, walked, BLOCKS.__getitem__) == proof_of_blocks(
        ROOT, SEED, BLOCKS
    )


def test_each_block_is_read_once_and_one_at_a_time():
    """A DAG may be larger than memory."""
    read = []

    def block(cid):
        read.append(cid)
        return BLOCKS[cid]

    caching_proof(ROOT, SEED, [*BLOCKS, *BLOCKS], block)
    assert read == sorted(BLOCKS)


def test_who_lacks_a_block_has_no_proof():
    """The missing block's own error goes through: nothing is made up for it."""
    some = {cid: block for cid, block in BLOCKS.items() if block}
    with pytest.raises(KeyError):
        caching_proof(ROOT, SEED, BLOCKS, some.__getitem__)


@pytest.mark.parametrize("seed", [b"", SEED[:15], SEED + b"\x00"], ids=len)
def test_a_seed_has_16_bytes(seed):
    """A shorter key would be completed by zeros, and mean another seed."""
    with pytest.raises(ValueInvalid, match="16 bytes"):
        proof_of_blocks(ROOT, seed, BLOCKS)


@given(seeds, seeds, dags)
def test_an_answer_for_another_seed_does_not_fit(one, other, blocks):
    """Nor is one seed's answer of use for the next."""
    same = proof_of_blocks(ROOT, one, blocks) == proof_of_blocks(ROOT, other, blocks)

    assert same == (one == other)


@given(seeds, dags, dags)
def test_another_dag_has_another_proof(seed, one, other):
    """Also where it has only one block more, or one byte elsewhere."""
    same = proof_of_blocks(ROOT, seed, one) == proof_of_blocks(ROOT, seed, other)

    assert same == (one == other)


@given(seeds, dags.filter(bool), st.data())
def test_who_kept_only_names_or_one_wrong_byte_cannot_answer(seed, blocks, data):
    """The liar knows all CIDs, and all blocks but a byte of one."""
    cid = data.draw(st.sampled_from(sorted(blocks)))
    forged = blocks | {cid: blocks[cid] + b"\x00"}
    empty = dict.fromkeys(blocks, b"")
    true = proof_of_blocks(ROOT, seed, blocks)

    assert proof_of_blocks(ROOT, seed, forged) != true
    assert (proof_of_blocks(ROOT, seed, empty) == true) == (empty == blocks)


def test_bytes_do_not_move_between_blocks_or_into_names():
    """What is put together the same is not the same: lengths stand before everything."""
    together = [
        {b"\x01": b"ab", b"\x02": b""},
        {b"\x01": b"a", b"\x02": b"b"},
        {b"\x01": b"", b"\x02": b"ab"},
        {b"\x01a": b"b", b"\x02": b""},
    ]
    proofs = {proof_of_blocks(ROOT, SEED, blocks) for blocks in together}

    assert len(proofs) == len(together)


def test_the_root_is_part_of_the_proof_and_the_key_is_used_for_nothing_else():
    """The same blocks under another root, and the same bytes without our person, differ."""
    proof = proof_of_blocks(ROOT, SEED, {})
    bare = len(ROOT).to_bytes(8, "big") + ROOT + bytes(8)

    assert proof_of_blocks(ROOT + b"\x00", SEED, {}) != proof
    assert hashlib.blake2b(bare, digest_size=32, key=SEED).digest() != proof
