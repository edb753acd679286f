"""Whatever became of the lake, the next publish is right, and says in one line what it made again and why."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

from pipelines.coordination.connection import Session
from pipelines.errors import LakeUnusable
from pipelines.store_errors import SharedPlaceUnusable
from pipelines.warehouse.database.extensions import load_extension
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.published.query import ask as ask_published
from pipelines.warehouse.publishing.candidates import release
from pipelines.warehouse.store.lake_store import LakeStore
from pipelines.warehouse.store.results import PublishedState
from tests.support.lake import everything_in
from tests.support.postgres import RunningPostgres, ask
from tests.support.published import PROJECTS

pytestmark = pytest.mark.lake
_numbers = itertools.count()
MOVE = "UPDATE redcap_lake.ducklake_metadata SET value = %s WHERE key = 'data_path'"


@dataclass
class Damaged:
    """A copy of a store in which two projects are published, on a machine that has loaded nothing."""

    store: LakeStore
    lake: Lake
    wanted: dict[str, tuple]
    """What readers find in it, and in a file that is published from the same mirrors."""

    def files(self, pattern: str) -> list[Path]:
        return sorted(Path(self.lake.data).glob(pattern))

    def sql(self, *statements: str) -> None:
        """What somebody does who may write to the lake."""
        with duckdb.connect() as connection:
            load_extension(connection, "postgres_scanner")
            load_extension(connection, "ducklake")
            connection.execute(f"ATTACH 'ducklake:postgres:{self.lake.catalog}' AS w (METADATA_SCHEMA 'redcap_lake')")
            for statement in statements:
                connection.execute(statement)


@pytest.fixture(scope="module")
def begun(published_once, postgres: RunningPostgres, tmp_path_factory):
    """The database and the data of that store, and what readers find: made once from the mirrors of two studies."""
    folder = WarehouseFolder(tmp_path_factory.mktemp("begun") / "one")
    folder.make()
    data = folder.path.with_name("shared")
    # A process that comes back to these tests later makes it again.
    template = f"damage_begun{next(_numbers)}"
    catalog = postgres.new_database(template)
    with LakeStore(folder, catalog=catalog, data=str(data)) as store:
        for project in PROJECTS:
            shutil.copyfile(published_once.warehouse.mirror(project), folder.mirror(project))
            store.copies.adopt(project, "adopted")
            release(store, project)
            store.published.publish()
    return template, data, everything_in(Lake(catalog, str(data)))


@pytest.fixture
def damaged(begun, postgres: RunningPostgres, tmp_path):
    """A copy of it, for one test."""
    template, data, wanted = begun
    name = f"damage{next(_numbers)}"
    ask(postgres.url, f"CREATE DATABASE {name} TEMPLATE {template}")
    lake = Lake(postgres.of_database(name), str(tmp_path / "shared"))
    shutil.copytree(data, lake.data)
    ask(lake.catalog, MOVE, lake.data_path)
    with LakeStore(WarehouseFolder(tmp_path / "two"), catalog=lake.catalog, data=lake.data) as store:
        yield Damaged(store, lake, wanted)


def drop_catalog(damaged: Damaged) -> None:
    ask(damaged.lake.catalog, "DROP SCHEMA redcap_lake CASCADE")


def empty_catalog(damaged: Damaged) -> None:
    tables = ask(damaged.lake.catalog, "SELECT tablename FROM pg_tables WHERE schemaname = 'redcap_lake'")
    ask(damaged.lake.catalog, "TRUNCATE " + ", ".join(f"redcap_lake.{table}" for (table,) in tables))


def lose_a_table_of_the_catalog(damaged: Damaged) -> None:
    ask(damaged.lake.catalog, "DROP TABLE redcap_lake.ducklake_data_file")


def roll_back(damaged: Damaged) -> None:
    """As a catalog that was restored from a dump between the two publications."""
    [(last,)] = ask(damaged.lake.catalog, "SELECT max(snapshot_id) FROM redcap_lake.ducklake_snapshot")
    columns = (
        "SELECT table_name FROM information_schema.columns WHERE table_schema = 'redcap_lake' AND column_name = %s"
    )
    for (table,) in ask(damaged.lake.catalog, columns, "begin_snapshot"):
        ask(damaged.lake.catalog, f"DELETE FROM redcap_lake.{table} WHERE begin_snapshot = {last}")
    for (table,) in ask(damaged.lake.catalog, columns, "end_snapshot"):
        ask(damaged.lake.catalog, f"UPDATE redcap_lake.{table} SET end_snapshot = NULL WHERE end_snapshot = {last}")
    for table in ("ducklake_snapshot", "ducklake_snapshot_changes"):
        ask(damaged.lake.catalog, f"DELETE FROM redcap_lake.{table} WHERE snapshot_id = {last}")


def delete_rows(damaged: Damaged) -> None:
    damaged.sql("DELETE FROM w.study.base")


def change_shared_rows(damaged: Damaged) -> None:
    damaged.sql(
        "DELETE FROM w.redcap.records WHERE project = 'small'",
        "INSERT INTO w.redcap.records (project, record) VALUES ('nobody', '1')",
    )


def drop_a_shared_table(damaged: Damaged) -> None:
    damaged.sql("DROP TABLE w.redcap.records", "CREATE TABLE w.redcap.mine AS SELECT 1 AS one")


def alter_a_table(damaged: Damaged) -> None:
    damaged.sql("ALTER TABLE w.study.base ADD COLUMN mine INTEGER", "DROP VIEW w.study_labels.base")


BOTH = "small, study were"
CASES = [
    (drop_catalog, BOTH, "its catalog in PostgreSQL was gone"),
    (empty_catalog, BOTH, "its catalog in PostgreSQL was gone"),
    (lose_a_table_of_the_catalog, BOTH, "its catalog in PostgreSQL was gone"),
    (roll_back, BOTH, "it was older than what was published last, like one restored from a backup"),
    (delete_rows, "study was", "it had been changed by somebody else since it was published"),
    (change_shared_rows, BOTH, "it had been changed by somebody else since it was published"),
    (drop_a_shared_table, BOTH, "it had been changed by somebody else since it was published"),
    (alter_a_table, "study was", "it had been changed by somebody else since it was published"),
]


@pytest.mark.parametrize(
    ("damage", "which", "why"),
    # The others are in the long runs.
    [pytest.param(*case, marks=[] if case[0] in (drop_catalog, delete_rows) else pytest.mark.fuzz) for case in CASES],
    ids=[case[0].__name__ for case in CASES],
)
def test_what_is_not_as_published_is_published_again(
    damaged: Damaged, caplog, damage: Callable[[Damaged], None], which: str, why: str
):
    damage(damaged)
    assert damaged.store.published.condition().reason == why
    done = damaged.store.published.publish()
    assert done.written and not done.failed and not done.left_out
    assert [record.getMessage() for record in caplog.records] == [
        f"the published DuckLake: {which} published again as a whole, because {why}."
    ]
    assert everything_in(damaged.lake) == damaged.wanted
    assert damaged.store.published.condition().state is PublishedState.AS_PUBLISHED
    assert not damaged.store.published.publish().projects


@pytest.mark.parametrize(
    ("pattern", "which", "is_cut"),
    [
        pytest.param("study/base/*.parquet", "study was", True, id="a table is cut"),
        pytest.param("redcap/records/*.parquet", BOTH, False, id="a shared table is missing"),
        pytest.param("study/base/*.parquet", "study was", False, marks=pytest.mark.fuzz, id="a table is missing"),
        pytest.param("redcap/records/*.parquet", BOTH, True, marks=pytest.mark.fuzz, id="a shared table is cut"),
    ],
)
def test_a_publish_of_a_project_finds_data_files_that_are_not_as_written(
    damaged: Damaged, caplog, pattern: str, which: str, is_cut: bool
):
    for file in damaged.files(pattern):
        file.write_bytes(file.read_bytes()[:-9]) if is_cut else file.unlink()
    if not is_cut:
        table = ".".join(pattern.split("/")[:2])
        with (
            pytest.raises(LakeUnusable, match=r"reading it failed .* is not there; `redcap-warehouse publish` makes"),
            damaged.store.published.open() as connection,
        ):
            ask_published(damaged.store.published, connection, f"FROM {table}")
    release(damaged.store, "study")
    assert not damaged.store.published.publish().failed
    [said] = [record.getMessage() for record in caplog.records]
    assert f"{which} published again as a whole, because data files were missing or had another size" in said
    assert everything_in(damaged.lake) == damaged.wanted


@pytest.mark.fuzz
def test_a_rebuild_finds_the_missing_files_of_every_project_also_when_all_are_gone(damaged: Damaged):
    for file in damaged.files("*/*/*.parquet"):
        file.unlink()
    done = damaged.store.published.publish(rebuild=True)
    assert set(done.projects) == set(PROJECTS) and done.rebuilt == "that was requested" and not done.failed
    assert everything_in(damaged.lake) == damaged.wanted


@pytest.mark.parametrize("damage", [drop_catalog, pytest.param(delete_rows, marks=pytest.mark.fuzz)])
def test_while_the_drive_is_not_mounted_nothing_is_made_again(damaged: Damaged, damage: Callable[[Damaged], None]):
    damage(damaged)
    data = Path(damaged.lake.data)
    mounted = data.rename(data.with_name("mounted"))
    data.mkdir()
    for rebuild in (False, True):
        with pytest.raises(SharedPlaceUnusable, match="Make sure that the drive is mounted"):
            damaged.store.published.publish(rebuild=rebuild)
    assert list(data.iterdir()) == []
    data.rmdir()
    mounted.rename(data)
    assert damaged.store.published.publish().written
    assert everything_in(damaged.lake) == damaged.wanted


def test_a_lake_as_published_costs_four_statements_and_is_not_attached(damaged: Damaged, monkeypatch):
    damaged.store.published.publish()
    asked = []
    once = Session.once

    def counted(self, statement, *more, **options):
        asked.append(statement)
        return once(self, statement, *more, **options)

    monkeypatch.setattr(Session, "once", counted)
    assert not damaged.store.published.publish().projects
    assert len(asked) == 4
    assert damaged.store.published._publisher is None


@pytest.mark.fuzz
def test_maintenance_and_forgetting_are_no_damage_and_hide_none(damaged: Damaged):
    damaged.store.published.maintain()
    assert damaged.store.published.condition().reason is None
    delete_rows(damaged)
    damaged.store.published.maintain()
    assert damaged.store.published.condition().reason == "an earlier publish had not made it again"
    damaged.store.forget("small")
    assert damaged.store.published.publish().projects == ("study",)
    assert everything_in(damaged.lake)["study.base"] == damaged.wanted["study.base"]
    assert damaged.store.published.condition().reason is None


def test_what_a_publisher_did_that_died_is_right(damaged: Damaged, monkeypatch):
    release(damaged.store, "study")
    monkeypatch.setattr(damaged.store.published._watch, "end", None)
    with pytest.raises(TypeError):
        damaged.store.published.publish(rebuild=True)
    assert damaged.store.published.condition().reason is None


def test_one_whose_mirror_is_gone_is_told_and_the_others_are_made_again(damaged: Damaged):
    for file in damaged.files("mirrors/study/*"):
        file.unlink()
    drop_catalog(damaged)
    with pytest.raises(Exception, match="study") as found:
        damaged.store.published.publish()
    assert set(found.value.failed) == {"study"} and set(found.value.published) == {"small"}
    assert damaged.store.published.condition().reason == "an earlier publish had not made it again"
