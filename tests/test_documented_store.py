"""The pages about a store of several machines: what they tell to type is typed, against a real PostgreSQL and a folder.

One hospital sets everything up as docs/howto/several-machines.md says, on two machines; then somebody reads it, and it
is backed up and restored. What cannot run here says why.
"""

from __future__ import annotations

import os
import re
import shutil
import unittest.mock
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import pytest

from redcap_source.simulator import Simulator, make_study
from tests.support.lake import everything_in, rows_in
from tests.support.postgres import RunningPostgres, ask, program, restartable_postgres
from tests.test_documented_commands import BIN, ROOT, Workplace, blocks, commands

pytestmark = pytest.mark.lake

HOW_TO = ROOT / "docs" / "howto"
SET_UP, READ, BACKUP = (HOW_TO / f"{name}.md" for name in ("several-machines", "read-lake", "store-backup"))
PASSWORD = "letters4and5digits"
# What is documented and cannot run here, with the reason.
NOT_RUN = {
    "git clone https://git.example.edu/redcap-warehouse.git": "needs the network",
    "cd redcap-warehouse": "the test is in such a folder already",
    "make store": "installs packages; what it installs is what these tests run on",
    "setfacl --modify group:redcap-readers:rx,default:group:redcap-readers:rx /mnt/redcap": (
        "needs a group and a file system with access control lists"
    ),
}


def section(page: Path, heading: str, tmp_path: Path) -> Path:
    """The part of a page below a heading, as a page of its own."""
    [text] = re.findall(
        rf"^## {re.escape(heading)}\n(.*?)(?=^## |\Z)", page.read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    path = tmp_path / f"{page.stem}.md"
    path.write_text(text, encoding="utf-8")
    return path


@dataclass
class Hospital:
    """A PostgreSQL, a folder that all machines mount, and the machines' own folders."""

    folder: Path
    server: RunningPostgres
    simulator: Simulator
    workplace: Workplace

    def here(self, text: str) -> str:
        """A page's text, with the places of this hospital."""
        text = text.replace("db.example.edu", f"127.0.0.1:{self.server.port}")
        text = re.sub(r"(?<=[':])PASSWORD(?=['@])", PASSWORD, text)
        text = re.sub(r"\?sslmode=verify-full&sslrootcert=[^']*", "", text)
        text = re.sub(r"host=(127\.0\.0\.1):(\d+)", r"host=\1 port=\2", text)
        text = re.sub(r" sslmode=verify-full( \"?,?\s*\"?)?\s*sslrootcert=[^' \"]*", "", text)
        return text.replace("/mnt/", f"{self.folder}/mnt/").replace("/srv/backup", f"{self.folder}/backup")

    def type(self, command: str) -> str:
        """Run one line of a page on the machine whose folder is the current one."""
        if command in NOT_RUN:
            return NOT_RUN[command]
        # The passwords are asked at a terminal; this server asks none on loopback.
        command = self.here(command.replace("--pwprompt ", ""))
        if command.startswith("export WAREHOUSE_CATALOG="):
            os.environ["WAREHOUSE_CATALOG"] = command.partition("=")[2].strip("'")
            return ""
        return self.workplace.type(command)

    def machine(self, name: str, *, database: str = "redcap", data: str = "redcap") -> Path:
        """Go to a machine, whose projects.yaml is the page's."""
        home = self.folder / name
        home.mkdir(exist_ok=True)
        [text] = [text for text in blocks(SET_UP, "yaml") if "store:" in text]
        text = self.here(text).replace("https://redcap.example.edu/api/", self.simulator.url)
        text = text.replace("/srv/redcap-warehouse", str(home / "warehouse"))
        (home / "projects.yaml").write_text(text.replace("mnt/redcap", f"mnt/{data}"), encoding="utf-8")
        os.environ["WAREHOUSE_CATALOG"] = self.catalog(database)
        os.chdir(home)
        return home

    def catalog(self, database: str = "redcap", user: str = "redcap_loader") -> str:
        """The URL of a database, for a user."""
        return f"postgresql://{user}:{PASSWORD}@127.0.0.1:{self.server.port}/{database}"

    def lake(self, database: str = "redcap", data: str = "redcap") -> object:
        """What is published."""
        from pipelines.warehouse.lake.address import Lake

        return Lake(self.catalog(database), str(self.folder / "mnt" / data))

    def as_administrator(self, statements: str) -> None:
        """Statements of a page, as PostgreSQL's administrator in the database of the store."""
        ask(self.server.of_database("redcap"), self.here(statements))


@pytest.fixture(scope="module")
def hospital(tmp_path_factory) -> Iterator[Hospital]:
    """A hospital that has done what the page says, up to the first night on one machine.

    Its server is its own: a process that comes back to these tests later sets the hospital up again, from nothing.
    """
    folder, before = tmp_path_factory.mktemp("hospital"), Path.cwd()
    for tool in ("psql", "createuser", "pg_dump"):
        program(tool)
    with (
        unittest.mock.patch.dict(os.environ),
        Simulator() as simulator,
        restartable_postgres(folder / "postgres") as postgres,
    ):
        for name in list(os.environ):
            if name.startswith(("REDCAP_", "DAGSTER_", "PG")):
                del os.environ[name]
        os.environ |= {
            "PGHOST": "127.0.0.1",
            "PGPORT": str(postgres.port),
            "PGUSER": str(urllib.parse.urlsplit(postgres.url).username),
        }
        os.environ |= {"PGDATABASE": "postgres", "HOME": str(folder)}
        os.environ["PATH"] = f"{Path(program('psql')).parent}:{BIN}:{os.environ['PATH']}"
        study = simulator.add_project(make_study("classic", records=8, seed=5), name="heart_study")
        (folder / "mnt").mkdir()
        (folder / "backup").mkdir()
        here = Hospital(folder, postgres, simulator, Workplace(folder, simulator, study))
        here.machine("one")
        shutil.copytree(ROOT / "deploy", "deploy")
        try:
            for command in commands(section(SET_UP, "Set-up in ten commands", folder)):
                here.type(command)
            yield here
        finally:
            os.chdir(before)


@pytest.fixture(scope="module")
def reader(hospital) -> str:
    """The URL with which somebody reads who was given the page's rights."""
    [grants] = blocks(READ, "pgsql")
    hospital.as_administrator(grants)
    return hospital.catalog(user="analyst")


def test_the_set_up_gives_a_night_on_two_machines(hospital):
    versions = "SELECT version FROM redcap_warehouse.projects WHERE project = 'heart_study'"
    [(before,)] = ask(hospital.catalog(), versions)
    hospital.machine("two")
    for command in commands(section(SET_UP, "Set-up in ten commands", hospital.folder))[-3:]:
        hospital.type(command)
    assert rows_in(hospital.lake(), "SELECT project, records FROM redcap.projects") == [("heart_study", 8)]
    assert ask(hospital.catalog(), versions) == [(before + 1,)], "the second machine made the next version"
    [command] = commands(section(SET_UP, "Every night, by Dagster", hospital.folder))
    os.chdir(hospital.folder / "one")
    hospital.type(command)
    assert (hospital.folder / "dagster" / "dagster.yaml").read_bytes() == (
        ROOT / "deploy/dagster-celery.yaml"
    ).read_bytes()


def test_the_ten_commands_are_ten(tmp_path):
    assert len(commands(section(SET_UP, "Set-up in ten commands", tmp_path))) == 10


def test_a_reader_reads_the_lake_and_nothing_else_of_the_database(hospital, reader):
    connection = psycopg2.connect(reader)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM redcap_lake.ducklake_table")
            for refused in ("SELECT * FROM redcap_warehouse.hash_key", "SELECT * FROM redcap_warehouse.projects"):
                connection.rollback()
                with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                    cursor.execute(refused)
            connection.rollback()
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute("UPDATE redcap_lake.ducklake_metadata SET value = ''")
    finally:
        connection.close()

    [program_text] = blocks(READ, "python")
    found: dict[str, object] = {}
    exec(hospital.here(program_text), found)
    assert len(found["enrolled"]) == 8


@pytest.mark.usefixtures("reader")
def test_the_statements_for_analysts_run_in_duckdb(hospital, tmp_path):
    import duckdb
    import duckdb_extension_ducklake
    import duckdb_extension_postgres_scanner

    hospital.machine("one")
    [(before,)] = ask(hospital.catalog(), "SELECT max(snapshot_id) FROM redcap_lake.ducklake_snapshot")
    study = hospital.workplace.study
    study.save(study.records()[1], {"town": "changed since"})
    hospital.type("redcap-warehouse sync")
    attach, copy, snapshots = (hospital.here(text) for text in blocks(READ, "duckdb"))
    os.chdir(tmp_path)
    with duckdb.connect() as session:
        for package in (duckdb_extension_postgres_scanner, duckdb_extension_ducklake):
            [extension] = Path(package.__path__[0]).rglob("*.duckdb_extension")
            session.load_extension(str(extension))
        for statement in attach.split(";"):
            # Extensions are fetched from DuckDB's server, which is not asked here.
            if not statement.strip().startswith(("INSTALL", "LOAD")):
                session.execute(statement)
        session.execute(copy)
        assert session.execute("SELECT count(*) FROM copy.heart_study.enrolment").fetchone() == (8,)
        with pytest.raises(duckdb.InvalidInputException, match="read-only"):
            session.execute("DELETE FROM redcap.records")
        listed, *counts = (statement for statement in snapshots.split(";") if statement.strip())
        numbers = [number for number, _ in session.execute(listed).fetchall()]
        for statement in counts:
            if "INTERVAL" in statement:  # there was no lake an hour ago
                statement = statement.replace("INTERVAL 1 HOUR", "INTERVAL 0 SECOND")
            assert session.execute(statement).fetchone() == (8,), statement
        changed = "SELECT count(*) FROM {} AT (VERSION => {}) WHERE town = 'changed since'"
        for table in ("heart_study.enrolment", "heart_study_labels.enrolment"):
            seen = [session.execute(changed.format(table, number)).fetchone() for number in (before, numbers[-1])]
            assert seen == [(0,), (1,)], f"{table} as it was, and as it is"


# It copies a whole PostgreSQL; test_lake_damage.py has a catalog that was restored.
@pytest.mark.fuzz
def test_a_backup_restored_into_another_database_and_folder_is_continued(hospital):
    hospital.machine("one")
    backup, restore = (commands(section(BACKUP, name, hospital.folder)) for name in ("Back up", "Restore"))
    for command in backup:
        hospital.type(command)
    saved = everything_in(hospital.lake())
    study = hospital.workplace.study
    study.save(study.records()[2], {"town": "after the backup"})
    hospital.type("redcap-warehouse sync")

    for command in restore[:-2]:
        hospital.type(command)
    restored = hospital.lake("redcap_restored", "redcap_restored")
    assert everything_in(restored) == saved
    hospital.machine("one", database="redcap_restored", data="redcap_restored")
    for command in restore[-2:]:
        hospital.type(command)
    for table in ("heart_study_raw.enrolment", "heart_study_labels.enrolment", "heart_study.measures"):
        rows = rows_in(restored, f"SELECT * FROM {table} ORDER BY ALL")
        assert rows == rows_in(hospital.lake(), f"SELECT * FROM {table} ORDER BY ALL")
    assert rows_in(restored, "SELECT count(*) FROM heart_study.enrolment WHERE town = 'after the backup'") == [(1,)]


def test_what_cannot_be_run_is_on_a_page():
    assert set(NOT_RUN) <= {text for page in (SET_UP, READ, BACKUP) for text in commands(page)}
