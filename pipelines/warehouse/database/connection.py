"""Opening DuckDB files so that they are private, hardened and never fought over.

What lies in a file is layout.py's and the SQL files' business.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import tenacity

from pipelines.errors import WarehouseDamaged
from pipelines.warehouse.database.file_errors import is_locked, unusable
from pipelines.warehouse.database.memory import allow, enough
from pipelines.warehouse.database.quoting import identifier, literal

# Analysts' drivers lag behind ours: what is published can be opened by DuckDB 1.4 and newer. Written for still older
# ones it would be a third larger and cost half as much again. A published file begins as a copy of a working file.
STORAGE_VERSION = "v1.4.0"
# Rows that fill a row group are compressed as they come; those that do not are kept, copied and then compressed, and
# whatever is added to a row group has the whole of it written again. DuckDB's own 122,880 rows are more than most
# instruments ever have: with it applying a first load costs a seventh more, and the file is a twelfth smaller.
ROW_GROUP_SIZE = 8192
# DuckDB would fetch an extension from the network by itself: for a file of SQLite under one of our names, for a query
# that names a URL. The warehouse asks nobody but REDCap.
SETTINGS = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    # Without a file of its own a database spills into the folder the command was typed in. Who may spill names a
    # private folder.
    "temp_directory": "",
}
# What stands at the beginning of every file of DuckDB; a file that is not longer holds no rows.
HEADER_BYTES = 3 * 4096

# What a working file and the published one are called where both are open; no project's schema is called the latter.
MIRROR, PUBLISHED = "mirror", ":published"

Connection = duckdb.DuckDBPyConnection
# For other packages, which do not import duckdb themselves.
DatabaseError = duckdb.Error
OutOfMemory = duckdb.OutOfMemoryException
# What reading a file with rows that do not fit raises.
UNREADABLE_ROWS = (duckdb.InvalidInputException, duckdb.ConversionException)


def connect() -> Connection:
    """A connection to an empty database in memory that loads no extension: every connection begins as one.

    Files are attached to it. To open a file itself would share one instance of it, with its settings, with whoever has
    it open in this process, as a notebook may.
    """
    return duckdb.connect(config=dict(SETTINGS))


@contextmanager
def private_files() -> Iterator[None]:
    """Everything created inside is readable by its owner only (DuckDB itself would create files 0644)."""
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
    """Have the system write a file or folder through to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def private_folder(path: Path) -> Path:
    """The folder, created for its owner only if it is not there."""
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
    published: Path | None = None,
    readable: Sequence[Path] = (),
) -> Iterator[Connection]:
    """A read-write connection to one file, closed whatever happens.

    Another process that holds the file is waited for, up to `patience_seconds`; any other failure is told at
    once. Only the `staging` folder and the `readable` files can be read from SQL afterwards, so no text from REDCap can
    reach a file. The `published` database is attached beside it, to be read, under the name PUBLISHED.
    Without a `memory_limit` the database takes what its widest table needs; memory.py says how much that is.
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
            # A chunk's rows carry their own order; not keeping insertion order keeps memory with the chunk.
            connection.execute("SET preserve_insertion_order = false")
            if memory_limit is None:
                # It grows when a table is made that is wider than all before.
                connection.execute("SET allowed_configs = ['memory_limit']")
            if published is not None:
                _attach_published(connection, published)
            harden(connection, [staging] if staging is not None else [], readable)
            yield connection
        except duckdb.OutOfMemoryException as problem:
            raise unusable(path, problem, enough=enough(connection)) from None
        except (duckdb.Error, OSError) as problem:
            raise unusable(path, problem) from None
        finally:
            connection.close()
            _remove_spill(path)


@contextmanager
def open_reader(path: Path, name: str = "mirror") -> Iterator[Connection]:
    """A read-only connection to a file, attached under a name; closed whatever happens.

    Raises WarehouseBusy where another process writes to it, WarehouseDamaged where it is no whole database.
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


def harden(connection: Connection, folders: list[Path], files: Sequence[Path] = ()) -> None:
    """Take file and network access away from SQL, but for the given folders and files; it cannot be given back."""
    # The order matters: both are refused once external access is off.
    listed = ", ".join(literal(str(folder)) for folder in folders)
    connection.execute(f"SET allowed_directories = [{listed}]")
    if files:
        connection.execute(f"SET allowed_paths = [{', '.join(literal(str(file)) for file in files)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _attach(path: Path) -> Connection:
    if path.exists() and path.stat().st_size == 0:
        # A full disk leaves an empty file behind, which is no database.
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


def _attach_published(connection: Connection, published: Path) -> None:
    try:
        attach_to_read(connection, published, PUBLISHED)
        with reading_published(connection):
            _check_length(connection, published)
    except (duckdb.Error, OSError) as problem:
        raise unusable(published, problem) from None


@contextmanager
def reading_published(connection: Connection) -> Iterator[None]:
    """While it lasts, names in SQL mean those of the published database that is attached beside a working file."""
    connection.execute(f"USE {identifier(PUBLISHED)}.main")
    try:
        yield
    finally:
        connection.execute(f"USE {identifier(MIRROR)}.main")


def attach_to_write(connection: Connection, path: Path, name: str) -> None:
    """Attach a file under a name, to write to it as this warehouse's files are written; it is made if not there."""
    options = ["TYPE duckdb", f"ROW_GROUP_SIZE {ROW_GROUP_SIZE}"]
    if not path.exists():
        options.append(f"STORAGE_VERSION {literal(STORAGE_VERSION)}")
    connection.execute(f"ATTACH {literal(str(path))} AS {identifier(name)} ({', '.join(options)})")


def attach_to_read(connection: Connection, path: Path, name: str) -> None:
    """Attach a file under a name, read-only."""
    connection.execute(f"ATTACH {literal(str(path))} AS {identifier(name)} (READ_ONLY, TYPE duckdb)")


def _check_length(connection: Connection, path: Path) -> None:
    """Refuse a file in which the blocks that are in use find no room: DuckDB notices only when it reads one of them.

    Free blocks at the end need not have been written, so a file that lacks little is not told from a whole one. Where a
    log of what is not in the file yet lies beside it, its length says nothing.
    """
    if Path(f"{path}.wal").exists():
        return
    row = connection.execute(
        "SELECT used_blocks * block_size FROM pragma_database_size() WHERE database_name = current_database()"
    ).fetchone()
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
    """Remove a database file and what stands beside it: its log, and what DuckDB put on disk for want of memory."""
    for file in (path, Path(f"{path}.wal")):
        with suppress(FileNotFoundError):
            file.unlink()
    _remove_spill(path)


def _remove_spill(path: Path) -> None:
    shutil.rmtree(path.parent / f"{path.name}.spill", ignore_errors=True)
