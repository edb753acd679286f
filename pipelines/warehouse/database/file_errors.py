"""Errors of a database file as errors of ours: no message quotes data, and none guesses a cause.

Where DuckDB or the system names the cause, the remedy follows from it. Any other error is reported as unexpected: what
was being done, the kind of error, and where to report it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from pipelines.errors import (
    UnexpectedDatabaseError,
    WarehouseBusy,
    WarehouseDamaged,
    WarehouseError,
    WarehouseUnreadable,
)

# Errors about a query's own text, or about the machine. DuckDB's others may quote what is in a row: a cast, a regular
# expression, a time zone that a column names.
_WITHOUT_VALUES = (
    duckdb.ParserException,
    duckdb.SyntaxException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.PermissionException,
    duckdb.OutOfMemoryException,
)
# What DuckDB says of a statement that changes something.
_NOT_A_QUERY = "Invalid Input Error: Cannot execute statement of type"
# The words of DuckDB 1.5 and 2.0.
_DAMAGE = ("not a valid duckdb database file", "corrupt database file", "could not read enough bytes")
_ROOM = "Make room on the disk, then try again."
_RIGHTS = "Run it as the user who owns the warehouse, or give this user the rights, then try again."
_MEMORY = "Set memory_limit in projects.yaml {}, then try again."
_REMEDIES = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.EISDIR: "Move the folder away, then try again.",
    errno.EROFS: "The disk is mounted read-only; choose another folder or mount it for writing.",
}


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Name what is being done, for the message of an unexpected error; the innermost name is used."""
    try:
        yield
    except duckdb.Error as problem:
        problem.add_note(what)
        raise


def quotes_no_values(problem: BaseException) -> bool:
    """Whether DuckDB's own message about a query can be shown, because no value of a row can be in it."""
    return isinstance(problem, _WITHOUT_VALUES) or str(problem).startswith(_NOT_A_QUERY)


def is_locked(problem: BaseException) -> bool:
    """Whether another process has the file open."""
    return isinstance(problem, duckdb.IOException) and "onflicting lock" in str(problem)


def is_short_of_memory(problem: BaseException) -> bool:
    """Whether DuckDB may use no more memory; where it notices only while it commits, the error is of another class."""
    at_commit = isinstance(problem, duckdb.TransactionException) and "could not allocate" in str(problem)
    return at_commit or isinstance(problem, duckdb.OutOfMemoryException)


def unusable(path: Path, problem: BaseException, *, enough: str | None = None) -> WarehouseError:
    """The error to raise when a file of the warehouse could not be opened, read or written.

    `enough` is a memory_limit that would be enough, where memory ran out and that is known.
    """
    if isinstance(problem, OSError):
        # The system may have refused another file than the one that is open.
        path = Path(problem.filename) if isinstance(problem.filename, str) else path
        remedy = _REMEDIES.get(problem.errno or 0, "Fix the cause, then try again.")
        return WarehouseUnreadable(path=path, reason=reason_of(problem), remedy=remedy)
    text = str(problem).lower()
    if is_locked(problem):
        return WarehouseBusy(path=path)
    if any(words in text for words in _DAMAGE):
        return WarehouseDamaged(path=path, found=_damage(text))
    if is_short_of_memory(problem) and "disk" not in text:
        return WarehouseUnreadable(path=path, reason=reason_of(problem), remedy=memory_remedy(enough))
    if isinstance(problem, duckdb.IOException) or is_short_of_memory(problem):
        return WarehouseUnreadable(path=path, reason=reason_of(problem), remedy=_remedy(text))
    notes = getattr(problem, "__notes__", None) or ["working with the file"]
    return UnexpectedDatabaseError(path=path, doing=notes[0], kind=type(problem).__name__)


def of_the_system(problem: OSError) -> WarehouseError | None:
    """The error for a file or disk that the system refused; None if it names neither the file nor a known cause."""
    if isinstance(problem.filename, str):
        return unusable(Path(problem.filename), problem)
    if problem.errno not in _REMEDIES:
        return None
    return WarehouseError(f"{reason_of(problem)}. The published data is unchanged. {_REMEDIES[problem.errno]}")


def memory_remedy(enough: str | None) -> str:
    """What to do after memory ran out."""
    return _MEMORY.format(f"to {enough} or more" if enough else "higher")


def reason_of(problem: BaseException) -> str:
    """What went wrong with a file, in words that quote no data."""
    if isinstance(problem, WarehouseDamaged):
        return f"it is damaged: {problem.found}"
    if isinstance(problem, WarehouseError):
        return str(problem)
    if isinstance(problem, OSError):
        return problem.strerror or type(problem).__name__
    if any(words in str(problem).lower() for words in _DAMAGE):
        return f"it is damaged: {_damage(str(problem).lower())}"
    if isinstance(problem, duckdb.IOException) or is_short_of_memory(problem):
        return str(problem).splitlines()[0].rstrip(".")
    # Other errors may quote the value they are about.
    return f"DuckDB reported {type(problem).__name__}"


def _damage(text: str) -> str:
    if _DAMAGE[0] in text:
        return "it is no database"
    return "its end is missing" if _DAMAGE[2] in text else "its content does not match its checksum"


def _remedy(text: str) -> str:
    """What to do, where DuckDB quotes the system's words."""
    if "no space left" in text or "disk quota" in text or "out of memory" in text:
        return _ROOM
    return _RIGHTS if "permission denied" in text else "Fix the cause, then try again."
