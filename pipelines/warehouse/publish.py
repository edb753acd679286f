"""Showing finished loads to readers: a new copy of the published database, put in place in one step.

Readers keep the file they have open and see the new one when they open it again; nobody is ever locked out and
nobody sees half a night. Loading is mirror.py's business.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
from filelock import FileLock

from pipelines.errors import LoadUnfinished, NotAllPublished
from pipelines.warehouse.catalog import STRUCTURE_TABLES
from pipelines.warehouse.compaction import fresh_size, has_grown, note_fresh, rewrite
from pipelines.warehouse.connection import (
    STORAGE_VERSION,
    Connection,
    harden,
    open_reader,
    private_files,
    private_folder,
    reason_of,
    sync_to_disk,
    unusable,
)
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.layout import KEYS, VERSION, redcap_name
from pipelines.warehouse.quoting import identifier, literal, qualified
from pipelines.warehouse.sql import statements

# Every load may rewrite these; they hold one project's present state.
REPLACED = ("projects", *STRUCTURE_TABLES, "records", "invalid_values", "sync_runs")
# Rows of these are written once, by one run; a run that was published need not be copied again.
APPENDED = ("dictionary_changes", "sync_chunks")
# Where the published file keeps how large it was when it was last written afresh.
FRESH = "_publish.fresh"
# What stands in schema _publish for each project.
BOOKS = ("instruments", "runs", "sources", "cell_changes", "first_load", "first_columns")


# How many comments are set in one transaction.
COMMENTS = 50

# How a load ends that readers may see; an incomplete one lacks only records it names.
ENDED_WELL = ("ok", "incomplete")


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish took up."""

    projects: tuple[str, ...]
    instruments_copied: int
    bytes: int
    failed: Mapping[str, str] = field(default_factory=dict)
    """Projects whose working files could not be taken up, with the reason; yesterday's data of them stays."""


def release(folder: WarehouseFolder, project: str) -> None:
    """Let the next publish take up the project's last load; refuses one that did not end well."""
    run_id, outcome = _last_run(folder, project)
    if outcome not in ENDED_WELL:
        raise LoadUnfinished(project=project, outcome=outcome)
    folder.loaded(project, run_id)


def _last_run(folder: WarehouseFolder, project: str) -> tuple[str, str]:
    if not folder.mirror(project).exists():
        return "", "never loaded"
    with open_reader(folder.mirror(project)) as connection:
        row = connection.execute(statements("state")["last_run"]).fetchone()
    return (row[0], row[1]) if row else ("", "never loaded")


def publish(folder: WarehouseFolder, *, memory_limit: str = "256MB") -> Published:
    """Take up every project loaded since the last publish; with none waiting, do nothing.

    Publishing is one at a time across processes. One that had to wait for another usually finds its own work
    done, so many projects that finish together share a publish. A project whose working file cannot be taken up does
    not hold the others back: they are published, and then it is told.
    """
    folder.make()
    with FileLock(folder.publish_lock, mode=0o600):
        _sweep(folder)
        waiting = folder.waiting()
        if not waiting:
            return Published((), 0, 0)
        try:
            published = _publish(folder, waiting, memory_limit)
        except (OSError, duckdb.Error) as problem:
            raise unusable(folder.database, problem) from None
        finally:
            _sweep(folder)
    if published.failed:
        raise NotAllPublished(published=published.projects, failed=published.failed)
    return published


def _publish(folder: WarehouseFolder, waiting: Mapping[str, str], memory_limit: str) -> Published:
    fresh = folder.path / f".publishing-{os.getpid()}.duckdb"
    rewritten = False
    with private_files():
        if folder.database.exists():
            rewritten = _copy(folder.database, fresh, memory_limit)
        with _open(fresh, folder, list(waiting), memory_limit) as (connection, projects, broken):
            copied, failed = _take_up(connection, projects)
            failed |= broken
            if failed and not set(projects).difference(failed):
                return Published((), 0, 0, failed)
            if rewritten or fresh_size(connection, FRESH) is None:
                note_fresh(connection, FRESH, fresh.stat().st_size)
        sync_to_disk(fresh)
        size = fresh.stat().st_size
        fresh.replace(folder.database)
        sync_to_disk(folder.path)
    done = tuple(project for project in projects if project not in failed)
    for project in done:
        folder.taken_up(project, waiting[project])
    return Published(done, copied, size, failed)


def _copy(database: Path, fresh: Path, memory_limit: str) -> bool:
    """The published file under another name, as it is or, where it has grown, written afresh; says whether it was."""
    with open_reader(database) as connection:
        known = fresh_size(connection, FRESH)
    if not has_grown(database.stat().st_size, known):
        shutil.copyfile(database, fresh)
        return False
    rewrite(database, fresh, storage_version=STORAGE_VERSION, memory_limit=memory_limit)
    return True


@contextmanager
def _open(
    fresh: Path, folder: WarehouseFolder, waiting: Sequence[str], memory_limit: str
) -> Iterator[tuple[Connection, list[str], dict[str, str]]]:
    """The new database with the working files of the waiting projects attached, read-only; and those that cannot be."""
    connection = duckdb.connect()
    try:
        version = "" if fresh.exists() else f" (STORAGE_VERSION {literal(STORAGE_VERSION)})"
        connection.execute(f"ATTACH {literal(str(fresh))} AS warehouse{version}")
        broken: dict[str, str] = {}
        projects = [project for project in waiting if _attach(connection, folder, project, broken)]
        # A load that began meanwhile has taken its mark away before it wrote anything.
        still = folder.waiting()
        projects = [project for project in projects if project in still]
        connection.execute("USE warehouse")
        spill = private_folder(folder.work / "publish.spill")
        connection.execute(f"SET temp_directory = {literal(str(spill))}")
        connection.execute(f"SET memory_limit = {literal(memory_limit)}")
        connection.execute("SET preserve_insertion_order = false")
        # A second thread costs a third more CPU time on tables of this size.
        connection.execute("SET threads = 1")
        # Trying FSST costs more than all the rest of a checkpoint, and codes, dates and numbers gain nothing by it.
        connection.execute("SET disabled_compression_methods = 'fsst'")
        harden(connection, [])
        yield connection, projects, broken
    finally:
        connection.close()


def _attach(connection: Connection, folder: WarehouseFolder, project: str, broken: dict[str, str]) -> bool:
    """Attach a working file; False while its next load is running (that load publishes when it ends), or if broken."""
    try:
        connection.execute(f"ATTACH {literal(str(folder.mirror(project)))} AS {_catalog(project)} (READ_ONLY)")
    except duckdb.Error as problem:
        if "onflicting lock" not in str(problem):
            broken[project] = reason_of(problem)
        return False
    return True


def _take_up(connection: Connection, projects: Sequence[str]) -> tuple[int, dict[str, str]]:
    """Each project in a transaction of its own; how many instruments were written, and which projects failed."""
    connection.execute(statements("catalog")["create_catalog"])
    connection.execute(statements("publish")["create_bookkeeping"])
    connection.execute(statements("writeback")["create_writeback"])
    copied, failed = 0, {}
    for project in projects:
        part = _ProjectPublish(connection, project)
        connection.execute("BEGIN TRANSACTION")
        try:
            copied += part.run()
            connection.execute("COMMIT")
            part.comment()
        except duckdb.Error as problem:
            failed[project] = reason_of(problem)
            with suppress(duckdb.Error):
                connection.execute("ROLLBACK")
    connection.execute("CHECKPOINT")
    return copied, failed


class _ProjectPublish:
    """One project's part of a publish: what its runs did since it was last published.

    A table of `<project>_history` holds every version of an instrument's rows; those without an end are today's, and
    the other schemas are views of them. So a publish writes what changed, however large the project.
    """

    def __init__(self, connection: Connection, project: str) -> None:
        self.connection = connection
        self.project = project
        self.catalog = _catalog_name(project)
        self.source = _catalog(project)
        self.history = f"{project}_history"
        self.record_id_field = ""
        self.tables: dict[tuple[str, str], list[str]] = {}
        self.comments: list[str] = []
        """Statements that say what views and their columns are."""
        self.definitions: dict[str, str] = {}
        """What instruments are made of whose views are new."""

    def run(self) -> int:
        """Bring the published project to its working file; returns how many instruments were written."""
        self._begin_anew_if_other()
        row = self.connection.execute(f"SELECT record_id_field FROM {self.source}.redcap.projects").fetchone()
        self.record_id_field = row[0] if row else ""
        for suffix in ("", "_labels", "_raw", "_history"):
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(self.project + suffix)}")
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE new_runs AS SELECT run_id FROM {self.source}.redcap.sync_runs "
            "WHERE run_id NOT IN (SELECT run_id FROM _publish.runs WHERE project = $project)",
            {"project": self.project},
        )
        self._copy_catalog()
        self.tables = self._tables(self.catalog, "raw", "history") | self._tables("warehouse", self.history)
        shown = self.connection.execute(
            "SELECT instrument, raw_select, typed_select, label_select, comments, keys, changed_run "
            f"FROM {self.source}.state.publication JOIN {self.source}.state.instruments USING (instrument) "
            "ORDER BY position"
        ).fetchall()
        before = self._bookkept()
        for name in [name for name in before if name not in {row[0] for row in shown}]:
            self._retire(name)
        written = sum(self._show(before.get(row[0]), *row) for row in shown)
        self._define_as_of()
        self.connection.execute(
            "INSERT INTO _publish.runs SELECT $project, run_id FROM new_runs", {"project": self.project}
        )
        self.connection.execute("DROP TABLE new_runs")
        return written

    def comment(self) -> None:
        """Say what new views and their columns are, a few in each transaction, once everything else is committed.

        Every comment makes a copy of its whole view, which lives as long as the transaction.
        """
        for first in range(0, len(self.comments), COMMENTS):
            some = self.comments[first : first + COMMENTS]
            self.connection.execute("; ".join(("BEGIN TRANSACTION", *some, "COMMIT")))
        # Until here they have no definition on the books: were this to fail, the next publish would make them anew.
        self.connection.execute(
            "UPDATE _publish.instruments AS i SET definition = d.definition FROM (SELECT unnest($names::VARCHAR[]) "
            "AS instrument, unnest($definitions::VARCHAR[]) AS definition) d "
            "WHERE i.project = $project AND i.instrument = d.instrument",
            {
                "project": self.project,
                "names": list(self.definitions),
                "definitions": list(self.definitions.values()),
            },
        )

    def _begin_anew_if_other(self) -> None:
        """A working file that was begun anew knows nothing of what was published of the old one."""
        values = {"project": self.project}
        row = self.connection.execute(f"SELECT identity FROM {self.source}.state.identity").fetchone()
        known = self.connection.execute(
            "SELECT identity FROM _publish.sources WHERE project = $project", values
        ).fetchone()
        if row == known:
            return
        for suffix in ("", "_labels", "_raw", "_history"):
            self.connection.execute(f"DROP SCHEMA IF EXISTS {identifier(self.project + suffix)} CASCADE")
        for table in (*REPLACED, *APPENDED, "audit_log"):
            self.connection.execute(f"DELETE FROM {qualified('redcap', table)} WHERE project = $project", values)
        for table in ("batches", "proposals", "journal"):
            self.connection.execute(f"DELETE FROM {qualified('writeback', table)} WHERE project = $project", values)
        for table in BOOKS:
            self.connection.execute(f"DELETE FROM {qualified('_publish', table)} WHERE project = $project", values)
        self.connection.execute(
            "INSERT INTO _publish.sources VALUES ($project, $identity)", {**values, "identity": row[0] if row else None}
        )

    def _copy_catalog(self) -> None:
        values = {"project": self.project}
        for table in REPLACED:
            target, origin = qualified("redcap", table), f"{self.source}.redcap.{identifier(table)}"
            self.connection.execute(f"DELETE FROM {target} WHERE project = $project", values)
            self.connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM {origin}")
        for table in APPENDED:
            target, origin = qualified("redcap", table), f"{self.source}.redcap.{identifier(table)}"
            self.connection.execute(
                f"INSERT INTO {target} BY NAME SELECT * FROM {origin} WHERE run_id IN (SELECT run_id FROM new_runs)"
            )
        self.connection.execute(
            f"INSERT INTO _publish.cell_changes SELECT * FROM {self.source}.redcap.record_changes "
            "WHERE run_id IN (SELECT run_id FROM new_runs)"
        )
        self._copy_writeback()
        # Every load reads the log again from a little before the last one: those rows take the place of the old.
        log = f"{self.source}.redcap.audit_log"
        since = f"(SELECT min(timestamp) FROM {log} WHERE run_id IN (SELECT run_id FROM new_runs))"
        self.connection.execute(
            f"DELETE FROM redcap.audit_log WHERE project = $project AND timestamp >= {since}", values
        )
        self.connection.execute(f"INSERT INTO redcap.audit_log BY NAME SELECT * FROM {log} WHERE timestamp >= {since}")

    def _copy_writeback(self) -> None:
        """What was proposed and sent back to REDCap, where anything was."""
        present = self._tables(self.catalog, "writeback")
        for schema, table in present:
            target = qualified(schema, table)
            self.connection.execute(f"DELETE FROM {target} WHERE project = $project", {"project": self.project})
            self.connection.execute(
                f"INSERT INTO {target} BY NAME SELECT * FROM {self.source}.{schema}.{identifier(table)}"
            )

    def _bookkept(self) -> dict[str, tuple[str, str | None]]:
        found = self.connection.execute(
            "SELECT instrument, changed_run, definition FROM _publish.instruments WHERE project = $project",
            {"project": self.project},
        ).fetchall()
        return {name: (run, definition) for name, run, definition in found}

    def _retire(self, name: str) -> None:
        """An instrument that REDCap no longer has: its views go, its history stays."""
        for suffix in ("", "_labels", "_raw"):
            self.connection.execute(f"DROP VIEW IF EXISTS {qualified(self.project + suffix, name)}")
        self._write_versions(name, {})
        self._forget(name)

    def _forget(self, instrument: str) -> None:
        self.connection.execute(
            "DELETE FROM _publish.instruments WHERE project = $project AND instrument = $instrument",
            {"project": self.project, "instrument": instrument},
        )

    def _show(
        self,
        before: tuple[str, str | None] | None,
        name: str,
        raw: str,
        typed: str,
        labels: str,
        comments: str,
        keys: str,
        changed_run: str,
    ) -> int:
        """Take up the instrument's versions and make its views, each only where something changed."""
        definition = hashlib.sha256(json.dumps([raw, typed, labels, comments]).encode()).hexdigest()
        if before == (changed_run, definition):
            return 0
        self._write_versions(name, json.loads(keys))
        if before is None or before[1] != definition:
            self.definitions[name] = definition
            told = json.loads(comments)
            # Columns are told of in the views analysts use most; a third time would cost as much as the rows.
            for suffix, select, texts in (("_raw", raw, {"": told[""]}), ("", typed, told), ("_labels", labels, told)):
                view = qualified(self.project + suffix, name)
                self.connection.execute(
                    f"CREATE OR REPLACE VIEW {view} AS {select} FROM {qualified(self.history, name)} "
                    "WHERE _valid_to IS NULL"
                )
                self._say_what_is(view, texts)
        self._forget(name)
        self.connection.execute(
            "INSERT INTO _publish.instruments VALUES ($project, $name, $run, $definition)",
            {
                "project": self.project,
                "name": name,
                "run": changed_run,
                "definition": None if name in self.definitions else definition,
            },
        )
        return 1

    def _write_versions(self, name: str, keys: Mapping[str, str]) -> None:
        """Bring the instrument's versions up to date: ends of those that ended, and the new ones."""
        target = qualified(self.history, name)
        published = self.tables.get((self.history, name), [])
        today, ever = self.tables.get(("raw", name), []), self.tables.get(("history", name), [])
        columns = [
            (column, shown)
            for column in dict.fromkeys([*today, *ever])
            if column not in (*VERSION, "_valid_to", "_closed_run")
            and ((shown := self._name(name, column, keys)) in published or column not in KEYS or column in keys)
        ]
        open_rows = self._select("raw", name, columns, today, "NULL::TIMESTAMP")
        ended_rows = self._select("history", name, columns, ever, "_valid_to")
        if not published:
            self._keep_first(name, columns, today, ever)
            parts = [part for part, there in ((open_rows, today), (ended_rows, ever)) if there]
            self.connection.execute(f"CREATE TABLE {target} AS {' UNION ALL '.join(parts)}")
            return
        for _, shown in columns:
            if shown not in published:
                self.connection.execute(f"ALTER TABLE {target} ADD COLUMN {identifier(shown)} VARCHAR")
        new = "(SELECT run_id FROM new_runs)"
        alike = " AND ".join(
            f"p.{identifier(shown)} IS NOT DISTINCT FROM nullif(h.{column}, '')"
            for column, shown in columns
            if column in KEYS
        )
        self.connection.execute(
            f"UPDATE {target} AS p SET _valid_to = h._valid_to FROM {self.source}.history.{identifier(name)} h "
            f"WHERE h._closed_run IN {new} AND h._run_id NOT IN {new} AND p._valid_to IS NULL AND {alike}"
        )
        self.connection.execute(
            f"INSERT INTO {target} BY NAME {ended_rows} WHERE _closed_run IN {new} AND _run_id IN {new}"
        )
        if today:
            self.connection.execute(f"INSERT INTO {target} BY NAME {open_rows} WHERE _run_id IN {new}")

    def _keep_first(
        self, name: str, columns: Sequence[tuple[str, str]], today: Sequence[str], ever: Sequence[str]
    ) -> None:
        """The rows of the project's first load, from which on its changes are told."""
        cells = [(column, shown) for column, shown in columns if column not in KEYS]
        values = {"project": self.project, "instrument": name}
        parts = []
        for schema, present in (("raw", today), ("history", ever)):
            listed = ", ".join(identifier(column) if column in present else "NULL" for column, _ in cells)
            if present:
                parts.append(
                    "SELECT $project, $instrument, _record, nullif(_event, ''), nullif(_instance, ''), "
                    f"to_json([{listed}]::VARCHAR[]), _valid_from, _run_id "
                    f"FROM {self.source}.{schema}.{identifier(name)} WHERE _run_id IN ({self._first_runs()})"
                )
        self.connection.execute(f"INSERT INTO _publish.first_load {' UNION ALL '.join(parts)}", values)
        self.connection.execute(
            "INSERT INTO _publish.first_columns VALUES ($project, $instrument, $fields)",
            {**values, "fields": [shown for _, shown in cells]},
        )

    def _first_runs(self) -> str:
        """The runs up to the first that came to its end; SQL."""
        runs = f"{self.source}.redcap.sync_runs"
        return (
            f"SELECT run_id FROM {runs} WHERE started_at <= "
            f"(SELECT min(started_at) FROM {runs} WHERE outcome IN ('ok', 'incomplete'))"
        )

    def _select(
        self, schema: str, name: str, columns: Sequence[tuple[str, str]], present: Sequence[str], valid_to: str
    ) -> str:
        """Rows of a working table, with the columns readers know."""
        shown = [
            f"{_cell(column) if column in present else 'NULL::VARCHAR'} AS {identifier(shown)}"
            for column, shown in columns
        ]
        versions = ["_valid_from", f"{valid_to} AS _valid_to", "_run_id"]
        return f"SELECT {', '.join([*shown, *versions])} FROM {self.source}.{schema}.{identifier(name)}"

    def _name(self, instrument: str, column: str, keys: Mapping[str, str]) -> str:
        """What readers know a working column as."""
        return keys.get(column) or redcap_name(self.record_id_field, instrument, column)

    def _tables(self, catalog: str, *schemas: str) -> dict[tuple[str, str], list[str]]:
        """The columns of every table of some schemas, asked for at once: each question costs as much as its answer."""
        found = self.connection.execute(
            "SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns() "
            "WHERE database_name = $catalog AND list_contains($schemas::VARCHAR[], schema_name) GROUP BY ALL",
            {"catalog": catalog, "schemas": list(schemas)},
        ).fetchall()
        return {(schema, table): columns for schema, table, columns in found}

    def _define_as_of(self) -> None:
        """`FROM <project>_history.as_of('instrument', time)`: the rows readers found at some time (UTC), verbatim."""
        before, behind = literal(f'FROM {identifier(self.history)}."'), literal('"')
        self.connection.execute(
            f"CREATE OR REPLACE MACRO {qualified(self.history, 'as_of')}(instrument, ts) AS TABLE "
            f"SELECT * FROM query({before} || instrument || {behind}) "
            "WHERE _valid_from <= ts AND (_valid_to IS NULL OR _valid_to > ts)"
        )

    def _say_what_is(self, view: str, texts: Mapping[str, str]) -> None:
        for column, text in texts.items():
            place = f"COLUMN {view}.{identifier(column)}" if column else f"VIEW {view}"
            self.comments.append(f"COMMENT ON {place} IS {literal(text)}")


def _catalog(project: str) -> str:
    return identifier(_catalog_name(project))


def _catalog_name(project: str) -> str:
    return f"work:{project}"


def _cell(column: str) -> str:
    """A working cell as readers see it: only keys are blank instead of NULL there."""
    return f"nullif({column}, '')" if column in KEYS else identifier(column)


def _sweep(folder: WarehouseFolder) -> None:
    """Remove what a publish that died left behind; only called while the lock is held."""
    for leftover in folder.path.glob(".publishing-*"):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)
    shutil.rmtree(folder.work / "publish.spill", ignore_errors=True)
