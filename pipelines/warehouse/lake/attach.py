"""Opens a DuckLake with DuckDB: attached under the name `warehouse`, which is the current catalog, and hardened.

DuckLake keeps no password and needs no further file, so that nothing but its data, and the mirrors that are published,
can be reached from SQL afterwards. Two things stay open to our own SQL: the folder of the data, mirrors included, and
the catalog's own database, with the rights of the user in the URL. SQL of a person is checked (allowed_queries.py).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from pipelines.errors import LakeUnusable, NotLoadedYet, WarehouseError
from pipelines.warehouse.database.connection import (
    CatalogError,
    Connection,
    DatabaseError,
    ReadError,
    connect,
    harden,
    may_be_unoptimized,
    private_files,
    private_folder,
    unoptimized,
)
from pipelines.warehouse.database.dialect import LAKE
from pipelines.warehouse.database.extensions import load_extension
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.database.rows import count
from pipelines.warehouse.lake.address import METADATA_SCHEMA, PUBLISHED_LAKE, Lake
from pipelines.warehouse.lake.commits import committed_as
from pipelines.warehouse.lake.failures import lake_unusable
from pipelines.warehouse.lake.lost_commit import take_back
from pipelines.warehouse.manifest import VERSION
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.new_file import prepare
from pipelines.warehouse.sql import statements

# The name of the lake's catalog in every connection, the same as that of the published file.
NAME = "warehouse"
_SECRET = "catalog"  # noqa: S105 - the name of a secret
# How often a request to a bucket is repeated. DuckDB's own three times end after half a second.
HTTP_RETRIES = 6


def attach_beside(connection: Connection, lake: Lake, name: str) -> list[str]:
    """Attach the lake read-only under a name, beside what is open; returns what SQL must be able to read afterwards.

    To be called before the connection is hardened.
    """
    try:
        _attach(connection, lake, name, write=False)
    except DatabaseError as problem:
        raise _unreadable(problem) from None
    return [lake.data_path]


@contextmanager
def reading(lake: Lake, *, memory_limit: str | None = None) -> Iterator[Connection]:
    """A read-only connection to what is published; raises NotLoadedYet where nothing is yet."""
    connection = connect()
    try:
        try:
            if memory_limit is not None:
                connection.execute(f"SET memory_limit = {literal(memory_limit)}")
            _attach(connection, lake, NAME, write=False)
            _use_alone(connection)
            harden(connection, [lake.data_path])
        except DatabaseError as problem:
            raise _unreadable(problem) from None
        try:
            yield connection
        except ReadError as problem:
            raise lake_unusable(problem, "reading it") from None
    finally:
        connection.close()


def attach_to_publish(
    lake: Lake,
    *,
    readable: Sequence[Path],
    spill: Path,
    memory_limit: str | None = None,
    token: str | None = None,
    settled: int | None = None,
) -> Connection:
    """A connection that may write; the lake is made where there is none. Close it in the end.

    `readable` are the folders of the mirrors, `spill` is a private folder for what does not fit into memory. The caller
    is the only publisher, whose commits have this `token`; `settled` is the last snapshot that is known to be complete.
    """
    connection = _attached_to_publish(lake, readable, spill, memory_limit)
    try:
        if take_back(connection, lake, settled):
            connection.close()
            connection = _attached_to_publish(lake, readable, spill, memory_limit)
        with private_files():
            _make_shared_tables(connection, token)
    except BaseException as problem:
        connection.close()
        raise _ours(problem) from None
    return connection


def _attached_to_publish(lake: Lake, readable: Sequence[Path], spill: Path, memory_limit: str | None) -> Connection:
    connection = connect()
    try:
        with private_files():
            if not lake.in_bucket:
                # DuckDB may make folders only inside those that it is allowed to write.
                private_folder(Path(lake.data))
            _attach(connection, lake, NAME, write=True)
            _use_alone(connection)
            # A second thread costs a third more CPU time on tables of this size.
            connection.execute("SET threads = 1")
            if memory_limit is not None:
                connection.execute(f"SET memory_limit = {literal(memory_limit)}")
            connection.execute(f"SET temp_directory = {literal(str(private_folder(spill)))}")
            connection.execute("SET preserve_insertion_order = false")
            may_be_unoptimized(connection, "memory_limit")
            harden(connection, [lake.data_path, *(f"{folder}/" for folder in readable)])
    except BaseException as problem:
        connection.close()
        raise _ours(problem) from None
    return connection


def _ours(problem: BaseException) -> BaseException:
    return lake_unusable(problem, "attaching it") if isinstance(problem, DatabaseError | OSError) else problem


def _unreadable(problem: DatabaseError) -> WarehouseError:
    if "creating a new DuckLake is explicitly disabled" in str(problem):
        return NotLoadedYet(path=PUBLISHED_LAKE)
    return lake_unusable(problem, "attaching it")


def _attach(connection: Connection, lake: Lake, name: str, *, write: bool) -> None:
    if lake.in_bucket:
        from pipelines.warehouse.database.object_storage import s3_settings, use_s3

        use_s3(connection, lake.data, s3_settings(os.environ))
        connection.execute(f"SET http_retries = {HTTP_RETRIES}")
    load_extension(connection, "postgres_scanner")
    load_extension(connection, "ducklake")
    secret = lake.secret
    given = ", ".join(f"{'DATABASE' if part == 'dbname' else part.upper()} ${part}" for part in secret)
    connection.execute(f"CREATE SECRET {_SECRET} (TYPE postgres, {given})", secret)
    options = [f"METADATA_SCHEMA {literal(METADATA_SCHEMA)}", f"META_SECRET {literal(_SECRET)}"]
    options.append(f"DATA_PATH {literal(lake.data_path)}")
    # Rows in PostgreSQL instead of files would need a table there for each table here, which every attaching reads.
    options.append("DATA_INLINING_ROW_LIMIT 0" if write else "READ_ONLY")
    path = literal(f"ducklake:postgres:{lake.options}")
    connection.execute(f"ATTACH {path} AS {identifier(name)} ({', '.join(options)})")


def _use_alone(connection: Connection) -> None:
    """Let the lake be the current catalog, and the only one."""
    connection.execute(f"USE {identifier(NAME)}")
    # A project may be called `memory`.
    connection.execute("DETACH memory")


def _make_shared_tables(connection: Connection, token: str | None) -> None:
    """Create what all projects share, in a new lake or one of an earlier version."""
    found = 0
    with suppress(CatalogError):
        found = count(connection, statements("lake")["version"])
    if found > VERSION:
        raise LakeUnusable(doing="reading it", reason="a newer version of redcap-warehouse publishes into it")
    if found != VERSION:
        make_shared_tables(connection, token)


def make_shared_tables(connection: Connection, token: str | None, *, anew: bool = False) -> None:
    """Create what all projects share, where it is not there, in one transaction; with `anew` instead of what is."""
    sql = statements("lake")
    with committed_as(connection, token), unoptimized(connection):
        if anew:
            connection.execute(sql["drop_shared"])
        prepare(connection, copied=False, dialect=LAKE)
        connection.execute(sql["create_manifest"])
        define_changes(connection, LAKE)
        connection.execute(sql["save_version"], {"number": VERSION})
    # Also for programs that attach it with other options.
    connection.execute(sql["keep_no_rows_in_catalog"])
