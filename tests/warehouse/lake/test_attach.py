"""Attaching a lake: what it refuses afterwards, and that nothing which fails shows the password of the catalog."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.errors import LakeUnusable, NotLoadedYet
from pipelines.warehouse.database.connection import DatabaseError, private_files
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.lake.attach import attach_to_publish, reading
from pipelines.warehouse.lake.failures import may_pass, reason
from tests.support.postgres import ask

pytestmark = pytest.mark.lake
SECRET = "canary%2Fpässword"
SHOWN = ("canary", "pässword", "p%C3%A4ssword")


@pytest.fixture
def guarded(lake):
    """The lake for a user of whom the server asks a password."""
    ask(lake.catalog, f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET.replace('%2F', '/')}'")
    url = lake.catalog.replace("//dagster@127.0.0.1", f"//guarded:{SECRET}@127.0.0.1")
    yield replace(lake, catalog=url)
    ask(lake.catalog, "DROP OWNED BY guarded; DROP ROLE guarded")


def refused(lake: Lake, caplog, capfd, kind: type[Exception] = LakeUnusable) -> str:
    """What a person is told; nothing of the password may be anywhere."""
    with caplog.at_level(logging.DEBUG), pytest.raises(kind) as problem, reading(lake):
        pass
    written = "".join(capfd.readouterr()) + caplog.text
    hidden = problem.value.__cause__ or (None if problem.value.__suppress_context__ else problem.value.__context__)
    for text in (written, repr(problem.value), str(problem.value), repr(hidden)):
        assert not any(secret in text for secret in SHOWN)
    return str(problem.value)


def test_what_is_wrong_with_the_catalog_is_told_without_its_password(guarded, caplog, capfd):
    assert "refuses the user's password" in refused(
        replace(guarded, catalog=guarded.catalog.replace("guarded:", "guarded:x")), caplog, capfd
    )
    assert "no database of the name" in refused(replace(guarded, catalog=f"{guarded.catalog}x"), caplog, capfd)
    port = guarded.catalog.rpartition(":")[2].partition("/")[0]
    assert "nothing answers" in refused(
        replace(guarded, catalog=guarded.catalog.replace(f":{port}/", ":1/")), caplog, capfd
    )
    # The right password, and a user who may not make anything.
    assert "Run `redcap-warehouse sync`" in refused(guarded, caplog, capfd, NotLoadedYet)
    with pytest.raises(LakeUnusable, match="refuses this user the right") as problem:
        attach_to_publish(guarded, readable=(), spill=Path(guarded.data).parent / "spill")
    assert not any(secret in repr(problem.value) for secret in SHOWN)


@pytest.fixture
def writer(guarded, tmp_path):
    """A connection that publishes, of a user who may."""
    ask(guarded.catalog.replace(f"guarded:{SECRET}@127.0.0.1", "dagster@127.0.0.1"),
        "GRANT CREATE ON DATABASE " + guarded.catalog.rpartition("/")[2] + " TO guarded")  # fmt: skip
    with attach_to_publish(guarded, readable=(tmp_path,), spill=tmp_path / "spill") as connection:
        yield connection


def test_sql_reaches_nothing_but_the_lake_and_no_query_shows_the_password(writer, guarded, tmp_path):
    with reading(guarded) as reader:
        for connection in (writer, reader):
            for statement in (
                "FROM read_csv('/etc/passwd')",
                f"ATTACH '{tmp_path.parent / 'other.duckdb'}' AS other",
                "ATTACH 'host=127.0.0.1' AS other (TYPE postgres)",
                "INSTALL spatial",
                "SET enable_external_access = true",
            ):
                with pytest.raises(DatabaseError):
                    connection.execute(statement)
            for function in ("duckdb_databases()", "duckdb_secrets()", "duckdb_settings()"):
                assert not any(secret in repr(connection.execute(f"FROM {function}").fetchall()) for secret in SHOWN)
        with pytest.raises(DatabaseError):
            reader.execute("CREATE TABLE redcap.mine (x INTEGER)")


def test_the_reason_of_a_commit_that_failed_quotes_no_value_of_what_was_written(writer, guarded):
    writer.execute("BEGIN; INSERT INTO redcap.arms VALUES ('canary-project', 1, 'canary-arm')")
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
    as_owner = guarded.catalog.replace(f"guarded:{SECRET}@", "dagster@")
    ask(as_owner, end, guarded.catalog.rpartition("/")[2])
    with pytest.raises(DatabaseError) as problem:
        writer.execute("COMMIT")
    assert "canary" not in reason(problem.value)
    assert may_pass(problem.value), "the same may succeed on a new connection"


def test_rows_never_go_into_the_catalog_and_files_are_private(writer, guarded):
    with private_files():
        writer.execute("INSERT INTO redcap.arms VALUES ('p', 1, 'Arm 1')")
    found = ask(
        guarded.catalog,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = 'redcap_lake' "
        "AND table_name LIKE 'ducklake_inlined_data_%%' AND table_name <> 'ducklake_inlined_data_tables'",
    )
    assert found == []
    files = [path for path in Path(guarded.data).rglob("*") if path.is_file()]
    assert files and all(path.stat().st_mode & 0o077 == 0 for path in (Path(guarded.data), *files))
