"""Database files that are not what they should be, and the one place that opens them."""

import ast
import errno
import sqlite3
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import duckdb
import pytest

from bench import contestants
from pipelines.errors import UnexpectedDatabaseError, WarehouseDamaged, WarehouseUnreadable, describe
from pipelines.warehouse.database.compaction import compact
from pipelines.warehouse.database.connection import (
    BLOCK_SIZE,
    SETTINGS,
    SMALL_BLOCK_SIZE,
    attach_to_write,
    block_size_of,
    connect,
    open_in_turn,
    open_reader,
    open_writer,
)
from pipelines.warehouse.database.file_errors import doing, of_the_system, unusable
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published.status import statuses
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.publishing.publish import publish
from tests.support.published import add_small
from tests.support.root import ROOT

# Names of what lies in the folder `work` or is attached beside a project's tables.
NEAR = ("publish", "hash", "pace", "staging", "locks", "memory", "grown", "fresh", "mirror", "work", "state", "raw")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """A database of a few hundred thousand bytes."""
    path = tmp_path_factory.mktemp("whole") / "study.duckdb"
    with open_writer(path) as connection:
        connection.execute("CREATE TABLE rows AS SELECT range AS n, md5(range::VARCHAR) AS text FROM range(20000)")
    return path.read_bytes()


def overwritten(content: bytes, at: int) -> bytes:
    return content[:at] + b"x" * 200 + content[at + 200 :]


def sqlite_file(folder: Path) -> bytes:
    with sqlite3.connect(folder / "other") as connection:
        connection.execute("CREATE TABLE a (b)")
    connection.close()
    return (folder / "other").read_bytes()


DAMAGED = {
    "garbage": lambda content: b"no database at all" * 1000,
    "nothing but zeros": lambda content: bytes(len(content)),
    "a few bytes": lambda content: content[:100],
    "the header alone": lambda content: content[:12288],
    "half": lambda content: content[: len(content) // 2],
    "all but the end": lambda content: content[: -len(content) // 4],
    "a header overwritten": lambda content: overwritten(overwritten(content, 4096), 8192),
}


@pytest.mark.parametrize("damage", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_file_that_is_no_whole_database_is_called_damaged(tmp_path, whole, damage):
    path = tmp_path / "study.duckdb"
    path.write_bytes(damage(whole))
    with pytest.raises(WarehouseDamaged, match="damaged"), open_reader(path):
        pass
    before = path.read_bytes()
    with pytest.raises(WarehouseDamaged, match="damaged"), open_writer(path):
        pass
    assert path.read_bytes() == before


def test_damage_that_only_a_query_meets_is_called_damage_too(tmp_path, whole):
    path = tmp_path / "study.duckdb"
    path.write_bytes(overwritten(whole, 12288 + 262144 // 2))
    with pytest.raises(WarehouseDamaged, match="does not match its checksum"), open_reader(path) as connection:
        connection.execute("SELECT max(text), max(n) FROM rows").fetchall()


def test_a_file_that_is_whole_is_not(tmp_path, whole):
    path = tmp_path / "study.duckdb"
    path.write_bytes(whole)
    with open_reader(path) as connection:
        assert connection.execute("SELECT count(*) FROM rows").fetchall() == [(20000,)]


# -- nothing but REDCap is asked ------------------------------------------------------------------------------------


class Repository:
    """Where DuckDB would look for extensions; it has none, and counts who asks."""

    def __enter__(self):
        self.asked = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                asked.append(self.path)
                self.send_error(404)

            def log_message(self, *words):
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *problem):
        self.server.shutdown()
        self.server.server_close()


def refused(connection, statement: str) -> None:
    with pytest.raises(duckdb.Error):
        connection.execute(statement)


def test_no_connection_of_ours_tries_to_download_an_extension(tmp_path):
    other = tmp_path / "warehouse.duckdb"
    other.write_bytes(sqlite_file(tmp_path))
    statements = (f"ATTACH '{other}' AS other (READ_ONLY)", "SELECT * FROM read_csv('https://127.0.0.1:1/a.csv')")
    with Repository() as repository, connect() as ours, duckdb.connect() as theirs:
        for connection in (ours, theirs):
            connection.execute(f"SET custom_extension_repository = '{repository.url}'")
            connection.execute(f"SET extension_directory = '{tmp_path / 'extensions'}'")
        for statement in statements:
            refused(ours, statement)
        assert repository.asked == []
        # Left to itself, DuckDB does ask.
        refused(theirs, statements[0])
        assert repository.asked != []


def test_a_file_of_sqlite_under_the_published_name_is_no_database_of_ours(tmp_path):
    folder = WarehouseFolder(tmp_path)
    folder.database.write_bytes(sqlite_file(tmp_path))
    with pytest.raises(WarehouseDamaged) as raised, open_published(folder):
        pass
    assert "extension" not in str(raised.value)


def test_a_damaged_published_file_is_rebuilt_and_not_called_unchanged(tmp_path):
    folder = WarehouseFolder(tmp_path)
    folder.database.write_bytes(b"no database at all")
    with pytest.raises(WarehouseDamaged) as raised, open_published(folder):
        pass
    assert "published data is unchanged" not in str(raised.value)
    assert "Run `redcap-warehouse publish`, which makes it again" in str(raised.value)


def connections(path: Path) -> list[ast.Call]:
    """Every call of duckdb.connect in a file."""
    text = path.read_text(encoding="utf-8")
    if "duckdb" not in text:
        return []
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    return [call for call in calls if ast.unparse(call.func) in ("duckdb.connect", "duckdb.sql", "duckdb.execute")]


def test_every_connection_of_the_product_is_made_where_extensions_are_off():
    door = ROOT / "pipelines" / "warehouse" / "database" / "connection.py"
    files = [path for folder in ("pipelines", "redcap_source", "bench") for path in (ROOT / folder).rglob("*.py")]
    assert door in files
    for path in files:
        for call in connections(path):
            settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
            assert "SETTINGS" in settings.get("config", ""), f"{path}:{call.lineno}"
    for settings in (SETTINGS, contestants.SETTINGS):
        extensions = {name: value for name, value in settings.items() if name.endswith("extensions")}
        assert extensions == {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}


def test_a_person_may_have_the_published_file_open_in_the_same_process(tmp_path, whole):
    folder = WarehouseFolder(tmp_path)
    folder.database.write_bytes(whole)
    with duckdb.connect(str(folder.database)) as connection:
        connection.execute("CREATE SCHEMA _publish; CREATE TABLE _publish.sources (project VARCHAR)")
    with duckdb.connect(str(folder.database), read_only=True) as theirs:
        with open_published(folder) as ours:
            assert ours.execute("SELECT count(*) FROM rows").fetchall() == [(20000,)]
        # Nor has their connection become as narrow as ours.
        assert theirs.execute("SELECT current_setting('enable_external_access')").fetchall() == [(True,)]


# -- what nobody foresaw --------------------------------------------------------------------------------------------


def test_files_that_are_read_in_turn_are_named_in_sql_as_one_that_is_read_alone(tmp_path):
    files = [tmp_path / "one.duckdb", tmp_path / "two.duckdb"]
    for number, path in enumerate(files):
        with open_writer(path) as connection:
            connection.execute(f"CREATE SCHEMA redcap; CREATE TABLE redcap.records AS SELECT {number} AS n")
    (tmp_path / "broken.duckdb").write_bytes(b"no database at all" * 1000)
    found = []
    with open_in_turn([*files, tmp_path / "broken.duckdb"]) as opened:
        for path in (files[0], files[1]):
            with opened(path) as connection:
                found += connection.execute("SELECT current_database(), n FROM redcap.records").fetchall()
            with pytest.raises(WarehouseDamaged), opened(tmp_path / "broken.duckdb"):
                pass
        with pytest.raises(UnexpectedDatabaseError), opened(files[0]) as connection:
            connection.execute("SELECT n FROM redcap.no_table")
        with opened(files[1]) as connection, pytest.raises(duckdb.PermissionException):
            connection.execute("SELECT * FROM read_text('/etc/hostname')")
    assert found == [("mirror", 0), ("mirror", 1)]


def test_a_file_that_is_written_without_a_log_holds_everything_after_a_checkpoint(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with connect() as connection:
        attach_to_write(connection, path, "warehouse", log=False)
        connection.execute("CREATE TABLE warehouse.t AS SELECT range AS n FROM range(3)")
        assert not Path(f"{path}.wal").exists()
        connection.execute("CHECKPOINT warehouse")
    with open_reader(path, "warehouse") as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (3,)


def test_an_unforeseen_error_of_duckdb_tells_what_was_done_and_no_cause(tmp_path):
    with (
        pytest.raises(UnexpectedDatabaseError) as raised,
        open_writer(tmp_path / "study.duckdb") as connection,
        doing("putting answers into its tables"),
    ):
        connection.execute("SELECT 'Mary Smith'::INTEGER").fetchall()
    told = str(raised.value)
    assert "putting answers into its tables failed with an unexpected ConversionException" in told
    assert "Nothing was written" in told
    assert "report it" in told
    for guess in ("Mary", "free space", "owner", "rights", "cannot be used"):
        assert guess not in told


@pytest.mark.parametrize(
    ("problem", "remedy"),
    [
        (OSError(28, "No space left on device"), "Make room"),
        (PermissionError(13, "Permission denied"), "the user who owns the warehouse"),
        (OSError(5, "Input/output error"), "Fix the cause, then try again"),
        (duckdb.IOException('IO Error: Could not write file "a": No space left on device'), "Make room"),
        (duckdb.IOException('IO Error: Cannot open file "a": Permission denied'), "the user who owns the warehouse"),
        (duckdb.OutOfMemoryException("Out of Memory Error: could not allocate block of size 2 MB"), "memory_limit"),
        (duckdb.TransactionException("Failed to commit: could not allocate block of size 2 MB"), "memory_limit"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_remedy_follows_from_what_the_system_said(problem, remedy):
    told = unusable(Path("study.duckdb"), problem)
    assert isinstance(told, WarehouseUnreadable)
    assert remedy in str(told)


# -- names ----------------------------------------------------------------------------------------------------------


def test_no_project_shares_a_file_with_another_or_with_the_warehouse(tmp_path):
    folder = WarehouseFolder(tmp_path)
    folder.make()
    own = {folder.database, folder.publish_lock, folder.pace, folder.locks, folder.work / "staging"}
    own |= {folder.work / name for name in ("publish.spill", "hash.key")}
    for project in NEAR:
        folder.mark_loaded(project, "run")
        paths = {folder.mirror(project), folder.project_lock(project), folder.staging(project, "run")}
        paths |= {Path(f"{folder.mirror(project)}{ending}") for ending in (".wal", ".spill")}
        assert not own & paths, project
        own |= paths
    assert set(folder.unpublished()) == set(NEAR)
    assert not own & {path for path in folder.work.iterdir() if path.suffix == ".loaded"}


def test_a_file_with_schemas_of_any_name_can_be_compacted(tmp_path):
    path = tmp_path / "warehouse.duckdb"
    with connect() as connection:
        attach_to_write(connection, path, "warehouse")
        connection.execute("USE warehouse; DETACH memory")
        for name in NEAR:
            schema, now = identifier(name), identifier(f"{name}:now")
            connection.execute(f"CREATE SCHEMA {schema}; CREATE SCHEMA {now}")
            connection.execute(f"CREATE TABLE {now}.form AS SELECT 1 AS n")
            connection.execute(f"CREATE VIEW {schema}.form AS SELECT n FROM {now}.form")
    compact(path, tmp_path / "fresh.duckdb", memory_limit="256MB")
    with open_reader(tmp_path / "fresh.duckdb", "warehouse") as connection:
        for name in NEAR:
            assert connection.execute(f"SELECT n FROM {identifier(name)}.form").fetchall() == [(1,)]


@pytest.mark.parametrize("size", [BLOCK_SIZE, SMALL_BLOCK_SIZE])
def test_a_compacted_file_keeps_its_block_size(tmp_path, size):
    path = tmp_path / "warehouse.duckdb"
    with connect() as connection:
        attach_to_write(connection, path, "warehouse", block_size=size)
        assert block_size_of(connection, "warehouse") == size
        connection.execute("CREATE TABLE warehouse.t AS SELECT 1 AS n")
    compact(path, tmp_path / "fresh.duckdb", memory_limit=None)
    with open_reader(tmp_path / "fresh.duckdb", "fresh") as connection:
        assert block_size_of(connection, "fresh") == size


def test_projects_may_have_the_names_of_what_lies_beside_them(site):
    add_small(site, 3, "publish")
    add_small(site, 3, "memory")
    site.load("publish")
    site.night("memory")
    for name in ("memory", "publish"):
        assert site.rows(f"SELECT count(*) FROM {name}.base") == [(3,)]
    # Whoever loads `publish` does not keep the others from being published.
    assert {s.last_outcome for s in statuses(site.warehouse, ["publish", "memory"])} == {"ok"}
    # Nor does the mark of a project that is configured no more.
    site.warehouse.mark_loaded("gone", "run")
    site.load("memory")
    published = publish(site.warehouse, configured=site.config.projects)
    assert published.projects == ("memory",)
    assert published.failed == {}
    assert set(site.warehouse.unpublished()) == {"gone"}


# -- leftovers ------------------------------------------------------------------------------------------------------


def test_a_first_load_killed_before_there_was_a_ledger_is_one_that_never_loaded(tmp_path):
    folder = WarehouseFolder(tmp_path)
    folder.make()
    with open_writer(folder.mirror("study")) as connection:
        connection.execute("CREATE SCHEMA redcap")
    [standing] = statuses(folder, ["study"])
    assert standing.last_outcome is None


@pytest.mark.parametrize(
    ("problem", "words"),
    [
        # A write to a full disk names no file.
        (OSError(errno.ENOSPC, "No space left on device"), ("No space left on device.", "Make room on the disk")),
        (OSError(errno.EACCES, "Permission denied", "/w/hash.key"), ("/w/hash.key", "Permission denied")),
        (OSError(errno.ENOSPC, "No space left on device", 3), ("No space left on device.", "Make room on the disk")),
        (OSError(errno.EIO, "Input/output error"), ()),
        (OSError("no number"), ()),
    ],
)
def test_what_the_system_refuses_is_told_in_its_own_words_and_anything_else_is_unforeseen(problem, words):
    found = of_the_system(problem)
    assert (found is None) == (not words)
    assert all(word in str(found) for word in words)
    assert describe(problem) == (f"{problem.strerror}." if problem.strerror else "OSError.")


def test_no_connection_spills_into_the_folder_the_command_was_typed_in(tmp_path):
    with duckdb.connect(str(tmp_path / "a.duckdb")):
        pass
    setting = "SELECT current_setting('temp_directory')"
    with connect() as connection:
        assert connection.execute(setting).fetchall() == [("",)]
    with open_reader(tmp_path / "a.duckdb") as connection:
        assert connection.execute(setting).fetchall() == [("",)]
    with open_writer(tmp_path / "b.duckdb") as connection:
        assert connection.execute(setting).fetchall() == [(str(tmp_path / "b.duckdb.spill"),)]


def test_a_statement_that_takes_long_draws_nothing_into_what_a_command_prints():
    with closing(connect()) as connection:
        assert connection.execute("SELECT current_setting('enable_progress_bar')").fetchone() == (False,)
