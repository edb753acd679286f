"""The base of all methods of the API: send a request, return its answer as values, text, a table or a file.

Not here: how a request is sent (http/), what an answer's bytes mean (protocol/).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from redcap_source import errors, model
from redcap_source.errors import RequestContext
from redcap_source.frames.csv_frames import MalformedTableError, frame_of_csv
from redcap_source.http.downloads import SavedFile, partial_path, placed
from redcap_source.http.sinks import FileSink, MemorySink, Received, Sink
from redcap_source.methods.options import as_list
from redcap_source.protocol.import_data import Rows, data_text
from redcap_source.protocol.parsing import count_of, rows_of, text_of
from redcap_source.protocol.request import Expect, Parameter, Request, Upload, change

if TYPE_CHECKING:
    import pandas as pd

Item = TypeVar("Item", bound=model.ApiRow)
Result = TypeVar("Result")
S = TypeVar("S", bound=Sink)


class Caller(ABC):
    """Sends requests and returns their answers. The areas of the API inherit from it; client.py gives it a network."""

    project: str
    _memory_limit: int
    _file_limit: int

    @abstractmethod
    def _receive(self, request: Request, open_sink: Callable[[], S]) -> tuple[Received, S]:
        """Send the request, as often as the policy allows; each attempt writes to a sink of its own."""

    @abstractmethod
    def _context(self, request: Request) -> RequestContext:
        """What errors about this request name."""

    def show(self, content: str, action: str = "", format: str = "json", **parameters: Parameter) -> dict[str, str]:
        """The form fields of a call, under REDCap's own parameter names, with the token masked; nothing is sent."""
        return Request(content, action, parameters, format=format).shown()

    # --- Answers ---

    def _body(self, request: Request) -> bytes:
        context = self._context(request)
        return self._receive(request, lambda: MemorySink(self._memory_limit, context))[1].body

    def _line(self, request: Request) -> str:
        return text_of(self._body(request), self._context(request)).strip()

    def _items(self, kind: type[Item], request: Request) -> tuple[Item, ...]:
        context = self._context(request)
        return tuple(parse_row(kind, row, context) for row in rows_of(self._body(request), context))

    def _items_or_none(self, kind: type[Item], request: Request) -> tuple[Item, ...]:
        """Rows; none if REDCap answers that this project has no such thing."""
        try:
            return self._items(kind, request)
        except (errors.NotForClassicProjects, errors.NothingConfigured):
            return ()

    def _frame(self, content: str, parameters: dict[str, Parameter], expect: Expect, delimiter: str) -> "pd.DataFrame":
        """A CSV answer as a DataFrame of text."""
        request = Request(content, parameters=parameters, format="csv", expect=expect)
        context = self._context(request)
        text = text_of(self._body(request), context)
        if not text.strip():
            # An empty CSV cannot be distinguished from a failure; an empty JSON list can.
            self._body(Request(content, parameters=parameters))
        try:
            return frame_of_csv(text, "\t" if delimiter == "tab" else delimiter)
        except MalformedTableError as error:
            problem = errors.UnexpectedAnswer(context, status=200, detail=str(error))
        raise problem

    def _to_file(self, request: Request, path: Path) -> Received:
        context = self._context(request)
        return self._receive(request, lambda: FileSink(Path(path), context, self._file_limit))[0]

    def _download(self, request: Request, folder: Path) -> SavedFile:
        partial = partial_path(folder)
        received = self._to_file(request, partial)
        return SavedFile(placed(partial, folder, received.file_name), received.file_name, received)

    # --- Changes ---

    def _change(self, request: Request, read: Callable[[bytes], Result]) -> Result:
        """Send a change and return what `read` makes of its answer; OutcomeUnknown if that cannot be read."""
        body, context = self._body(request), self._context(request)
        try:
            return read(body)
        except (errors.UnexpectedAnswer, ValueError, TypeError, KeyError, IndexError, RecursionError):
            unknown = errors.OutcomeUnknown(context, reason=errors.UnexpectedAnswer(context, status=200))
        raise unknown

    def _count(self, request: Request) -> int:
        """Send a change that is answered with a number."""
        return self._change(request, lambda body: count_of(body, self._context(request)))

    def _import(self, content: str, action: str, rows: Rows, format: str, **parameters: Parameter) -> int:
        return self._count(change(content, action, {**parameters, "data": data_text(rows)}, format=format))

    def _delete(self, content: str, parameter: str, names: Sequence[str | int]) -> int:
        return self._count(change(content, "delete", {parameter: names_to_delete(parameter, names)}))

    def _done(
        self, content: str, action: str, parameters: Mapping[str, Parameter], upload: Upload | None = None
    ) -> None:
        """Send a change that is answered with nothing at all."""
        self._body(change(content, action, parameters, expect=Expect.NOTHING, upload=upload))


def parse_row(kind: type[Item], row: Mapping[str, Any], context: RequestContext) -> Item:
    """The value of a row; UnexpectedAnswer if the row lacks what names it."""
    try:
        return kind.from_row(row)
    except model.MissingKeyError as error:
        detail = str(error)
    raise errors.UnexpectedAnswer(context, status=200, detail=detail)


def names_to_delete(parameter: str, names: Sequence[str | int]) -> Parameter:
    """The names as a list; ValueError for none, because REDCap may read a delete without names as all of them."""
    listed: Parameter = as_list("records", names)
    if not listed:
        raise ValueError(f"Nothing to delete: {parameter} is empty.")
    return listed
