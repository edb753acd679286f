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
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
from filelock import FileLock

from pipelines.errors import LoadUnfinished, WarehouseUnreadable
from pipelines.warehouse.catalog import STRUCTURE_TABLES
from pipelines.warehouse.connection import (
    STORAGE_VERSION,
    Connection,
    harden,
    open_reader,
    private_files,
    private_folder,
    reason_of,
)
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.quoting import identifier, literal, qualified
from pipelines.warehouse.sql import statements

# Every load may rewrite these; they hold one project's present state.
REPLACED = ("projects", *STRUCTURE_TABLES, "records", "invalid_values", "sync_runs")
# Rows of these are written once, by one run; a run that was published need not be copied again.
APPENDED = ("dictionary_changes", "record_changes", "sync_chunks")


# How a load ends that readers may see; an incomplete one lacks only records it names.
ENDED_WELL = ("ok", "incomplete")


@dataclass(frozen=True, slots=True)
class Published:
    """What one publish took up."""

    projects: tuple[str, ...]
    instruments_copied: int
    bytes: int


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
    done, so many projects that finish together share a publish.
    """
    folder.make()
    with FileLock(folder.publish_lock, mode=0o600):
        _sweep(folder)
        waiting = folder.waiting()
        if not waiting:
            return Published((), 0, 0)
        try:
            return _publish(folder, waiting, memory_limit)
        except (OSError, duckdb.Error) as problem:
            raise WarehouseUnreadable(path=folder.database, reason=reason_of(problem)) from None
        finally:
            _sweep(folder)


def _publish(folder: WarehouseFolder, waiting: Mapping[str, str], memory_limit: str) -> Published:
    fresh = folder.path / f".publishing-{os.getpid()}.duckdb"
    with private_files():
        if folder.database.exists():
            shutil.copyfile(folder.database, fresh)
        with _open(fresh, folder, list(waiting), memory_limit) as (connection, projects):
            copied = _take_up(connection, projects)
        _sync_to_disk(fresh)
        size = fresh.stat().st_size
        fresh.replace(folder.database)
        _sync_to_disk(folder.path)
    for project in projects:
        folder.taken_up(project, waiting[project])
    return Published(tuple(projects), copied, size)


@contextmanager
def _open(
    fresh: Path, folder: WarehouseFolder, waiting: Sequence[str], memory_limit: str
) -> Iterator[tuple[Connection, list[str]]]:
    """The new database with the working files of the waiting projects attached, read-only."""
    connection = duckdb.connect()
    try:
        version = "" if fresh.exists() else f" (STORAGE_VERSION {literal(STORAGE_VERSION)})"
        connection.execute(f"ATTACH {literal(str(fresh))} AS warehouse{version}")
        projects = [project for project in waiting if _attach(connection, folder, project)]
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
        yield connection, projects
    finally:
        connection.close()


def _attach(connection: Connection, folder: WarehouseFolder, project: str) -> bool:
    """Attach a working file; False while its next load is running (that load publishes when it ends)."""
    try:
        connection.execute(f"ATTACH {literal(str(folder.mirror(project)))} AS {_catalog(project)} (READ_ONLY)")
    except duckdb.IOException as problem:
        if "onflicting lock" in str(problem):
            return False
        raise
    return True


def _take_up(connection: Connection, projects: Sequence[str]) -> int:
    connection.execute(statements("catalog")["create_catalog"])
    connection.execute(statements("publish")["create_bookkeeping"])
    connection.execute("BEGIN TRANSACTION")
    copied = sum(_ProjectPublish(connection, project).run() for project in projects)
    connection.execute("COMMIT")
    connection.execute("CHECKPOINT")
    return copied


class _ProjectPublish:
    """One project's part of a publish."""

    def __init__(self, connection: Connection, project: str) -> None:
        self.connection = connection
        self.project = project
        self.source = _catalog(project)

    def run(self) -> int:
        """Bring the published project to its working file; returns how many instruments were copied."""
        for suffix in ("", "_labels", "_raw"):
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(self.project + suffix)}")
        self._copy_catalog()
        shown = self.connection.execute(
            "SELECT instrument, copy_select, typed_select, label_select, comments, changed_run "
            f"FROM {self.source}.state.publication JOIN {self.source}.state.instruments USING (instrument) "
            "ORDER BY position"
        ).fetchall()
        before = self._bookkept()
        self._drop([name for name in before if name not in {row[0] for row in shown}])
        return sum(self._show(before.get(row[0]), *row) for row in shown)

    def _copy_catalog(self) -> None:
        values = {"project": self.project}
        for table in REPLACED:
            target, origin = qualified("redcap", table), f"{self.source}.redcap.{identifier(table)}"
            self.connection.execute(f"DELETE FROM {target} WHERE project = $project", values)
            self.connection.execute(f"INSERT INTO {target} BY NAME SELECT * FROM {origin}")
        for table in APPENDED:
            target, origin = qualified("redcap", table), f"{self.source}.redcap.{identifier(table)}"
            self.connection.execute(
                f"INSERT INTO {target} BY NAME SELECT * FROM {origin} WHERE run_id NOT IN "
                f"(SELECT run_id FROM {target} WHERE project = $project AND run_id IS NOT NULL)",
                values,
            )

    def _bookkept(self) -> dict[str, tuple[str, str]]:
        found = self.connection.execute(
            "SELECT instrument, changed_run, definition FROM _publish.instruments WHERE project = $project",
            {"project": self.project},
        ).fetchall()
        return {name: (run, definition) for name, run, definition in found}

    def _drop(self, instruments: Sequence[str]) -> None:
        for name in instruments:
            for suffix in ("", "_labels"):
                self.connection.execute(f"DROP VIEW IF EXISTS {qualified(self.project + suffix, name)}")
            self.connection.execute(f"DROP TABLE IF EXISTS {qualified(self.project + '_raw', name)}")
            self._forget(name)

    def _forget(self, instrument: str) -> None:
        self.connection.execute(
            "DELETE FROM _publish.instruments WHERE project = $project AND instrument = $instrument",
            {"project": self.project, "instrument": instrument},
        )

    def _show(
        self,
        before: tuple[str, str] | None,
        name: str,
        copy: str,
        typed: str,
        labels: str,
        comments: str,
        changed_run: str,
    ) -> int:
        """Copy the instrument's rows and make its views, each only where something changed."""
        definition = hashlib.sha256(json.dumps([copy, typed, labels, comments]).encode()).hexdigest()
        if before == (changed_run, definition):
            return 0
        raw = qualified(self.project + "_raw", name)
        origin = f"{self.source}.raw.{identifier(name)}"
        if before is not None and before[1] == definition:
            # Emptied rather than made anew: making comments costs more than copying rows.
            self.connection.execute(f"DELETE FROM {raw}")
            self.connection.execute(f"INSERT INTO {raw} {copy} FROM {origin}")
        else:
            self.connection.execute(f"CREATE OR REPLACE TABLE {raw} AS {copy} FROM {origin}")
            # Its columns are told of in the two views; a third time would cost as much as copying the rows.
            self._comment("TABLE", raw, {"": json.loads(comments)[""]})
            for schema, select in ((self.project, typed), (f"{self.project}_labels", labels)):
                view = qualified(schema, name)
                self.connection.execute(f"CREATE OR REPLACE VIEW {view} AS {select} FROM {raw}")
                self._comment("VIEW", view, json.loads(comments))
        self._forget(name)
        self.connection.execute(
            "INSERT INTO _publish.instruments VALUES ($project, $name, $run, $definition)",
            {"project": self.project, "name": name, "run": changed_run, "definition": definition},
        )
        return 1

    def _comment(self, kind: str, target: str, comments: dict[str, str]) -> None:
        places = [
            (f"COLUMN {target}.{identifier(c)}" if c else f"{kind} {target}", text) for c, text in comments.items()
        ]
        # One call for all: each costs as much as its statement.
        self.connection.execute("; ".join(f"COMMENT ON {place} IS {literal(text)}" for place, text in places))


def _catalog(project: str) -> str:
    return identifier(f"work:{project}")


def _sync_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: WarehouseFolder) -> None:
    """Remove what a publish that died left behind; only called while the lock is held."""
    for leftover in folder.path.glob(".publishing-*"):
        leftover.unlink(missing_ok=True)
    shutil.rmtree(folder.work / "publish.spill", ignore_errors=True)
