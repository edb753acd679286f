"""A project's working file: the private mirror of one REDCap project that loads write and publishing reads.

One transaction a batch of chunks, the watermark last; so a load that dies leaves a mirror the next one can
go on from. Fetching is extract.py's business, showing the mirror to readers publish.py's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.file_errors import doing, unusable
from pipelines.warehouse.database.memory import Width, allow, enough, limit_of, needed
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.database.rows import insert_json
from pipelines.warehouse.mirror.audit_log import keep_log
from pipelines.warehouse.mirror.rows.batch import holds_data
from pipelines.warehouse.mirror.rows.deletions import Removals, find_renames, rename, tombstone, unexplained_ids
from pipelines.warehouse.mirror.rows.history import (
    DELETE,
    Cell,
    RunStamp,
    attribute,
    close_versions,
    record_cell_changes,
)
from pipelines.warehouse.mirror.rows.invalid_values import relist_values
from pipelines.warehouse.mirror.rows.merge import apply_chunks
from pipelines.warehouse.mirror.rows.merge_instrument import RowCounts
from pipelines.warehouse.mirror.runs import ChunkEntry
from pipelines.warehouse.mirror.schema import renames
from pipelines.warehouse.mirror.schema.catalog import write_structure
from pipelines.warehouse.mirror.schema.drift import Drift, save_described
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.mirror.state import PlannedUntil, PreviousLoad, planned_until_of
from pipelines.warehouse.sql import statements
from pipelines.warehouse.staging.census import Census
from pipelines.warehouse.staging.column_groups import StagedChunk
from pipelines.warehouse.tables.choice_checks import CONTRADICTED, disagreements
from pipelines.warehouse.tables.layout import (
    CODES,
    DATA_ACCESS_GROUP,
    KEYS,
    NOW,
    PAST,
    VERSION,
    InstrumentTable,
    Layout,
    definition,
    redcap_name,
    rows_now,
    rows_past,
    work_columns,
)
from pipelines.warehouse.tables.structure import Structure
from pipelines.warehouse.tables.types import INEXACT
from pipelines.warehouse.tables.views import publication
from redcap_source.log.clock import ServerClock

log = logging.getLogger("redcap_warehouse")


# Queries that are asked together: one by one each costs a millisecond, and beyond some hundreds their number squared.
AT_ONCE = 200


# By schema and table.
_Columns = Mapping[tuple[str, str], Sequence[str]]


class Mirror:
    """The open working file of one project."""

    def __init__(self, connection: Connection, project: str, path: Path, memory_limit: str | None = None) -> None:
        self.connection = connection
        self.project = project
        self.path = path
        self.memory_limit = memory_limit
        self.width = Width()
        """How many columns its tables have, or were to have."""
        self.removed_values = False
        """Whether values were removed that may stand in no byte of the file."""
        self._state = statements("state")

    def previous(self) -> PreviousLoad:
        """What the last load left behind."""
        known = self._row("SELECT project_id, record_id_field FROM redcap.projects") or (None, None)
        columns = self.connection.execute(self._state["read_visible_columns"]).fetchall()
        watermark = self._row(self._state["read_watermark"])
        chunking = self._row(self._state["read_chunking"])
        planned_until = self._row(self._state["read_frontier"])
        refreshed, refreshing = self._row(self._state["read_refresh"]) or (None, False)
        clock = self._row(self._state["read_clock"])
        names = tuple(name for (name,) in columns)
        return PreviousLoad(
            project_id=known[0],
            record_id_field=known[1],
            visible_columns=names,
            in_group=DATA_ACCESS_GROUP not in names if names else None,
            watermark=watermark[0] if watermark else None,
            chunk_records=chunking[0] if chunking else None,
            planned_until=planned_until_of(*planned_until) if planned_until else None,
            refreshed=refreshed,
            refreshing=refreshing,
            ended=self._row(self._state["any_ended"]) is not None,
            offset=timedelta(seconds=clock[0]) if clock else None,
        )

    def known_records(self) -> list[str]:
        """Ids of the records the mirror holds, deleted ones left out."""
        return [record for (record,) in self.connection.execute(self._state["known_records"]).fetchall()]

    # -- a run ---------------------------------------------------------------------------------------------

    def begin_run(self, run_id: str, mode: str, now: datetime) -> datetime:
        """Enter the run in the ledger; a run that never ended is marked as killed.

        Returns the time the run is stamped with: now, or just after the last run's end where this machine's clock was
        set back, so that runs stand in the order they were made and never overlap.
        """
        with self.transaction():
            self.connection.execute("DELETE FROM redcap.sync_runs WHERE run_id = $id", {"id": run_id})
            last = self._row("SELECT greatest(max(started_at), max(finished_at)) FROM redcap.sync_runs")
            if last is not None and last[0] is not None:
                now = max(now, last[0] + timedelta(microseconds=1))
            self.connection.execute(self._state["abandon_running"], {"now": now, "run_id": run_id})
            self.connection.execute(
                self._state["begin_run"],
                {
                    "project": self.project,
                    "run_id": run_id,
                    "mode": mode,
                    "started_at": now,
                    "watermark_from": self.previous().watermark,
                },
            )
        return now

    def name_mode(self, run_id: str, mode: str) -> None:
        """Say in the ledger what kind of load the run turned out to be."""
        self.connection.execute(
            "UPDATE redcap.sync_runs SET mode = $mode WHERE run_id = $run_id", {"mode": mode, "run_id": run_id}
        )

    def end_run(
        self,
        run_id: str,
        *,
        outcome: str,
        message: str | None,
        now: datetime,
        seconds: float,
        requests: int,
        bytes_received: int,
    ) -> None:
        """Say in the ledger how the run ended."""
        self.connection.execute(
            self._state["end_run"],
            {
                "run_id": run_id,
                "outcome": outcome,
                "message": message,
                "finished_at": now,
                "seconds": seconds,
                "requests": requests,
                "bytes": bytes_received,
            },
        )

    def forget_chunks(self, run_id: str) -> None:
        """Take back what the ledger says of the run's chunks: they are about to be applied again."""
        self.connection.execute(self._state["forget_chunks"], {"run_id": run_id})

    # -- structure -----------------------------------------------------------------------------------------

    @doing("looking for what was renamed")
    def find_renames(self, structure: Structure) -> Renames:
        """Which events and instruments of the working file have another name now."""
        return renames.find_renames(self.connection, self.project, structure)

    @doing("bringing its tables to the structure of the project")
    def write_structure(
        self, structure: Structure, layout: Layout, stamp: RunStamp, renamed: Renames | None = None
    ) -> tuple[Drift, ...]:
        """Bring schema redcap and the instrument tables to today's structure, in one transaction.

        What was `renamed` goes by its new name first, with its rows and all that is told of them.
        """
        renamed = renamed or Renames()
        self._make_room(layout)
        with self.transaction():
            if renamed:
                renames.rename_instruments(self.connection, self.project, renamed)
            drift = write_structure(self.connection, self.project, structure, layout, stamp.run_id, stamp.now, renamed)
            self._write_project(structure, layout)
            before, there = self._definitions(), self._columns()
            emptied = {table.name: self._make_table(layout, table, there, stamp) for table in layout.instruments}
            self._define(layout, before, stamp, emptied)
            self._drop_tables_but([table.name for table in layout.instruments], layout, there, stamp)
            self._list_disagreements(structure, stamp)
            save_described(self.connection, structure)
            self._keep_visible(layout)
            if renamed.events:
                renames.rename_events(self.connection, self.project, renamed.events)
        return drift

    def _make_room(self, layout: Layout) -> None:
        """Have the memory that rows of the widest instrument take; a configured limit stays as it is."""
        columns = [len(KEYS) + len(work_columns(layout, table)) for table in layout.instruments]
        self.width = Width(max(columns, default=0), sum(columns))
        if self.memory_limit is None and needed(self.width) > limit_of(self.connection):
            allow(self.connection, None, self.width)

    def explained(self, problem: BaseException) -> BaseException:
        """An error of the database as one of ours, in words that quote no data; any other as it is."""
        if isinstance(problem, duckdb.OutOfMemoryException):
            return unusable(self.path, problem, enough=enough(self.connection, self.width))
        return unusable(self.path, problem) if isinstance(problem, duckdb.Error) else problem

    def _write_project(self, structure: Structure, layout: Layout) -> None:
        info = structure.project
        values = {
            "project": self.project,
            "project_id": info.project_id,
            "project_title": info.project_title,
            "record_id_field": structure.record_id_field,
            "is_longitudinal": structure.longitudinal,
            "has_repeating_instruments_or_events": bool(structure.repeating),
            "surveys_enabled": info.surveys_enabled,
            "record_autonumbering_enabled": info.record_autonumbering_enabled,
            "in_production": info.in_production,
            "creation_time": info.creation_time or None,
            "production_time": info.production_time or None,
            "missing_data_codes": info.missing_data_codes or None,
            "secondary_unique_field": info.secondary_unique_field or None,
            "project_notes": info.project_notes or None,
            "redcap_version": structure.version,
            "not_readable": list(structure.not_readable),
            "hidden_fields": list(layout.hidden_fields),
        }
        kept = ("records", "rows", "last_run_id", "last_loaded_at")
        found = self._row(f"SELECT {', '.join(kept)} FROM redcap.projects") or (None,) * len(kept)
        values |= dict(zip(kept, found, strict=True))
        self.connection.execute("DELETE FROM redcap.projects")
        names = ", ".join(values)
        places = ", ".join(f"${name}" for name in values)
        self.connection.execute(f"INSERT INTO redcap.projects ({names}) VALUES ({places})", values)

    def _make_table(self, layout: Layout, table: InstrumentTable, there: _Columns, stamp: RunStamp) -> bool:
        """Create the instrument's table, or give it the columns that are new and take those that went.

        True where rows may have no place any more, because all they held stood in columns that went.
        """
        target = rows_now(self.project, table.name)
        wanted = [*KEYS, *(name for name, _ in work_columns(layout, table))]
        present = [name for name in there.get((self.project + NOW, table.name), ()) if name not in VERSION]
        if present == wanted:
            return False
        lost = [name for name in present if name not in wanted]
        if not present:
            columns = ", ".join(f"{identifier(name)} VARCHAR" for name in wanted)
            self.connection.execute(f"CREATE TABLE {target} ({columns}, _valid_from TIMESTAMP, _run_id VARCHAR)")
        else:
            self._retire(layout, table.name, lost, stamp)
            # Rebuilt rather than altered, so that columns stand in the dictionary's order.
            shown = ", ".join(
                identifier(name) if name in present else f"NULL::VARCHAR AS {identifier(name)}" for name in wanted
            )
            self.connection.execute(
                f"CREATE OR REPLACE TABLE {target} AS SELECT {shown}, _valid_from, _run_id FROM {target}"
            )
        self._make_history(table.name, wanted, there.get((self.project + PAST, table.name), ()))
        empty = f"SELECT 1 FROM {target} WHERE NOT {holds_data(table, identifier)} LIMIT 1"
        return bool(lost) and self._row(empty) is not None

    def _make_history(self, instrument: str, columns: Sequence[str], present: Sequence[str]) -> None:
        """Have a place for versions of such rows; columns of earlier ones stay."""
        target = rows_past(self.project, instrument)
        if not present:
            listed = ", ".join(f"{identifier(name)} VARCHAR" for name in columns)
            self.connection.execute(
                f"CREATE TABLE {target} ({listed}, _valid_from TIMESTAMP, _valid_to TIMESTAMP, _run_id VARCHAR, "
                "_closed_run VARCHAR)"
            )
            return
        for name in columns:
            if name not in present:
                self.connection.execute(f"ALTER TABLE {target} ADD COLUMN {identifier(name)} VARCHAR")

    def _retire(self, layout: Layout, instrument: str, columns: Sequence[str], stamp: RunStamp) -> None:
        """Columns leave a table: what stood in them stays in the history, and each cell is noted as gone."""
        if not columns:
            return
        target = rows_now(self.project, instrument)
        filled = f"coalesce({', '.join(map(identifier, columns))}) IS NOT NULL"
        close_versions(self.connection, instrument, f"SELECT * FROM {target} WHERE {filled}", stamp)
        cells = [
            Cell(redcap_name(layout.record_id_field, instrument, name), identifier(name), "NULL") for name in columns
        ]
        record_cell_changes(self.connection, instrument, cells, f"{target} WHERE {filled}", stamp, change=DELETE)
        self.connection.execute(
            f"UPDATE {target} SET _valid_from = $now, _run_id = $run_id WHERE {filled}",
            {"now": stamp.now, "run_id": stamp.run_id},
        )
        self.connection.execute(
            "DELETE FROM redcap.invalid_values WHERE instrument = $instrument "
            "AND list_contains($fields::VARCHAR[], field)",
            {"instrument": instrument, "fields": [cell.field for cell in cells]},
        )

    def _definitions(self) -> dict[str, tuple[dict[str, str], bool]]:
        """For each instrument what decides its cells, and whether they have to be read again."""
        found = self.connection.execute(self._state["read_instruments"]).fetchall()
        return {name: (json.loads(parts), stale) for name, parts, stale in found}

    def _define(
        self,
        layout: Layout,
        before: Mapping[str, tuple[Mapping[str, str], bool]],
        stamp: RunStamp,
        emptied: Mapping[str, bool],
    ) -> None:
        """Remember what decides the instruments' cells; where that is new or other, they are stale.

        Where other codes are choices, or stand for missing data, the values that do not fit are listed anew.
        """
        rows = []
        for table in layout.instruments:
            parts = definition(layout, table)
            known, was_stale = before.get(table.name, ({}, True))
            if known == parts:
                continue
            other = any(known.get(name) != part for name, part in parts.items() if name != CODES)
            if known and known.get(CODES) != parts[CODES]:
                relist_values(self.connection, layout, table, stamp)
            rows.append(
                {
                    "instrument": table.name,
                    "changed_run": stamp.run_id,
                    "changed_at": stamp.now,
                    "definition": json.dumps(parts),
                    "stale": emptied[table.name] or other or was_stale,
                }
            )
        self.connection.execute(
            "DELETE FROM state.instruments WHERE list_contains($names::VARCHAR[], instrument)",
            {"names": [row["instrument"] for row in rows]},
        )
        insert_json(self.connection, "state", "instruments", rows)

    def _list_disagreements(self, structure: Structure, stamp: RunStamp) -> None:
        """List choices that contradict the export field names; they are of no record."""
        self.connection.execute("DELETE FROM redcap.invalid_values WHERE record IS NULL")
        rows = [
            {
                "project": self.project,
                "instrument": found.instrument,
                "field": found.field,
                "value": found.code,
                "expected": found.expected,
                "reason": CONTRADICTED,
                "run_id": stamp.run_id,
            }
            for found in disagreements(structure)
        ]
        insert_json(self.connection, "redcap", "invalid_values", rows)

    def stale_instruments(self) -> tuple[str, ...]:
        """Instruments whose cells have to be read again for every record, as the dictionary or the setup changed."""
        found = self.connection.execute(self._state["read_instruments"]).fetchall()
        return tuple(name for name, _, stale in found if stale)

    def _drop_tables_but(self, instruments: Collection[str], layout: Layout, there: _Columns, stamp: RunStamp) -> None:
        for (schema, name), present in there.items():
            if schema != self.project + NOW or name in instruments:
                continue
            target = rows_now(self.project, name)
            columns = [column for column in present if column not in (*KEYS, *VERSION)]
            close_versions(self.connection, name, f"SELECT * FROM {target}", stamp)
            cells = [
                Cell(redcap_name(layout.record_id_field, name, column), identifier(column), "NULL")
                for column in columns
            ]
            record_cell_changes(self.connection, name, cells, target, stamp, change=DELETE)
            self.connection.execute(f"DROP TABLE {target}")
            self.connection.execute("DELETE FROM state.instruments WHERE instrument = $name", {"name": name})
            self.connection.execute("DELETE FROM redcap.invalid_values WHERE instrument = $name", {"name": name})

    def _keep_visible(self, layout: Layout) -> None:
        self.connection.execute("DELETE FROM state.visible_columns")
        self.connection.execute(
            "INSERT INTO state.visible_columns SELECT unnest(range(len($names::VARCHAR[]))), unnest($names::VARCHAR[])",
            {"names": list(layout.answer_columns)},
        )

    # -- the work list -------------------------------------------------------------------------------------

    @doing("noting what is to be read")
    def plan(
        self, census: Census, changed: Collection[str], *, everything: bool, upto: PlannedUntil | None
    ) -> tuple[str, ...]:
        """Put what may have changed on the list of what is to do; returns the list, in REDCap's order.

        With it moves the frontier: whatever is not on the list is in the mirror as it was at `upto` or later. Records
        whose census entry is other than last time are added here.
        """
        with self.transaction():
            self.connection.execute("CREATE OR REPLACE TEMP TABLE census_now (n BIGINT, record VARCHAR, seen VARCHAR)")
            self.connection.execute(
                "INSERT INTO census_now SELECT unnest(range(len($records::VARCHAR[]))), unnest($records::VARCHAR[]), "
                "unnest($seen::VARCHAR[])",
                {"records": list(census.records), "seen": list(census.seen)},
            )
            otherwise = self._otherwise_seen(census)
            wanted = census.records if everything else {*changed, *otherwise}
            self.connection.execute(self._state["keep_todo"], {"records": list(wanted)})
            if everything and upto is not None:
                self.connection.execute(self._state["begin_refresh"], {"upto": upto.upto})
            if upto is not None:
                seconds = int(upto.ahead.total_seconds())
                values = {"upto": upto.upto, "wall": upto.wall, "ahead_seconds": seconds}
                self.connection.execute(self._state["move_frontier"], values)
            todo = self.connection.execute(self._state["read_todo"]).fetchall()
            self.connection.execute("DROP TABLE census_now")
        return tuple(record for (record,) in todo)

    def _otherwise_seen(self, census: Census) -> list[str]:
        """Records that are new or stand otherwise in the census than in the last; it is kept for the next."""
        if census.whole:
            found = self.connection.execute(self._state["otherwise_seen"]).fetchall()
            if found or len(census.records) != self._count("SELECT count(*) FROM state.census"):
                self.connection.execute(self._state["keep_census"])
            if census.cover != self.cover():
                self.connection.execute(self._state["clear_cover"])
                self.connection.execute(self._state["write_cover"], {"events": list(census.cover)})
        else:
            found = self.connection.execute(self._state["otherwise_seen_briefly"]).fetchall()
            if self._count(self._state["new_briefly"]) or len(census.records) != self._count(
                "SELECT count(*) FROM state.census"
            ):
                self.connection.execute(self._state["keep_census_briefly"])
        return [record for (record,) in found]

    def cover(self) -> tuple[str, ...]:
        """A few events in which every record had a row when all events were asked for; none where that does not pay."""
        return tuple(event for (event,) in self.connection.execute(self._state["read_cover"]).fetchall())

    def keep_clock(self, offset: timedelta, now: datetime) -> None:
        """Remember how far REDCap's wall clock is ahead of UTC."""
        self.connection.execute(self._state["write_clock"], {"offset_seconds": int(offset.total_seconds()), "now": now})

    @doing("keeping REDCap's log")
    def keep_log(
        self, files: Sequence[Path], stamps: Collection[datetime], begin: datetime, clock: ServerClock, run_id: str
    ) -> None:
        """REDCap's log from `begin` (its own clock) on, for auditors; and what it says of records, for signing."""
        with self.transaction():
            keep_log(self.connection, files, stamps, begin, clock, project=self.project, run_id=run_id)

    # -- records -------------------------------------------------------------------------------------------

    @doing("putting answers into its tables")
    def apply(
        self,
        layout: Layout,
        chunks: Sequence[StagedChunk],
        entries: Sequence[ChunkEntry],
        stamp: RunStamp,
        *,
        instruments: Collection[str] | None = None,
    ) -> RowCounts:
        """Put proven chunks and their ledger rows into the mirror: all of it or, on any error, nothing.

        Records that came whole (`instruments` is None) are no longer to do.
        """
        with self.transaction():
            touched = (
                apply_chunks(self.connection, layout, chunks, stamp, instruments=instruments) if chunks else RowCounts()
            )
            if chunks and instruments is None:
                landed = [record for chunk in chunks for record in chunk.records]
                self.connection.execute(self._state["landed"], {"records": landed})
            self._enter(entries, stamp.run_id)
            # A write-back brings in what it wrote and ends there; a load does this when it ends.
            if touched.invalid and not stamp.baseline and self._inexact():
                self._write_publication(layout)
        return touched

    def settle(self, *, vanished: Collection[str], quarantined: Collection[str]) -> None:
        """Records that are gone are not to do any more; those that could not be had are, whatever was asked of them."""
        with self.transaction():
            self.connection.execute(self._state["landed"], {"records": list(vanished)})
            self.connection.execute(
                "INSERT INTO state.todo SELECT unnest($records::VARCHAR[]) EXCEPT SELECT record FROM state.todo",
                {"records": list(quarantined)},
            )

    def records_of(self, stamp: RunStamp) -> tuple[int, int]:
        """How many records came with this run, and how many were known and changed."""
        row = self._row_with(self._state["records_of"], {"now": stamp.now})
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def _enter(self, entries: Sequence[ChunkEntry], run_id: str) -> None:
        for entry in entries:
            self.connection.execute(
                self._state["write_chunk"], {"project": self.project, "run_id": run_id, **asdict(entry)}
            )

    @doing("noting deleted and renamed records")
    def depart(self, gone: Collection[str], layout: Layout, stamp: RunStamp) -> Removals:
        """Records that are gone from REDCap: those that live on under a new name are renamed, the others buried.

        A tombstone stays in redcap.records, and every cell is noted as deleted.
        """
        if not gone:
            return Removals()
        with self.transaction():
            new_ids = find_renames(self.connection, self.project, layout, gone)
            rename(self.connection, layout, new_ids, stamp)
            rows = tombstone(self.connection, layout, [record for record in gone if record not in new_ids], stamp)
        return Removals(deleted=len(gone) - len(new_ids), renamed=len(new_ids), rows=rows)

    # -- the end -------------------------------------------------------------------------------------------

    @doing("the last step of the load")
    def finish(
        self,
        layout: Layout,
        stamp: RunStamp,
        *,
        totals: dict[str, object],
        watermark: datetime | None,
        chunk_records: int | None,
        sign: bool,
    ) -> int:
        """The last transaction of a load: who made the changes, how it is published, its totals, and the watermark.

        The watermark moves only when nothing is left to do. Returns how many new ids of the log nothing explains.
        """
        with self.transaction():
            if sign:
                self.connection.execute(self._state["sign_changes"], {"run_id": stamp.run_id})
            # What a write-back sent and could not account for, because it died, is told as its own.
            attribute(self.connection, stamp)
            unexplained = unexplained_ids(self.connection, stamp)
            self._write_publication(layout)
            self.connection.execute("UPDATE state.instruments SET stale = false WHERE stale")
            # Whoever comes here has read or named all there was to do.
            self.connection.execute(self._state["end_refresh"])
            self.connection.execute(self._state["total_run"], {"run_id": stamp.run_id, **totals})
            self.connection.execute(
                "UPDATE redcap.projects SET last_run_id = $run_id, last_loaded_at = $now, rows = $rows, "
                "records = (SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL)",
                {"run_id": stamp.run_id, "now": stamp.now, "rows": self.rows(layout)},
            )
            if chunk_records is not None:
                self.connection.execute(self._state["clear_chunking"])
                self.connection.execute(self._state["write_chunking"], {"records": chunk_records, "now": stamp.now})
            if watermark is not None:
                self.connection.execute(self._state["clear_watermark"])
                self.connection.execute(self._state["write_watermark"], {"upto": watermark, "run_id": stamp.run_id})
        return unexplained

    def to_do(self) -> int:
        """How many records have to be read before the mirror is whole."""
        row = self._row(self._state["to_do"])
        return row[0] if row else 0

    def _write_publication(self, layout: Layout) -> None:
        self.connection.execute("DELETE FROM state.publication")
        numbered, inexact = self._with_instances(layout), self._inexact()
        rows = []
        for position, table in enumerate(layout.instruments):
            instances = table.repeats or table.name in numbered
            shown = publication(layout, table, instances=instances, inexact=inexact.get(table.name, ()))
            rows.append(
                {
                    "position": position,
                    "instrument": table.name,
                    "raw_select": shown.raw_select,
                    "typed_select": shown.typed_select,
                    "label_select": shown.label_select,
                    "comments": json.dumps({"": shown.table_comment, **shown.column_comments}),
                    "keys": json.dumps(shown.keys),
                }
            )
        insert_json(self.connection, "state", "publication", rows)

    def _inexact(self) -> dict[str, list[str]]:
        """The columns of each instrument that hold numbers which their type would change."""
        found = self.connection.execute(self._state["inexact"], {"reason": INEXACT}).fetchall()
        return dict(found)

    def _with_instances(self, layout: Layout) -> frozenset[str]:
        """Instruments whose data has or had instances, whatever the setup says: their rows must stay apart."""
        looked_for = [
            f"(SELECT {literal(table.name)} AS name FROM {place(self.project, table.name)} "
            "WHERE _instance <> '' LIMIT 1)"
            for table in layout.instruments
            if not table.repeats
            for place in (rows_now, rows_past)
        ]
        return frozenset(name for (name,) in self._all_of(looked_for))

    def rows(self, layout: Layout) -> int:
        """How many rows all instruments have together."""
        counts = [f"SELECT count(*) AS n FROM {rows_now(self.project, table.name)}" for table in layout.instruments]
        return sum(count for (count,) in self._all_of(counts))

    def _all_of(self, queries: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        """The rows of all queries, asked many at a time."""
        for first in range(0, len(queries), AT_ONCE):
            yield from self.connection.execute(" UNION ALL ".join(queries[first : first + AT_ONCE])).fetchall()

    def redcap_version(self) -> str | None:
        """The version REDCap gave when the structure was last read."""
        row = self._row("SELECT redcap_version FROM redcap.projects")
        return row[0] if row else None

    def invalid_values(self) -> int:
        """How many values do not fit their type or the setup."""
        row = self._row("SELECT count(*) FROM redcap.invalid_values")
        return row[0] if row else 0

    # -- small ---------------------------------------------------------------------------------------------

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of what happens inside, or none of it."""
        self.connection.execute("BEGIN TRANSACTION")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def _count(self, query: str) -> int:
        row = self._row(query)
        return int(row[0]) if row else 0

    def _row(self, query: str) -> tuple[Any, ...] | None:
        return self.connection.execute(query).fetchone()

    def _row_with(self, query: str, values: Mapping[str, object]) -> tuple[Any, ...] | None:
        return self.connection.execute(query, values).fetchone()

    def _columns(self) -> _Columns:
        """The columns of every instrument's tables, asked for at once: each question looks at every table there is."""
        found = self.connection.execute(
            "SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
            "WHERE database_name = current_database() AND schema_name IN ($now, $past) GROUP BY ALL",
            {"now": self.project + NOW, "past": self.project + PAST},
        ).fetchall()
        return {(schema, table): columns for schema, table, columns in found}
