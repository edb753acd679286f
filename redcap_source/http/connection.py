"""The HTTP connections: an httpx client whose every read from the network is checked against the time limits.

The only module that knows httpcore, on which httpx is built.
"""

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from redcap_source.http.timeouts import Timeouts, Watch

Transport = httpx.BaseTransport
"""Answers requests in place of the network, for tests."""

_watch: ContextVar[Watch | None] = ContextVar("redcap_source_watch", default=None)


def http_client(
    transport: httpx.BaseTransport | None, verify: ssl.SSLContext | bool, timeouts: Timeouts, *, loopback: bool
) -> httpx.Client:
    """An httpx client that follows no redirect and reports every read to the watch of `watched`."""
    client = httpx.Client(
        transport=transport,
        verify=verify,
        timeout=httpx.Timeout(None, connect=timeouts.connect, read=timeouts.read, write=timeouts.write),
        follow_redirects=False,
        event_hooks={"response": [_set_location_aside]},
        # A proxy from the environment must not be used for a server on this machine.
        trust_env=not loopback,
        headers={
            "User-Agent": "redcap_source",
            "Accept": "*/*",
            # On loopback, compression costs more than it saves.
            "Accept-Encoding": "identity" if loopback else "gzip",
        },
    )
    for used in (client._transport, *client._mounts.values()):
        # httpx has no option for its network backend, and its time limits are for single reads: headers sent byte by
        # byte, or empty chunks, would never end. Transports made for tests have no pool.
        pool = getattr(used, "_pool", None)
        if pool is not None:
            pool._network_backend = _WatchedNetwork(pool._network_backend)
    return client


def _set_location_aside(response: httpx.Response) -> None:
    """Hide a Location from httpx, which would build the next request from it, with the token in it, or fail to."""
    if "location" in response.headers:
        response.extensions["location"] = response.headers.pop("location")


@contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Every read from the network in the block is reported to this watch."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


class _WatchedNetwork(httpcore.NetworkBackend):
    """A network backend whose connections report their reads to the current watch."""

    def __init__(self, backend: httpcore.NetworkBackend) -> None:
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        return _WatchedStream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        return _WatchedStream(self._backend.connect_unix_socket(path, timeout, socket_options))

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(seconds)


class _WatchedStream(httpcore.NetworkStream):
    """One connection; it lives longer than an answer and its watch."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        # All else is the connection's own.
        self.write = stream.write  # type: ignore[method-assign]
        self.close = stream.close  # type: ignore[method-assign]
        self.get_extra_info = stream.get_extra_info  # type: ignore[method-assign]

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = self._stream.read(max_bytes, timeout)
        watch = _watch.get()
        if watch is not None and not watch.is_in_time(len(data)):
            raise httpcore.ReadTimeout
        return data

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _WatchedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))
