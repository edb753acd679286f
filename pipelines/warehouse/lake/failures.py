"""Errors of DuckLake, PostgreSQL and a bucket in words that quote no data and no password.

An error of the catalog may quote the statement that failed, and with it the smallest and largest value of a column.
So only words that are known are told; of everything else the kind.
"""

from __future__ import annotations

import re

from pipelines.errors import LakeUnusable, WarehouseError
from pipelines.warehouse.database.connection import DatabaseError
from pipelines.warehouse.database.file_errors import is_short_of_memory, reason_of

NOT_THERE = "a file of what is published is not there; `redcap-warehouse publish` makes it again"
# What a reason may say, where the error has these words.
_KNOWN = (
    (r"password authentication failed", "PostgreSQL refuses the user's password"),
    (r"no password supplied", "PostgreSQL asks for a password, and the URL has none"),
    (r"no pg_hba\.conf entry", "PostgreSQL accepts no such connection from this machine (pg_hba.conf)"),
    (
        r"certificate verify failed|does not match host name",
        "the certificate of PostgreSQL's server is not one that sslrootcert and the host in the URL allow",
    ),
    (r"root certificate file", "the file of certificate authorities for PostgreSQL (sslrootcert) does not exist"),
    (r"server does not support SSL", "PostgreSQL offers no encryption, and the URL asks for it (sslmode)"),
    (r"could not translate host name|Name or service not known", "the host of PostgreSQL has no address"),
    (r"Connection refused", "nothing answers at the host and port of PostgreSQL"),
    (r"timeout expired|timed out", "PostgreSQL did not answer in time"),
    (r'database "[^"]*" does not exist', "PostgreSQL has no database of the name in the URL"),
    (r'role "[^"]*" does not exist', "PostgreSQL has no user of the name in the URL"),
    (r"permission denied for", "PostgreSQL refuses this user the right it needs in the database"),
    (r"the database system is (starting up|shutting down)", "PostgreSQL is starting or stopping"),
    (
        r"server closed the connection|terminating connection|connection (to server )?was lost|no connection to the "
        r"server|Connection reset|SSL SYSCALL",
        "the connection to PostgreSQL was lost",
    ),
    (r'Failed to execute query "(BEGIN|COMMIT|ROLLBACK)', "the connection to PostgreSQL was lost"),
    (r"Transaction conflict", "another process wrote to the same tables"),
    (r"creating a new DuckLake is explicitly disabled", "there is no DuckLake yet"),
    (r"does not match existing data path", "its catalog says that the data are in another place than projects.yaml"),
    (r"Cannot open file[^\n]*\.parquet\"?: No such file|No files found that match[^\n]*\.parquet", NOT_THERE),
    (r"No space left|Disk quota", "there is no room left on the disk"),
    (r"Permission denied", "the system refuses the rights to write or read the data"),
    (r"HTTP (?:code )?403|\b403\b|AccessDenied|InvalidAccessKey|SignatureDoesNotMatch", "the bucket refuses access"),
    (r"NoSuchBucket|HTTP 404", "the bucket, or an object in it, does not exist"),
    (r"HTTP 5\d\d|InternalError|SlowDown|ServiceUnavailable", "the bucket answered with an error of its own"),
    (r"Could not connect to server|Could not establish connection|Connection error", "the bucket does not answer"),
)
# After these the same may succeed, on a new connection.
_PASSING = (
    "in time",
    "starting or stopping",
    "was lost",
    "wrote to the same tables",
    "nothing answers",
    "error of its own",
    "bucket does not answer",
)


def reason(problem: BaseException) -> str:
    """What went wrong, in words that quote no data."""
    if not isinstance(problem, DatabaseError):
        return reason_of(problem)
    if is_short_of_memory(problem):
        return "memory_limit is too small for it"
    for pattern, words in _KNOWN:
        if re.search(pattern, str(problem), re.IGNORECASE):
            return words
    return f"DuckDB reported {type(problem).__name__}"


def may_pass(problem: BaseException) -> bool:
    """Whether it may succeed if it is tried again."""
    return isinstance(problem, DatabaseError) and reason(problem).endswith(_PASSING)


def lake_unusable(problem: BaseException, doing: str) -> WarehouseError:
    """The error to raise when the lake could not be reached, read or written."""
    return problem if isinstance(problem, WarehouseError) else LakeUnusable(doing=doing, reason=reason(problem))
