"""Events and instruments with a new name in REDCap: recognised by their structure, and renamed in all their data.

An old name and a new one are the same thing where REDCap says so (an event keeps its id) or where the fields do (an
instrument keeps most of them). Everything with the old name then gets the new one, in present rows and in the history,
so that no cell of a record changes. Not here: records with a new id (../rows/deletions.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.quoting import qualified
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.mirror.rows.invalid_values_sql import STRAY
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables import ddl, row_sql
from pipelines.warehouse.tables.layout import NOW, PAST
from pipelines.warehouse.tables.structure import Structure

# The columns of a flat answer that are named after their instrument.
ENDINGS = ("_complete", "_timestamp")


@dataclass(frozen=True, slots=True)
class Renames:
    """Old and new names; all of one load apply at once, so two names can be exchanged."""

    events: Mapping[str, str] = field(default_factory=dict)
    instruments: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns of flat answers that are named after a renamed instrument."""

    def __bool__(self) -> bool:
        return bool(self.events or self.instruments)

    def event(self, name: str) -> str:
        """The present name of an event."""
        return self.events.get(name, name)

    def instrument(self, name: str) -> str:
        """The present name of an instrument."""
        return self.instruments.get(name, name)

    def definition(self, parts: Mapping[str, str]) -> dict[str, str]:
        """What determines the cells of an instrument (layout.definition), with the present names."""
        renamed = {self.columns.get(name, name): part for name, part in parts.items()}
        if (events := parts.get(":events", "classic")) != "classic":
            renamed[":events"] = ",".join(sorted(map(self.event, filter(None, events.split(",")))))
        return renamed


def renamed_events(before: Iterable[tuple[int | None, str]], after: Iterable[tuple[int | None, str]]) -> dict[str, str]:
    """Events, as (event id, unique name), whose id has a new name; none if the server gives no ids."""
    names = {number: name for number, name in after if number is not None}
    return {old: names[number] for number, old in before if number is not None and names.get(number, old) != old}


def renamed_instruments(before: Mapping[str, Collection[str]], after: Mapping[str, Collection[str]]) -> dict[str, str]:
    """The new names of instruments, each given with its fields.

    One that is missing and one that is new are the same if more than half of the fields of either are the other's too:
    no instrument can match two others, so nothing is guessed. One whose name still exists was not renamed.
    """
    missing = {name: set(fields) for name, fields in before.items() if name not in after}
    added = {name: set(fields) for name, fields in after.items() if name not in before}
    return {
        old: new
        for old, had in missing.items()
        for new, has in added.items()
        if 2 * len(had & has) > max(len(had), len(has))
    }


def without_clashes(renames: Mapping[str, str], used: Collection[str]) -> dict[str, str]:
    """The renames that do not merge two things: the new name is unused, or what has it is renamed as well."""
    kept = dict(renames)
    while clashing := [old for old, new in kept.items() if new in used and new not in kept]:
        for old in clashing:
            del kept[old]
    return kept


def find_renames(connection: Connection, project: str, structure: Structure) -> Renames:
    """What was renamed since it was stored in the mirror.

    A new name that the mirror has for something else, now or in the history, would merge two things; such a rename is
    treated as a removal and an addition.
    """
    events = renamed_events(
        connection.execute(statements("renames")["known_events"]).fetchall(),
        [(event.event_id, event.unique_event_name) for event in structure.events],
    )
    if events:
        events = without_clashes(events, _events_in_use(connection, project, events.values()))
    instruments, columns = _find_renamed_instruments(connection, project, structure)
    return Renames(events, instruments, columns)


def _find_renamed_instruments(
    connection: Connection, project: str, structure: Structure
) -> tuple[dict[str, str], dict[str, str]]:
    """Instruments with a new name, and the columns named after them."""
    sql = statements("renames")
    names = [name for (name,) in connection.execute(sql["known_instruments"]).fetchall()]
    after: dict[str, set[str]] = {i.instrument_name: set() for i in structure.instruments}
    # Most loads end here: nothing is missing, or nothing is new.
    if after.keys() >= set(names) or after.keys() <= set(names):
        return {}, {}
    for known in structure.fields:
        after.setdefault(known.form_name, set()).add(known.field_name)
    before: dict[str, set[str]] = {name: set() for name in names}
    fields = connection.execute(sql["known_fields"]).fetchall()
    for name, form in fields:
        before.setdefault(form, set()).add(name)
    instruments = renamed_instruments(before, after)
    if instruments:
        instruments = without_clashes(instruments, _taken(connection, project, instruments))
    taken = {name for name, _ in fields}
    columns = {
        old + ending: new + ending
        for old, new in instruments.items()
        for ending in ENDINGS
        if old + ending not in taken
    }
    return instruments, columns


def _tables(connection: Connection, project: str) -> dict[str, list[tuple[str, list[str]]]]:
    """Each instrument's tables of present rows and of versions, as (schema, columns)."""
    found: dict[str, list[tuple[str, list[str]]]] = {}
    values = {"schemas": [project + NOW, project + PAST]}
    for schema, name, columns in connection.execute(statements("renames")["tables"], values).fetchall():
        found.setdefault(name, []).append((schema, columns))
    return found


def _events_in_use(connection: Connection, project: str, names: Collection[str]) -> set[str]:
    """Which of these names rows, versions or recorded changes have as an event."""
    places = [
        *(qualified(schema, name) for name, some in _tables(connection, project).items() for schema, _ in some),
        "(SELECT event AS _event FROM redcap.record_changes)",
    ]
    found = connection.execute(row_sql.events_used(places), {"names": list(names)}).fetchall()
    return {name for (name,) in found}


def _taken(connection: Connection, project: str, renames: Mapping[str, str]) -> set[str]:
    """Which of the new names an instrument has or had, or whose form status would be a column that exists."""
    tables = _tables(connection, project)
    return {
        new
        for old, new in renames.items()
        if new in tables or any(f"{new}_complete" in columns for _, columns in tables.get(old, ()))
    }


def rename_instruments(connection: Connection, project: str, renames: Renames) -> None:
    """Rename the tables of renamed instruments, and the instruments in everything recorded about their rows.

    Whether REDCap kept the form status and the surveys' times depends on how the instrument was renamed, so its cells
    are read again. In the caller's transaction, before the tables are migrated.
    """
    tables = _tables(connection, project)
    for old, new in renames.instruments.items():
        for schema, columns in tables.get(old, ()):
            target = qualified(schema, new)
            connection.execute(ddl.rename_table(qualified(schema, old), new))
            if f"{old}_complete" in columns:
                connection.execute(ddl.rename_column(target, f"{old}_complete", f"{new}_complete"))
    _redefine(connection, renames)
    if renames.instruments:
        _rename_in_tables(connection, "instrument", renames.instruments)
        _rename_in_tables(connection, "field", renames.columns)


def _redefine(connection: Connection, renames: Renames) -> None:
    """Store what determines the cells of instruments with the present names."""
    sql = statements("renames")
    found = connection.execute(statements("tables")["read_instruments"]).fetchall()
    for name, parts, _ in found:
        known = json.loads(parts)
        renamed = renames.definition(known)
        if renamed != known or name in renames.instruments:
            connection.execute(
                sql["redefine"],
                {
                    "old": name,
                    "new": renames.instrument(name),
                    "definition": json.dumps(renamed),
                    "renamed": name in renames.instruments,
                },
            )


def rename_events(connection: Connection, project: str, events: Mapping[str, str]) -> None:
    """Rename events in rows and versions, and in everything recorded about them.

    In the caller's transaction, after everything else: DuckDB 1.5 does not alter a table whose rows the transaction has
    changed.
    """
    values = {"old": list(events.keys()), "new": list(events.values())}
    for name, tables in _tables(connection, project).items():
        for schema, _ in tables:
            connection.execute(row_sql.rename_events(qualified(schema, name)), values)
    _rename_in_tables(connection, "event", events)


def _rename_in_tables(connection: Connection, kind: str, names: Mapping[str, str]) -> None:
    """Put the new names in recorded changes, invalid values and write-back."""
    sql = statements("renames")
    connection.execute(sql["make_renamed"], {"old": list(names.keys()), "new": list(names.values())})
    connection.execute(sql[f"rename_{kind}"])
    if kind == "instrument":
        connection.execute(sql["rename_instrument_in_reasons"], {"stray": STRAY})
    if count(connection, statements("writeback")["is_there"]):
        connection.execute(sql[f"rename_{kind}_in_writeback"])
    connection.execute(sql["drop_renamed"])
