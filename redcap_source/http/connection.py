"""The HTTP connection: addresses, certificates, time limits, and which error each of its failures becomes.

The only module that knows httpcore, on which httpx is built.
"""

import ipaddress
import ssl
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import httpcore
import httpx

from redcap_source import errors
from redcap_source.errors import RedcapError, RequestContext
from redcap_source.http import certificates
from redcap_source.http.timeouts import Lateness, Timeouts, Watch

Address = httpx.URL
"""The address of an API, after checked_url."""

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
        if watch is not None and not watch.goes_on(len(data)):
            raise httpcore.ReadTimeout
        return data

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _WatchedStream(self._stream.start_tls(ssl_context, server_hostname, timeout))


# --- Addresses ---


def checked_url(url: str, project: str) -> tuple[httpx.URL, bool]:
    """The URL, and whether its host is this machine; InsecureUrl for http:// to any other, WrongUrl for no URL."""
    context = RequestContext(project=project)
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise errors.WrongUrl(context, detail="Expected a URL like https://redcap.example.edu/api/.")
    if parsed.userinfo:
        raise errors.WrongUrl(context, detail="It has a user name or password in it, which is not supported.")
    loopback = _is_loopback(parsed.host)
    if parsed.scheme == "http" and not loopback:
        raise errors.InsecureUrl(context, detail=f"The host is {parsed.host}.")
    return parsed, loopback


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def redirect_target(base: httpx.URL, response: httpx.Response) -> str:
    """The target of a redirect, as a URL to use instead; blank where it may not be recommended.

    Only the same host is recommended, over https or, on this machine, as before: otherwise, a forged header could have
    the token sent anywhere. Queries are left out: a sign-on page's can contain the whole request.
    """
    try:
        target = base.join(response.extensions.get("location", "")).copy_with(query=None, fragment=None)
    except (httpx.InvalidURL, ValueError):
        return ""
    if target == base or target.host != base.host or target.userinfo or len(str(target)) > _LONGEST_URL:
        return ""
    if target.scheme == "https" and target.port in (None, base.port):
        return str(target)
    return str(target) if (target.scheme, target.port) == (base.scheme, base.port) else ""


_LONGEST_URL = 300


# --- Certificates ---


def verification(scheme: str, ca_bundle: str | Path | None, project: str) -> ssl.SSLContext | bool:
    """Which authorities to trust; BadCertificate where the `ca_bundle` cannot be used."""
    if scheme == "http":
        # Loopback needs no authorities, and loading them takes longer than a call; this context trusts none.
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_bundle is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca_bundle))
    except OSError as error:
        reason = error.strerror or type(error).__name__
    raise errors.BadCertificate(
        RequestContext(project=project), detail=f"The ca_bundle {ca_bundle} cannot be used: {reason}."
    )


# --- Failures ---


def failure(context: RequestContext, error: Exception, watch: Watch, *, answering: bool) -> RedcapError:
    """The RedcapError for an error of httpx or zlib; `answering` says that the status line had arrived."""
    if watch.late is not None:
        return _given_up(context, watch.late)
    if isinstance(error, zlib.error):
        return errors.Truncated(context, detail="Its compressed data is damaged.")
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return _not_connected(context, error)
    if isinstance(error, httpx.TimeoutException):
        return errors.TimedOut(context)
    if answering:
        return errors.Truncated(context, detail="The connection ended in the middle of the answer.")
    # The text of such errors can quote what was sent or received, so only their kind is repeated.
    return errors.Unreachable(
        context, detail=f"The connection failed before an answer arrived ({type(error).__name__})."
    )


def _given_up(context: RequestContext, late: Lateness) -> RedcapError:
    if late is Lateness.HEAD:
        return errors.UnexpectedAnswer(context, detail="Its headers do not end.")
    if late is Lateness.TOTAL:
        return errors.TimedOut(context, detail="The answer was not complete; no part of it was kept.")
    return errors.TooSlow(context, detail="No part of it was kept.")


def _not_connected(context: RequestContext, error: httpx.HTTPError) -> RedcapError:
    reason = " ".join(str(error).split())[:300]
    where = f"The server is {context.server}"
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return errors.BadCertificate(context, detail=f"{where}. {certificates.advice(reason)}")
    if "WRONG_VERSION_NUMBER" in reason or "RECORD_LAYER_FAILURE" in reason:
        reason = "the port does not use https"
    return errors.Unreachable(context, detail=f"{where}: {reason}.", not_applied=True)
