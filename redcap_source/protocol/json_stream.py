"""Parse a JSON list of objects while it arrives, so that a long one is never wholly in memory.

For short answers `rows_of` of parsing.py is simpler.
"""

import codecs
import json
from collections.abc import Callable, Mapping
from typing import Any

from redcap_source import errors
from redcap_source.errors import RequestContext

_BLANKS = " \t\r\n"
# A cut inside a word (`-Infinity`, an escape) is reported at the word's start, so this far before the end.
_LONGEST_WORD = 12


class JsonRows:
    """A sink for the body of a JSON list: `take` is called with each object as soon as it is complete."""

    def __init__(
        self,
        take: Callable[[Mapping[str, Any]], object],
        context: RequestContext,
        limit: int,
        *,
        longest: int | None = None,
    ) -> None:
        """`context` is what errors name; `limit` is the longest body in bytes, `longest` the longest object in it.

        Without `longest` an object may be as long as the body.
        """
        self._take = take
        self._context = context
        self._limit, self._size = limit, 0
        self._longest = limit if longest is None else longest
        self._decoder = json.JSONDecoder()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._pieces: list[str] = []
        self._waiting = 0
        self._opened = self._closed = False
        # After an incomplete object nothing is parsed until the text has doubled: a 50 MB cell takes linear time.
        self._parse_from = 0

    def write(self, data: bytes) -> None:
        """Take the next piece of the body; AnswerTooLong beyond the limit."""
        self._size += len(data)
        if self._size > self._limit:
            raise errors.AnswerTooLong.beyond(self._context, self._limit)
        try:
            piece = self._utf8.decode(data)
        except UnicodeDecodeError:
            problem = "It is not UTF-8."
        else:
            self._pieces.append(piece)
            self._waiting += len(piece)
            if self._waiting >= self._parse_from or self._waiting > self._longest:
                self._read()
                if self._waiting > self._longest:
                    raise errors.AnswerTooLong.beyond(self._context, self._longest)
            return
        raise errors.UnexpectedAnswer(self._context, status=200, detail=problem)

    def finish(self) -> None:
        """End of the body: Truncated unless the list is closed and nothing follows it."""
        left = self._read()
        if not self._closed or left.strip(_BLANKS):
            raise errors.Truncated(self._context, status=200, detail="The list was not closed.")

    def discard(self) -> None:
        """Discard incomplete input; the owner of `take` discards the rows it already has."""
        self._pieces.clear()

    def _read(self) -> str:
        """Pass on every complete object and return the rest of the text."""
        text, at = "".join(self._pieces), 0
        while not self._closed:
            at = _past(text, at, _BLANKS + ("," if self._opened else "\ufeff"))
            if at >= len(text):
                break
            if not self._opened or text[at] == "]":
                self._bracket(text[at])
                at += 1
                continue
            row, end = self._object(text, at)
            if end is None:
                break
            self._take(row)
            at = end
        left = text[at:]
        self._pieces, self._waiting, self._parse_from = [left], len(left), 2 * len(left)
        return left

    def _bracket(self, character: str) -> None:
        if not self._opened and character != "[":
            raise errors.UnexpectedAnswer(self._context, status=200, detail="Expected a JSON list.")
        self._opened, self._closed = True, character == "]"

    def _object(self, text: str, at: int) -> tuple[Mapping[str, Any], int | None]:
        """The object that begins here and where it ends; no end while it is incomplete."""
        if text[at] != "{":
            raise errors.UnexpectedAnswer(self._context, status=200, detail="Expected a list of objects.")
        try:
            return self._decoder.raw_decode(text, at)
        except json.JSONDecodeError as error:
            incomplete = _is_incomplete(error, text)
            problem = "It is not valid JSON."
        except ValueError:
            # A number of thousands of digits is valid JSON, but Python refuses to parse it.
            incomplete, problem = False, "It has a number that is too long."
        except RecursionError:
            incomplete, problem = False, "Its JSON is nested too deeply."
        if incomplete:
            return {}, None
        raise errors.UnexpectedAnswer(self._context, status=200, detail=problem)


def _is_incomplete(error: json.JSONDecodeError, text: str) -> bool:
    """Whether the text is only cut: it fails at its end or at the opening quote of a string, not elsewhere."""
    return "Unterminated string" in error.msg or error.pos >= len(text.rstrip(_BLANKS)) - _LONGEST_WORD


def _past(text: str, at: int, skipped: str) -> int:
    while at < len(text) and text[at] in skipped:
        at += 1
    return at
