"""A session with PostgreSQL: opened when it is needed, again after it was lost, and noticed within seconds when it was.

Not here: what is asked (the other modules, sql/).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity

from pipelines.coordination.address import Address
from pipelines.errors import ConfigError, CoordinationError, CoordinationUnavailable, WarehouseError

if TYPE_CHECKING:
    import psycopg2

Row = tuple[Any, ...]
Values = Mapping[str, object]
T = TypeVar("T")

# A machine that vanished without a word is noticed after 20 seconds by both sides: measured, 19.6 s, against two hours
# with the system's own settings.
_CLIENT = {
    "application_name": "redcap-warehouse",
    "connect_timeout": 10,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,
}
# Compare-and-set relies on the isolation, whatever the database's default is.
_SERVER = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3 -c TimeZone=UTC "
    "-c default_transaction_isolation=read\\ committed"
)
# A session that holds a project is idle for hours; the setting exists since PostgreSQL 14.
_NEVER_ENDED_FOR_IDLENESS = (140_000, "SET idle_session_timeout = 0")
# The server ends, starts or accepts no more sessions, cancelled a statement, or has become a copy that only reads.
_PASSING = ("08", "40", "53300", "57P", "57014", "25006")
# Waiting does not help. psycopg2 gives no code for a refused connection, so these are read from the message; in
# another language they are tried again until the patience ends.
_LASTING = (
    "password authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "server does not support SSL",
    "certificate",
    "invalid",
    "unsupported startup parameter",
)
_LOCK_NOT_FREE = "55P03"
_NOT_ALLOWED = "42501"


class SessionLost(Exception):
    """The session has ended; `reason` may be shown. Raised inside this package only."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class LockNotFree(Exception):
    """The time to wait for a lock is over. Raised inside this package only."""


def driver() -> Any:
    """psycopg2, imported only when there is something to ask."""
    try:
        import psycopg2
    except ImportError:
        psycopg2 = None
    if psycopg2 is None:
        raise ConfigError(
            "a store in PostgreSQL needs a library that is not installed.",
            where="projects.yaml, store",
            remedy="Install the extra `postgres` of redcap-warehouse in the environment that it runs in.",
        )
    return psycopg2


class Session:
    """One session, for one thread at a time; others wait. Every statement is a transaction of its own."""

    def __init__(self, address: Address, patience: float, *, options: str = "") -> None:
        """`patience` is how many seconds a statement is tried again while PostgreSQL does not answer.

        `options` are settings of the session, as PostgreSQL's command line has them.
        """
        self.patience = patience
        self._options = options
        self._address = address
        self._connection: psycopg2.extensions.connection | None = None
        self._process = 0
        self._lock = threading.RLock()

    def run(self, statement: str, values: Values | None = None) -> list[Row]:
        """The rows of a statement that may be run twice: it is run again if the session was lost."""
        return self.patiently(lambda: self.once(statement, values))

    def patiently(self, work: Callable[[], T]) -> T:
        """The result of work that may be repeated; CoordinationUnavailable when the patience has ended."""
        tries = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(SessionLost),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=2.0),
            stop=tenacity.stop_after_delay(self.patience),
            reraise=True,
        )
        try:
            return tries(work)
        except SessionLost as lost:
            reason = lost.reason
        raise CoordinationUnavailable(reason=reason, tried=self.patience)

    def once(self, statement: str, values: Values | None = None, *, reopen: bool = True) -> list[Row]:
        """The rows of a statement that is run once; SessionLost if the session has ended or, without `reopen`, had."""
        with self._lock:
            connection = self._opened(reopen)
            try:
                with connection.cursor() as cursor:
                    cursor.execute(statement, values)
                    return cursor.fetchall() if cursor.description else []
            except driver().Error as error:
                problem = self._translated(error)
        # Raised here so that nothing of the driver's, whose frames hold the URL, hangs on it.
        raise problem

    def in_transaction(self, work: Callable[[], T]) -> T:
        """Do work with `once` in one transaction; all of it is undone if it fails."""
        with self._lock:
            self.once("BEGIN")
            try:
                result = work()
                self.once("COMMIT", reopen=False)
            except BaseException:
                self.close()
                raise
        return result

    def close(self) -> None:
        """End the session; PostgreSQL frees what it held. The next statement opens another."""
        with self._lock:
            # After a fork the session is the parent's.
            if self._connection is not None and self._process == os.getpid():
                self._connection.close()
            self._connection = None

    def _opened(self, reopen: bool) -> psycopg2.extensions.connection:
        if self._connection is not None and self._process != os.getpid():
            self._connection = None
        if self._connection is not None:
            return self._connection
        if not reopen:
            raise SessionLost("the session has ended")
        self._connection, self._process = _connect(self._address, self._options), os.getpid()
        return self._connection

    def _translated(self, error: Any) -> Exception:
        code = error.pgcode or ""
        if code == _LOCK_NOT_FREE:
            return LockNotFree()
        if self._connection is None or self._connection.closed or not code or code.startswith(_PASSING):
            self.close()
            return SessionLost(self._address.shown(str(error)).rstrip(".") or "the session has ended")
        if code == _NOT_ALLOWED:
            return ConfigError(
                "the user of PostgreSQL may not do what the store needs.",
                where="the store's PostgreSQL",
                remedy="It needs the right to create schemas in the database once, and after that the rights on the "
                "schema redcap_warehouse: GRANT CREATE ON DATABASE name TO user.",
            )
        # Messages of PostgreSQL may quote values.
        return CoordinationError(kind=type(error).__name__, code=code)


def _connect(address: Address, more: str) -> psycopg2.extensions.connection:
    psycopg2 = driver()
    problem: WarehouseError | SessionLost
    try:
        options = psycopg2.extensions.parse_dsn(address.reveal()).get("options", "")
        connection = psycopg2.connect(address.reveal(), **_CLIENT, options=" ".join((_SERVER, more, options)))
        connection.autocommit = True
        since, statement = _NEVER_ENDED_FOR_IDLENESS
        if connection.server_version >= since:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        return connection
    except psycopg2.ProgrammingError:
        # What it quotes may be a part of the password.
        problem = ConfigError("it cannot be read.", where="the URL of the store's PostgreSQL")
    except psycopg2.Error as error:
        problem = _not_connected(address, str(error))
    raise problem


def _not_connected(address: Address, message: str) -> WarehouseError | SessionLost:
    reason = address.shown(message).rstrip(".")
    lasting = any(words in message for words in _LASTING)
    return CoordinationUnavailable(reason=reason, tried=None) if lasting else SessionLost(reason)
