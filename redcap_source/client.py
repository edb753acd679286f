"""Send requests to REDCap over HTTP.

What is sent and what an answer means is decided in reads.py, writes.py and verdict.py, when to try again in
retry.py, how often the server may be asked in pace.py; here they meet the network, which is connection.py's.
"""

import logging
import random
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx
import tenacity

from redcap_source import encoding, errors, pace, reading, verdict
from redcap_source.connection import checked_url, failure, http_client, redirect_target, verification, watched
from redcap_source.ending import Ending
from redcap_source.errors import Asked, RedcapError
from redcap_source.files import announced_name
from redcap_source.hush import hush_http_loggers, hushed
from redcap_source.reads import Reads
from redcap_source.request import JSON, Expect, Request, encoded, urlencoded
from redcap_source.retry import RetryPolicy, wait_before_retry
from redcap_source.sinks import FILE_LIMIT, MEMORY_LIMIT, FileSink, Received, Sink
from redcap_source.timeouts import Timeouts, Watch
from redcap_source.token import Token
from redcap_source.writes import Writes

_log = logging.getLogger("redcap_source")
_S = TypeVar("_S", bound=Sink)

# An error is a sentence; a page that comes in its place is not needed whole.
_ERROR_BYTES = 1 << 20
# Compression that makes a body this much longer is no compression, but a stream without end.
_EMPTY_BYTES = 1 << 20


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
        transport: httpx.BaseTransport | None = None,
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
        self._url, self._loopback = checked_url(url.strip(), project)
        self._token = token if isinstance(token, Token) else Token(token)
        self._timeouts, self._retry = timeouts, retry
        self._pace = pace if pace is not None else _pace_for(self._url, self._loopback)
        self._sleep, self._clock, self._now, self._chance = sleep, clock, now, chance
        self._on_retry = on_retry
        self._memory_limit, self._file_limit = memory_limit, file_limit
        hush_http_loggers()
        self._facts = threading.Lock()
        self._calls = Calls()
        self._server_date: datetime | None = None
        verify = verification(self._url.scheme, ca_bundle, project)
        self._http = http_client(transport, verify, timeouts, loopback=self._loopback)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"RedcapClient({str(self._url)!r}, project={self.project!r})"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

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
        exchange = _Exchange(self, request, sink)
        problem: RedcapError | None = None
        try:
            with watched(exchange.watch):
                received = exchange.run()
        except (httpx.HTTPError, httpx.StreamError, zlib.error) as error:
            problem = failure(self._asked(request), error, exchange.watch, answering=exchange.status is not None)
        finally:
            self._note_exchange(request, exchange)
        if problem is not None:
            # Raised out here: an httpx error, kept as the context, would carry the request and with it the token.
            raise problem
        return received

    def _note_exchange(self, request: Request, exchange: "_Exchange") -> None:
        seconds = self._clock() - exchange.watch.started
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
        server = self._url.netloc.decode("ascii")
        return Asked(request.content, action, self.project, server, request.smallest)


class _Exchange:
    """One request and its answer on the wire."""

    def __init__(self, client: RedcapClient, request: Request, sink: Sink) -> None:
        self._client = client
        self._request = request
        self._asked = client._asked(request)
        self._sink = sink
        self.watch = Watch(client._timeouts, client._clock)
        self.status: int | None = None
        self.size = 0
        self.server_date: datetime | None = None
        self.halves = encoding.HalfCharacters() if request.expect in JSON else None

    def run(self) -> Received:
        """Send, judge and pass on; raises what verdict.py finds wrong, and httpx's errors.

        Errors are raised here, where no local variable holds a token or a value: consoles print the locals of
        every frame an exception passes through.
        """
        response = self._sent()
        try:
            self.watch.answering()
            self.status = response.status_code
            self.server_date = reading.server_date(response.headers)
            pieces = self._pieces(response)
            problem = self._pass_on(pieces) if self.status == 200 else self._refusal(response, pieces)
            if problem is not None:
                raise problem
            return self._received(_lower(response.headers))
        finally:
            response.close()

    def _received(self, headers: Mapping[str, str]) -> Received:
        return Received(
            status=200,
            bytes=self.size,
            seconds=self._client._clock() - self.watch.started,
            attempts=1,
            server_date=self.server_date,
            # Without its parameters: for a file, one is the name somebody gave it.
            content_type=headers.get("content-type", "").partition(";")[0].strip(),
            file_name=announced_name(headers),
        )

    def _sent(self) -> httpx.Response:
        http, url, upload = self._client._http, self._client._url, self._request.upload
        if upload is None:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return http.send(http.build_request("POST", url, content=self._urlencoded(), headers=kind), stream=True)
        # A multipart body is read from the file as it is sent, so a large one is never in memory.
        with upload.path.open("rb") as file:
            parts = {"file": (upload.name, file)}
            return http.send(http.build_request("POST", url, data=self._form(), files=parts), stream=True)

    def _form(self) -> dict[str, str]:
        return dict(encoded(self._request, self._client._token))

    def _urlencoded(self) -> bytes:
        return urlencoded(list(self._form().items()))

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """The decoded body; Truncated where its compression was not closed."""
        if response.is_stream_consumed:
            # A transport made for tests hands over a body that is read and decoded already.
            yield response.content
            return
        decoder = encoding.decoder(response.headers.get("content-encoding", ""))
        if decoder is None:
            raise errors.UnexpectedAnswer(self._asked, detail="It is compressed in a way nobody asked for.")
        came = 0
        for data in response.iter_raw():
            came += len(data)
            if came > 2 * self.size + _EMPTY_BYTES:
                raise errors.UnexpectedAnswer(self._asked, status=self.status, detail="Its compression holds nothing.")
            for piece in decoder.pieces(data):
                self.size += len(piece)
                yield piece
        if not decoder.is_whole():
            raise errors.Truncated(self._asked, status=self.status, detail=f"{self.size} bytes came.")

    def _refusal(self, response: httpx.Response, pieces: Iterator[bytes]) -> RedcapError:
        body = bytearray()
        for piece in pieces:
            body += piece
            if len(body) >= _ERROR_BYTES:
                break
        said = self._client._token.masked(bytes(body[:_ERROR_BYTES]))
        headers = _lower(response.headers)
        location = self._client._token.masked(redirect_target(self._client._url, response).encode()).decode()
        at = self.server_date or self._client._now()
        answer = verdict.Answer(response.status_code, headers, said, at, location)
        return verdict.refusal(self._request, self._asked, answer)

    def _pass_on(self, pieces: Iterator[bytes]) -> RedcapError | None:
        """Judge the opening before anything of it is written, pass the rest on, judge the ending."""
        ending = Ending(self._request, self._asked)
        opening, whole = bytearray(), True
        for piece in pieces:
            opening += piece
            if len(opening) >= verdict.OPENING_BYTES:
                whole = False
                break
        # A stored file keeps its mark; before any other answer none belongs, and no reader after us expects one.
        head = bytes(opening) if self._request.expect is Expect.BYTES else encoding.without_bom(bytes(opening))
        masked = self._client._token.masked(head)
        if problem := verdict.opening_problem(self._request, self._asked, masked, whole):
            return problem
        self._write(head, ending)
        for piece in pieces:
            self._write(piece, ending)
        if self.halves is not None:
            self._sink.write(self.halves.rest())
        return ending.problem()

    def _write(self, data: bytes, ending: Ending) -> None:
        ending.see(data)
        self._sink.write(data if self.halves is None else self.halves.piece(data))


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _pace_for(url: httpx.URL, loopback: bool) -> pace.Pace:
    return pace.unlimited_pace() if loopback else pace.default_pace(f"{url.scheme}://{url.netloc.decode('ascii')}")
