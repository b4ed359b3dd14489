"""The witness protocol: what is answered to which request, and that no fork is ever signed."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from base64 import b64encode
from pathlib import Path

import pytest
from statetape.engine import cosigning
from statetape.engine.witness import BODY_BYTES_MAX, SIZE_TYPE, Request, answer, parse_request
from statetape.storage.note import SignerKey, sign_note
from statetape.storage.verifier import Checkpoint, open_note, parse_signature

from tests.storage.tapes import append, new_tape, open_tape
from tests.storage.witnesses import (
    FORKED,
    HONEST,
    LOG,
    NOW,
    Log,
    new_witness,
    reopened,
    submit,
)


@pytest.fixture
def witness(tmp_path):
    """A witness that trusts the log and has seen nothing."""
    return new_witness(tmp_path)


def body(log, old, size, proof=None):
    """The request for a log's tree of a size."""
    hashes = log.proof(old, size) if proof is None else proof
    return Request(old, tuple(hashes), log.note(size).encode()).body


def status(witness, request, now_s=NOW):
    """How a request is answered."""
    return answer(witness, request, now_s).status


def test_a_request_comes_back_as_it_was_written():
    """Size, hashes and note, byte by byte."""
    request = body(HONEST, 3, 8)

    assert parse_request(request).body == request
    assert parse_request(request).proof == tuple(HONEST.proof(3, 8))


def test_an_honest_log_is_cosigned(witness):
    """Each answer is one line, by the witness, over that checkpoint, at that time."""
    for old, size in ((0, 3), (3, 3), (3, 8)):
        found = answer(witness, body(HONEST, old, size), NOW)
        note = HONEST.note(size).encode() + found.body
        opened = open_note(note, [LOG.verifier, witness.signer.verifier])
        assert (found.status, len(opened.signed)) == (200, 2)
        assert parse_signature(found.text.rstrip("\n")).time_s == NOW


HASH = b64encode(bytes(32))
NOTE = HONEST.note(3).encode()
MALFORMED = {
    "empty": b"",
    "no blank line": b"old 0\n" + NOTE.replace(b"\n\n", b"\n"),
    "no old": b"\n\n" + NOTE,
    "old alone": b"old \n\n" + NOTE,
    "old negative": b"old -1\n\n" + NOTE,
    "old with a zero before": b"old 00\n\n" + NOTE,
    "old in other digits": "old \u0663\n\n".encode() + NOTE,
    "old too large": b"old 9223372036854775808\n\n" + NOTE,
    "old twice": b"old 0\nold 0\n\n" + NOTE,
    "spaces": b"old  0\n\n" + NOTE,
    "carriage returns": b"old 0\r\n\r\n" + NOTE,
    "not base64": b"old 0\n!!!!\n\n" + NOTE,
    "a short hash": b"old 0\nAAAA\n\n" + NOTE,
    "base64 that is not canonical": b"old 0\n" + HASH[:-2] + b"B=\n\n" + NOTE,
    "64 hashes": b"old 0\n" + (HASH + b"\n") * 64 + b"\n" + NOTE,
    "no note": b"old 0\n\n",
    "no checkpoint": b"old 0\n\n" + sign_note("example.com/log\n", LOG).encode(),
    "too long": body(HONEST, 0, 3) + b"x" * BODY_BYTES_MAX,
    "old above the checkpoint's": body(HONEST, 4, 3, []),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_400(witness, name):
    """And nothing is remembered; the control is the request that these are changes of."""
    assert status(witness, MALFORMED[name]) == 400
    assert witness.seen() == []

    assert status(witness, body(HONEST, 0, 3)) == 200


def test_an_unknown_log_is_404(witness):
    """Also one whose name begins like a trusted one's."""
    for name in ("example.com/other", "example.com/lo", "example.com/log2"):
        other = Log("a", signer=SignerKey(name, LOG.seed))
        assert status(witness, body(other, 0, 1)) == 404


def test_what_no_trusted_key_signed_is_403(witness):
    """Another key of that name, a changed text, and a witness's signature in the log's place."""
    impostor = Log(*"abc", signer=SignerKey(LOG.name, bytes(32)))
    changed = body(HONEST, 0, 3).replace(b"\n3\n", b"\n4\n")
    other_log = SignerKey("example.com/second", LOG.seed)
    witness.trust([other_log.verifier])
    foreign = Request(0, (), sign_note(HONEST.checkpoint(3).text, other_log).encode()).body
    for request in (body(impostor, 0, 3), changed, foreign):
        assert status(witness, request) == 403

    assert witness.seen() == []


def test_another_size_is_409_with_the_size_that_is_held(witness):
    """In the form that the protocol gives it; from there it is 200."""
    answer(witness, body(HONEST, 0, 5), NOW)
    for old, size in ((0, 3), (0, 8), (3, 8), (6, 8)):
        found = answer(witness, body(HONEST, old, size), NOW)
        assert (found.status, found.content_type, found.body) == (409, SIZE_TYPE, b"5\n")

    assert status(witness, body(HONEST, 5, 8)) == 200


def test_what_is_inconsistent_is_422(witness):
    """A fork at the same size or later, a proof that is wrong, missing, or not needed."""
    answer(witness, body(HONEST, 0, 5), NOW)
    wrong = HONEST.proof(5, 8)
    wrong[0] = bytes(32)
    for request in (
        body(FORKED, 5, 5),
        body(FORKED, 5, 8),
        body(HONEST, 5, 8, wrong),
        body(HONEST, 5, 8, []),
        body(HONEST, 5, 5, [bytes(32)]),
    ):
        assert status(witness, request) == 422

    assert witness.seen()[0].size == 5


def test_an_empty_tree_with_another_root_is_422(witness):
    """And so is a proof from nothing."""
    note = sign_note(Checkpoint(LOG.name, 0, bytes(32)).text, LOG).encode()

    assert status(witness, Request(0, (), note).body) == 422
    assert status(witness, body(HONEST, 0, 3, [bytes(32)])) == 422
    assert witness.seen() == []


def test_lines_after_the_root_are_signed_with_it(witness):
    """The cosignature is over the checkpoint's whole text."""
    note = sign_note(HONEST.checkpoint(3).text + "an extension\n", LOG).encode()
    found = answer(witness, Request(0, (), note).body, NOW)

    assert open_note(note + found.body, [witness.signer.verifier])


DYING = """
import os, signal, sys
from pathlib import Path
from statetape.engine import witness as protocol
from statetape.storage import witness as memory
from tests.engine.test_witness import HONEST, NOW, body
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "signing":
    protocol.cosign = die
else:
    memory.max = die
folder = Path(sys.argv[1])
witness = memory.Witness.open(folder / "witness.db", folder / "witness.key")
protocol.answer(witness, body(HONEST, 3, 8), NOW)
"""


@pytest.mark.parametrize(("when", "held"), [("signing", 8), ("remembering", 3)])
def test_a_witness_killed_remembers_at_least_what_it_signed(witness, tmp_path, when, held):
    """Killed before it signs it remembers already; killed before that, it has signed nothing."""
    submit(witness, HONEST, 0, 3)
    command = [sys.executable, "-c", DYING, str(tmp_path), when]
    died = subprocess.run(command, capture_output=True, text=True)

    assert (died.returncode, died.stdout, died.stderr) == (-signal.SIGKILL, "", "")
    assert reopened(witness).seen()[0].size == held
    assert status(reopened(witness), body(HONEST, held, 8)) == 200
    assert status(reopened(witness), body(FORKED, 8, 9)) == 422


# tapes


class Payee:
    """A tape with a witness that it asks without a network."""

    def __init__(self, folder: Path, witness) -> None:
        self.path = folder / "tape.db"
        self.witness = witness
        self.asked = 0
        new_tape(self.path).close()
        with open_tape(self.path) as tape:
            witness.trust(tape.signers())

    def grow(self, *texts: str) -> None:
        """Store entries."""
        with open_tape(self.path) as tape:
            append(tape, *(f'{{"text":"{text}"}}'.encode() for text in texts))

    def post(self, _url: str, request: bytes):
        """Ask the witness, as its next process."""
        self.asked += 1
        return answer(reopened(self.witness), request, NOW)

    def cosign(self):
        """Have the tape cosigned."""
        with open_tape(self.path) as tape:
            key = self.witness.signer.verifier
            return cosigning.obtain(tape, "", key, lambda: NOW, self.post)

    def copy(self) -> Path:
        """Keep a copy of the tape, its anchor and its key."""
        folder = self.path.parent / "copy"
        folder.mkdir()
        for one in (self.path, *self.path.parent.glob("tape.db.*")):
            shutil.copy(one, folder / one.name)
        return folder

    def restore(self, folder: Path) -> None:
        """Put a copy back, in every file that the tape has."""
        for one in self.path.parent.glob("tape.db*"):
            one.unlink()
        for one in folder.iterdir():
            shutil.copy(one, self.path.parent / one.name)


@pytest.fixture
def payee(tmp_path, witness):
    """A tape of one entry, whose witness has not seen it."""
    return Payee(tmp_path, witness)


def test_an_honest_tape_is_cosigned_as_it_grows(payee):
    """With one request each time, as the tape knows where the witness is."""
    for count in (1, 300, 5):
        payee.grow(*map(str, range(count)))
        assert payee.cosign().new

    assert payee.asked == 3
    assert payee.witness.seen()[0].size == 307
    assert not payee.cosign().new


def test_a_tape_that_forgot_its_witness_is_told(payee):
    """A copy from before the cosignature, grown on as it was: asked again from what is held."""
    payee.grow("a", "b")
    before = payee.copy()
    payee.grow("c")
    payee.cosign()
    payee.restore(before)
    payee.grow("c", "d")
    payee.asked = 0

    assert payee.cosign().size == 5
    assert payee.asked == 2


@pytest.mark.parametrize("grown", [["x"], ["x", "y", "z"], []])
def test_a_tape_put_back_and_grown_otherwise_is_refused(payee, grown):
    """Shorter, as long, or longer than what was signed: no file beside the tape tells, but this."""
    payee.grow("a", "b")
    before = payee.copy()
    payee.grow("c")
    payee.cosign()
    payee.restore(before)
    payee.grow(*grown)

    with pytest.raises(cosigning.WitnessContradicts):
        payee.cosign()
    assert payee.witness.seen()[0].size == 4
    assert len(payee.witness.contradictions()) == (len(grown) == 1)
