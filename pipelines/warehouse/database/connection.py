"""Opens DuckDB files: private, hardened, and for one writer at a time.

Not here: what the files hold (../tables, ../sql).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import duckdb
import tenacity

from pipelines.errors import WarehouseDamaged
from pipelines.warehouse.database.extensions import DOWNLOAD_SETTINGS, trust_in_extensions
from pipelines.warehouse.database.file_errors import is_locked, is_short_of_memory, unusable
from pipelines.warehouse.database.memory import allow, enough
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.sql import statements

# Analysts' drivers lag behind ours: DuckDB 1.4.2 and newer can open what is published. A file for older versions is a
# third larger and costs half as much again to write. A published file begins as a copy of a mirror.
STORAGE_VERSION = "v1.4.0"
# Rows that fill a row group are compressed as they are inserted; others are stored, copied and then compressed, and
# whatever is added to a row group has the whole of it written again. DuckDB's own 122,880 rows are more than most
# instruments ever have: with them applying a first load costs a seventh more, and the file is a twelfth smaller.
ROW_GROUP_SIZE = 8192
# Every table of a file takes at least one block. DuckDB's usual one is read fastest; with the small one eight hundred
# tables of a few rows take 47 MB instead of 439, but large ones are written and read at half the speed.
BLOCK_SIZE, SMALL_BLOCK_SIZE = 262_144, 32_768
SETTINGS = {
    **DOWNLOAD_SETTINGS,
    # A database without a file would spill into the current folder. Connections that may spill set a private folder.
    "temp_directory": "",
}
# The size of the header of a DuckDB file; a file that is not longer holds no rows.
HEADER_BYTES = 3 * 4096

# The catalogs of a mirror and of the published file where both are open; no project's schema can have the second name.
MIRROR, PUBLISHED = "mirror", ":published"

Connection = duckdb.DuckDBPyConnection
# Attaches a database to a connection; returns the folders and URLs that SQL must be able to read for it.
Attach = Callable[[Connection], Sequence[str]]
# For other packages, which do not import duckdb themselves.
DatabaseError = duckdb.Error
CatalogError = duckdb.CatalogException
ReadError = duckdb.IOException
# Raised when a file that is read has rows that do not fit.
UNREADABLE_ROWS = (duckdb.InvalidInputException, duckdb.ConversionException)


def connect() -> Connection:
    """A connection to an empty database in memory that loads no extension; every connection begins as one.

    Files are attached to it. Opening a file directly would share one instance, with its settings, with everything else
    in this process that has it open, such as a notebook.
    """
    connection = duckdb.connect(config={**SETTINGS, **trust_in_extensions()})
    # After two seconds of a statement DuckDB would draw a bar into what a command prints, JSON included.
    connection.execute("SET enable_progress_bar = false")
    return connection


@contextmanager
def private_files() -> Iterator[None]:
    """Make everything created inside readable by its owner only (DuckDB itself would create files 0644)."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """Commit what happens inside as a whole; on any error, undo all of it."""
    connection.execute("BEGIN TRANSACTION")
    try:
        yield
    except BaseException:
        # After some errors the transaction has ended already; the error is what counts.
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def sync_to_disk(path: Path) -> None:
    """Let the system write a file or folder through to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_folder(path: Path) -> Path:
    """The folder, created for its owner only if it does not exist."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


@contextmanager
def open_writer(
    path: Path,
    *,
    staging: Path | None = None,
    memory_limit: str | None = None,
    threads: int = 1,
    patience_seconds: float = 60.0,
    published: Attach | None = None,
    readable: Sequence[Path] = (),
) -> Iterator[Connection]:
    """A read-write connection to one file, closed whatever happens.

    Waits up to `patience_seconds` for another process that has the file open; any other error is raised at once. SQL
    can then read only the `staging` folder and the `readable` files, so no text from REDCap can reach another file.
    `published` attaches the published database, read-only, under the name PUBLISHED. Without a `memory_limit` the
    database may use what its widest table needs (memory.py).
    """
    private_folder(path.parent)
    with private_files():
        connection = _waiting_for_the_lock(lambda: _attach(path), path, patience_seconds)
        try:
            spill = private_folder(path.parent / f"{path.name}.spill")
            connection.execute(f"SET temp_directory = {literal(str(spill))}")
            allow(connection, memory_limit)
            # A second thread costs a third more CPU time on tables of this size; projects load side by side instead.
            connection.execute(f"SET threads = {int(threads)}")
            # A chunk's rows need no order; without insertion order memory does not grow beyond the chunk.
            connection.execute("SET preserve_insertion_order = false")
            if memory_limit is None:
                # It is raised when a table is made that is wider than all before.
                connection.execute("SET allowed_configs = ['memory_limit']")
            folders: list[Path | str] = [staging] if staging is not None else []
            if published is not None:
                folders += published(connection)
            harden(connection, folders, readable)
            yield connection
        except (duckdb.Error, OSError) as problem:
            short = is_short_of_memory(problem)
            raise unusable(path, problem, enough=enough(connection) if short else None) from None
        finally:
            connection.close()
            _remove_spill(path)


@contextmanager
def open_reader(path: Path, name: str = "mirror") -> Iterator[Connection]:
    """A read-only connection to a file, attached under a name; closed whatever happens.

    Raises WarehouseBusy if another process writes to it, WarehouseDamaged if it is not a complete database.
    """
    connection = connect()
    try:
        attach_to_read(connection, path, name)
        connection.execute(f"USE {identifier(name)}")
        _check_length(connection, path)
        # A project may be called `memory`.
        connection.execute("DETACH memory")
        harden(connection, [])
        yield connection
    except (duckdb.Error, OSError) as problem:
        raise unusable(path, problem) from None
    finally:
        connection.close()


@contextmanager
def open_in_turn(paths: Sequence[Path]) -> Iterator[Callable[[Path], AbstractContextManager[Connection]]]:
    """Reads these files one after the other, each attached under the name MIRROR while it is open.

    A connection costs 17 ms and attaching a file 2, so all files share one. Errors are those of `open_reader`.
    """
    connection = connect()

    @contextmanager
    def opened(path: Path) -> Iterator[Connection]:
        try:
            attach_to_read(connection, path, MIRROR)
            try:
                connection.execute(f"USE {identifier(MIRROR)}.main")
                _check_length(connection, path)
                yield connection
            finally:
                connection.execute("USE memory.main")
                connection.execute(f"DETACH {identifier(MIRROR)}")
        except (duckdb.Error, OSError) as problem:
            raise unusable(path, problem) from None

    try:
        # More threads only wait for each other over so little.
        connection.execute("SET threads = 1")
        harden(connection, [], [file for path in paths for file in (path, Path(f"{path}.wal"))])
        yield opened
    finally:
        connection.close()


def may_be_unoptimized(connection: Connection, *others: str) -> None:
    """Let `unoptimized` work on a connection that is hardened afterwards.

    DuckDB 2.0 counts the optimizer as configuration, which is locked; 1.5 has no such setting, only the pragma. Other
    settings can be left open, too.
    """
    open_ones = list(others)
    if connection.execute(statements("database")["has_setting"], {"name": "enable_optimizer"}).fetchone():
        open_ones.append("enable_optimizer")
    if open_ones:
        connection.execute(f"SET allowed_configs = [{', '.join(map(literal, open_ones))}]")


@contextmanager
def unoptimized(connection: Connection) -> Iterator[None]:
    """Execute statements that only define or describe something: without its optimizer DuckDB takes a quarter less."""
    connection.execute("PRAGMA disable_optimizer")
    try:
        yield
    finally:
        connection.execute("PRAGMA enable_optimizer")


def harden(connection: Connection, folders: Sequence[Path | str], files: Sequence[Path] = ()) -> None:
    """Remove file and network access from SQL, except to the given folders and files; this cannot be undone."""
    # The order matters: both are refused once external access is off.
    listed = ", ".join(literal(str(folder)) for folder in folders)
    connection.execute(f"SET allowed_directories = [{listed}]")
    if files:
        connection.execute(f"SET allowed_paths = [{', '.join(literal(str(file)) for file in files)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _attach(path: Path) -> Connection:
    if path.exists() and path.stat().st_size == 0:
        # A full disk leaves an empty file, which is no database.
        path.unlink()
    whole = path.exists() and not Path(f"{path}.wal").exists()
    connection = connect()
    try:
        attach_to_write(connection, path, MIRROR)
        connection.execute(f"USE {identifier(MIRROR)}")
        if whole:
            _check_length(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def attach_published(connection: Connection, published: Path) -> None:
    """Attach the published file beside a mirror, read-only, under the name PUBLISHED."""
    try:
        attach_to_read(connection, published, PUBLISHED)
        with reading_published(connection):
            _check_length(connection, published)
    except (duckdb.Error, OSError) as problem:
        raise unusable(published, problem) from None


@contextmanager
def reading_published(connection: Connection) -> Iterator[None]:
    """Inside, names in SQL are those of the published database that is attached beside a mirror."""
    connection.execute(f"USE {identifier(PUBLISHED)}.main")
    try:
        yield
    finally:
        connection.execute(f"USE {identifier(MIRROR)}.main")


def attach_to_write(
    connection: Connection, path: Path, name: str, *, block_size: int = BLOCK_SIZE, log: bool = True
) -> None:
    """Attach a file under a name for writing, in this warehouse's format; it is created if it does not exist.

    `block_size` is that of a new file, in bytes. Without a write-ahead `log`, nothing is sure to be in the file before
    a checkpoint: enough for a file that is thrown away if anything fails before.
    """
    options = ["TYPE duckdb", f"ROW_GROUP_SIZE {ROW_GROUP_SIZE}"]
    if not log:
        options.append("RECOVERY_MODE no_wal_writes")
    if not path.exists():
        options += [f"STORAGE_VERSION {literal(STORAGE_VERSION)}", f"BLOCK_SIZE {block_size}"]
    connection.execute(f"ATTACH {literal(str(path))} AS {identifier(name)} ({', '.join(options)})")


def attach_to_read(connection: Connection, path: Path, name: str) -> None:
    """Attach a file under a name, read-only."""
    connection.execute(f"ATTACH {literal(str(path))} AS {identifier(name)} (READ_ONLY, TYPE duckdb)")


def block_size_of(connection: Connection, name: str) -> int:
    """The block size of an attached file, in bytes."""
    row = connection.execute(statements("database")["block_size"], {"name": name}).fetchone()
    return int(row[0]) if row else BLOCK_SIZE


def _check_length(connection: Connection, path: Path) -> None:
    """Refuse a file, the current catalog, that is shorter than its used blocks.

    DuckDB notices this only when it reads one that is missing.

    Free blocks at the end need not have been written, so a file that lacks only a little passes. Where there is a
    write-ahead log, the length of the file means nothing.
    """
    if Path(f"{path}.wal").exists():
        return
    row = connection.execute(statements("database")["used_bytes"]).fetchone()
    if row and path.stat().st_size < HEADER_BYTES + row[0]:
        raise WarehouseDamaged(path=path, found="its end is missing")


def _waiting_for_the_lock(connect: Callable[[], Connection], path: Path, patience: float) -> Connection:
    waiting = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_locked),
        wait=tenacity.wait_random(0.05, 0.5),
        stop=tenacity.stop_after_delay(patience),
        reraise=True,
    )
    try:
        return waiting(connect)
    except (duckdb.Error, OSError) as problem:
        raise unusable(path, problem) from None


def remove_database(path: Path) -> None:
    """Remove a database file, its write-ahead log, and what DuckDB wrote to disk because memory was short."""
    for file in (path, Path(f"{path}.wal")):
        with suppress(FileNotFoundError):
            file.unlink()
    _remove_spill(path)


def _remove_spill(path: Path) -> None:
    shutil.rmtree(path.parent / f"{path.name}.spill", ignore_errors=True)
