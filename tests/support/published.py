"""Two small studies that are published, and everything that readers of a published file find."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Manifest, fingerprint, last_published, save_manifest
from pipelines.warehouse.publishing.candidates import release
from pipelines.warehouse.store.file_store import FileStore
from redcap_source.simulator import Project, ProjectHandle, Simulator
from redcap_source.simulator.studies.grid import dictionary_from
from tests.support.load_site import Site

PROJECTS = ("study", "small")
BASE = """
# base ~ Base
record_id ~ text ~ ~ Study ID
town ~ text ~ ~ Town
age ~ text ~ integer ~ Age
sex ~ radio ~ ~ Sex ~ 1, Female | 2, Male
"""
VISIT = """
# visit ~ Visit
came_on ~ text ~ date_ymd ~ Came on
tags ~ checkbox ~ ~ Tags ~ 1, One | 2, Two
"""


def repeating() -> Project:
    """Two instruments, of which the second repeats."""
    project = Project(dictionary=dictionary_from(BASE + VISIT))
    project.repeating_forms = {(project.events[0].event_id, "visit"): ""}
    return project


def add_small(site: Site, records: int, name: str = "study") -> ProjectHandle:
    """A study of one instrument, `base`, and records numbered from 1."""
    handle = site.add(name, Project(dictionary=dictionary_from(BASE)))
    for record in range(1, records + 1):
        handle.save(str(record), {"town": f"Town {record}", "age": "40"})
    return handle


@pytest.fixture(scope="package")
def published_once(tmp_path_factory) -> Iterator[Site]:
    """Each study is published twice, so that rows were replaced and removed; the file `older` in it is the first."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as environment:
        site = Site(simulator, tmp_path_factory.mktemp("published"), environment)
        study = site.add("study", Project(dictionary=dictionary_from(BASE)))
        small = site.add("small", repeating())
        for record in ("1", "2", "3"):
            study.save(record, {"town": f"Town {record}", "age": f"4{record}", "sex": "2"})
            small.save(record, {"town": "Altland", "sex": "1"})
            small.save(record, {"came_on": f"2024-02-0{record}", "tags___1": "1"}, instance=1)
        for project in PROJECTS:
            site.load(project)
        site.publish()
        shutil.copyfile(site.warehouse.database, site.warehouse.path / "older")
        study.save("1", {"town": "Neuland"})
        study.delete("2")
        small.save("1", {"came_on": "2024-03-01"}, instance=1)
        for project in PROJECTS:
            site.load(project)
        site.publish()
        yield site


@pytest.fixture(scope="package")
def truth(published_once, tmp_path_factory) -> dict[str, tuple]:
    """What readers find of them."""
    return shown_anew(published_once.warehouse, tmp_path_factory.mktemp("truth"), *PROJECTS)


@pytest.fixture
def published(published_once, tmp_path, monkeypatch) -> Site:
    """A copy of the warehouse, of which everything is published.

    What is changed in REDCap stays changed: a test changes values only, and to others than another test does.
    """
    site = _copied(published_once, tmp_path, monkeypatch)
    # The copy is a file of its own, whose bytes are as published.
    assert not site.publish().written
    return site


def _copied(site: Site, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    shutil.copytree(site.warehouse.path, folder / "warehouse")
    return replace(site, folder=folder, monkeypatch=monkeypatch, handles=dict(site.handles))


@dataclass(frozen=True)
class Waiting:
    """The published studies, of which `study` was changed and loaded since: a warehouse to copy, not to change."""

    folder: WarehouseFolder
    new: dict[str, tuple]
    """What readers find when it is published."""

    @classmethod
    def after(cls, published_once: Site, folder: Path, town: str, *, full: bool = False) -> "Waiting":
        """Change the town of one record, the third, and load it; the warehouse is made in this folder."""
        site = _copied(published_once, folder, published_once.monkeypatch)
        site.handles["study"].save("3", {"town": town})
        site.load(full=full)
        return cls(site.warehouse, shown_anew(site.warehouse, folder, *PROJECTS))

    def put_into(self, folder: WarehouseFolder) -> None:
        """A copy of it, which the next publish knows by its bytes, with all that waits still waiting."""
        shutil.copytree(self.folder.path, folder.path)
        waiting = folder.unpublished()
        for project in waiting:
            folder.unmark(project)
        FileStore(folder).published.publish()
        for project in waiting:
            release(FileStore(folder), project)


_TABLES = """
SELECT schema_name, table_name, list((column_name, data_type, comment) ORDER BY column_index)
FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal
AND schema_name <> '_publish' AND schema_name NOT LIKE '%:%' GROUP BY ALL
"""


def everything(database: Path) -> dict[str, tuple]:
    """The columns with their types and comments, and the rows, of every table and view, by schema and name."""
    found = {}
    with duckdb.connect(str(database), read_only=True) as connection:
        for schema, table, columns in connection.execute(_TABLES).fetchall():
            rows = connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
            found[f"{schema}.{table}"] = (columns, sorted(rows, key=repr))
    return found


def shown_anew(folder: WarehouseFolder, empty: Path, *projects: str) -> dict[str, tuple]:
    """What readers find after the mirrors of these projects were published into an empty folder."""
    other = WarehouseFolder(empty / "anew")
    other.make()
    for project in projects:
        shutil.copyfile(folder.mirror(project), other.mirror(project))
        release(FileStore(other), project)
    FileStore(other).published.publish()
    found = everything(other.database)
    shutil.rmtree(other.path)
    return found


def of_projects(found: dict[str, tuple], *projects: str) -> dict[str, tuple]:
    """What of it is of these projects: their schemas, and their rows of shared tables."""
    kept = {}
    for name, (columns, rows) in found.items():
        schema = name.partition(".")[0]
        if schema in ("redcap", "writeback"):
            place = [column for column, *_ in columns].index("project")
            kept[name] = (columns, [row for row in rows if row[place] in projects])
        elif re.sub("_(labels|raw|history|history_raw)$", "", schema) in projects:
            kept[name] = (columns, rows)
    return kept


def adopt(folder: WarehouseFolder, **known: int) -> None:
    """Let the manifest take the published file as it is for what was published last; `known` is kept as it was."""
    state = last_published(folder)
    found = replace(fingerprint(folder.database), **known)
    save_manifest(folder, Manifest((replace(state, file=found),)))
