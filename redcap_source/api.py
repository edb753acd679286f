"""REDCap's methods, each as one call: what is sent and what its answer becomes.

How a request is sent, retried and paced is left to the subclass (client.py); how bodies are judged is verdict.py's
business, how they are read reading.py's, what rows become model.py's.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar, Unpack

from redcap_source import errors, frames, model, reading
from redcap_source.errors import Asked
from redcap_source.request import Expect, Parameter, Request
from redcap_source.rows import JsonRows
from redcap_source.sinks import FileSink, MemorySink, Received, Sink

if TYPE_CHECKING:
    import pandas as pd

Moment = datetime | str | None
RecordType = Literal["flat", "eav"]
RecordFormat = Literal["csv", "json", "xml", "odm"]

_Item = TypeVar("_Item", bound=model.Bound)
_S = TypeVar("_S", bound=Sink)


class RecordOptions(TypedDict, total=False):
    """What a record export may be narrowed to and how it is written; all optional.

    No records, fields, forms or events means all of them. Times are the server's own: text or a naive datetime.
    A union of `fields` and `forms` comes back, without the record id unless it is among them (REDCap 6 and later).
    """

    records: Sequence[str]
    fields: Sequence[str]
    forms: Sequence[str]
    events: Sequence[str]
    raw_or_label: Literal["raw", "label"]
    raw_or_label_headers: Literal["raw", "label"]
    export_checkbox_label: bool
    export_survey_fields: bool
    export_data_access_groups: bool
    blank_for_gray_form_status: bool
    combine_checkbox_options: bool
    filter_logic: str
    date_range_begin: Moment
    date_range_end: Moment
    csv_delimiter: Literal[",", "tab", ";", "|", "^"]
    decimal_character: Literal[",", ".", ""]


_RECORD_PARAMETERS: Mapping[str, str] = {
    "records": "records",
    "fields": "fields",
    "forms": "forms",
    "events": "events",
    "raw_or_label": "rawOrLabel",
    "raw_or_label_headers": "rawOrLabelHeaders",
    "export_checkbox_label": "exportCheckboxLabel",
    "export_survey_fields": "exportSurveyFields",
    "export_data_access_groups": "exportDataAccessGroups",
    "blank_for_gray_form_status": "exportBlankForGrayFormStatus",
    "combine_checkbox_options": "combineCheckboxOptions",
    "filter_logic": "filterLogic",
    "date_range_begin": "dateRangeBegin",
    "date_range_end": "dateRangeEnd",
    "csv_delimiter": "csvDelimiter",
    "decimal_character": "decimalCharacter",
}


def record_parameters(options: Mapping[str, Any]) -> dict[str, Parameter]:
    """Record options under REDCap's parameter names; TypeError for an option there is not."""
    unknown = set(options) - set(_RECORD_PARAMETERS)
    if unknown:
        raise TypeError(f"No such option of a record export: {', '.join(sorted(unknown))}.")
    return {_RECORD_PARAMETERS[name]: _listed(name, value) for name, value in options.items()}


def _listed(name: str, value: Any) -> Parameter:
    # One name given alone is a list of one: its letters are not.
    return [value] if name in ("records", "fields", "forms", "events") and isinstance(value, str) else value


class RedcapApi(ABC):
    """Every method of the REDCap API over an abstract way to send requests.

    Answers are values of model.py, text, or pandas DataFrames of text. Failures are exceptions of errors.py.
    """

    project: str
    _memory_limit: int

    @abstractmethod
    def _receive(self, request: Request, open_sink: Callable[[], _S]) -> tuple[Received, _S]:
        """Send the request, as often as the policy allows; each attempt's body goes to a sink of its own."""

    @abstractmethod
    def _asked(self, request: Request) -> Asked:
        """What errors about this request name."""

    # --- The project and its structure ---

    def version(self) -> str:
        """REDCap's version, as `14.7.3`."""
        request = Request("version", expect=Expect.LINE)
        line = self._line(request)
        if not line[:1].isdigit():
            raise errors.UnexpectedAnswer(self._asked(request), detail="A version was due.", server_text=line[:200])
        return line

    def project_info(self) -> model.ProjectInfo:
        """The project's settings."""
        request = Request("project", expect=Expect.OBJECT)
        row = reading.json_of(self._body(request), self._asked(request))
        return model.ProjectInfo.from_row(row)

    def data_dictionary(self, fields: Sequence[str] = (), forms: Sequence[str] = ()) -> tuple[model.Field, ...]:
        """The data dictionary (REDCap's `metadata`), of all fields or of those named and those of the forms."""
        parameters = {"fields": _listed("fields", fields), "forms": _listed("forms", forms)}
        return self._items(model.Field, Request("metadata", parameters=parameters))

    def export_field_names(self, field: str | None = None) -> tuple[model.ExportFieldName, ...]:
        """The columns of a record export, which differ from the fields for checkboxes; file fields are not listed."""
        return self._items(model.ExportFieldName, Request("exportFieldNames", parameters={"field": field}))

    def instruments(self) -> tuple[model.Instrument, ...]:
        """The instruments, in the project's order."""
        return self._items(model.Instrument, Request("instrument"))

    def arms(self, arms: Sequence[str | int] = ()) -> tuple[model.Arm, ...]:
        """The arms that have events; none in a classic project."""
        return self._items_or_none(model.Arm, Request("arm", parameters={"arms": arms}))

    def events(self, arms: Sequence[str | int] = ()) -> tuple[model.Event, ...]:
        """The events of all arms or of those given; none in a classic project."""
        return self._items_or_none(model.Event, Request("event", parameters={"arms": arms}))

    def form_event_mapping(self, arms: Sequence[str | int] = ()) -> tuple[model.FormEvent, ...]:
        """Which instruments are designated for which events; none in a classic project."""
        return self._items_or_none(model.FormEvent, Request("formEventMapping", parameters={"arms": arms}))

    def repeating_forms_events(self) -> tuple[model.RepeatingForm, ...]:
        """The repeating instruments and events; none where nothing repeats."""
        return self._items_or_none(model.RepeatingForm, Request("repeatingFormsEvents"))

    # --- Users, roles, data access groups ---

    def users(self) -> tuple[model.User, ...]:
        """The project's users and their rights; the token's user needs the User Rights right."""
        return self._items(model.User, Request("user"))

    def user_roles(self) -> tuple[model.UserRole, ...]:
        """The project's user roles and their rights."""
        return self._items(model.UserRole, Request("userRole"))

    def user_role_assignments(self) -> tuple[model.RoleAssignment, ...]:
        """Each user's role; users without one are listed with a blank."""
        return self._items(model.RoleAssignment, Request("userRoleMapping"))

    def data_access_groups(self) -> tuple[model.DataAccessGroup, ...]:
        """The project's data access groups."""
        return self._items(model.DataAccessGroup, Request("dag"))

    def data_access_group_assignments(self) -> tuple[model.DataAccessGroupAssignment, ...]:
        """Each user's data access group; blank for users who see every record."""
        return self._items(model.DataAccessGroupAssignment, Request("userDagMapping"))

    # --- The log ---

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
        parameters: dict[str, Parameter] = {"logtype": logtype, "user": user, "record": record, "dag": dag}
        parameters |= {"beginTime": begin, "endTime": end}
        request = Request("log", parameters=parameters)
        asked = self._asked(request)
        rows: list[model.LogRow] = []

        def open_sink() -> JsonRows:
            rows.clear()
            return JsonRows(lambda row: rows.append(_bound(model.LogRow, row, asked)), asked)

        self._receive(request, open_sink)
        return tuple(rows)

    # --- Records ---

    def record_ids(self, record_id_field: str, **options: Unpack[RecordOptions]) -> list[str]:
        """The ids of all records (or of those the options narrow to), each once, in the server's order.

        Asked as JSON, whose list must close: a CSV cut after any row would pass for a smaller project.
        """
        parameters = record_parameters({**options, "fields": [record_id_field]}) | {"type": "flat"}
        request = Request("record", parameters=parameters)
        asked = self._asked(request)
        ids: dict[str, None] = {}

        def take(row: Mapping[str, Any]) -> None:
            if record_id_field not in row:
                raise errors.UnexpectedAnswer(asked, detail=f"A row came without {record_id_field}.")
            ids[model.text(row[record_id_field])] = None

        def open_sink() -> JsonRows:
            ids.clear()
            return JsonRows(take, asked)

        self._receive(request, open_sink)
        return list(ids)

    def export_records(self, *, type: RecordType = "flat", **options: Unpack[RecordOptions]) -> "pd.DataFrame":
        """Records as a DataFrame of text, exactly as REDCap sent it; no rows and no columns where there are none."""
        delimiter = options.get("csv_delimiter", ",")
        request = record_request("csv", type, options)
        body = self._body(request)
        if not body.strip():
            # An empty CSV cannot be told from a failure; an empty JSON list can.
            self._body(record_request("json", type, options))
        return frames.frame_of_csv(body, "\t" if delimiter == "tab" else delimiter)

    def export_records_to(
        self,
        sink: Path,
        *,
        format: RecordFormat = "csv",
        type: RecordType = "flat",
        **options: Unpack[RecordOptions],
    ) -> Received:
        """Stream records to a file, readable by its owner only, whatever their size; a failure leaves no file.

        An empty CSV is passed on: whether rows were due, the caller knows by the ids it asked for.
        """
        return self._to_file(record_request(format, type, options), sink)

    # --- Seeing a call ---

    def show(self, content: str, action: str = "", format: str = "json", **parameters: Parameter) -> dict[str, str]:
        """The form fields of a call, under REDCap's own parameter names, with the token masked; nothing is sent."""
        return Request(content, action, parameters, format=format).shown()

    # --- Ways to receive ---

    def _body(self, request: Request) -> bytes:
        asked = self._asked(request)
        return self._receive(request, lambda: MemorySink(self._memory_limit, asked))[1].body

    def _line(self, request: Request) -> str:
        return reading.text_of(self._body(request), self._asked(request)).strip()

    def _to_file(self, request: Request, path: Path) -> Received:
        return self._receive(request, lambda: FileSink(Path(path)))[0]

    def _items(self, kind: type[_Item], request: Request) -> tuple[_Item, ...]:
        asked = self._asked(request)
        return tuple(_bound(kind, row, asked) for row in reading.rows_of(self._body(request), asked))

    def _items_or_none(self, kind: type[_Item], request: Request) -> tuple[_Item, ...]:
        """Rows, or none where REDCap says in so many words that this project has no such thing."""
        try:
            return self._items(kind, request)
        except (errors.NotForClassicProjects, errors.NothingConfigured):
            return ()


_RECORD_EXPECTATIONS = {"json": Expect.ROWS, "xml": Expect.XML, "odm": Expect.XML}


def record_request(format: RecordFormat, type: RecordType, options: Mapping[str, Any]) -> Request:
    """A record export as a request."""
    csv = Expect.RECORDS_CSV if type == "flat" else Expect.CSV
    parameters = {"type": type, **record_parameters(options)}
    return Request("record", parameters=parameters, format=format, expect=_RECORD_EXPECTATIONS.get(format, csv))


def _bound(kind: type[_Item], row: Mapping[str, Any], asked: Asked) -> _Item:
    try:
        return kind.from_row(row)
    except model.MissingKeyError as error:
        detail = str(error)
    raise errors.UnexpectedAnswer(asked, status=200, detail=detail)
