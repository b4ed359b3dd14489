"""A witness behind HTTP, with the standard library's server.

One POST is all there is to serve, so no framework is needed (docs/decisions/0030-witness.md); what
a public server needs is here: a bound on the body, on the number of connections, and on how long
one may last, however slowly its peer sends or reads. A connection is one thread.

Stopping: no new connection is taken, none is read from any more, and answers under way are sent.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any

from ..fsm.errors import ConflictError, OperatorError, StatetapeError
from ..storage.witness import Witness
from .witness import BODY_BYTES_MAX, PATH, TEXT, Answer, answer

CONNECTIONS_MAX = 64
CONNECTION_S_MAX = 30.0
READ_TIMEOUT_S = 10.0
POLL_S = 0.1
_LENGTH = re.compile("[0-9]{1,9}")
_FULL = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Clock = Callable[[], int]
Log = Callable[[str], None]


class WitnessUnable(OperatorError):
    """The witness cannot listen at that address."""

    code = "witness-unable"


class _Handler(BaseHTTPRequestHandler):
    """One connection. HTTP's errors end it; what the witness answers leaves it open."""

    server: WitnessServer
    protocol_version = "HTTP/1.1"
    timeout = READ_TIMEOUT_S

    def do_POST(self) -> None:
        body = self._body()
        if body is None:
            return
        if self.path != PATH:
            self._send(404, "there is only add-checkpoint here")
            return
        try:
            found = answer(self.server.witness, body, self.server.clock())
        except StatetapeError as error:
            self.server.log(f"{self.client_address[0]} not answered: {error}")
            self._send(503 if isinstance(error, ConflictError) else 500, "nothing was signed")
            return
        told = "cosigned" if found.status == 200 else ascii(found.text.strip())
        self.server.log(f"{self.client_address[0]} {found.status} {told}")
        self._answer(found)

    def _body(self) -> bytes | None:
        """Return the request's body, or None where its header is not one that we take."""
        lengths = self.headers.get_all("Content-Length") or []
        if "Transfer-Encoding" in self.headers or not lengths:
            self._refuse(411, "Content-Length is needed")
        elif len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            self._refuse(400, "Content-Length is one number")
        elif int(lengths[0]) > BODY_BYTES_MAX:
            self._refuse(413, f"a request has at most {BODY_BYTES_MAX} bytes")
        else:
            body = self.rfile.read(int(lengths[0]))
            if len(body) == int(lengths[0]):
                return body
            self.close_connection = True
        return None

    def _refuse(self, status: int, why: str) -> None:
        self.close_connection = True
        self._send(status, why)

    def _send(self, status: int, why: str) -> None:
        self._answer(Answer(status, TEXT, f"{why}\n".encode()))

    def _answer(self, found: Answer) -> None:
        self.send_response(found.status)
        self.send_header("Content-Type", found.content_type)
        self.send_header("Content-Length", str(len(found.body)))
        if self.close_connection or self.server.stopping:
            self.close_connection = True
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(found.body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """The base class's own refusals, as plain text."""
        self._refuse(code, explain or message or "refused")

    def version_string(self) -> str:
        """Not which Python this is."""
        return "statetape"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Answers are logged where they are made."""


class WitnessServer(ThreadingHTTPServer):
    """Serves a witness until `stop`. `url` says where."""

    daemon_threads = False  # `server_close` waits for answers under way
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(
        self,
        witness: Witness,
        host: str,
        port: int,
        *,
        clock: Clock,
        log: Log = lambda _: None,
        connections_max: int = CONNECTIONS_MAX,
        connection_s_max: float = CONNECTION_S_MAX,
    ) -> None:
        """Listen at `host` and `port` (0: a free one); `clock` gives POSIX seconds."""
        self.witness = witness
        self.clock = clock
        self.log = log
        self.stopping = False
        self.connection_s_max = connection_s_max
        self._places = threading.Semaphore(connections_max)
        self._open: dict[socket.socket, float] = {}
        self._mutex = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(POLL_S,))
        if ":" in host:
            self.address_family = socket.AF_INET6
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise WitnessUnable(why, place=f"{host}:{port}") from error

    def server_bind(self) -> None:
        """Bind, without the look-up of a name that http.server makes."""
        TCPServer.server_bind(self)

    @property
    def url(self) -> str:
        """The address it listens at."""
        host, port = self.socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Begin to serve, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more, send what is being answered, and end."""
        self.stopping = True
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        with self._mutex:
            for one in self._open:
                _shut(one, socket.SHUT_RD)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give the connection a thread, or turn it away where there are too many."""
        if not self._places.acquire(blocking=False):
            request.settimeout(POLL_S)
            with suppress(OSError):
                request.sendall(_FULL)
            self.shutdown_request(request)
            return
        with self._mutex:
            self._open[request] = time.monotonic() + self.connection_s_max
        try:
            super().process_request(request, client_address)
        except BaseException:  # no thread could be begun
            self._over(request)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection to its end."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._over(request)

    def _over(self, request: socket.socket) -> None:
        with self._mutex:
            self._open.pop(request, None)
        self._places.release()

    def service_actions(self) -> None:
        """Cut off connections that have lasted too long; called between two polls."""
        super().service_actions()
        now = time.monotonic()
        with self._mutex:
            for one, until in self._open.items():
                if now > until:
                    _shut(one, socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """A connection that broke is its peer's matter; nothing else should come here."""
        error = sys.exc_info()[1]
        what = "broke off" if isinstance(error, OSError) else f"not answered, a bug: {error!r}"
        self.log(f"{client_address[0]} {what}")


def _shut(one: socket.socket, how: int) -> None:
    with suppress(OSError):  # it is closed already
        one.shutdown(how)
