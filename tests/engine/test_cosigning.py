"""A tape asks witnesses that are not what they should be: nothing of theirs is stored."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest
from statetape.engine import cosigning
from statetape.engine.cosigning import (
    ANSWER_BYTES_MAX,
    SKEW_S,
    WitnessAnswerInvalid,
    WitnessContradicts,
    WitnessKeyInvalid,
    WitnessRefused,
    WitnessUnreachable,
    WitnessUrlInvalid,
    accept,
    obtain,
    send,
)
from statetape.engine.witness import SIZE_TYPE, TEXT, Answer, answer
from statetape.storage import cosignatures
from statetape.storage.note import SignerKey, cosign
from statetape.storage.verifier import COSIGNER, open_note

from tests.storage.tapes import append, new_tape, open_tape
from tests.storage.witnesses import NOW, new_witness

OTHER = SignerKey("example.com/other", bytes(range(3, 35)), COSIGNER)


@pytest.fixture
def witness(tmp_path):
    """A witness that knows the tape and has not seen it."""
    return new_witness(tmp_path)


@pytest.fixture
def tape(tmp_path, witness):
    """A tape of three entries."""
    new_tape(tmp_path / "tape.db").close()
    with open_tape(tmp_path / "tape.db") as tape:
        append(tape, b'{"n":2}', b'{"n":3}')
        witness.trust(tape.signers())
        yield tape


def text_of(tape):
    """The checkpoint that is being cosigned."""
    return cosignatures.note_of(tape, tape.size).partition("\n\n")[0] + "\n"


def key_of(witness):
    """The witness's public key."""
    return witness.signer.verifier


def test_what_a_witness_signed_is_stored(tape, witness):
    """The control of all that follows: verified by both keys, with the witness's time."""
    ask = lambda _, body: answer(witness, body, NOW)  # noqa: E731
    found = obtain(tape, "", key_of(witness), lambda: NOW, ask)

    assert (found.size, found.time_s, found.new) == (3, NOW, True)
    note = cosignatures.note_with_cosignatures(tape, 3).encode()
    assert len(open_note(note, [*tape.signers(), key_of(witness)]).signed) == 2


def signed(tape, witness, time_s=NOW, text=None):
    """What the witness's key signs if it is asked to."""
    return cosign(text or text_of(tape), witness.signer, time_s).encode()


FALSE = {
    "nothing": lambda tape, witness: b"",
    "garbage": lambda tape, witness: b"\xff\x00 garbage",
    "text": lambda tape, witness: b"<html>It works!</html>",
    "too much": lambda tape, witness: signed(tape, witness) + b"x" * ANSWER_BYTES_MAX,
    "many lines": lambda tape, witness: signed(tape, witness) * 17,
    "two of its lines": lambda tape, witness: signed(tape, witness) * 2,
    "another key": lambda tape, witness: cosign(text_of(tape), OTHER, NOW).encode(),
    "another key of its name": lambda tape, witness: cosign(
        text_of(tape), SignerKey(witness.signer.name, bytes(32), COSIGNER), NOW
    ).encode(),
    "another text": lambda tape, witness: signed(tape, witness, text="a\n1\nAAAA\n"),
    "the future": lambda tape, witness: signed(tape, witness, NOW + SKEW_S + 1),
    "the past": lambda tape, witness: signed(tape, witness, NOW - SKEW_S - 1),
    "the end of time": lambda tape, witness: signed(tape, witness, 2**64 - 1),
    "another line that is none": lambda tape, witness: signed(tape, witness) + b"x\n",
    "a bit": lambda tape, witness: signed(tape, witness).replace(b"=", b"A"),
}


@pytest.mark.parametrize("name", FALSE)
def test_what_is_not_the_witnesss_cosignature_is_not_stored(tape, witness, name):
    """An error says so, whoever signed what instead."""

    def ask(_, __):
        return Answer(200, TEXT, FALSE[name](tape, witness))

    with pytest.raises(WitnessAnswerInvalid):
        obtain(tape, "", key_of(witness), lambda: NOW, ask)
    assert cosignatures.of(tape, 3) == []


def test_a_line_of_somebody_else_beside_it_is_skipped(tape, witness):
    """Only the line by the key given is stored."""

    def ask(_, __):
        return Answer(200, TEXT, cosign(text_of(tape), OTHER, NOW).encode() + own)

    tape.anchor()
    own = signed(tape, witness)
    assert obtain(tape, "", key_of(witness), lambda: NOW, ask).new

    assert cosignatures.of(tape, 3) == [own.decode().rstrip("\n")]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        (Answer(301, TEXT, b"elsewhere"), WitnessRefused),
        (Answer(403, TEXT, b"no"), WitnessRefused),
        (Answer(404, TEXT, b"\x1b[31mno"), WitnessRefused),
        (Answer(409, SIZE_TYPE, b"2\n"), WitnessRefused),
        (Answer(409, SIZE_TYPE, b"4\n"), WitnessContradicts),
        (Answer(409, SIZE_TYPE, b"-1\n"), WitnessAnswerInvalid),
        (Answer(409, SIZE_TYPE, b"9" * 30), WitnessAnswerInvalid),
        (Answer(409, TEXT, b"2\n"), WitnessAnswerInvalid),
        (Answer(422, TEXT, b"a fork"), WitnessContradicts),
        (Answer(500, TEXT, b""), WitnessUnreachable),
        (Answer(503, TEXT, b""), WitnessUnreachable),
    ],
    ids=lambda value: f"{value.status} {value.body[:8]}" if isinstance(value, Answer) else None,
)
def test_every_refusal_has_its_error(tape, witness, given, error):
    """It is asked once more at most; what it says is shown without control characters."""
    asked = []

    def ask(_, body):
        asked.append(body)
        return given

    with pytest.raises(error) as raised:
        obtain(tape, "", key_of(witness), lambda: NOW, ask)
    assert "\x1b" not in str(raised.value)
    assert len(asked) == (2 if given.body == b"2\n" and given.content_type == SIZE_TYPE else 1)
    assert cosignatures.newest(tape) is None


def test_a_logs_key_is_no_witnesss(tape):
    """Said before anybody is asked."""
    with pytest.raises(WitnessKeyInvalid):
        obtain(tape, "", tape.signers()[0], lambda: NOW)


# by file


def test_an_answer_by_file_finds_its_checkpoint(tape, witness):
    """However the tape grew since; as a line, or under the checkpoint as a whole note."""
    size, _ = cosigning.request(tape, 0)
    line = signed(tape, witness)
    note = cosignatures.note_of(tape, size).encode()
    append(tape, b'{"n":4}')
    tape.anchor()
    week = 7 * 24 * 3600

    assert accept(tape, line, key_of(witness), NOW + week).size == size
    assert not accept(tape, note + line, key_of(witness), NOW + week).new
    assert cosignatures.newest(tape) == size


def test_an_answer_by_file_that_fits_no_checkpoint_is_refused(tape, witness):
    """Nor one from the future, nor one of years ago."""
    tape.anchor()
    other = signed(tape, witness, text=text_of(tape).replace("\n3\n", "\n2\n"))
    for content, now_s in (
        (other, NOW),
        (b"", NOW),
        (signed(tape, witness), NOW - SKEW_S - 1),
        (signed(tape, witness), NOW + 2 * 366 * 24 * 3600),
    ):
        with pytest.raises(WitnessAnswerInvalid):
            accept(tape, content, key_of(witness), now_s)

    assert cosignatures.of(tape, 3) == []
    assert accept(tape, signed(tape, witness), key_of(witness), NOW).new


# by HTTP


@contextmanager
def answering(raw, *, then_waits=False):
    """A server that sends these bytes to whoever sends `x`; the URL of it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def run():
            one, _ = listening.accept()
            with one:
                one.settimeout(5)
                asked = b""
                while not asked.endswith(b"\r\n\r\nx"):  # what is unread would reset the connection
                    asked += one.recv(65536)
                one.sendall(raw)
                if then_waits:
                    done.wait(5)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/w/"
        finally:
            done.set()
            thread.join()


def test_no_redirect_is_followed():
    """Its status is the answer."""
    head = b"HTTP/1.1 307 Look\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with answering(head) as url:
        assert send(url, b"x").status == 307


@pytest.mark.parametrize(
    "raw",
    [
        b"not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["no HTTP", "many headers", "short", "huge", "bad chunks"],
)
def test_what_is_no_bounded_answer_is_refused(raw):
    """By name, with the address."""
    with answering(raw) as url, pytest.raises(WitnessAnswerInvalid) as raised:
        send(url, b"x")
    assert raised.value.place == url


def test_a_witness_that_never_ends_is_not_waited_for(monkeypatch):
    """There is one limit for the whole exchange, however many bytes come in it."""
    monkeypatch.setattr(cosigning, "EXCHANGE_S", 0.2)
    unreachable = pytest.raises(WitnessUnreachable, match="no answer within")
    with answering(b"HTTP/1.1 200 OK\r\n", then_waits=True) as url, unreachable:
        send(url, b"x")


def test_nobody_there_is_said_so():
    """With the operating system's words."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

    with pytest.raises(WitnessUnreachable, match="refused"):
        send(url, b"x")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "file:///etc/passwd",
        "ftp://example.com",
        "http://",
        "http://:80",
        "http://user:secret@example.com",
        "http://example.com:99999",
        "http://example.com/?q",
        "http://example.com/#f",
        "http://example.com/a b",
        "http://example.com/\r\nX: y",
        "http://[::1",
        "http://a..b",
    ],
)
def test_only_plain_addresses_are_asked(url):
    """Nothing is looked up or connected to for any other."""
    with pytest.raises(WitnessUrlInvalid):
        send(url, b"x")
