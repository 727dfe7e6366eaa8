"""A server that answers every request alike."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class _Heard(BaseHTTPRequestHandler):
    """Answers every request alike, and keeps what it was told."""

    server: Listener

    def do_GET(self) -> None:
        """Answer."""
        self.server.heard.append((self.path, self.headers.get("Authorization")))
        time.sleep(self.server.delay)
        self.send_response(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.content)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Listener(ThreadingHTTPServer):
    """A server that answers with a status and some bytes, after some seconds. heard: path and authorization of each
    request."""

    def __init__(
        self, status: int, content: bytes, headers: Sequence[tuple[str, str]] = (), *, delay: float = 0
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Heard)
        self.status, self.content, self.headers, self.delay = status, content, headers, delay
        self.heard: list[tuple[str, str | None]] = []

    @contextmanager
    def listening(self) -> Iterator[str]:
        """Listen; give the address without its scheme."""
        thread = Thread(target=self.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{self.server_address[1]}"
        finally:
            self.shutdown()
            thread.join()
            self.server_close()
