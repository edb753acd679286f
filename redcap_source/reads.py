"""Every call that changes nothing in REDCap, and so may be asked again: exports, downloads, looking up.

Each method says what is sent and what its answer becomes; changes are in writes.py, sending is client.py's.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from redcap_source import errors, frames, model, reading
from redcap_source.options import Moment, RecordFormat, RecordOptions, RecordType, as_list, record_parameters
from redcap_source.request import Expect, Parameter, Request
from redcap_source.rows import JsonRows
from redcap_source.sender import Sender, bound
from redcap_source.sinks import Received

if TYPE_CHECKING:
    import pandas as pd


class Reads(Sender):
    """REDCap's reading methods.

    Answers are values of model.py, text, or pandas DataFrames of text. Failures are exceptions of errors.py.
    """

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
            return JsonRows(lambda row: rows.append(bound(model.LogRow, row, asked)), asked)

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


_RECORD_EXPECTATIONS = {"json": Expect.ROWS, "xml": Expect.XML, "odm": Expect.XML}


def record_request(format: RecordFormat, type: RecordType, options: Mapping[str, Any]) -> Request:
    """A record export as a request."""
    csv = Expect.RECORDS_CSV if type == "flat" else Expect.CSV
    parameters = {"type": type, **record_parameters(options)}
    return Request("record", parameters=parameters, format=format, expect=_RECORD_EXPECTATIONS.get(format, csv))
