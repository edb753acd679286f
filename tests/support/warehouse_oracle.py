"""What the warehouse must hold, told a second time: slowly, obviously, and without a line of the product.

A state of a project is a dictionary: a row's key (record, event, instrument, instance) to its cells that are not
blank. It is made here in four ways that must agree: from a fresh export, from the published tables, from the published
history at some moment, and by replaying `record_changes` from nothing.
"""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import duckdb

from tests.support.typed_oracle import Design, Values

State = dict[tuple[str, str, str, str], dict[str, str]]
KEYS = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance")
VERSION = ("_valid_from", "_valid_to", "_run_id")


class Disagreement(AssertionError):
    """Two tellings of the same thing differ."""


def ask(url: str, token: str, content: str, **parameters: str) -> list[dict]:
    """One call and the list it is answered with."""
    form = {"token": token, "content": content, "format": "json", **parameters}
    with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=60) as answer:
        return json.loads(answer.read())


# --- from REDCap ------------------------------------------------------------------------------------------------


class Fresh(NamedTuple):
    """What REDCap answers now: its records' ids, and its rows as the warehouse should have them."""

    ids: frozenset[str]
    state: State
    design: Design
    """How its values are to be read."""


def fresh(url: str, token: str) -> Fresh:
    """Ask for everything and read it plainly."""
    fields = ask(url, token, "metadata")
    names = ask(url, token, "exportFieldNames")
    instruments = [row["instrument_name"] for row in ask(url, token, "instrument")]
    rows = ask(
        url, token, "record",
        exportSurveyFields="true", exportDataAccessGroups="true", exportBlankForGrayFormStatus="true",
    )  # fmt: skip
    design = Design(fields, names, ask(url, token, "project")["missing_data_codes"] or "")
    record_id = fields[0]["field_name"]
    state: State = {}
    for row in rows:
        for instrument in instruments:
            cells = _cells(row, instrument, fields[1:], names)
            if cells is None:
                continue
            key = (row[record_id], row.get(KEYS[0], ""), instrument, str(row.get(KEYS[2], "")))
            if key in state:
                raise Disagreement(f"REDCap sent two rows for {key}")
            state[key] = cells
    return Fresh(frozenset(row[record_id] for row in rows), state, design)


def _cells(row: dict, instrument: str, fields: list[dict], names: list[dict]) -> dict[str, str] | None:
    """The cells of an instrument in one row of a flat export; None where the row is not the instrument's."""
    repeats = row.get(KEYS[1], "")
    if repeats not in ("", instrument):
        return None
    values, ticks = {}, {}
    for field in fields:
        if field["form_name"] != instrument:
            continue
        if field["field_type"] == "checkbox":
            options = [n["export_field_name"] for n in names if n["original_field_name"] == field["field_name"]]
            ticks |= {option: row[option] for option in options if row.get(option)}
        elif row.get(field["field_name"]):
            values[field["field_name"]] = row[field["field_name"]]
    status = row.get(f"{instrument}_complete", "")
    if repeats == "" and not values and set(ticks.values()) <= {"0"} and status in ("", "0"):
        return None
    others = {f"{instrument}_complete": status, "redcap_data_access_group": row.get("redcap_data_access_group", "")}
    others[f"{instrument}_timestamp"] = row.get(f"{instrument}_timestamp", "")
    if f"{instrument}_timestamp" in row:
        others["redcap_survey_identifier"] = row.get("redcap_survey_identifier", "")
    return {**values, **ticks, **{name: value for name, value in others.items() if value}}


# --- the structure ------------------------------------------------------------------------------------------------

# A table of schema redcap -> the request that lists its rows, and its columns with the keys of the answer.
STRUCTURE = {
    "data_dictionary": ("metadata", ("field_name", "form_name", "field_type", "field_label", "field_note")),
    "instruments": ("instrument", ("instrument_name", "instrument_label")),
    "arms": ("arm", ("arm_num", "name")),
    "events": ("event", ("event_name", "arm_num", "unique_event_name", "event_id")),
    "form_event_mapping": ("formEventMapping", ("arm_num", "unique_event_name", "form")),
    "repeating_forms_events": ("repeatingFormsEvents", ("event_name", "form_name", "custom_form_label")),
    "users": ("user", ("username", "email", "expiration", "data_access_group")),
    "user_roles": ("userRole", ("unique_role_name", "role_label")),
    "user_role_assignments": ("userRoleMapping", ("username", "unique_role_name")),
    "data_access_groups": ("dag", ("data_access_group_name", "unique_group_name")),
    "data_access_group_assignments": ("userDagMapping", ("username", "redcap_data_access_group")),
}


def fresh_structure(url: str, token: str) -> dict[str, list[tuple]]:
    """Every table of the structure as REDCap lists it now; what the token may not read is empty."""
    found = {}
    for table, (content, keys) in STRUCTURE.items():
        try:
            rows = ask(url, token, content)
        except urllib.error.HTTPError as refused:
            refused.close()
            rows = []
        found[table] = [tuple(str(row.get(key) or "") for key in keys) for row in rows]
    users = [] if not found["users"] else ask(url, token, "user")
    found["rights"] = [
        (
            user["username"],
            form,
            *(str(user[kind].get(form)) for kind in ("forms", "forms_export")),
            str(user["design"]),
        )
        for user in users
        for form in dict.fromkeys([*user["forms"], *user["forms_export"]])
    ]
    project = ask(url, token, "project")
    found["projects"] = [tuple(str(project.get(key) or "") for key in SETTINGS)]
    return {table: sorted(rows) for table, rows in found.items()}


SETTINGS = ("project_title", "project_notes", "missing_data_codes")


def shown_structure(shown: "Shown") -> dict[str, list[tuple]]:
    """The same as readers find it."""
    found = {}
    for table, (_, keys) in STRUCTURE.items():
        found[table] = [tuple(str(row[key] or "") for key in keys) for row in shown.redcap(table)]
    design = {row["username"]: str(json.loads(row["rights"])["design"]) for row in shown.redcap("users")}
    found["rights"] = [
        (r["username"], r["form_name"], str(r["data_entry"]), str(r["data_export"]), design[r["username"]])
        for r in shown.redcap("user_form_rights")
    ]
    found["projects"] = [tuple(str(row[key] or "") for key in SETTINGS) for row in shown.redcap("projects")]
    return {table: sorted(rows) for table, rows in found.items()}


def agree_in_structure(found: dict[str, list[tuple]], wanted: dict[str, list[tuple]]) -> None:
    """Refuse a published structure that is not REDCap's."""
    for table, rows in wanted.items():
        if found[table] != rows:
            raise Disagreement(f"redcap.{table}: is {found[table]}, should be {rows}")


# --- from the warehouse ------------------------------------------------------------------------------------------


def read(database: Path, query: str, values: list | None = None) -> list[tuple]:
    """A query of the published file, as any reader asks it."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(query, values or []).fetchall()


# DuckDB lists the columns of a lake with many projects in many seconds; its catalog is asked instead.
_CATALOG = "__ducklake_metadata_warehouse.redcap_lake"
IN_LAKE = f"""
SELECT table_name FROM {_CATALOG}.ducklake_table t JOIN {_CATALOG}.ducklake_schema s USING (schema_id)
WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL AND s.schema_name = $1
UNION ALL
SELECT view_name FROM {_CATALOG}.ducklake_view v JOIN {_CATALOG}.ducklake_schema s USING (schema_id)
WHERE v.end_snapshot IS NULL AND s.end_snapshot IS NULL AND s.schema_name = $1
"""

NEWEST_SNAPSHOT = f"SELECT max(snapshot_id) FROM {_CATALOG}.ducklake_snapshot"


class Shown:
    """What is published, opened once for many questions about one project."""

    def __init__(self, published: Path | duckdb.DuckDBPyConnection, project: str, record_id: str) -> None:
        """`published` is a file, or a connection whose catalog it is, and which is closed with this."""
        is_file = isinstance(published, Path)
        self._connection = duckdb.connect(str(published), read_only=True) if is_file else published
        self._in_lake = not is_file
        self._project = project
        self.record_id = record_id

    def __enter__(self) -> "Shown":
        return self

    def __exit__(self, *problem: object) -> None:
        self._connection.close()

    def rows(self, query: str, values: list | None = None) -> list[dict]:
        """The answer to a query, each row by column name."""
        cursor = self._connection.execute(query, values or [])
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def redcap(self, table: str) -> list[dict]:
        """The project's rows of a table of schema redcap."""
        return self.rows(f"SELECT * FROM redcap.{table} WHERE project = ?", [self._project])

    def tables(self, suffix: str) -> list[str]:
        """The instruments that one of the project's schemas shows."""
        if self._in_lake:
            found = self.rows(IN_LAKE, [self._project + suffix])
            return sorted(row["table_name"] for row in found)
        found = self.rows(
            "SELECT DISTINCT table_name FROM duckdb_columns() WHERE schema_name = ?", [self._project + suffix]
        )
        return sorted(row["table_name"] for row in found)

    def count(self, suffix: str, table: str) -> int:
        """How many rows an instrument has in one of the project's schemas."""
        return len(self.rows(f'SELECT 1 AS one FROM "{self._project}{suffix}"."{table}"'))

    def raw(self) -> State:
        """What `<project>_raw` shows."""
        return self._all("_raw")

    def typed(self) -> Values:
        """What the tables with types show."""
        return self._all("")

    def labelled(self) -> Values:
        """What `<project>_labels` shows."""
        return self._all("_labels")

    def as_of(self, moment: object, *, suffix: str = "_history_raw") -> Values:
        """What `<project>_history_raw`, or `<project>_history`, says readers found at some moment (UTC)."""
        query = f'SELECT * FROM "{self._project}{suffix}".as_of(?, ?::TIMESTAMP)'
        return self._state({name: self.rows(query, [name, moment]) for name in self.tables(suffix)})

    def _all(self, suffix: str) -> Values:
        schema = f"{self._project}{suffix}"
        return self._state({name: self.rows(f'SELECT * FROM "{schema}"."{name}"') for name in self.tables(suffix)})

    def _state(self, tables: dict[str, list[dict]]) -> Values:
        state: Values = {}
        for instrument, rows in tables.items():
            for row in rows:
                cells = {
                    n: v for n, v in row.items() if v is not None and n not in ("_valid_from", "_valid_to", "_run_id")
                }
                key = (
                    cells.pop(self.record_id, ""), cells.pop(KEYS[0], ""), instrument, str(cells.pop(KEYS[2], ""))
                )  # fmt: skip
                if key in state:
                    raise Disagreement(f"two rows are published for {key}")
                state[key] = cells
        return state


# --- from the changes --------------------------------------------------------------------------------------------

Cell = tuple[str, str, str, str, str]


def replay(changes: list[dict], record_id: str) -> State:
    """What is there after all these changes, if they began with nothing."""
    runs: dict[str, list[dict]] = {}
    for row in sorted(changes, key=lambda row: row["detected_at"]):
        runs.setdefault(row["run_id"], []).append(row)
    moments = [{row["detected_at"] for row in rows} for rows in runs.values()]
    if any(len(moment) != 1 for moment in moments) or len({m for moment in moments for m in moment}) != len(moments):
        raise Disagreement("runs are not told apart by detected_at")
    cells: dict[Cell, str] = {}
    for run, rows in runs.items():
        cells = _moved(cells, [row for row in rows if row["change"] == "rename"], record_id)
        rest = [row for row in rows if row["change"] != "rename"]
        twice = [cell for cell, count in Counter(map(_cell, rest)).items() if count > 1]
        if twice:
            raise Disagreement(f"run {run} changes cells twice: {twice[:3]}")
        for row in rest:
            _set(cells, row)
    state: State = {}
    for (*key, field), value in cells.items():
        state.setdefault(tuple(key), {})[field] = value
    return state


def _cell(row: dict) -> Cell:
    return (row["record"], row["event"] or "", row["instrument"], row["instance"] or "", row["field"])


def _moved(cells: dict[Cell, str], renames: list[dict], record_id: str) -> dict[Cell, str]:
    """The cells after renames, all at once; what a new id held before must be gone or have moved on."""
    new_ids = {row["old_value"]: row["new_value"] for row in renames}
    if len(new_ids) != len(renames) or len(set(new_ids.values())) != len(renames):
        raise Disagreement("a record was renamed twice in a run, or two got one id")
    for row in renames:
        if (row["field"], row["record"]) != (record_id, row["new_value"]):
            raise Disagreement(f"a rename is not told of the record's id: {row}")
    moved = {(new_ids.get(record, record), *rest): value for (record, *rest), value in cells.items()}
    if len(moved) != len(cells):
        raise Disagreement("a rename moves cells onto cells")
    return moved


def _set(cells: dict[Cell, str], row: dict) -> None:
    cell = _cell(row)
    if cells.get(cell) != row["old_value"]:
        raise Disagreement(f"{row['change']} of {cell} from {row['old_value']!r}, which held {cells.get(cell)!r}")
    if row["old_value"] == row["new_value"]:
        raise Disagreement(f"{row['change']} of {cell} changes nothing")
    if row["new_value"] is None:
        del cells[cell]
    else:
        cells[cell] = row["new_value"]


# --- renamed events and instruments ------------------------------------------------------------------------------


class Renames(NamedTuple):
    """What one run said of names: events and instruments, from the old to the new."""

    events: dict[str, str]
    instruments: dict[str, str]

    def state(self, state: State) -> State:
        """A state as it reads under the new names; refuses names that make two rows one."""
        renamed = {self._key(key): self._cells(key[2], cells) for key, cells in state.items()}
        if len(renamed) != len(state):
            raise Disagreement(f"names that are taken: {self}")
        return renamed

    def _key(self, key: tuple[str, str, str, str]) -> tuple[str, str, str, str]:
        record, event, instrument, instance = key
        return record, self.events.get(event, event), self.instruments.get(instrument, instrument), instance

    def _cells(self, old: str, cells: dict[str, str]) -> dict[str, str]:
        new = self.instruments.get(old, old)
        names = {f"{old}{ending}": f"{new}{ending}" for ending in ("_complete", "_timestamp")}
        return {names.get(name, name): value for name, value in cells.items()}


def told_renames(changes: list[dict]) -> list[Renames]:
    """What `dictionary_changes` says was renamed, run by run."""
    runs: dict[str, Renames] = {}
    for row in sorted(changes, key=lambda row: row["detected_at"]):
        if row["change"] == "renamed":
            run = runs.setdefault(row["run_id"], Renames({}, {}))
            (run.events if row["kind"] == "event" else run.instruments)[row["old_value"]] = row["new_value"]
    return list(runs.values())


# --- comparing ---------------------------------------------------------------------------------------------------


def differences(found: Values, wanted: Values) -> list[str]:
    """What a person needs to see to understand that two states differ; nothing where they agree."""
    told = [f"lacks {key} {wanted[key]}" for key in wanted.keys() - found.keys()]
    told += [f"invents {key} {found[key]}" for key in found.keys() - wanted.keys()]
    for key in found.keys() & wanted.keys():
        names = {n for n in found[key].keys() | wanted[key].keys() if _other(found[key].get(n), wanted[key].get(n))}
        if names:
            told += [f"{key} {n}: is {found[key].get(n)!r}, should be {wanted[key].get(n)!r}" for n in sorted(names)]
    return sorted(told)


def _other(found: object, wanted: object) -> bool:
    return type(found) is not type(wanted) or found != wanted


def agree(what: str, found: Values, wanted: Values) -> None:
    """Refuse states that differ; a value is another if its type is."""
    if told := differences(found, wanted):
        raise Disagreement(f"{what}: {len(told)} differences\n  " + "\n  ".join(told[:12]))


def of_records(state: State) -> dict[tuple[str, str], dict[tuple[str, str], dict[str, str]]]:
    """A state by (record, instrument): what one answer of REDCap always brings together."""
    found: dict[tuple[str, str], dict[tuple[str, str], dict[str, str]]] = {}
    for (record, event, instrument, instance), cells in state.items():
        found.setdefault((record, instrument), {})[event, instance] = cells
    return found


def between(what: str, found: State, *states: State) -> None:
    """Refuse a state that has something of a record's instrument which was there neither before nor after an edit."""
    told, known = of_records(found), [of_records(state) for state in states]
    for key in set().union(told, *known):
        if all(told.get(key) != state.get(key) for state in known):
            stood = ", nor ".join(str(state.get(key)) for state in known)
            raise Disagreement(f"{what}: {key} is {told.get(key)}, neither {stood}")


def of_record(state: State, record: str) -> State:
    """What a state says of one record, whatever its id."""
    return {("", *key[1:]): cells for key, cells in state.items() if key[0] == record}
