"""HTTP on loopback. The standard library's server, because faults need the bare socket."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tierline.testing.sheets.exchange import Reply, Request
from tierline.testing.sheets.service import Outcome, Service

HOST = "127.0.0.1"
_BODY_BYTES_MAX = 50_000_000
# Closing with this answers the peer with a reset instead of an orderly end.
_RESET = struct.pack("ii", 1, 0)
_HEADERS = {
    "Vary": "Origin, X-Origin, Referer",
    "Cache-Control": "private",
    "X-XSS-Protection": "0",
    "X-Frame-Options": "SAMEORIGIN",
    "X-Content-Type-Options": "nosniff",
}


class HttpServer(ThreadingHTTPServer):
    """A thread a connection; `close` ends the connections that clients keep open."""

    # Threads end when their connections are shut, so they are waited for: none outlives a test.
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, service: Service, port: int) -> None:
        super().__init__((HOST, port), _Handler)
        self.service = service
        self._mutex = threading.Lock()
        self._open: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember a connection while it lasts."""
        with self._mutex:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget it."""
        with self._mutex:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error of the server."""

    def close(self) -> None:
        """Stop listening, end every connection and wait for their threads."""
        self.shutdown()
        self._thread.join()
        with self._mutex:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "ESF"
    sys_version = ""
    # Answers are written in one piece, and at once.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: HttpServer  # pyright: ignore[reportIncompatibleVariableOverride]

    def do_GET(self) -> None:
        """Any method: the service looks at it."""
        url = urlsplit(self.path)
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        body = self._body()
        if body is None:
            return
        outcome = self.server.service.answer(
            Request(
                self.command,
                url.path,
                parse_qs(url.query, keep_blank_values=True),
                body,
                token.strip() if scheme.lower() == "bearer" else None,
            )
        )
        self._send(outcome)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def _body(self) -> bytes | None:
        """The body; None where it cannot be read, and the connection is given up."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > _BODY_BYTES_MAX:
            self.close_connection = True
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _send(self, outcome: Outcome) -> None:
        if outcome.reset:
            self._hang_up()
            return
        reply: Reply = outcome.reply
        # A cut answer goes as it is, so that its bytes can be counted.
        if outcome.body_bytes is None and reply.body and self._takes_gzip():
            zipped = reply.zip() if reply.zip else gzip.compress(reply.body, 1, mtime=0)
            headers = (*reply.headers, ("Content-Encoding", "gzip"))
            reply = reply._replace(body=zipped, headers=headers)
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        for name, value in (*_HEADERS.items(), *reply.headers):
            self.send_header(name, value)
        if reply.status != 204:
            self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if outcome.body_bytes is None:
            self.wfile.write(reply.body)
        else:
            self.wfile.write(reply.body[: outcome.body_bytes])
            self.close_connection = True
        self.wfile.flush()

    def _takes_gzip(self) -> bool:
        return "gzip" in self.headers.get("Accept-Encoding", "")

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # The files on the socket hold it open; without them closing is what the peer sees.
        self.rfile.close()
        self.wfile.close()
        self.connection.close()

    def finish(self) -> None:
        """Close the files, unless the connection was reset."""
        if not self.wfile.closed:
            super().finish()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing: `requests` tells what came."""
