"""A tiny server that answers with whatever bytes a test hands it, however broken."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import parse_qsl

from redcap_source import RedcapClient, RetryPolicy, Token

SECRET = "0123456789ABCDEF0123456789ABCDEF"
DATE = "Sun, 03 Nov 2024 07:30:00 GMT"
Script = bytes | Callable[[socket.socket], None]


def answer(body: bytes = b"", status: str = "200 OK", headers: str = "", length: int | None = None) -> bytes:
    """An HTTP answer as bytes; `length` lies about the body's."""
    size = len(body) if length is None else length
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", "Connection: close", f"Date: {DATE}"]
    return ("\r\n".join(lines) + f"\r\n{headers}\r\n").encode() + body


def chunked(*chunks: bytes, whole: bool = True, headers: str = "") -> bytes:
    """A chunked answer, with or without its end."""
    head = f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n{headers}\r\n".encode()
    body = b"".join(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n" for chunk in chunks)
    return head + body + (b"0\r\n\r\n" if whole else b"")


def slow(data: bytes, pause: float) -> Callable[[socket.socket], None]:
    """Bytes one at a time."""

    def drip(connection: socket.socket) -> None:
        for at in range(len(data)):
            connection.sendall(data[at : at + 1])
            time.sleep(pause)

    return drip


class CannedServer:
    """Answers each connection with the next script (the last one again and again), and closes it."""

    def __init__(self, *scripts: Script) -> None:
        self._scripts = list(scripts)
        self.forms: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api/"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # Closing alone would leave the thread in accept().
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    self._answer(connection)
                except OSError:
                    continue

    def _answer(self, connection: socket.socket) -> None:
        connection.settimeout(10)
        body = read_request(connection)
        if body is None:
            return
        self.bodies.append(body)
        self.forms.append(dict(parse_qsl(body.decode("latin-1"), keep_blank_values=True)))
        script = self._scripts[min(len(self.forms), len(self._scripts)) - 1]
        if callable(script):
            script(connection)
        else:
            connection.sendall(script)


def read_request(connection: socket.socket) -> bytes | None:
    """Read one whole request and return its body; None where the client hung up before its headers ended.

    A server that answers and closes before it has read everything resets the connection, and the client may lose the
    answer.
    """
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return None
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    length = next(
        (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0
    )
    while len(body) < length and (piece := connection.recv(65536)):
        body += piece
    return body


@contextmanager
def client_of(server: CannedServer, attempts: int = 1, **options: object) -> Iterator[RedcapClient]:
    """A client that never sleeps."""
    options.setdefault("sleep", lambda _: None)
    policy = RetryPolicy(attempts=attempts)
    with RedcapClient(server.url, Token(SECRET), project="heart_study", retry=policy, **options) as client:
        yield client
