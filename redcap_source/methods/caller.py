"""What every REDCap call needs beneath it: a way to send a request, and ways to receive its answer.

How requests travel is left to the subclass (client.py). The calls themselves are in reads.py and writes.py; how
bodies are judged is verdict.py's business, how they are read reading.py's, what rows become model.py's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from redcap_source import errors, model
from redcap_source.errors import RequestContext
from redcap_source.http.sinks import FileSink, MemorySink, Received, Sink
from redcap_source.protocol import parsing as reading
from redcap_source.protocol.request import Request

Item = TypeVar("Item", bound=model.ApiRow)
S = TypeVar("S", bound=Sink)


class Caller(ABC):
    """Sends requests and receives bodies as values, text or files."""

    project: str
    _memory_limit: int
    _file_limit: int

    @abstractmethod
    def _receive(self, request: Request, open_sink: Callable[[], S]) -> tuple[Received, S]:
        """Send the request, as often as the policy allows; each attempt's body goes to a sink of its own."""

    @abstractmethod
    def _context(self, request: Request) -> RequestContext:
        """What errors about this request name."""

    def _body(self, request: Request) -> bytes:
        context = self._context(request)
        return self._receive(request, lambda: MemorySink(self._memory_limit, context))[1].body

    def _line(self, request: Request) -> str:
        return reading.text_of(self._body(request), self._context(request)).strip()

    def _to_file(self, request: Request, path: Path) -> Received:
        context = self._context(request)
        return self._receive(request, lambda: FileSink(Path(path), context, self._file_limit))[0]

    def _items(self, kind: type[Item], request: Request) -> tuple[Item, ...]:
        context = self._context(request)
        return tuple(parse_row(kind, row, context) for row in reading.rows_of(self._body(request), context))

    def _items_or_none(self, kind: type[Item], request: Request) -> tuple[Item, ...]:
        """Rows, or none where REDCap says in so many words that this project has no such thing."""
        try:
            return self._items(kind, request)
        except (errors.NotForClassicProjects, errors.NothingConfigured):
            return ()


def parse_row(kind: type[Item], row: Mapping[str, Any], context: RequestContext) -> Item:
    """The value of a row; UnexpectedAnswer where the row lacks what names it."""
    try:
        return kind.from_row(row)
    except model.MissingKeyError as error:
        detail = str(error)
    raise errors.UnexpectedAnswer(context, status=200, detail=detail)
