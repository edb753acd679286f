"""The first publish begins as a copy of a mirror; what readers find must not depend on that."""

import shutil
import subprocess
import sys
from dataclasses import replace

import duckdb
import pytest

from pipelines.errors import NotAllPublished
from pipelines.warehouse.database.connection import BLOCK_SIZE, SMALL_BLOCK_SIZE
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Shape, manifest_path
from pipelines.warehouse.publishing import first_load, new_file
from pipelines.warehouse.publishing.candidates import release
from pipelines.warehouse.publishing.new_file import block_size_for
from pipelines.warehouse.publishing.publish import BLOCKS
from pipelines.warehouse.tables.layout import rows_now
from redcap_source.simulator import Simulator
from tests.support.load_site import Site
from tests.support.published import add_small, repeating


def shown(folder: WarehouseFolder, project: str) -> dict[str, tuple]:
    """Everything readers find of a project: columns with types and comments, and rows, of every table and view."""
    found = {}
    with duckdb.connect(str(folder.database), read_only=True) as connection:
        schemas = (*(f"{project}{ending}" for ending in ("", "_labels", "_raw", "_history")), "redcap", "writeback")
        tables = connection.execute(
            "SELECT schema_name, table_name, list((column_name, data_type, comment) ORDER BY column_index) "
            "FROM duckdb_columns() WHERE list_contains(?, schema_name) GROUP BY ALL",
            [list(schemas)],
        ).fetchall()
        for schema, table, columns in tables:
            own = f"WHERE project = '{project}'" if schema in ("redcap", "writeback") else ""
            rows = connection.execute(f'SELECT * FROM "{schema}"."{table}" {own} ORDER BY ALL').fetchall()
            found[f"{schema}.{table}"] = (columns, rows)
    return found


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory) -> Site:
    """A study loaded twice before anything is published, and two loaded once, of which `other` is the larger."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as environment:
        site = Site(simulator, tmp_path_factory.mktemp("loaded"), environment)
        study = add_small(site, 12)
        site.load("study")
        changed, deleted, *_ = study.records()
        study.save(changed, {"town": "Neuland"})
        study.delete(deleted)
        site.load("study")
        small = site.add("small", repeating())
        for record in ("1", "2"):
            small.save(record, {"town": "Altland", "sex": "1"})
            small.save(record, {"came_on": "2024-02-01", "tags___1": "1"}, instance=1)
        site.load("small")
        site.study("repeating", 6, "other")
        site.load("other")
        sizes = {project: site.warehouse.mirror(project).stat().st_size for project in ("small", "other")}
        assert sizes["other"] > sizes["small"]
        yield site


@pytest.fixture
def loaded(loaded_once, tmp_path, monkeypatch) -> Site:
    """A copy of that, of which nothing is published yet."""
    shutil.copytree(loaded_once.warehouse.path, tmp_path / "warehouse")
    return replace(loaded_once, folder=tmp_path, monkeypatch=monkeypatch)


def in_mirror(site: Site, query: str) -> list[tuple]:
    with duckdb.connect(str(site.warehouse.mirror("study")), read_only=True) as connection:
        return connection.execute(query).fetchall()


def in_a_new_warehouse(site: Site, *projects: str) -> WarehouseFolder:
    """The same mirrors, of which nothing was published yet, some of them waiting for that."""
    site.warehouse.database.unlink(missing_ok=True)
    manifest_path(site.warehouse).unlink(missing_ok=True)
    for project in ("study", "small", "other"):
        site.warehouse.unmark(project)
    for project in projects:
        release(site.store, project)
    return site.warehouse


def test_a_copied_project_shows_what_a_written_one_shows(loaded):
    folder = in_a_new_warehouse(loaded, "small")
    loaded.publish()
    copied = shown(folder, "small")
    assert copied["small.visit"][1]
    assert copied["small_history.visit"][1]
    in_a_new_warehouse(loaded, "small", "other")
    loaded.publish()
    assert shown(folder, "small") == copied
    # Nothing of the next load's state is published with the project that was copied.
    schemas = {name for (name,) in loaded.rows("SELECT schema_name FROM duckdb_schemas() WHERE NOT internal")}
    assert "state" not in schemas
    assert {"small:now", "other:now", "_publish", "redcap"} <= schemas


def test_what_was_replaced_before_the_first_publish_is_in_no_hole_of_it(loaded):
    [(record,)] = in_mirror(loaded, "SELECT record FROM redcap.record_changes WHERE new_value = 'Neuland' LIMIT 1")
    in_a_new_warehouse(loaded, "study")
    loaded.publish()
    # Written afresh, not copied: readers find both versions, and nothing of the file is free.
    assert len(loaded.rows(f"SELECT * FROM study_history.base WHERE record_id = '{record}'")) == 2
    assert loaded.rows("SELECT free_blocks FROM pragma_database_size()") == [(0,)]


def test_first_rows_are_told_alike_wherever_they_are_read(loaded, monkeypatch):
    in_a_new_warehouse(loaded, "study", "small")
    loaded.publish()
    told = loaded.rows("SELECT * FROM redcap.record_changes ORDER BY ALL")
    kept = loaded.rows("SELECT count(*) FROM _publish.first_load")
    assert len({row[0] for row in told}) == 2
    assert kept == [(0,)]
    in_a_new_warehouse(loaded, "study", "small")
    monkeypatch.setattr(first_load, "IN_PLACE", 2)
    loaded.publish()
    assert loaded.rows("SELECT * FROM redcap.record_changes ORDER BY ALL") == told
    assert loaded.rows("SELECT count(*) FROM _publish.first_load") != kept


# tests/cli/test_publish.py has one that cannot be published.
@pytest.mark.fuzz
def test_the_others_are_published_where_the_copied_project_cannot_be(loaded):
    with duckdb.connect(str(loaded.warehouse.mirror("other"))) as connection:
        connection.execute(f"DROP TABLE {rows_now('other', 'intake')}")
    in_a_new_warehouse(loaded, "study", "other")
    with pytest.raises(NotAllPublished, match=r"other: .*The others are published: study"):
        loaded.publish()
    assert loaded.rows("SELECT DISTINCT project FROM redcap.records") == [("study",)]
    assert loaded.rows("SELECT count(*) FROM study_raw.base") == [(11,)]
    schemas = {name for (name,) in loaded.rows("SELECT schema_name FROM duckdb_schemas()")}
    assert not {"other", "other:now", "state"} & schemas


def test_a_mirror_that_is_broken_is_told_and_one_that_is_being_loaded_waits(loaded):
    folder = in_a_new_warehouse(loaded, "study", "small", "other")
    folder.mirror("other").write_bytes(b"no database" * 1000)
    holding = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holding, str(folder.mirror("small"))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other_process:
        assert other_process.stdout.readline() == b"held\n"
        with pytest.raises(NotAllPublished, match=r"other: .*The others are published: study\.") as raised:
            loaded.publish()
        other_process.stdin.close()
    assert "small" not in str(raised.value)
    assert folder.unpublished().keys() == {"small", "other"}


def test_what_a_mirror_of_another_version_holds_is_not_published(loaded):
    with duckdb.connect(str(loaded.warehouse.mirror("study"))) as connection:
        connection.execute("UPDATE state.identity SET format = 1")
    in_a_new_warehouse(loaded, "study", "small")
    with pytest.raises(NotAllPublished, match="study: another version of redcap-warehouse made it"):
        loaded.publish()
    assert loaded.warehouse.unpublished().keys() == {"study"}


def test_many_small_tables_get_small_blocks_and_a_large_one_gets_large_blocks():
    assert block_size_for([Shape(20, 1000)]) == BLOCK_SIZE
    assert block_size_for([Shape(8, 1000)] * 100) == SMALL_BLOCK_SIZE
    assert block_size_for([Shape(8, 1000)] * 99 + [Shape(8, 5_000_000)]) == BLOCK_SIZE


# The size of blocks is a question of speed.
@pytest.mark.fuzz
def test_a_file_whose_tables_have_become_many_is_made_again_with_other_blocks(loaded, monkeypatch):
    folder = in_a_new_warehouse(loaded, "small")
    loaded.publish()
    assert loaded.rows("SELECT block_size FROM pragma_database_size()") == [(BLOCK_SIZE,)]
    before = shown(folder, "small")
    monkeypatch.setattr(new_file, "BLOCKS_WORTH_SAVING", 0)
    release(loaded.store, "other")
    assert loaded.publish().rebuilt == BLOCKS
    assert loaded.rows("SELECT block_size FROM pragma_database_size()") == [(SMALL_BLOCK_SIZE,)]
    assert shown(folder, "small") == before
    assert loaded.rows("SELECT count(*) FROM other.intake")[0][0] > 0


def lose_the_mirror(folder: WarehouseFolder) -> None:
    folder.mirror("small").write_bytes(b"no database" * 1000)


def lose_a_table(folder: WarehouseFolder) -> None:
    """Noticed only when the project is written."""
    with duckdb.connect(str(folder.mirror("small"))) as connection:
        connection.execute(f"DROP TABLE {rows_now('small', 'visit')}")


@pytest.mark.fuzz
@pytest.mark.parametrize("damage", [lose_a_table, lose_the_mirror])
def test_a_file_keeps_its_blocks_while_a_project_could_not_be_published_again(loaded, monkeypatch, damage):
    folder = in_a_new_warehouse(loaded, "small")
    loaded.publish()
    monkeypatch.setattr(new_file, "BLOCKS_WORTH_SAVING", 0)
    damage(folder)
    release(loaded.store, "other")
    done = loaded.publish()
    assert (done.projects, done.rebuilt) == (("other",), None)
    assert loaded.rows("SELECT count(*) FROM small.visit")[0][0] > 0
