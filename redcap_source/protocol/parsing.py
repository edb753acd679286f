"""Parse the body of a good answer: text, JSON, rows, a number.

Not here: which answers are errors (response_errors.py), long lists (json_stream.py), what a row means (model/).
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from redcap_source import errors
from redcap_source.errors import RequestContext
from redcap_source.protocol.content_encoding import without_bom


def text_of(body: bytes, context: RequestContext) -> str:
    """The body as text, line ends as REDCap sent them; UnexpectedAnswer if it is not UTF-8."""
    try:
        return without_bom(body).decode("utf-8")
    except UnicodeDecodeError as error:
        at = error.start
    raise errors.UnexpectedAnswer(context, status=200, detail=f"It is not UTF-8 at byte {at}.")


def json_of(body: bytes, context: RequestContext) -> Any:
    """The body as JSON; UnexpectedAnswer if it is invalid, nested too deeply, or has a number of too many digits."""
    text = text_of(body, context)
    try:
        return json.loads(text)
    except ValueError:
        problem = "It is not valid JSON."
    except RecursionError:
        problem = "Its JSON is nested too deeply."
    # Raised outside the handlers, so that the decoder's error, which holds the whole body, is not chained.
    raise errors.UnexpectedAnswer(context, status=200, detail=problem, server_text=_sample(body))


def rows_of(body: bytes, context: RequestContext) -> list[Mapping[str, Any]]:
    """The body as a JSON list of objects."""
    rows = json_of(body, context)
    if isinstance(rows, list) and all(isinstance(row, dict) for row in rows):
        return rows
    raise errors.UnexpectedAnswer(context, status=200, detail="Expected a list of objects.", server_text=_sample(body))


def count_of(body: bytes, context: RequestContext) -> int:
    """The number that a change is answered with: bare, quoted, or as `{"count": n}`."""
    value = json_of(body, context)
    if isinstance(value, dict) and set(value) == {"count"}:
        value = value["count"]
    try:
        return int(value)
    except (TypeError, ValueError):
        problem = "Expected a number."
    raise errors.UnexpectedAnswer(context, status=200, detail=problem, server_text=_sample(body))


def only_object(body: bytes) -> Mapping[str, Any]:
    """The one object in an answer, alone or in a list; ValueError, TypeError or IndexError if there is none."""
    value = json.loads(body)
    row = value[0] if isinstance(value, list) else value
    if not isinstance(row, dict):
        raise TypeError("expected an object")
    return row


def _sample(body: bytes, most: int = 200) -> str:
    return body[:most].decode("utf-8", "replace")


def server_date(headers: Mapping[str, str]) -> datetime | None:
    """The aware time in the Date header; None if it is missing or cannot be parsed."""
    try:
        moment = parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError):
        return None
    # A zone of -0000 leaves the sender's zone open; a Date header is in UTC by definition.
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
