"""The HTTP side of one client: rate limit, attempts, retries, and counts of what was done.

Not here: one request and its answer (exchange.py), which failures are worth another attempt (retry.py).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

import tenacity

from redcap_source import errors
from redcap_source.errors import RedcapError, RequestContext
from redcap_source.http.exchange import Exchange, Wire
from redcap_source.http.log_filter import install_log_filter, suppress_http_logs
from redcap_source.http.rate_limit import RateLimiter
from redcap_source.http.retry import RetryPolicy, wait_before_retry
from redcap_source.http.sinks import FileSink, Received, Sink
from redcap_source.protocol.request import Request

_log = logging.getLogger("redcap_source")

S = TypeVar("S", bound=Sink)


@dataclass(frozen=True, slots=True)
class Calls:
    """What a client has done so far; `seconds` are those of the requests, without the waits between them.

    `half_characters` counts the lone halves of characters that JSON answers held and that were kept as their escapes
    (content_encoding.HalfCharacters).
    """

    requests: int = 0
    retries: int = 0
    bytes: int = 0
    seconds: float = 0.0
    half_characters: int = 0

    def __add__(self, other: Calls) -> Calls:
        """What two clients have done."""
        return Calls(
            self.requests + other.requests,
            self.retries + other.retries,
            self.bytes + other.bytes,
            self.seconds + other.seconds,
            self.half_characters + other.half_characters,
        )


@dataclass(frozen=True, slots=True)
class Attempts:
    """How a request is repeated: the policy, and the sleep, chance and callback that tests and users may replace.

    `on_retry` is called before each wait with the number of the failed attempt, the error's class name and the
    seconds to wait.
    """

    policy: RetryPolicy
    sleep: Callable[[float], None]
    chance: Callable[[], float]
    on_retry: Callable[[int, str, float], object] | None


class HttpSession:
    """Sends the requests of one client, each as often as its policy allows; may be used by many threads."""

    def __init__(self, wire: Wire, project: str, rate_limit: RateLimiter, attempts: Attempts) -> None:
        """`project` is the name that messages use."""
        install_log_filter()
        self._wire, self._project = wire, project
        self._rate_limit, self._attempts = rate_limit, attempts
        self._lock = threading.Lock()
        self._calls = Calls()
        self._server_date: datetime | None = None

    @property
    def url(self) -> str:
        """The address of the API."""
        return str(self._wire.url)

    def token_fingerprint(self, salt: str) -> str:
        """Tells the token apart from others without giving it away."""
        return self._wire.token.fingerprint(salt)

    @property
    def calls(self) -> Calls:
        """Counts of what this client has done so far."""
        with self._lock:
            return self._calls

    @property
    def server_date(self) -> datetime | None:
        """The server's clock as of its last answer; None before the first."""
        with self._lock:
            return self._server_date

    def close(self) -> None:
        """Close the connections."""
        self._wire.http.close()

    def context(self, request: Request) -> RequestContext:
        """What errors about the request name."""
        action = request.action or ("import" if "data" in request.parameters else "")
        return RequestContext(request.content, action, self._project, self._wire.server, request.smallest)

    # --- One request and its attempts ---

    def receive(self, request: Request, open_sink: Callable[[], S]) -> tuple[Received, S]:
        """Send the request until an attempt succeeds or none is left; each attempt writes to a sink of its own."""
        tries = tenacity.Retrying(
            retry=lambda state: self._wait(state) is not None,
            wait=lambda state: self._wait(state) or 0.0,
            sleep=self._attempts.sleep,
            before_sleep=lambda state: self._note_retry(request, state),
        )
        received, sink = tries(self._attempt, request, open_sink)
        return replace(received, attempts=tries.statistics["attempt_number"]), sink

    def _wait(self, state: tenacity.RetryCallState) -> float | None:
        error = state.outcome.exception() if state.outcome is not None else None
        if error is None:
            return None
        return wait_before_retry(error, state.attempt_number, self._attempts.policy, self._attempts.chance())

    def _note_retry(self, request: Request, state: tenacity.RetryCallState) -> None:
        name = type(state.outcome.exception()).__name__ if state.outcome is not None else ""
        wait = state.next_action.sleep if state.next_action is not None else 0.0
        _log.info("%s failed: %s; again in %.1f s", self.context(request), name, wait)
        with self._lock:
            self._calls = replace(self._calls, retries=self._calls.retries + 1)
        if self._attempts.on_retry is not None:
            self._attempts.on_retry(state.attempt_number, name, wait)

    # --- One attempt ---

    def _attempt(self, request: Request, open_sink: Callable[[], S]) -> tuple[Received, S]:
        sink = open_sink()
        try:
            with self._rate_limit.turn(), suppress_http_logs():
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
        """OutcomeUnknown if a change may have been made although its answer failed; else None."""
        if request.repeatable or not isinstance(error, errors.Transient | errors.UnexpectedAnswer):
            return None
        if error.not_applied:
            return None
        # A refusal with a status is an answer: even if it is irregular, the outcome is not uncertain.
        if isinstance(error, errors.UnexpectedAnswer) and error.status != 200:
            return None
        return errors.OutcomeUnknown(self.context(request), reason=error)

    def _exchange(self, request: Request, sink: Sink) -> Received:
        exchange = Exchange(self._wire, request, self.context(request), sink)
        try:
            return exchange.run()
        finally:
            self._note_exchange(request, exchange)

    def _note_exchange(self, request: Request, exchange: Exchange) -> None:
        seconds = self._wire.clock() - exchange.watch.started
        halves = exchange.half_characters.count if exchange.half_characters else 0
        with self._lock:
            calls = self._calls
            self._calls = replace(
                calls,
                requests=calls.requests + 1,
                bytes=calls.bytes + exchange.size,
                seconds=calls.seconds + seconds,
                half_characters=calls.half_characters + halves,
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
