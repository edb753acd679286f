"""An S3 server on loopback (moto's), and a way to it on which every request can be refused or cut."""

from __future__ import annotations

import http.client
import importlib.util
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

KEY_ID, SECRET = "AKIACANARYOFTHETESTS", "canary-secret-of-the-tests"
# Answers with an HTTP status instead of the server, for a method and a path; None lets the request pass.
Refuse = Callable[[str, str], int | None]


@dataclass(frozen=True)
class S3Server:
    """One running server."""

    port: int

    @property
    def environment(self) -> dict[str, str]:
        """The AWS_ variables that a program reaches it with."""
        return {
            "AWS_ACCESS_KEY_ID": KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
        }

    def bucket(self, name: str) -> str:
        """The s3:// URL of a bucket, which is made."""
        assert self.request("PUT", f"/{name}") == 200
        return f"s3://{name}"

    def request(self, method: str, path: str) -> int:
        """The status that the server answers a request with that nobody signed."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path)
            return connection.getresponse().status


@contextmanager
def running_s3() -> Iterator[S3Server]:
    """A server that keeps its objects in memory and ends with the block; skips where moto is not installed."""
    if importlib.util.find_spec("moto") is None:
        pytest.skip("moto, the S3 server of the tests, is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            server = S3Server(port)
            while not _answers(server):
                assert process.poll() is None, "moto did not start"
            yield server
        finally:
            process.kill()


def _answers(server: S3Server) -> bool:
    try:
        server.request("GET", "/moto-api/")
    except OSError:
        threading.Event().wait(0.02)
        return False
    return True


class Way(ThreadingHTTPServer):
    """A proxy before a server: `refuse` decides about each request, `seen` lists them."""

    daemon_threads = True

    def __init__(self, server: S3Server) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.server = server
        self.refuse: Refuse = lambda method, path: None
        self.seen: list[tuple[str, str]] = []

    @property
    def through(self) -> S3Server:
        """The server, reached this way."""
        return S3Server(self.server_address[1])


@contextmanager
def way_to(server: S3Server) -> Iterator[Way]:
    """A proxy before a server, which ends with the block."""
    with Way(server) as way:
        thread = threading.Thread(target=way.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield way
        finally:
            way.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Way

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path))
        if (status := self.server.refuse(self.command, self.path)) is not None:
            # As S3 does, the answer quotes the key's id.
            self._answer(status, {}, f"<Error><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>".encode())
            return
        with closing(http.client.HTTPConnection("127.0.0.1", self.server.server.port, timeout=60)) as onward:
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            self._answer(answer.status, dict(answer.getheaders()), answer.read())

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        left_out = ("transfer-encoding", "connection", "date", "server")
        if self.command != "HEAD":
            left_out += ("content-length",)
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            if name.lower() not in left_out:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815

    def handle(self) -> None:
        """Answer until the client ends the connection, or is killed while it is answered."""
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""
