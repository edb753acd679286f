"""Which error an answer is, by its status, headers and body.

REDCap sends status 200 with many failures, so the beginning of a body is checked before any of it is passed on.
Not here: whether a body is complete (completeness.py), what a good body contains (parsing.py).
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from redcap_source import errors
from redcap_source.errors import RedcapError, RequestContext
from redcap_source.protocol.completeness import OUT_OF_MEMORY
from redcap_source.protocol.content_encoding import without_bom
from redcap_source.protocol.error_texts import error_text, rejected_cells
from redcap_source.protocol.redaction import redact
from redcap_source.protocol.request import Expect, Request

# How much of a body is checked before any of it is passed on.
OPENING_BYTES = 2048


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    at: datetime | None = None
    """When it arrived, by the server's own clock if it has a Date header, else by ours."""
    location: str = ""
    """The target of a redirect, if it may be recommended."""


_HTML = re.compile(rb"(?:<!--.*?-->\s*)?<(?:!doctype\s+html|html|head|body|title|meta|script)\b", re.I | re.S)
_PHP_NOISE = re.compile(
    rb"(?:<br\s*/?>|\s)*(?:<b>)?(?:PHP )?"
    rb"(?:Warning|Notice|Deprecated|Fatal error|Parse error|Strict Standards)(?:</b>)?:\s",
    re.I,
)
_DATABASE_DOWN = re.compile(rb"combination could not connect|could not connect to the (?:REDCap )?database", re.I)
_BAN = re.compile(
    rb"\b(?:has been|is|are|been) (?:temporarily )?banned|exceeded the (?:maximum|rate)|rate limit|cannot use REDCap",
    re.I,
)
# Only as the root: a value of an XML export may contain the same words.
_XML_ERROR = re.compile(rb"(?:<\?xml[^>]*\?>\s*)?<hash>\s*<error>", re.I)
_TITLE = re.compile(rb"<title[^>]*>\s*(.{1,200}?)\s*</title>", re.I | re.S)


def error_for_status(request: Request, context: RequestContext, answer: Answer) -> RedcapError:
    """The error for an answer with a status other than 200."""
    status, body = answer.status, answer.body
    if OUT_OF_MEMORY.search(body):
        return errors.TooLarge(context, status=status)
    if 300 <= status < 400:
        return errors.Redirected(context, status=status, location=answer.location)
    if status in (401, 403, 404, 405, 501) and _BAN.search(body):
        return errors.Banned(context, status=status)
    if status == 413:
        return errors.TooLarge(context, status=status, not_applied=True)
    if status in (408, 429) or (status >= 500 and status != 501):
        kind = errors.RateLimited if status == 429 else errors.ServerOverloaded
        text = error_text(body) or ""
        wait = retry_after(answer.headers.get("retry-after", ""), answer.at)
        return kind(
            context,
            status=status,
            detail=f"The server asks to wait {math.ceil(wait):,} s before the next request." if wait else "",
            message=redact(text, request),
            server_text=text,
            retry_after=wait,
            not_applied=status == 429,
        )
    if status in (404, 405, 411, 501):
        return errors.WrongUrl(context, status=status)
    return _refused_by_redcap(request, context, answer)


def _refused_by_redcap(request: Request, context: RequestContext, answer: Answer) -> RedcapError:
    status = answer.status
    text = error_text(answer.body)
    if text is None:
        if status == 401:
            return errors.TokenRefused(context, status=status)
        if "data" in request.parameters and not answer.body.strip():
            # PHP drops a body over post_max_size; REDCap then rejects an import it never saw, with an empty answer.
            return errors.TooLarge(context, status=status, not_applied=True)
        kind = errors.Blocked if status == 403 else errors.UnexpectedAnswer
        return kind(context, status=status, detail=_page_title(answer.body))
    return _error_of_text(request, context, status, text)


_ABOUT_THE_TOKEN = re.compile(r"permissions? to use the API|invalid token|token is (?:not valid|invalid)", re.I)
_ABOUT_A_RIGHT = re.compile(r"^\W*(?:sorry, )?you do not have\b", re.I)
_CLASSIC = re.compile(r"cannot export (?:arms|events|form/event mappings?)\b.*\bclassic projects", re.I)
_NOTHING_REPEATS = re.compile(r"does not contain any repeating", re.I)


def _error_of_text(request: Request, context: RequestContext, status: int, text: str) -> RedcapError:
    message = redact(text, request)
    about: dict[str, Any] = {"status": status, "message": message, "server_text": text}
    if OUT_OF_MEMORY.search(text.encode()):
        return errors.TooLarge(context, status=status)
    if status == 401 or _ABOUT_THE_TOKEN.search(text):
        return errors.TokenRefused(context, **about)
    if status == 403 or _ABOUT_A_RIGHT.search(text):
        return errors.MissingRight(context, **about)
    if _CLASSIC.search(text):
        return errors.NotForClassicProjects(context, **about)
    if _NOTHING_REPEATS.search(text):
        return errors.NothingConfigured(context, **about)
    if request.content == "record" and "data" in request.parameters:
        lines = rejected_cells(text)
        # The lines quote values; only their summary in the error may be repeated.
        return errors.ImportRejected(
            context, status=status, lines=lines, message="" if lines else message, server_text=text
        )
    return errors.RequestRefused(context, **about)


def error_in_opening(request: Request, context: RequestContext, opening: bytes, whole: bool) -> RedcapError | None:
    """The error that the first bytes of an answer with status 200 are; None if the rest may be read.

    `whole` says that these bytes are the whole body.
    """
    expect = request.expect
    start = without_bom(opening).lstrip()
    if expect is Expect.BYTES:
        return _page_in_place_of_bytes(context, start)
    if not start:
        return errors.EmptyAnswer(context, status=200) if expect not in _MAY_BE_EMPTY and whole else None
    if problem := _foreign(request, context, start):
        return problem
    if (text := _error_with_200(start, expect, whole)) is not None:
        return _error_of_text(request, context, 200, text)
    return _wrong_shape(request, context, start)


_MAY_BE_EMPTY = {Expect.CSV, Expect.RECORDS_CSV, Expect.LINE, Expect.NOTHING}
_STARTS = {Expect.ROWS: b"[", Expect.OBJECT: b"{", Expect.JSON: b'[{"0123456789-tfn', Expect.XML: b"<"}
_STARTS[Expect.PDF] = b"%"


def _foreign(request: Request, context: RequestContext, start: bytes) -> RedcapError | None:
    """The error for a web page, a PHP message or a database failure in place of data; else None."""
    expect = request.expect
    if OUT_OF_MEMORY.search(start) and not start.startswith((b"[", b'"')):
        return errors.TooLarge(context, status=200)
    if _PHP_NOISE.match(start):
        return errors.UnexpectedAnswer(
            context, status=200, detail="A PHP message precedes the answer.", server_text=_sample(start)
        )
    markup = start.startswith(b"<") and expect in _NEVER_MARKUP and not _XML_ERROR.match(start)
    page = _HTML.match(start) is not None or markup
    if page or _is_prose(start, request):
        if _BAN.search(start):
            return errors.Banned(context, status=200)
        if _DATABASE_DOWN.search(start):
            return errors.NotRedcap(context, status=200, detail="REDCap cannot reach its database.")
    return errors.NotRedcap(context, status=200, detail=_page_title(start)) if page else None


_NEVER_MARKUP = {Expect.ROWS, Expect.OBJECT, Expect.JSON, Expect.LINE, Expect.NOTHING, Expect.PDF}


def _is_prose(start: bytes, request: Request) -> bool:
    """Whether the body is a sentence, not data: its first line has blanks, which raw headers never have."""
    if request.expect in (Expect.XML, Expect.LINE):
        return request.expect is Expect.LINE
    if request.expect in _NEVER_MARKUP:
        return not start.startswith((b"[", b"{", b"%PDF-"))
    return request.parameters.get("rawOrLabelHeaders") != "label" and b" " in start.splitlines()[0]


def _page_in_place_of_bytes(context: RequestContext, start: bytes) -> RedcapError | None:
    """The error for a ban or a database failure in place of a file; any other web page may be the stored file."""
    if _HTML.match(start) and _BAN.search(start):
        return errors.Banned(context, status=200)
    if _DATABASE_DOWN.search(start[:200]):
        return errors.NotRedcap(context, status=200, detail="REDCap cannot reach its database.")
    return None


def _error_with_200(start: bytes, expect: Expect, whole: bool) -> str | None:
    """The text of an error sent with status 200; None if the body is data."""
    if _XML_ERROR.match(start):
        return error_text(start) or ""
    if expect in (Expect.CSV, Expect.RECORDS_CSV, Expect.LINE):
        # Case matters here: with label headers a first column may be called "Error: …".
        return (error_text(start) or "") if start.startswith((b"ERROR:", b'{"error":')) else None
    return error_text(start) if whole and start.startswith((b"{", b"ERROR:")) else None


def _wrong_shape(request: Request, context: RequestContext, start: bytes) -> RedcapError | None:
    expect = request.expect
    good = _STARTS.get(expect)
    if good is None and not (expect is Expect.RECORDS_CSV and _is_prose(start, request)):
        return None
    if good is not None and start[0] in good:
        if expect is not Expect.ROWS or start[1:].lstrip()[:1] in _AFTER_BRACKET:
            return None
        # Checked here, because at its end a list of anything else looks like one that was cut inside a row.
        return errors.UnexpectedAnswer(
            context, status=200, detail="Expected a list of objects.", server_text=_sample(start)
        )
    return errors.UnexpectedAnswer(context, status=200, detail=f"Expected {expect.value}.", server_text=_sample(start))


_AFTER_BRACKET = (b"{", b"]", b"")


def _sample(body: bytes, most: int = 200) -> str:
    return body[:most].decode("utf-8", "replace")


def _page_title(body: bytes) -> str:
    found = _TITLE.search(body)
    if found is None:
        return ""
    title = " ".join(found[1].decode("utf-8", "replace").split())
    return f'Its title is "{"".join(c for c in title if c.isprintable())[:80]}".'


def retry_after(text: str, at: datetime | None) -> float | None:
    """The seconds that a Retry-After header asks to wait: as a number, or from the moment `at` until a date.

    None if there is none, it cannot be parsed, or the date is past (RFC 9110, 10.2.3).
    """
    if _SECONDS.fullmatch(text.strip()):
        return float(text)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at is None:
        return None
    # A date without a zone is in UTC by definition.
    seconds = (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - at.timestamp()
    return seconds if seconds > 0 else None


_SECONDS = re.compile(r"\d{1,9}(?:\.\d{1,9})?", re.A)
