"""Every call that changes nothing in REDCap, and so may be asked again: exports, downloads, looking up.

Each method says what is sent and what its answer becomes; changes are in writes.py, sending is client.py's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from redcap_source import dictionary, errors, model
from redcap_source.frames import csv_frames as frames
from redcap_source.http import downloads as files
from redcap_source.http.downloads import SavedFile
from redcap_source.http.json_stream import JsonRows
from redcap_source.http.sinks import Received
from redcap_source.methods.caller import Caller, parse_row
from redcap_source.methods.options import (
    Moment,
    RecordFormat,
    RecordOptions,
    RecordType,
    ReportFormat,
    ReportOptions,
    as_list,
    record_parameters,
    report_parameters,
)
from redcap_source.methods.outline import Outline
from redcap_source.protocol import parsing as reading
from redcap_source.protocol.request import Expect, Parameter, Request

if TYPE_CHECKING:
    import pandas as pd

    from redcap_source.frames.typed_frames import TypedRecords


class Reads(Caller):
    """REDCap's reading methods.

    Answers are values of model.py, text, or pandas DataFrames of text. Failures are exceptions of errors.py.
    """

    # --- The project and its structure ---

    def version(self) -> str:
        """REDCap's version, as `14.7.3`."""
        request = Request("version", expect=Expect.LINE)
        line = self._line(request)
        if not line[:1].isdigit():
            raise errors.UnexpectedAnswer(self._context(request), detail="A version was due.", server_text=line[:200])
        return line

    def project_info(self) -> model.ProjectInfo:
        """The project's settings."""
        request = Request("project", expect=Expect.OBJECT)
        row = reading.json_of(self._body(request), self._context(request))
        return model.ProjectInfo.from_row(row)

    def data_dictionary(self, fields: Sequence[str] = (), forms: Sequence[str] = ()) -> tuple[model.Field, ...]:
        """The data dictionary (REDCap's `metadata`), of all fields or of those named and those of the forms."""
        parameters = {"fields": as_list("fields", fields), "forms": as_list("forms", forms)}
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

    def outline(self) -> Outline:
        """The structure as one value that answers short questions; two requests, or four if longitudinal."""
        info = self.project_info()
        longitudinal = bool(info.is_longitudinal)
        arms, events = (self.arms(), self.events()) if longitudinal else ((), ())
        return Outline(self.data_dictionary(), arms, events, longitudinal)

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
        rows: list[model.LogRow] = []

        def take_anew() -> Callable[[model.LogRow], object]:
            rows.clear()
            return rows.append

        request = _log_request(begin, end, logtype, user, record, dag)
        self._stream_log(request, take_anew, self._memory_limit)
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
        """The same rows one by one, so that a long log is never wholly in memory.

        Each attempt asks `open_taker` for what takes its rows: what an attempt that failed has handed over is void.
        """
        return self._stream_log(_log_request(begin, end, logtype, user, record, dag), open_taker, self._file_limit)

    def _stream_log(
        self, request: Request, open_taker: Callable[[], Callable[[model.LogRow], object]], limit: int
    ) -> Received:
        """The log's rows to what takes them; the answer may have `limit` bytes, a row what memory may hold."""
        context = self._context(request)

        def open_sink() -> JsonRows:
            take, longest = open_taker(), self._memory_limit
            return JsonRows(lambda row: take(parse_row(model.LogRow, row, context)), context, limit, longest=longest)

        return self._receive(request, open_sink)[0]

    # --- Records ---

    def record_ids(self, record_id_field: str, **options: Unpack[RecordOptions]) -> list[str]:
        """The ids of all records (or of those the options narrow to), each once, in the server's order.

        Asked as JSON, whose list must close: a CSV cut after any row would pass for a smaller project.
        """
        parameters = record_parameters({**options, "fields": [record_id_field]}) | {"type": "flat"}
        request = Request("record", parameters=parameters)
        context = self._context(request)
        ids: dict[str, None] = {}

        def take(row: Mapping[str, Any]) -> None:
            if record_id_field not in row:
                raise errors.UnexpectedAnswer(context, detail=f"A row came without {record_id_field}.")
            ids[model.text(row[record_id_field])] = None

        def open_sink() -> JsonRows:
            ids.clear()
            return JsonRows(take, context, self._memory_limit)

        self._receive(request, open_sink)
        return list(ids)

    def export_records(self, *, type: RecordType = "flat", **options: Unpack[RecordOptions]) -> "pd.DataFrame":
        """Records as a DataFrame of text, exactly as REDCap sent it; no rows and no columns where there are none."""
        parameters = {"type": type, **record_parameters(options)}
        return self._frame("record", parameters, _csv_of(type), options.get("csv_delimiter", ","))

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

    def iter_records(
        self, chunk_size: int = 500, *, record_id_field: str = "", **options: Unpack[RecordOptions]
    ) -> "Iterator[pd.DataFrame]":
        """Records as DataFrames of so many records each, so that no size is too large for memory.

        The ids are asked first (or are the `records` given), then the records by id: what is added meanwhile is
        missed, what is deleted meanwhile is absent. The record id is added to `fields` where these narrow the export.
        """
        if chunk_size < 1:
            raise ValueError("A chunk holds one record or more.")
        id_field = record_id_field or dictionary.record_id_field(self.data_dictionary())
        wanted: dict[str, Any] = dict(options)
        ids = list(wanted.pop("records", ())) or self.record_ids(id_field, **_whose(options))
        if wanted.get("fields") or wanted.get("forms"):
            asked_for = as_list("fields", wanted.get("fields", ()))
            wanted["fields"] = list(dict.fromkeys([id_field, *asked_for]))
        for at in range(0, len(ids), chunk_size):
            yield self.export_records(**wanted, records=ids[at : at + chunk_size])

    def next_record_name(self) -> str:
        """The id REDCap would give the next record: text, as `8` or `20-1`. It is not reserved."""
        return self._line(Request("generateNextRecordName", expect=Expect.LINE))

    def type_records(self, frame: "pd.DataFrame") -> "TypedRecords":
        """A frame of raw records with typed columns, by the project's dictionary, and what did not fit."""
        from redcap_source.frames.typed_frames import type_records

        codes = dictionary.missing_data_codes(self.project_info().missing_data_codes)
        return type_records(frame, self.data_dictionary(), self.export_field_names(), codes)

    # --- Reports ---

    def export_report(self, report_id: int | str, **options: Unpack[ReportOptions]) -> "pd.DataFrame":
        """A saved report as a DataFrame of text; reports are always flat."""
        parameters = {"report_id": report_id, **report_parameters(options)}
        return self._frame("report", parameters, Expect.CSV, options.get("csv_delimiter", ","))

    def export_report_to(
        self,
        sink: Path,
        report_id: int | str,
        *,
        format: ReportFormat = "csv",
        **options: Unpack[ReportOptions],
    ) -> Received:
        """Stream a saved report to a file, as `export_records_to` does records."""
        parameters = {"report_id": report_id, **report_parameters(options)}
        expect = _EXPECTATIONS.get(format, Expect.CSV)
        return self._to_file(Request("report", parameters=parameters, format=format, expect=expect), sink)

    # --- Files ---

    def export_file(
        self, record: str, field: str, folder: Path, *, event: str = "", repeat_instance: int | None = None
    ) -> SavedFile:
        """Download a field's file into the folder, under a safe form of its own name that no other file has."""
        parameters = _cell(record, field, event, repeat_instance)
        return self._download(Request("file", "export", parameters, expect=Expect.BYTES), Path(folder))

    def export_repository_file(self, doc_id: int, folder: Path) -> SavedFile:
        """Download a file of the file repository into the folder, as `export_file` does."""
        request = Request("fileRepository", "export", {"doc_id": doc_id}, expect=Expect.BYTES)
        return self._download(request, Path(folder))

    def file_repository(self, folder_id: int | None = None) -> tuple[model.RepositoryItem, ...]:
        """The files and folders in a folder of the file repository, or at its top."""
        return self._items(model.RepositoryItem, Request("fileRepository", "list", {"folder_id": folder_id}))

    def export_instruments_pdf(
        self,
        sink: Path,
        *,
        record: str = "",
        event: str = "",
        instrument: str = "",
        repeat_instance: int | None = None,
        all_records: bool = False,
        compact_display: bool = False,
    ) -> Received:
        """The instruments as a PDF file: blank forms, or a record's, or with `all_records` everything there is."""
        parameters: dict[str, Parameter] = {
            "record": record,
            "event": event,
            "instrument": instrument,
            "repeat_instance": repeat_instance,
            # Its mere presence, with any value, asks for all records.
            "allRecords": True if all_records else None,
            "compactDisplay": True if compact_display else None,
        }
        return self._to_file(Request("pdf", parameters=parameters, expect=Expect.PDF), sink)

    def export_project_xml(
        self,
        sink: Path,
        *,
        metadata_only: bool = False,
        records: Sequence[str] = (),
        fields: Sequence[str] = (),
        events: Sequence[str] = (),
        export_survey_fields: bool = False,
        export_data_access_groups: bool = False,
        filter_logic: str = "",
        export_files: bool = False,
    ) -> Received:
        """The whole project as REDCap's XML (CDISC ODM), streamed to a file; files only where asked for."""
        parameters: dict[str, Parameter] = {
            "returnMetadataOnly": metadata_only,
            "records": as_list("records", records),
            "fields": as_list("fields", fields),
            "events": as_list("events", events),
            "exportSurveyFields": export_survey_fields,
            "exportDataAccessGroups": export_data_access_groups,
            "filterLogic": filter_logic,
            "exportFiles": export_files,
        }
        return self._to_file(Request("project_xml", parameters=parameters, format="xml", expect=Expect.XML), sink)

    # --- Surveys ---

    def survey_link(self, record: str, instrument: str, event: str = "", repeat_instance: int | None = None) -> str:
        """The link to a participant's survey; asking may create the response in REDCap."""
        return self._survey("surveyLink", record, instrument, event, repeat_instance)

    def survey_access_code(
        self, record: str, instrument: str, event: str = "", repeat_instance: int | None = None
    ) -> str:
        """The nine characters that open a participant's survey."""
        return self._survey("surveyAccessCode", record, instrument, event, repeat_instance)

    def survey_return_code(
        self, record: str, instrument: str, event: str = "", repeat_instance: int | None = None
    ) -> str:
        """The eight characters with which a participant returns to a survey."""
        return self._survey("surveyReturnCode", record, instrument, event, repeat_instance)

    def survey_queue_link(self, record: str) -> str:
        """The link to a participant's survey queue."""
        return self._line(Request("surveyQueueLink", parameters={"record": record}, expect=Expect.LINE))

    def participant_list(self, instrument: str, event: str = "") -> tuple[model.Participant, ...]:
        """A survey's participants, with their links and how far they are."""
        parameters: dict[str, Parameter] = {"instrument": instrument, "event": event}
        return self._items(model.Participant, Request("participantList", parameters=parameters))

    # --- Ways of this half ---

    def _frame(self, content: str, parameters: dict[str, Parameter], expect: Expect, delimiter: str) -> "pd.DataFrame":
        request = Request(content, parameters=parameters, format="csv", expect=expect)
        context = self._context(request)
        text = reading.text_of(self._body(request), context)
        if not text.strip():
            # An empty CSV cannot be told from a failure; an empty JSON list can.
            self._body(Request(content, parameters=parameters))
        try:
            return frames.frame_of_csv(text, "\t" if delimiter == "tab" else delimiter)
        except frames.MalformedTableError as error:
            problem = errors.UnexpectedAnswer(context, status=200, detail=str(error))
        raise problem

    def _download(self, request: Request, folder: Path) -> SavedFile:
        partial = files.partial_path(folder)
        received = self._to_file(request, partial)
        return SavedFile(files.placed(partial, folder, received.file_name), received.file_name, received)

    def _survey(self, content: str, record: str, instrument: str, event: str, repeat_instance: int | None) -> str:
        parameters: dict[str, Parameter] = {"record": record, "instrument": instrument, "event": event}
        parameters["repeat_instance"] = repeat_instance
        return self._line(Request(content, parameters=parameters, expect=Expect.LINE))

    # --- Seeing a call ---

    def show(self, content: str, action: str = "", format: str = "json", **parameters: Parameter) -> dict[str, str]:
        """The form fields of a call, under REDCap's own parameter names, with the token masked; nothing is sent."""
        return Request(content, action, parameters, format=format).shown()


_EXPECTATIONS = {"json": Expect.ROWS, "xml": Expect.XML, "odm": Expect.XML}


def record_request(format: RecordFormat, type: RecordType, options: Mapping[str, Any]) -> Request:
    """A record export as a request."""
    parameters = {"type": type, **record_parameters(options)}
    expect = _EXPECTATIONS.get(format, _csv_of(type))
    return Request("record", parameters=parameters, format=format, expect=expect)


def _csv_of(type: RecordType) -> Expect:
    return Expect.RECORDS_CSV if type == "flat" else Expect.CSV


def _whose(options: RecordOptions) -> RecordOptions:
    """Of an export's options, those that decide which records it holds."""
    deciding: RecordOptions = {}
    for name in ("events", "filter_logic", "date_range_begin", "date_range_end"):
        if name in options:
            deciding[name] = options[name]
    return deciding


def _cell(record: str, field: str, event: str, repeat_instance: int | None) -> dict[str, Parameter]:
    return {"record": record, "field": field, "event": event, "repeat_instance": repeat_instance}


def _log_request(begin: Moment, end: Moment, logtype: str, user: str, record: str, dag: str) -> Request:
    parameters: dict[str, Parameter] = {"logtype": logtype, "user": user, "record": record, "dag": dag}
    return Request("log", parameters=parameters | {"beginTime": begin, "endTime": end})
