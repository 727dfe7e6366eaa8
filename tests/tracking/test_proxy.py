"""The proxy of the tests goes wrong as told, and only so."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from tests.tracking.proxy import Fault, Proxy, proxy_of


class Server(ThreadingHTTPServer):
    """Repeats what it is sent. got: the paths that arrived."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.got: list[str] = []


class Answer(BaseHTTPRequestHandler):
    """Repeats a body."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append(self.path)  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: object) -> None:
        """Stay silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    """Keep a server running."""
    with Server() as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


@pytest.fixture
def proxy(server: Server) -> Iterator[Proxy]:
    """Keep a proxy of the server running."""
    with proxy_of(server.server_port) as found:
        yield found


def ask(proxy: Proxy, path: str = "/a", body: bytes = b"hello", timeout: float = 120) -> bytes:
    with urlopen(f"{proxy.uri}{path}", body, timeout) as reply:
        found: bytes = reply.read()
    return found


def test_it_forwards_requests_of_any_size(proxy: Proxy, server: Server) -> None:
    body = bytes(range(256)) * 4096
    assert ask(proxy, body=body) == body
    assert (server.got, proxy.seen, proxy.hit) == (["/a"], ["POST /a HTTP/1.1"], [])


def test_it_refuses_and_accepts_again_at_the_same_port(proxy: Proxy, server: Server) -> None:
    port = proxy.port
    proxy.refuse()
    with pytest.raises(URLError, match="refused"):
        ask(proxy)
    proxy.accept()
    assert (ask(proxy), proxy.port, server.got) == (b"hello", port, ["/a"])


def test_it_loses_requests_and_drops_replies_where_told(proxy: Proxy, server: Server) -> None:
    for kind, arrived in (("lose", []), ("drop", ["/b"])):
        server.got = []
        proxy.go_wrong(Fault(kind, "/b", times=1))
        assert ask(proxy) == b"hello"
        with pytest.raises(ConnectionError):
            ask(proxy, "/b")
        assert server.got == ["/a", *arrived]
        assert ask(proxy, "/b") == b"hello"  # once was all
        assert proxy.hit == ["POST /b HTTP/1.1"]


def test_it_answers_503_to_a_share_of_requests(proxy: Proxy) -> None:
    proxy.go_wrong(Fault("503", share=0.3))
    codes = []
    for _ in range(40):
        try:
            ask(proxy)
        except HTTPError as error:
            codes.append(error.code)
    assert set(codes) == {503}
    assert 3 <= len(codes) == len(proxy.hit) <= 25


def test_it_hangs_until_told_otherwise(proxy: Proxy, server: Server) -> None:
    proxy.go_wrong(Fault("hang"))
    with pytest.raises(TimeoutError):
        ask(proxy, timeout=0.2)
    proxy.accept()
    assert (ask(proxy), server.got) == (b"hello", ["/a"])
