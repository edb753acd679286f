"""Send requests to REDCap over HTTP.

What is sent and what an answer means is decided in reads.py, writes.py and verdict.py, when to try again in
retry.py, how often the server may be asked in pace.py; here they meet the network, which is connection.py's.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import tenacity

from redcap_source import errors
from redcap_source.errors import Asked, RedcapError
from redcap_source.http import rate_limit as pace
from redcap_source.http.connection import Address, Transport, checked_url, http_client, verification
from redcap_source.http.exchange import Exchange, Wire
from redcap_source.http.log_filter import hush_http_loggers, hushed
from redcap_source.http.retry import RetryPolicy, wait_before_retry
from redcap_source.http.sinks import FILE_LIMIT, MEMORY_LIMIT, FileSink, Received, Sink
from redcap_source.http.timeouts import Timeouts
from redcap_source.methods.reads import Reads
from redcap_source.methods.writes import Writes
from redcap_source.protocol.request import Request
from redcap_source.token import Token

_log = logging.getLogger("redcap_source")


_S = TypeVar("_S", bound=Sink)


@dataclass(frozen=True, slots=True)
class Calls:
    """What this client has done so far; `seconds` are those of the requests, without the waits between them.

    `half_characters` were found in JSON answers and kept as their escapes (encoding.HalfCharacters).
    """

    requests: int = 0
    retries: int = 0
    bytes: int = 0
    seconds: float = 0.0
    half_characters: int = 0


_USUAL_TIMEOUTS = Timeouts()


_USUAL_RETRY = RetryPolicy()


class RedcapClient(Reads, Writes):
    """A client of one REDCap project; use it in a `with` block, from as many threads as you like."""

    def __init__(
        self,
        url: str,
        token: Token | str,
        project: str = "",
        *,
        ca_bundle: str | Path | None = None,
        timeouts: Timeouts = _USUAL_TIMEOUTS,
        retry: RetryPolicy = _USUAL_RETRY,
        pace: pace.Pace | None = None,
        transport: Transport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
        on_retry: Callable[[int, str, float], object] | None = None,
        memory_limit: int = MEMORY_LIMIT,
        file_limit: int = FILE_LIMIT,
    ) -> None:
        """`project` is the name messages use. Nothing is sent before the first call.

        http:// is accepted for this machine only (InsecureUrl otherwise); certificates are verified against
        `ca_bundle` or the usual authorities. Without a `pace`, all clients of this process share one per server.
        `on_retry` is told the attempt that failed, the error's class name and the wait. `memory_limit` and
        `file_limit` are the bytes, after decompression, of the longest answer taken into memory or into a file.
        """
        self.project = project
        address, loopback = checked_url(url.strip(), project)
        self._retry, self._sleep, self._chance = retry, sleep, chance
        self._pace = pace if pace is not None else _pace_for(address, loopback)
        self._on_retry = on_retry
        self._memory_limit, self._file_limit = memory_limit, file_limit
        hush_http_loggers()
        self._facts = threading.Lock()
        self._calls = Calls()
        self._server_date: datetime | None = None
        http = http_client(transport, verification(address.scheme, ca_bundle, project), timeouts, loopback=loopback)
        own = token if isinstance(token, Token) else Token(token)
        self._wire = Wire(http, address, own, timeouts, clock, now)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RedcapClient({str(self._wire.url)!r}, project={self.project!r})"

    def close(self) -> None:
        """Close the connections."""
        self._wire.http.close()

    @property
    def calls(self) -> Calls:
        """What has been done so far."""
        with self._facts:
            return self._calls

    @property
    def server_date(self) -> datetime | None:
        """The server's clock as of its last answer; None before the first."""
        with self._facts:
            return self._server_date

    # --- One request, as often as it takes ---

    def _receive(self, request: Request, open_sink: Callable[[], _S]) -> tuple[Received, _S]:
        tries = tenacity.Retrying(
            retry=lambda state: self._wait(state) is not None,
            wait=lambda state: self._wait(state) or 0.0,
            sleep=self._sleep,
            before_sleep=lambda state: self._note_retry(request, state),
        )
        received, sink = tries(self._attempt, request, open_sink)
        return replace(received, attempts=tries.statistics["attempt_number"]), sink

    def _wait(self, state: tenacity.RetryCallState) -> float | None:
        error = state.outcome.exception() if state.outcome is not None else None
        return None if error is None else wait_before_retry(error, state.attempt_number, self._retry, self._chance())

    def _note_retry(self, request: Request, state: tenacity.RetryCallState) -> None:
        name = type(state.outcome.exception()).__name__ if state.outcome is not None else ""
        wait = state.next_action.sleep if state.next_action is not None else 0.0
        _log.info("%s failed: %s; again in %.1f s", self._asked(request), name, wait)
        with self._facts:
            self._calls = replace(self._calls, retries=self._calls.retries + 1)
        if self._on_retry is not None:
            self._on_retry(state.attempt_number, name, wait)

    # --- One attempt ---

    def _attempt(self, request: Request, open_sink: Callable[[], _S]) -> tuple[Received, _S]:
        sink = open_sink()
        try:
            with self._pace.turn(), hushed():
                received = self._exchange(request, sink)
            sink.finish()
        except BaseException as error:
            sink.discard()
            unknown = self._outcome_unknown(request, error)
            if unknown is None:
                raise
        else:
            whole = replace(received, sha256=sink.sha256) if isinstance(sink, FileSink) else received
            return whole, sink
        raise unknown

    def _outcome_unknown(self, request: Request, error: BaseException) -> RedcapError | None:
        """Whether a change may have been made although its answer failed; then nobody should send it again blindly."""
        if request.repeatable or not isinstance(error, errors.Transient | errors.UnexpectedAnswer) or error.untouched:
            return None
        # A refusal with a status is an answer: what was odd about it does not make the change uncertain.
        if isinstance(error, errors.UnexpectedAnswer) and error.status != 200:
            return None
        return errors.OutcomeUnknown(self._asked(request), reason=error)

    def _exchange(self, request: Request, sink: Sink) -> Received:
        exchange = Exchange(self._wire, request, self._asked(request), sink)
        try:
            return exchange.run()
        finally:
            self._note_exchange(request, exchange)

    def _note_exchange(self, request: Request, exchange: Exchange) -> None:
        seconds = self._wire.clock() - exchange.watch.started
        with self._facts:
            calls = self._calls
            self._calls = replace(
                calls,
                requests=calls.requests + 1,
                bytes=calls.bytes + exchange.size,
                seconds=calls.seconds + seconds,
                half_characters=calls.half_characters + (exchange.halves.count if exchange.halves else 0),
            )
            self._server_date = exchange.server_date or self._server_date
        _log.debug(
            "content=%s action=%s status=%s bytes=%d seconds=%.3f",
            request.content,
            request.action,
            exchange.status,
            exchange.size,
            seconds,
        )

    def _asked(self, request: Request) -> Asked:
        action = request.action or ("import" if "data" in request.parameters else "")
        return Asked(request.content, action, self.project, self._wire.server, request.smallest)


def _pace_for(url: Address, loopback: bool) -> pace.Pace:
    return pace.unlimited_pace() if loopback else pace.default_pace(f"{url.scheme}://{url.netloc.decode('ascii')}")
