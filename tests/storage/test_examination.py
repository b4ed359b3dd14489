"""A tlog-proof's bytes: every single-byte change is refused, and no input is a crash."""

from __future__ import annotations

import pytest
from statetape.storage.examination import entry_in, examine
from statetape.storage.note import SignerKey, cosign, sign_note
from statetape.storage.verifier import COSIGNER, Checkpoint, EvidenceInvalid, Proof

from .oracle import Definition, leaf
from .tapes import seeded
from .test_note import changes

ENTRIES = [b'{"pos":%d}' % pos for pos in range(1, 8)]
TREE = Definition([leaf(entry) for entry in ENTRIES])
LOG = SignerKey("example.com/log", bytes(range(32)))
WITNESS = SignerKey("example.com/witness", bytes(range(1, 33)), COSIGNER)
TEXT = Checkpoint(LOG.name, 7, TREE.root(0, 7)).text
NOTE = (sign_note(TEXT, LOG) + cosign(TEXT, WITNESS, 1_750_000_000)).encode()
HASHES = tuple(TREE.path(4, 0, 7))
BARE = Proof(4, HASHES, NOTE).content
WITH_ENTRY = Proof(4, HASHES, NOTE, ENTRIES[4]).content
KEYS = ([LOG.verifier], [WITNESS.verifier])


def holds(content: bytes, entry: bytes | None = None) -> bool:
    """Whether a proof shows an entry (by default its own); anything but a verdict is raised."""
    try:
        body = entry_in(content) if entry is None else entry
        return body is not None and examine(content, body, *KEYS).index >= 0
    except EvidenceInvalid:
        return False


@pytest.mark.parametrize(("content", "entry"), [(BARE, ENTRIES[4]), (WITH_ENTRY, None)])
def test_every_single_byte_change_of_a_proof_is_refused(content, entry):
    """Header, extra, index, hashes, checkpoint, both signatures: nothing is loose."""
    made = changes(content)

    assert holds(content, entry)
    assert [what for what, changed in made.items() if holds(changed, entry)] == []
    assert len(made) > 5000


def test_nothing_crashes_an_examination():
    """Pieces put together at random, cut anywhere: a verdict, always."""
    rng = seeded("examination")
    pieces = [BARE, WITH_ENTRY, NOTE, b"\n\n", b"index 4\n", b"c2sp.org/tlog-proof@v1\n", b"\xff"]
    pieces += ["\u2014 x y\n".encode(), b"extra \n", b"A" * 44 + b"\n", b"\0", b""]
    for _ in range(3000):
        content = b"".join(rng.choices(pieces, k=rng.randrange(1, 6)))
        content = content[rng.randrange(0, 3) : len(content) - rng.randrange(0, 3)]
        holds(content, rng.choice([None, b"", ENTRIES[4]]))


def test_a_key_counts_once_and_with_its_earliest_time():
    """Two lines of one witness are one witness; so are two names of one key."""
    twice = sign_note(TEXT, LOG) + cosign(TEXT, WITNESS, 2000) + cosign(TEXT, WITNESS, 1000)
    content = Proof(4, HASHES, twice.encode()).content
    shown = examine(content, ENTRIES[4], *KEYS)

    assert [one.time_s for one in shown.witnesses] == [1000]
    same = SignerKey("example.com/alias", WITNESS.seed, COSIGNER)
    both = sign_note(TEXT, LOG) + cosign(TEXT, WITNESS, 1000) + cosign(TEXT, same, 1000)
    content = Proof(4, HASHES, both.encode()).content
    keys = [WITNESS.verifier, same.verifier]
    assert len(examine(content, ENTRIES[4], [LOG.verifier], keys).witnesses) == 1
    with pytest.raises(EvidenceInvalid, match="1 of the witnesses"):
        examine(content, ENTRIES[4], [LOG.verifier], keys, 2)
