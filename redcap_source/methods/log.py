"""Methods about the project's log."""

from collections.abc import Callable

from redcap_source import model
from redcap_source.http.sinks import Received
from redcap_source.methods.caller import Caller, parse_row
from redcap_source.methods.options import Moment
from redcap_source.protocol.json_stream import JsonRows
from redcap_source.protocol.request import Parameter, Request


class LogMethods(Caller):
    """log, and read_log for long ones."""

    def log(
        self,
        begin: Moment = None,
        end: Moment = None,
        logtype: str = "",
        user: str = "",
        record: str = "",
        dag: str = "",
    ) -> tuple[model.LogRow, ...]:
        """The project's log, newest first: times are the server's own, in whole minutes.

        There is no paging: an unbounded request on an old project can take minutes, so ask for slices of time.
        """
        rows: list[model.LogRow] = []

        def start_again() -> Callable[[model.LogRow], object]:
            rows.clear()
            return rows.append

        request = _log_request(begin, end, logtype, user, record, dag)
        self._stream_log(request, start_again, self._memory_limit)
        return tuple(rows)

    def read_log(
        self,
        open_taker: Callable[[], Callable[[model.LogRow], object]],
        begin: Moment = None,
        end: Moment = None,
        logtype: str = "",
        user: str = "",
        record: str = "",
        dag: str = "",
    ) -> Received:
        """Pass the same rows on one by one, so that a long log is never wholly in memory.

        Each attempt calls `open_taker` for the function that takes its rows: rows of an attempt that failed must be
        discarded.
        """
        return self._stream_log(_log_request(begin, end, logtype, user, record, dag), open_taker, self._file_limit)

    def _stream_log(
        self, request: Request, open_taker: Callable[[], Callable[[model.LogRow], object]], limit: int
    ) -> Received:
        """Pass the log's rows on; the answer may have `limit` bytes, a row as many as may be in memory."""
        context = self._context(request)

        def open_sink() -> JsonRows:
            take, longest = open_taker(), self._memory_limit
            return JsonRows(lambda row: take(parse_row(model.LogRow, row, context)), context, limit, longest=longest)

        return self._receive(request, open_sink)[0]


def _log_request(begin: Moment, end: Moment, logtype: str, user: str, record: str, dag: str) -> Request:
    parameters: dict[str, Parameter] = {"logtype": logtype, "user": user, "record": record, "dag": dag}
    return Request("log", parameters=parameters | {"beginTime": begin, "endTime": end})
