"""One request and its answer: sent, checked, and written to a sink."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import httpx

from redcap_source import errors
from redcap_source.errors import RedcapError, RequestContext
from redcap_source.http.addresses import Address, redirect_target
from redcap_source.http.connection import watched
from redcap_source.http.downloads import announced_name
from redcap_source.http.failures import error_for_failure
from redcap_source.http.sinks import Received, Sink
from redcap_source.http.timeouts import Timeouts, Watch
from redcap_source.protocol.completeness import CompletenessCheck
from redcap_source.protocol.content_encoding import HalfCharacters, decoder_for, without_bom
from redcap_source.protocol.parsing import server_date
from redcap_source.protocol.request import JSON, Expect, Request, encoded, urlencoded
from redcap_source.protocol.response_errors import OPENING_BYTES, Answer, error_for_status, error_in_opening
from redcap_source.token import Token

# An error is a sentence; of a web page in its place, the beginning is enough.
_ERROR_BYTES = 1 << 20


# Compressed data that is this much longer than its content is an attack or a defect, and may never end.
_EMPTY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Wire:
    """What all exchanges of a client share: connections, address, token, time limits, and clocks."""

    http: httpx.Client
    url: Address
    token: Token
    timeouts: Timeouts
    clock: Callable[[], float]
    now: Callable[[], datetime]

    @property
    def server(self) -> str:
        """The server's name and port, for messages."""
        return self.url.netloc.decode("ascii")


class Exchange:
    """One attempt of a request."""

    def __init__(self, wire: Wire, request: Request, context: RequestContext, sink: Sink) -> None:
        self._wire = wire
        self._request = request
        self._context = context
        self._sink = sink
        self.watch = Watch(wire.timeouts, wire.clock)
        self.status: int | None = None
        self.size = 0
        self.server_date: datetime | None = None
        self.half_characters = HalfCharacters() if request.expect in JSON else None

    def run(self) -> Received:
        """Send the request, check the answer and write it to the sink; raises RedcapError only.

        Errors of httpx are converted here, and raised outside their handler: as the context of ours, an httpx error
        would carry the request and with it the token.
        """
        problem: RedcapError | None = None
        try:
            with watched(self.watch):
                received = self._run()
        except (httpx.HTTPError, httpx.StreamError, zlib.error) as error:
            problem = error_for_failure(self._context, error, self.watch, answering=self.status is not None)
        if problem is not None:
            raise problem
        return received

    def _run(self) -> Received:
        """Send, check and write; raises the answer's error, and httpx's errors.

        Errors are raised here, where no local variable holds a token or a value: some consoles print the local
        variables of every frame of a traceback.
        """
        response = self._sent()
        try:
            self.watch.headers_arrived()
            self.status = response.status_code
            self.server_date = server_date(response.headers)
            pieces = self._pieces(response)
            problem = self._write_checked(pieces) if self.status == 200 else self._error_for_status(response, pieces)
            if problem is not None:
                raise problem
            return self._received(_lower(response.headers))
        finally:
            response.close()

    def _received(self, headers: Mapping[str, str]) -> Received:
        return Received(
            status=200,
            bytes=self.size,
            seconds=self._wire.clock() - self.watch.started,
            attempts=1,
            server_date=self.server_date,
            # Without its parameters: for a file, one of them is the file's name.
            content_type=headers.get("content-type", "").partition(";")[0].strip(),
            file_name=announced_name(headers),
        )

    def _sent(self) -> httpx.Response:
        http, url, upload = self._wire.http, self._wire.url, self._request.upload
        if upload is None:
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            return http.send(http.build_request("POST", url, content=self._urlencoded(), headers=kind), stream=True)
        # A multipart body is read from the file as it is sent, so a large one is never in memory.
        with upload.path.open("rb") as file:
            parts = {"file": (upload.name, file)}
            return http.send(http.build_request("POST", url, data=self._form(), files=parts), stream=True)

    def _form(self) -> dict[str, str]:
        return dict(encoded(self._request, self._wire.token))

    def _urlencoded(self) -> bytes:
        return urlencoded(list(self._form().items()))

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        """The decompressed body; Truncated if the compressed data is incomplete."""
        if response.is_stream_consumed:
            # The body from a transport made for tests is already read and decompressed.
            yield response.content
            return
        decoder = decoder_for(response.headers.get("content-encoding", ""))
        if decoder is None:
            raise errors.UnexpectedAnswer(self._context, detail="It has a compression that was not asked for.")
        arrived = 0
        for data in response.iter_raw():
            arrived += len(data)
            if arrived > 2 * self.size + _EMPTY_BYTES:
                raise errors.UnexpectedAnswer(
                    self._context, status=self.status, detail="Its compressed data has hardly any content."
                )
            for piece in decoder.pieces(data):
                self.size += len(piece)
                yield piece
        if not decoder.is_whole():
            raise errors.Truncated(self._context, status=self.status, detail=f"{self.size} bytes arrived.")

    def _error_for_status(self, response: httpx.Response, pieces: Iterator[bytes]) -> RedcapError:
        body = bytearray()
        for piece in pieces:
            body += piece
            if len(body) >= _ERROR_BYTES:
                break
        body_text = self._wire.token.masked(bytes(body[:_ERROR_BYTES]))
        headers = _lower(response.headers)
        location = self._wire.token.masked(redirect_target(self._wire.url, response).encode()).decode()
        at = self.server_date or self._wire.now()
        answer = Answer(response.status_code, headers, body_text, at, location)
        return error_for_status(self._request, self._context, answer)

    def _write_checked(self, pieces: Iterator[bytes]) -> RedcapError | None:
        """Check the beginning before anything is written, write the rest, check that it is complete."""
        completeness = CompletenessCheck(self._request, self._context)
        opening, whole = bytearray(), True
        for piece in pieces:
            opening += piece
            if len(opening) >= OPENING_BYTES:
                whole = False
                break
        # A stored file keeps its byte order mark; in any other answer it is dropped.
        head = bytes(opening) if self._request.expect is Expect.BYTES else without_bom(bytes(opening))
        masked = self._wire.token.masked(head)
        if problem := error_in_opening(self._request, self._context, masked, whole):
            return problem
        self._write(head, completeness)
        for piece in pieces:
            self._write(piece, completeness)
        if self.half_characters is not None:
            self._sink.write(self.half_characters.rest())
        return completeness.error()

    def _write(self, data: bytes, completeness: CompletenessCheck) -> None:
        completeness.feed(data)
        self._sink.write(data if self.half_characters is None else self.half_characters.piece(data))


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}
