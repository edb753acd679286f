"""A project's working file: the private mirror of one REDCap project that loads write and publishing reads.

One transaction a batch of chunks, the watermark last; so a load that dies leaves a mirror the next one can
go on from. Fetching is extract.py's business, showing the mirror to readers publish.py's.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipelines.structure import Structure
from pipelines.warehouse import catalog
from pipelines.warehouse.apply import RunStamp, Staged, Touched, apply_chunks
from pipelines.warehouse.connection import Connection, open_writer
from pipelines.warehouse.layout import KEYS, InstrumentTable, Layout, work_columns
from pipelines.warehouse.quoting import identifier, qualified
from pipelines.warehouse.sql import statements
from pipelines.warehouse.views import publication


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """One chunk in the ledger: what was asked, what came, and how it ended."""

    chunk: int
    asked: int
    returned: int
    rows: int
    bytes: int
    seconds: float
    attempts: int
    outcome: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Yesterday:
    """What the mirror knew before this load."""

    project_id: int | None
    record_id_field: str | None
    visible_columns: tuple[str, ...]
    watermark: datetime | None
    chunk_records: int | None


class Mirror:
    """The open working file of one project."""

    def __init__(self, connection: Connection, project: str) -> None:
        self.connection = connection
        self.project = project
        self._state = statements("state")

    def yesterday(self) -> Yesterday:
        """What the last load left behind."""
        known = self._row("SELECT project_id, record_id_field FROM redcap.projects") or (None, None)
        columns = self.connection.execute(self._state["read_visible_columns"]).fetchall()
        watermark = self._row(self._state["read_watermark"])
        chunking = self._row(self._state["read_chunking"])
        return Yesterday(
            project_id=known[0],
            record_id_field=known[1],
            visible_columns=tuple(name for (name,) in columns),
            watermark=watermark[0] if watermark else None,
            chunk_records=chunking[0] if chunking else None,
        )

    def known_records(self) -> list[str]:
        """Ids of the records the mirror holds, deleted ones left out."""
        return [record for (record,) in self.connection.execute(self._state["known_records"]).fetchall()]

    # -- a run ---------------------------------------------------------------------------------------------

    def begin_run(self, run_id: str, mode: str, now: datetime) -> None:
        """Enter the run in the ledger; a run that never ended is marked as killed."""
        with self.transaction():
            self.connection.execute("DELETE FROM redcap.sync_runs WHERE run_id = $id", {"id": run_id})
            self.connection.execute(self._state["abandon_running"], {"now": now, "run_id": run_id})
            self.connection.execute(
                self._state["begin_run"],
                {
                    "project": self.project,
                    "run_id": run_id,
                    "mode": mode,
                    "started_at": now,
                    "watermark_from": self.yesterday().watermark,
                },
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

    def write_structure(self, structure: Structure, layout: Layout, stamp: RunStamp) -> tuple[catalog.Drift, ...]:
        """Bring schema redcap and the instrument tables to today's structure, in one transaction."""
        with self.transaction():
            drift = catalog.write_structure(self.connection, self.project, structure, layout, stamp.run_id, stamp.now)
            self._write_project(structure, layout)
            for table in layout.instruments:
                self._make_table(layout, table, stamp)
            self._drop_tables_but([table.name for table in layout.instruments])
            catalog.keep_described(self.connection, structure)
            self._keep_visible(layout)
        return drift

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
        kept = self._row("SELECT records, last_run_id, last_loaded_at FROM redcap.projects") or (
            None,
            None,
            None,
        )
        values |= {"records": kept[0], "last_run_id": kept[1], "last_loaded_at": kept[2]}
        self.connection.execute("DELETE FROM redcap.projects")
        names = ", ".join(values)
        places = ", ".join(f"${name}" for name in values)
        self.connection.execute(f"INSERT INTO redcap.projects ({names}) VALUES ({places})", values)

    def _make_table(self, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> None:
        """Create the instrument's table, or give it the columns that are new and take those that went."""
        target = qualified("raw", table.name)
        wanted = [*KEYS, *(name for name, _ in work_columns(layout, table))]
        present = self._columns("raw", table.name)
        if not present:
            columns = ", ".join(f"{identifier(name)} VARCHAR" for name in wanted)
            self.connection.execute(f"CREATE TABLE {target} ({columns})")
        elif present != wanted:
            # Rebuilt rather than altered, so that columns stand in the dictionary's order.
            shown = ", ".join(
                identifier(name) if name in present else f"NULL::VARCHAR AS {identifier(name)}" for name in wanted
            )
            self.connection.execute(f"CREATE OR REPLACE TABLE {target} AS SELECT {shown} FROM {target}")
        else:
            return
        self.connection.execute("DELETE FROM state.instruments WHERE instrument = $name", {"name": table.name})
        self.connection.execute(
            "INSERT INTO state.instruments VALUES ($name, $run_id, $now)",
            {"name": table.name, "run_id": stamp.run_id, "now": stamp.now},
        )

    def _drop_tables_but(self, instruments: Collection[str]) -> None:
        for name in self._tables("raw"):
            if name not in instruments:
                self.connection.execute(f"DROP TABLE {qualified('raw', name)}")
                self.connection.execute("DELETE FROM state.instruments WHERE instrument = $name", {"name": name})

    def _keep_visible(self, layout: Layout) -> None:
        self.connection.execute("DELETE FROM state.visible_columns")
        self.connection.execute(
            "INSERT INTO state.visible_columns SELECT unnest(range(len($names::VARCHAR[]))), unnest($names::VARCHAR[])",
            {"names": list(layout.answer_columns)},
        )

    # -- records -------------------------------------------------------------------------------------------

    def apply(
        self, layout: Layout, chunks: Sequence[Staged], entries: Sequence[ChunkEntry], stamp: RunStamp
    ) -> Touched:
        """Put proven chunks and their ledger rows into the mirror: all of it or, on any error, nothing."""
        with self.transaction():
            touched = apply_chunks(self.connection, layout, chunks, stamp) if chunks else Touched()
            self._enter(entries, stamp.run_id)
        return touched

    def _enter(self, entries: Sequence[ChunkEntry], run_id: str) -> None:
        for entry in entries:
            self.connection.execute(
                self._state["write_chunk"], {"project": self.project, "run_id": run_id, **asdict(entry)}
            )

    def bury(self, records: Collection[str], layout: Layout, stamp: RunStamp) -> int:
        """Records that are gone from REDCap leave the tables and become tombstones; returns rows deleted."""
        if not records:
            return 0
        with self.transaction():
            self.connection.execute("CREATE OR REPLACE TEMP TABLE gone (record VARCHAR)")
            self.connection.execute("INSERT INTO gone SELECT unnest($ids::VARCHAR[])", {"ids": list(records)})
            deleted = sum(self._bury_rows(layout, table, stamp) for table in layout.instruments)
            self.connection.execute(
                "UPDATE redcap.records SET deleted_at = $now, last_changed = $now "
                "WHERE record IN (SELECT record FROM gone)",
                {"now": stamp.now},
            )
            self.connection.execute("DELETE FROM redcap.invalid_values WHERE record IN (SELECT record FROM gone)")
            self.connection.execute("DROP TABLE gone")
        return deleted

    def _bury_rows(self, layout: Layout, table: InstrumentTable, stamp: RunStamp) -> int:
        target = qualified("raw", table.name)
        cells = ", ".join(
            f"{{'field': '{answer}', 'old': {identifier(name)}}}" for name, answer in work_columns(layout, table)
        )
        self.connection.execute(
            f"""
            INSERT INTO redcap.record_changes
            SELECT $project, _record, nullif(_event, ''), $instrument, nullif(_instance, ''), cell.field, cell.old,
                   NULL, 'delete', $now, $run_id, 'redcap', NULL, NULL
            FROM (SELECT _record, _event, _instance, unnest([{cells}]) AS cell FROM {target}
                  WHERE _record IN (SELECT record FROM gone))
            WHERE cell.old IS NOT NULL
            """,
            {"project": self.project, "instrument": table.name, "run_id": stamp.run_id, "now": stamp.now},
        )
        row = self._row(f"DELETE FROM {target} WHERE _record IN (SELECT record FROM gone)")
        deleted = int(row[0]) if row else 0
        if deleted:
            self.connection.execute(
                "UPDATE state.instruments SET changed_run = $run_id, changed_at = $now WHERE instrument = $name",
                {"run_id": stamp.run_id, "now": stamp.now, "name": table.name},
            )
        return deleted

    # -- the end -------------------------------------------------------------------------------------------

    def finish(
        self,
        layout: Layout,
        stamp: RunStamp,
        *,
        totals: dict[str, object],
        watermark: datetime | None,
        chunk_records: int | None,
    ) -> None:
        """The last transaction of a load: how it is published, its totals, and the watermark."""
        with self.transaction():
            self._write_publication(layout)
            self.connection.execute(self._state["total_run"], {"run_id": stamp.run_id, **totals})
            self.connection.execute(
                "UPDATE redcap.projects SET last_run_id = $run_id, last_loaded_at = $now, "
                "records = (SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL)",
                {"run_id": stamp.run_id, "now": stamp.now},
            )
            if chunk_records is not None:
                self.connection.execute(self._state["clear_chunking"])
                self.connection.execute(self._state["write_chunking"], {"records": chunk_records, "now": stamp.now})
            if watermark is not None:
                self.connection.execute(self._state["clear_watermark"])
                self.connection.execute(self._state["write_watermark"], {"upto": watermark, "run_id": stamp.run_id})

    def _write_publication(self, layout: Layout) -> None:
        self.connection.execute("DELETE FROM state.publication")
        for position, table in enumerate(layout.instruments):
            shown = publication(layout, table, instances=table.repeats or self._has_instances(table))
            self.connection.execute(
                "INSERT INTO state.publication VALUES ($position, $name, $copy, $typed, $labels, $comments)",
                {
                    "position": position,
                    "name": table.name,
                    "copy": shown.copy_select,
                    "typed": shown.typed_select,
                    "labels": shown.label_select,
                    "comments": json.dumps({"": shown.table_comment, **shown.column_comments}),
                },
            )

    def _has_instances(self, table: InstrumentTable) -> bool:
        """Whether the data has instances, whatever the setup says: their rows must stay apart."""
        return self._row(f"SELECT 1 FROM {qualified('raw', table.name)} WHERE _instance <> '' LIMIT 1") is not None

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

    def _row(self, query: str) -> tuple[Any, ...] | None:
        return self.connection.execute(query).fetchone()

    def _tables(self, schema: str) -> list[str]:
        found = self.connection.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = current_database() AND schema_name = $schema",
            {"schema": schema},
        ).fetchall()
        return [name for (name,) in found]

    def _columns(self, schema: str, table: str) -> list[str]:
        found = self.connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE database_name = current_database() "
            "AND schema_name = $schema AND table_name = $table ORDER BY column_index",
            {"schema": schema, "table": table},
        ).fetchall()
        return [name for (name,) in found]


@contextmanager
def open_mirror(
    path: Path, project: str, *, staging: Path | None = None, memory_limit: str = "256MB"
) -> Iterator[Mirror]:
    """The project's working file, created if it is not there, locked against every other process."""
    with open_writer(path, staging=staging, memory_limit=memory_limit) as connection:
        connection.execute(statements("catalog")["create_catalog"])
        connection.execute(statements("state")["create_state"])
        yield Mirror(connection, project)
