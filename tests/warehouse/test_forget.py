"""A project that is forgotten is in no byte of the warehouse folder."""

import json
import os
import shutil
from pathlib import Path

import duckdb
import pytest
from filelock import FileLock
from typer.testing import CliRunner, Result

from pipelines.cli.app import app
from pipelines.errors import NotAllPublished, WarehouseBusy
from pipelines.warehouse.forget import find_traces, forget
from pipelines.warehouse.manifest import last_published, manifest_path
from pipelines.warehouse.published.status import statuses
from pipelines.warehouse.publishing.publish import publish
from tests.support.published import add_small, everything, of_projects

CANARY = "Quorthwick"


def holding(site, text: str) -> list[str]:
    """The files of the warehouse in whose bytes a text stands."""
    return [
        str(path) for path in site.warehouse.path.rglob("*") if path.is_file() and text.encode() in path.read_bytes()
    ]


def command(*words: str) -> Result:
    """`redcap-warehouse forget`."""
    return CliRunner().invoke(app, ["forget", *words])


def test_forgetting_a_project_leaves_no_byte_of_it_and_all_of_the_others(site):
    old = add_small(site, 4, "oldstudy")
    kept = add_small(site, 3, "kept")
    old.save(old.records()[0], {"town": CANARY})
    site.load("kept")
    site.night("oldstudy")
    old.save(old.records()[0], {"town": "Neuland"})
    site.night("oldstudy")
    before = site.rows("SELECT * FROM kept.base ORDER BY ALL")
    assert holding(site, CANARY)
    del site.handles["oldstudy"]
    # Taken out of projects.yaml it stays published, which is said and is no failure.
    [present, gone] = statuses(site.warehouse, ["kept"], others=True)
    assert (present.configured, gone.project, gone.configured, gone.lost) == (True, "oldstudy", False, False)

    with FileLock(site.warehouse.project_lock("oldstudy")), pytest.raises(WarehouseBusy):
        forget(site.warehouse, "oldstudy")
    refused = command("kept", "--yes", "--config", str(site.path))
    assert refused.exit_code == 1
    assert "still configured" in str(refused.exception)
    unasked = command("oldstudy", "--config", str(site.path))
    assert unasked.exit_code == 1
    assert "--yes" in str(unasked.exception)
    assert holding(site, CANARY)

    told = command("oldstudy", "--yes", "--json", "--config", str(site.path))
    assert told.exit_code == 0, told.exception
    removed = json.loads(told.stdout)
    assert "oldstudy_history" in removed["schemas"]
    assert removed["rows"]["redcap.sync_runs"] == 2
    assert "work/oldstudy.duckdb" in removed["files"]
    assert holding(site, CANARY) == []
    assert holding(site, "oldstudy") == []
    assert [path for path in site.warehouse.path.rglob("*") if "oldstudy" in path.name] == []
    assert not find_traces(site.warehouse, "oldstudy")
    assert site.rows("SELECT * FROM kept.base ORDER BY ALL") == before
    assert site.rows("SELECT DISTINCT project FROM redcap.record_changes") == [("kept",)]
    kept.save(kept.records()[0], {"town": "Neuland"})
    site.night("kept")
    with duckdb.connect(str(site.warehouse.database), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM redcap.sync_runs").fetchall() == [(2,)]


def delete_the_project(site) -> None:
    """Its rows stay in free blocks of the file."""
    with duckdb.connect(str(site.warehouse.database)) as connection:
        for schema in ("small", "small:now", "small:past", "small_raw", "small_labels", "small_history"):
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
        for table in ("redcap.projects", "redcap.sync_runs", "_publish.sources", "_publish.cell_changes"):
            connection.execute(f"DELETE FROM {table} WHERE project = 'small'")


def cut_off(site) -> None:
    os.truncate(site.warehouse.database, site.warehouse.database.stat().st_size // 2)


def lose_the_manifest(site) -> None:
    manifest_path(site.warehouse).unlink()


def leave_a_log(site) -> None:
    """As a reader that was killed leaves it, with the project's values."""
    Path(f"{site.warehouse.database}.wal").write_bytes(b"Altland")


@pytest.mark.parametrize(
    "spoil",
    [
        delete_the_project,
        pytest.param(cut_off, marks=pytest.mark.fuzz),
        pytest.param(lose_the_manifest, marks=pytest.mark.fuzz),
        leave_a_log,
    ],
)
def test_a_project_is_forgotten_although_the_published_file_is_spoiled(published, truth, spoil):
    folder = published.warehouse
    (folder.path / "older").unlink()
    spoil(published)
    assert holding(published, "Altland")
    forget(folder, "small")
    assert [holding(published, text) for text in ("Altland", "small")] == [[], []]
    assert everything(folder.database) == of_projects(truth, "study")
    assert not find_traces(folder, "small")
    assert not publish(folder).written


def test_where_nothing_else_can_be_published_a_spoiled_file_is_removed(published, truth, tmp_path):
    folder, mirror = published.warehouse, published.warehouse.mirror("study")
    (folder.path / "older").unlink()
    shutil.copyfile(mirror, tmp_path / "backup")
    mirror.write_bytes(b"no database" * 2000)
    delete_the_project(published)
    forget(folder, "small")
    assert holding(published, "Altland") == []
    assert not folder.database.exists()
    shutil.copyfile(tmp_path / "backup", mirror)
    assert publish(folder).projects == ("study",)
    assert everything(folder.database) == of_projects(truth, "study")


def test_a_project_that_the_published_file_lacks_is_forgotten_too(published):
    folder = published.warehouse
    mirror = folder.mirror("small")
    mirror.write_bytes(b"no database" * 2000)
    folder.database.unlink()
    with pytest.raises(NotAllPublished):
        publish(folder)
    forget(folder, "small")
    assert not publish(folder).written
    assert not last_published(folder).names("small")


@pytest.mark.parametrize("name", ["redcap", "writeback", "main", "kept_labels", "kept_history", "..", "", "../../kept"])
def test_forgetting_a_name_that_no_project_can_have_removes_nothing(site, name):
    path = site.warehouse.path
    site.warehouse.make()
    with duckdb.connect(str(site.warehouse.database)) as connection:
        for schema in ("redcap", "writeback", "kept_labels", "kept_history"):
            connection.execute(f"CREATE SCHEMA {schema}; CREATE TABLE {schema}.t (project VARCHAR)")
        connection.execute("CREATE SCHEMA _publish")
    (path / "work" / "staging" / "kept").mkdir(parents=True)
    (path.parent / "kept.duckdb").touch()
    before = sorted(site.folder.rglob("*")), site.warehouse.database.read_bytes()
    assert not find_traces(site.warehouse, name)
    assert not forget(site.warehouse, name)
    assert (sorted(site.folder.rglob("*")), site.warehouse.database.read_bytes()) == before
