"""A witness behind HTTP: bounded in every direction, and stopped without cutting an answer off."""

from __future__ import annotations

import http.client
import socket
import threading
from contextlib import closing, contextmanager

import pytest
from statetape.engine import witness_server
from statetape.engine.witness import BODY_BYTES_MAX, PATH, Request
from statetape.engine.witness_server import WitnessServer, WitnessUnable
from statetape.storage.verifier import open_note

from tests.storage.witnesses import HONEST, NOW, new_witness


@contextmanager
def serving(witness, **options):
    """A server on a free port."""
    server = WitnessServer(witness, "127.0.0.1", 0, clock=lambda: NOW, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def witness(tmp_path):
    """A witness that trusts the log and has seen nothing."""
    return new_witness(tmp_path)


@pytest.fixture
def server(witness):
    """A server of that witness."""
    with serving(witness) as server:
        yield server


def connected(server):
    """A connection that closes itself, with a time limit for a test that fails."""
    host, port = server.server_address
    return closing(http.client.HTTPConnection(host, port, timeout=5))


def request(old, size):
    """The honest log's request."""
    return Request(old, tuple(HONEST.proof(old, size)), HONEST.note(size).encode()).body


def exchange(server, raw):
    """Send these bytes (none: and no more) and return everything that comes back."""
    with socket.create_connection(server.server_address, timeout=5) as one:
        one.sendall(raw)
        if not raw:
            one.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: one.recv(65536), b""))


def first_line(server, raw):
    """Return the status in what comes back."""
    return int(exchange(server, raw).split(b" ")[1])


def test_one_connection_serves_several_requests(server, witness):
    """Signed, then told the size, then refused: as the protocol answers without a network."""
    with connected(server) as connection:
        found = []
        for old, size in ((0, 3), (0, 4), (3, 5)):
            connection.request("POST", PATH, request(old, size))
            response = connection.getresponse()
            found.append((response.status, response.getheader("Content-Type"), response.read()))

    assert [status for status, _, _ in found] == [200, 409, 200]
    assert found[1][1:] == ("text/x.tlog.size", b"3\n")
    note = HONEST.note(5).encode() + found[2][2]
    assert open_note(note, [witness.signer.verifier])


def test_only_one_thing_is_served(server):
    """No other path, no other method; and what the server is made of it does not say."""
    with connected(server) as connection:
        connection.request("POST", "/other", request(0, 3))
        response = connection.getresponse()
        assert (response.status, response.getheader("Server")) == (404, "statetape")
        response.read()
    for method in (b"GET", b"PUT", b"CONNECT"):
        assert first_line(server, method + b" /add-checkpoint HTTP/1.1\r\n\r\n") == 501


POST = b"POST /add-checkpoint HTTP/1.1\r\n"
WRONG = {
    "no length": (POST + b"\r\n", 411),
    "chunks": (POST + b"Transfer-Encoding: chunked\r\n\r\n", 411),
    "chunks and a length": (POST + b"Transfer-Encoding: x\r\nContent-Length: 1\r\n\r\na", 411),
    "two lengths": (POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
    "a length with a sign": (POST + b"Content-Length: +1\r\n\r\na", 400),
    "a long body": (POST + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1), 413),
    "many headers": (POST + b"".join(b"X%d: y\r\n" % n for n in range(200)) + b"\r\n", 431),
    "a long line": (b"POST /".ljust(65_537, b"x"), 414),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_a_bounded_request_is_refused_and_cut_off(server, name):
    """Before its body is read; the answer is all that comes, and the server serves on."""
    raw, status = WRONG[name]

    assert first_line(server, raw) == status
    with connected(server) as connection:
        connection.request("POST", PATH, request(0, 3))
        assert connection.getresponse().status == 200


def test_a_body_that_ends_early_is_not_answered(server, witness):
    """Half a request is none."""
    with socket.create_connection(server.server_address, timeout=5) as one:
        one.sendall(POST + b"Content-Length: 1000\r\n\r\nold 0\n")
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""

    assert witness.seen() == []


def test_a_connection_that_lasts_too_long_is_cut_off(witness):
    """However it spends its time: here with half a request, never idle for long."""
    with serving(witness, connection_s_max=0.2) as server:
        assert exchange(server, POST + b"Content-Length: 1000\r\n\r\nold 0\n") == b""


def test_no_more_connections_than_there_are_places(witness):
    """One more is told so at once; when one ends its place is free."""
    with serving(witness, connections_max=1) as server:
        with connected(server) as first:
            first.request("POST", PATH, request(0, 3))
            first.getresponse().read()  # so it has its place, and keeps it
            assert first_line(server, b"") == 503
        for _ in range(1000):  # until the server has noticed that it ended
            if exchange(server, b"") == b"":
                break
        else:
            pytest.fail("the place was not given back")


def test_stopping_ends_idle_connections_and_sends_what_is_under_way(witness, monkeypatch):
    """An answer that is being made when the server is stopped arrives whole."""
    began, may_go_on = threading.Event(), threading.Event()
    answer = witness_server.answer

    def slowly(*given):
        began.set()
        assert may_go_on.wait(5)
        return answer(*given)

    monkeypatch.setattr(witness_server, "answer", slowly)
    with serving(witness) as server, connected(server) as connection, connected(server) as idle:
        idle.connect()
        connection.request("POST", PATH, request(0, 3))
        assert began.wait(5)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        server._thread.join()
        may_go_on.set()
        response = connection.getresponse()
        assert (response.status, response.getheader("Connection")) == (200, "close")
        assert response.read().startswith("\u2014 ".encode())
        stopping.join(5)
        assert not stopping.is_alive()
        assert idle.sock.recv(1) == b""

    assert witness.seen()[0].size == 3


def test_a_witness_whose_state_fails_says_500_and_signs_nothing(witness):
    """What went wrong is for its operator's log, not for strangers."""
    said = []
    with serving(witness, log=said.append) as server, connected(server) as connection:
        witness.path.rename(witness.path.with_suffix(".away"))
        connection.request("POST", PATH, request(0, 3))
        response = connection.getresponse()
        assert (response.status, response.read()) == (500, b"nothing was signed\n")

    assert "not answered" in said[0]
    assert str(witness.path) in said[0]


def test_requests_at_once_all_get_an_answer(server, witness):
    """Many clients submit the same growing log; each is signed or told the size."""
    found = []

    def run():
        with connected(server) as connection:
            for size in range(1, 11):
                connection.request("POST", PATH, request(size - 1, size))
                response = connection.getresponse()
                found.append((response.status, response.read()))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert {status for status, _ in found} <= {200, 409}
    assert len(found) == 40
    assert witness.seen()[0].size == 10


def test_an_address_that_is_taken_is_said_so(server, witness):
    """With the address."""
    host, port = server.server_address

    with pytest.raises(WitnessUnable, match=f"{host}:{port}"):
        WitnessServer(witness, host, port, clock=lambda: NOW)
