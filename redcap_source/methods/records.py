"""Methods about records: export, import, delete, rename, randomize."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

from redcap_source import dictionary, errors, model
from redcap_source.http.sinks import Received
from redcap_source.methods.caller import names_to_delete
from redcap_source.methods.options import (
    SHAPES,
    RecordFormat,
    RecordOptions,
    RecordType,
    as_list,
    record_parameters,
)
from redcap_source.methods.setup import SetupMethods
from redcap_source.protocol.import_data import Rows, data_text
from redcap_source.protocol.json_stream import JsonRows
from redcap_source.protocol.parsing import only_object
from redcap_source.protocol.request import Expect, Parameter, Request, change

if TYPE_CHECKING:
    import pandas as pd

    from redcap_source.frames.typed_frames import TypedRecords

ReturnContent = Literal["count", "ids", "auto_ids", "nothing"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What REDCap returned for a record import, as far as it was requested.

    `count` is of distinct records in the data, not of rows or of changes. `auto_ids` pairs the id REDCap assigned
    with the one submitted. What was not requested is None; for a background import only `accepted` is known.
    """

    count: int | None = None
    ids: tuple[str, ...] | None = field(default=None, repr=False)
    auto_ids: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)
    accepted: bool | None = None


class RecordMethods(SetupMethods):
    """record_ids, export_records, export_records_to, iter_records, type_records, next_record_name; import_records,
    delete_records, rename_record, randomize_record.
    """

    # --- Export ---

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
                raise errors.UnexpectedAnswer(context, detail=f"A row has no {record_id_field}.")
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
        """Stream records of any size to a file that only its owner may read; a failure leaves no file.

        An empty CSV is not an error: the caller knows from the requested ids whether rows were expected.
        """
        return self._to_file(record_request(format, type, options), sink)

    def iter_records(
        self, chunk_size: int = 500, *, record_id_field: str = "", **options: Unpack[RecordOptions]
    ) -> "Iterator[pd.DataFrame]":
        """Records as DataFrames of a fixed number of records each, so that no project is too large for memory.

        The ids are fetched first (or are the `records` given), then the records by id: records added meanwhile are
        missed, records deleted meanwhile are absent. The record id is added to `fields` where these narrow the export.
        """
        if chunk_size < 1:
            raise ValueError("A chunk holds one record or more.")
        id_field = record_id_field or dictionary.record_id_field(self.data_dictionary())
        wanted: dict[str, Any] = dict(options)
        ids = list(wanted.pop("records", ())) or self.record_ids(id_field, **_which_records(options))
        if wanted.get("fields") or wanted.get("forms"):
            wanted["fields"] = list(dict.fromkeys([id_field, *as_list("fields", wanted.get("fields", ()))]))
        for at in range(0, len(ids), chunk_size):
            yield self.export_records(**wanted, records=ids[at : at + chunk_size])

    def type_records(self, frame: "pd.DataFrame") -> "TypedRecords":
        """A frame of raw records with typed columns, by the project's dictionary, and what did not fit."""
        from redcap_source.frames.typed_frames import type_records

        codes = dictionary.missing_data_codes(self.project_info().missing_data_codes)
        return type_records(frame, self.data_dictionary(), self.export_field_names(), codes)

    def next_record_name(self) -> str:
        """The id REDCap would assign to the next record: text, as `8` or `20-1`. It is not reserved."""
        return self._line(Request("generateNextRecordName", expect=Expect.LINE))

    # --- Changes ---

    def import_records(
        self,
        data: Rows,
        *,
        format: RecordFormat = "json",
        type: RecordType = "flat",
        overwrite: Literal["normal", "overwrite"] = "normal",
        force_auto_number: bool = False,
        date_format: Literal["YMD", "MDY", "DMY"] = "YMD",
        csv_delimiter: str = "",
        return_content: ReturnContent = "count",
        background: bool = False,
    ) -> Imported:
        """Import rows (mappings, a DataFrame) or text in the given format; all of it is saved, or nothing.

        Cells that are None or NaN are left out; with `overwrite` a blank erases. ImportRejected names the cells that
        REDCap rejected, NothingImported means that it understood nothing, OutcomeUnknown that no answer arrived.
        """
        text = data_text(data)
        if text == "[]":
            return Imported(count=0)
        parameters: dict[str, Parameter] = {
            "type": type,
            "overwriteBehavior": overwrite,
            "forceAutoNumber": force_auto_number,
            "dateFormat": date_format,
            "csvDelimiter": csv_delimiter,
            "returnContent": return_content,
            "backgroundProcess": True if background else None,
            "data": text,
        }
        # What was not given is left to REDCap's default, which is the documented one.
        expect = Expect.NOTHING if return_content == "nothing" else Expect.JSON
        request = change("record", "", parameters, format=format, expect=expect)
        result = self._change(request, lambda body: _import_result(body, return_content, background))
        if 0 in (result.count, None if result.ids is None else len(result.ids)) or result.accepted is False:
            raise errors.NothingImported(self._context(request), status=200)
        return result

    def delete_records(
        self,
        records: Sequence[str],
        *,
        arm: int | None = None,
        instrument: str = "",
        event: str = "",
        repeat_instance: int | None = None,
        delete_logging: bool = False,
    ) -> int:
        """Delete records, or with an instrument or event only that part of them; returns the number of records.

        One unknown id makes REDCap reject the whole call. `delete_logging` erases what the log holds of them, where
        that is allowed.
        """
        parameters: dict[str, Parameter] = {
            "records": names_to_delete("records", records),
            "arm": arm,
            "instrument": instrument,
            "event": event,
            "repeat_instance": repeat_instance,
            "delete_logging": "1" if delete_logging else None,
        }
        return self._count(change("record", "delete", parameters))

    def rename_record(self, record: str, new_record_name: str, *, arm: int | None = None) -> None:
        """Change a record's id to one that is free; with an arm, only there."""
        self._count(change("record", "rename", {"record": record, "new_record_name": new_record_name, "arm": arm}))

    def randomize_record(
        self, record: str, randomization_id: int, *, return_alternative: bool = False
    ) -> model.Randomization:
        """Randomize a record, whose strata must be filled in."""
        parameters: dict[str, Parameter] = {
            "record": record,
            "randomization_id": randomization_id,
            "returnAlt": return_alternative,
        }
        request = change("record", "randomize", parameters)
        return self._change(request, lambda body: model.Randomization.from_row(only_object(body)))


def record_request(format: RecordFormat, type: RecordType, options: Mapping[str, Any]) -> Request:
    """A record export as a request."""
    parameters = {"type": type, **record_parameters(options)}
    return Request("record", parameters=parameters, format=format, expect=SHAPES.get(format, _csv_of(type)))


def _csv_of(type: RecordType) -> Expect:
    return Expect.RECORDS_CSV if type == "flat" else Expect.CSV


def _which_records(options: RecordOptions) -> RecordOptions:
    """Of an export's options, those that decide which records it holds."""
    deciding: RecordOptions = {}
    for name in ("events", "filter_logic", "date_range_begin", "date_range_end"):
        if name in options:
            deciding[name] = options[name]
    return deciding


def _import_result(body: bytes, content: ReturnContent, background: bool) -> Imported:
    if content == "nothing" and not background:
        return Imported()
    value = json.loads(body)
    if background:
        accepted = value["success"] if isinstance(value, dict) else value
        return Imported(accepted=accepted in (True, "true", 1, "1"))
    if content == "count":
        return Imported(count=int(value["count"] if isinstance(value, dict) else value))
    if not isinstance(value, list):
        raise TypeError("expected a list of ids")
    if content == "ids":
        return Imported(ids=tuple(map(str, value)))
    # The new id is first, and REDCap's own numbers have no comma; the submitted id may.
    pairs = (str(pair).partition(",") for pair in value)
    return Imported(auto_ids=tuple((new, submitted) for new, _, submitted in pairs))
