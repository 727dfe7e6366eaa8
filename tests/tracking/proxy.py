"""A proxy in front of a real server that goes wrong as told: refuses, hangs, answers 503, loses requests or replies."""

from __future__ import annotations

import contextlib
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

NOT_AVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy"


@dataclass(frozen=True)
class Fault:
    """What goes wrong: with requests whose first line has `where`, with the probability `share`, `times` at most.

    kind: `hang` (read, no answer), `503`, `lose` (a request never arrives), `drop` (it does, its reply is lost), `late`
    (as drop, but it arrives when `send_late` is called).
    """

    kind: str
    where: str = ""
    share: float = 1.0
    times: int = 10**9


class Proxy:
    """A proxy on loopback. port: where it listens. hit: first lines of the requests that went wrong. seen: of all."""

    def __init__(self, target: int, *, seed: int = 0) -> None:
        self.target, self.fault = target, Fault("forward", share=0.0)
        self.hit: list[str] = []
        self.seen: list[str] = []
        self._random, self._lock = random.Random(seed), threading.Lock()
        self._late: list[bytes] = []
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self.port = 0
        self.accept()

    @property
    def uri(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def accept(self) -> None:
        """Listen, without a fault."""
        self.fault = Fault("forward", share=0.0)
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port), backlog=64)  # with SO_REUSEADDR
            self.port = int(self._listener.getsockname()[1])
            threading.Thread(target=self._listen, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Stop listening, and end what is under way: nothing is there, as after a crash."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        for each in list(self._open):
            _reset(each)

    def go_wrong(self, fault: Fault) -> None:
        """Let something go wrong from now on."""
        self.hit, self.fault = [], fault

    def send_late(self) -> None:
        """Let requests arrive whose senders have given them up."""
        while self._late:
            self._forward(self._late.pop(0))

    def _listen(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.add(client)
        with client, contextlib.suppress(OSError):
            request = _read_request(client)
            if request:
                self._answer(client, request)
        self._open.discard(client)

    def _answer(self, client: socket.socket, request: bytes) -> None:
        line = request.partition(b"\r\n")[0].decode("latin-1")
        kind = self._kind(line)
        while kind == "hang":  # for as long as this is what is wrong
            if self.fault.kind != "hang":
                return
            time.sleep(0.02)
        if kind == "late":
            self._late.append(request)
        elif kind == "503":
            client.sendall(NOT_AVAILABLE)
        elif kind != "lose":
            reply = self._forward(request)
            if kind != "drop":
                client.sendall(reply)

    def _kind(self, line: str) -> str:
        with self._lock:
            self.seen.append(line)
            fault = self.fault
            if fault.where in line and len(self.hit) < fault.times and self._random.random() < fault.share:
                self.hit.append(line)
                return fault.kind
        return "forward"

    def _forward(self, request: bytes) -> bytes:
        """Return the server's whole reply; without one, the connection ends as the server's did."""
        head, _, body = request.partition(b"\r\n\r\n")
        lines = [each for each in head.split(b"\r\n") if not each.lower().startswith(b"connection:")]
        with socket.create_connection(("127.0.0.1", self.target)) as server:
            server.sendall(b"\r\n".join([*lines, b"Connection: close", b"", body]))
            return b"".join(iter(lambda: server.recv(65536), b""))


def _read_request(client: socket.socket) -> bytes:
    """Return one whole request; b"" if its sender went away before."""
    data, length = b"", -1
    while length < 0 or len(data) < length:
        more = client.recv(65536)
        if not more:
            return b""
        data += more
        if length < 0 and b"\r\n\r\n" in data:
            head = data.partition(b"\r\n\r\n")[0]
            sizes = [line[15:] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            length = len(head) + 4 + int(sizes[0] if sizes else 0)
    return data


def _reset(connection: socket.socket) -> None:
    """End a connection without a goodbye."""
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()


@contextmanager
def proxy_of(target: int, *, seed: int = 0) -> Iterator[Proxy]:
    """Keep a proxy of a port running for a while."""
    proxy = Proxy(target, seed=seed)
    try:
        yield proxy
    finally:
        proxy.accept()  # lets those go that hang
        proxy.refuse()
