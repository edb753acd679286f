"""A project from a folder of API answers or downloads: dictionary, events, mapping, people, records.

Only the dictionary is required. A file may be .json or .csv; where both exist JSON is read, because spreadsheets and
statistics packages change the values of CSV.
"""

from __future__ import annotations

from pathlib import Path

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.loaders.dictionary_file import fields_from_table
from redcap_source.simulator.loaders.folder_people import read_people
from redcap_source.simulator.loaders.folder_records import records_from_rows
from redcap_source.simulator.loaders.tables import Rows, numbered_rows, read_bytes, table_from
from redcap_source.simulator.state.design import NEW_SETTINGS, Event
from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.names import unique_event_name
from redcap_source.simulator.state.project import Project

# How the web page names its downloads, such as Heart_DATA_2024-05-01_0930.csv; those with labels do not match.
DOWNLOADED = {"data_dictionary": "*_DataDictionary_*.csv", "records": "*_DATA_[0-9]*.csv"}


class Folder:
    """The tables in a folder, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self, *names: str) -> Rows | None:
        """The rows of the first table that exists under one of these names; None if there is none."""
        found = self.file(*names)
        return table_from(read_bytes(found), str(found)) if found is not None else None

    def rows_with(self, name: str, *columns: str) -> Rows:
        """The rows of a table that must have these columns; no rows where there is no such table."""
        rows = self.rows(name) or []
        missing = [column for column in columns if any(column not in row for row in rows)]
        if missing:
            found = self.file(name)
            raise SimulatorError(f"{found} has no column '{missing[0]}'; export the file again from REDCap.")
        return rows

    def has_retyped_records(self) -> bool:
        """Whether R wrote the records, with NA for blank and TRUE for 1."""
        return (self.path / "records_flat.types.json").exists()

    def file(self, *names: str) -> Path | None:
        """The first file under one of these names, or else the one named as REDCap's web page names it."""
        candidates = (self.path / f"{name}{ending}" for name in names for ending in (".json", ".csv"))
        found = next((path for path in candidates if path.is_file()), None)
        downloads = (DOWNLOADED[name] for name in names if name in DOWNLOADED)
        return found or next((path for pattern in downloads if (path := single_file(self.path, pattern))), None)


def single_file(folder: Path, pattern: str) -> Path | None:
    """The file of a folder that matches a pattern, if there is one; raises SimulatorError if there are several."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise SimulatorError(f"{folder} holds {names}, and only one can be loaded; remove the others.")
    return found[0] if found else None


def project_from_folder(path: Path, left_out: list[str] | None = None) -> Project:
    """The project of a folder; for `left_out` see fields_from_table."""
    folder = Folder(path)
    found = folder.file("metadata", "data_dictionary")
    if found is None:
        raise SimulatorError(
            f"{path} holds no data dictionary; put metadata.csv, metadata.json, data_dictionary.csv or project.xml "
            f"there.{_spreadsheets(path)}"
        )
    labels = _form_labels(folder)
    fields = _dictionary_fields(read_bytes(found), found, left_out)
    project = Project(dictionary=Dictionary(fields, form_labels=labels), settings=_settings(folder, path))
    project.set_missing_codes(str(project.settings["missing_data_codes"]))
    _read_events(project, folder)
    _read_repeats(project, folder)
    read_beside(project, folder)
    return project


def read_beside(project: Project, folder: Folder) -> None:
    """Read the people and records in the folder of a dictionary or a project XML.

    Records in the XML itself are kept, and `records.csv` adds to them as an import that clears nothing. An answer of
    the API (`records_flat`) beside such an XML holds the same records, perhaps at another time, and is not read.
    """
    read_people(project, folder.rows)
    names = ("records",) if len(project.records) else ("records", "records_flat")
    rows = folder.rows(*names) or []
    for record in records_from_rows(project, rows, retyped=folder.has_retyped_records()):
        project.records.merge(record)
    project.refresh()


def project_from_dictionary(content: bytes, path: Path, left_out: list[str] | None = None) -> Project:
    """A project without records, from a data dictionary alone."""
    project = Project(dictionary=Dictionary(_dictionary_fields(content, path, left_out)))
    project.settings["project_title"] = path.stem
    return project


def _dictionary_fields(content: bytes, path: Path, left_out: list[str] | None) -> list[Field]:
    return fields_from_table(numbered_rows(content, str(path)), source=str(path), left_out=left_out)


def _spreadsheets(path: Path) -> str:
    found = sorted(file.name for file in path.iterdir() if file.suffix.lower() in (".xlsx", ".xls", ".ods"))
    return f" {found[0]} is a spreadsheet: save it as CSV (UTF-8) under one of these names." if found else ""


def read_settings(project: Project, folder: Folder) -> None:
    """Read the project's settings from the answer beside its XML."""
    project.settings |= _given_settings(folder)
    project.set_missing_codes(str(project.settings["missing_data_codes"]))


def _form_labels(folder: Folder) -> dict[str, str]:
    rows = folder.rows("instruments") or []
    if len(rows) == 1 and "instrument_name" not in rows[0]:
        # A plain object of names and labels.
        return dict(rows[0])
    return {row["instrument_name"]: row.get("instrument_label", "") for row in rows if row.get("instrument_name")}


def _settings(folder: Folder, path: Path) -> dict[str, str | int]:
    return dict(NEW_SETTINGS) | {"project_title": path.name} | _given_settings(folder)


def _given_settings(folder: Folder) -> dict[str, str | int]:
    settings: dict[str, str | int] = {}
    given = (folder.rows("project_info") or [{}])[0]
    for name, value in given.items():
        if name not in NEW_SETTINGS:
            continue
        if isinstance(NEW_SETTINGS[name], int):
            settings[name] = number_of(value)
        else:
            settings[name] = "" if value == "NA" else value
    return settings


def number_of(text: str) -> int:
    """A whole number or a switch, also as R or a person writes it; 0 for anything else."""
    if text.strip().upper() in ("TRUE", "T", "YES"):
        return 1
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return 0


def _read_events(project: Project, folder: Folder) -> None:
    events, mapping = folder.rows("events") or [], folder.rows_with("form_event_mapping", "unique_event_name", "form")
    seen = [row.get("redcap_event_name", "") for row in folder.rows("records", "records_flat") or []]
    if not events:
        # Without an event list the events are those that the mapping or the records name.
        names = dict.fromkeys(name for name in [*(row["unique_event_name"] for row in mapping), *seen] if name)
        events = [_event_row(name) for name in names]
    given_setting = (folder.rows("project_info") or [{}])[0].get("is_longitudinal", "")
    # R packages write the one event of a classic project into their tables; the project's own setting counts.
    if not events or (given_setting and not number_of(given_setting) and not any(seen)):
        project.settings["is_longitudinal"] = 0
        return
    project.settings["is_longitudinal"] = 1
    project.events = [_event(row, number) for number, row in enumerate(events, start=1)]
    given = {number_of(row["arm_num"]): row.get("name", "") for row in folder.rows_with("arms", "arm_num")}
    project.arms = {event.arm: given.get(event.arm) or f"Arm {event.arm}" for event in project.events}
    forms: dict[str, list[str]] = {}
    for row in mapping:
        forms.setdefault(row["unique_event_name"], []).append(row["form"])
    everywhere = project.dictionary.forms if not mapping else ()
    project.mapping = {e.event_id: tuple(forms.get(e.unique_name, everywhere)) for e in project.events}


def _event_row(name: str) -> dict[str, str]:
    stem, mark, arm = name.rpartition("_arm_")
    if not mark:
        return {"event_name": name, "arm_num": "1", "unique_event_name": unique_event_name(name, 1, ())}
    digits = "".join(letter for letter in arm if letter.isdigit())
    return {"event_name": stem.replace("_", " ").title(), "arm_num": digits, "unique_event_name": name}


def _event(row: dict[str, str], number: int) -> Event:
    arm = number_of(row.get("arm_num", "1")) or 1
    return Event(
        event_id=number_of(row.get("event_id", "")) or number,
        name=row.get("event_name", ""),
        arm=arm,
        unique_name=row.get("unique_event_name") or unique_event_name(row.get("event_name", ""), arm, ()),
        custom_label=row.get("custom_event_label", ""),
        day_offset=number_of(row.get("day_offset", "") or row.get("days_offset", "")),
        offset_min=number_of(row.get("offset_min", "")),
        offset_max=number_of(row.get("offset_max", "")),
    )


def _read_repeats(project: Project, folder: Folder) -> None:
    rows = folder.rows("repeating_forms_events")
    ids = {event.unique_name: event.event_id for event in project.events}
    if rows is None:
        rows = _repeats_in_records(folder)
    for row in rows:
        event_id = ids.get(row.get("event_name", ""), project.first_event().event_id)
        form = row.get("form_name", "")
        if form and form != "NA":
            project.repeating_forms[event_id, form] = row.get("custom_form_label", "")
        elif project.is_longitudinal:
            project.repeating_events.add(event_id)


def _repeats_in_records(folder: Folder) -> Rows:
    # No table lists what repeats, so it is read from the records.
    found: dict[tuple[str, str], None] = {}
    for row in folder.rows("records", "records_flat") or []:
        if row.get("redcap_repeat_instance", "NA") not in ("", "NA"):
            found[row.get("redcap_event_name", ""), row.get("redcap_repeat_instrument", "")] = None
    return [{"event_name": event, "form_name": form} for event, form in found]
