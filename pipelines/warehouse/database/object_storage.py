"""Objects in S3, read and written by DuckDB's own httpfs, and the keys it does so with.

A file goes up and comes down as a blob (sql/objects.sql). Messages of httpfs are never shown: those of a refused
request may quote what was signed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import duckdb
import tenacity

from pipelines.errors import ConfigError
from pipelines.store_errors import ObjectMissing, SharedPlaceUnusable
from pipelines.warehouse.database.connection import Connection, connect
from pipelines.warehouse.database.extensions import load_extension
from pipelines.warehouse.database.quoting import literal
from pipelines.warehouse.sql import statements

T = TypeVar("T")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# httpfs copies the environment's keys into these settings as it is loaded, and every query can read them there.
SHOWN_BY_SETTINGS = ("s3_access_key_id", "s3_secret_access_key", "s3_session_token")
# httpfs repeats a request that failed after 0.1, 0.4 and 1.6 seconds; longer outages are waited for around the object.
RETRIES, RETRY_WAIT_MS, RETRY_BACKOFF = 3, 100, 4
PATIENCE = 60.0
_STATUS = re.compile(r"\bHTTP (?:code )?(\d{3})\b")
_ACCESS = "Check the AWS_ variables of this process, and its rights to list, read, write and delete there."


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Where S3 is and the keys for it, as the usual AWS_ variables give them; no repr shows a key."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    session_token: str = field(repr=False, default="")
    region: str = "us-east-1"
    endpoint: str = ""
    """Host and port of a server other than Amazon's; empty for Amazon's."""
    secure: bool = True
    """Whether the connection is encrypted; only a server on this machine may be reached without."""


def s3_settings(environment: Mapping[str, str]) -> S3Settings:
    """What the AWS_ variables of an environment say.

    Raises ConfigError if a key is missing, or if the endpoint is no URL, or is plain http to another machine.
    """
    key_id, secret = environment.get("AWS_ACCESS_KEY_ID", ""), environment.get("AWS_SECRET_ACCESS_KEY", "")
    for name, value in (("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", secret)):
        if not value:
            raise ConfigError(
                f"the environment variable {name} is not set, and the store's data is in S3.",
                where="projects.yaml, store.data",
                remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL_S3 for a server other "
                "than Amazon's.",
            )
    endpoint, secure = _endpoint(environment)
    return S3Settings(
        key_id=key_id,
        secret=secret,
        session_token=environment.get("AWS_SESSION_TOKEN", ""),
        region=environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or "us-east-1",
        endpoint=endpoint,
        secure=secure,
    )


def _endpoint(environment: Mapping[str, str]) -> tuple[str, bool]:
    """Host and port of the server, and whether the connection to it is encrypted."""
    name = "AWS_ENDPOINT_URL_S3" if environment.get("AWS_ENDPOINT_URL_S3") else "AWS_ENDPOINT_URL"
    if not (given := environment.get(name, "")):
        return "", True
    url = urlsplit(given)
    # The URL itself is not shown: a password may stand in it.
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or "@" in url.netloc:
        raise ConfigError(
            "is not the URL of a server.", where=name, remedy="Give it as https://host or https://host:port."
        )
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        raise ConfigError(
            f"names {url.hostname} without encryption; the mirrors hold participants' data.",
            where=name,
            remedy="Give an https:// URL. Plain http is accepted for a server on this machine only.",
        )
    return url.netloc, url.scheme == "https"


def use_s3(connection: Connection, url: str, settings: S3Settings) -> None:
    """Let a connection read and write below an s3:// URL, before the connection is hardened.

    No query can show the secret key or the session token afterwards; duckdb_secrets() names the key's id.
    """
    load_extension(connection, "httpfs")
    for name in SHOWN_BY_SETTINGS:
        connection.execute(f"SET {name} = ''")
    # Otherwise DuckDB would also use secrets that the user of this machine has stored for other programs.
    connection.execute("SET allow_persistent_secrets = false")
    for name, value in (
        ("http_retries", RETRIES), ("http_retry_wait_ms", RETRY_WAIT_MS), ("http_retry_backoff", RETRY_BACKOFF)
    ):  # fmt: skip
        connection.execute(f"SET {name} = {value}")
    options = {
        "KEY_ID": settings.key_id,
        "SECRET": settings.secret,
        "SESSION_TOKEN": settings.session_token,
        "REGION": settings.region,
        "SCOPE": url.rstrip("/"),
        "ENDPOINT": settings.endpoint,
        "URL_STYLE": "path" if settings.endpoint else "",
    }
    given = ", ".join(f"{name} {literal(value)}" for name, value in options.items() if value)
    try:
        connection.execute(
            f"CREATE SECRET (TYPE s3, PROVIDER config, {given}, USE_SSL {'true' if settings.secure else 'false'})"
        )
    except duckdb.Error as problem:
        # Its message quotes the statement.
        raise ConfigError(
            f"DuckDB does not accept the AWS_ variables ({type(problem).__name__}).", where="projects.yaml, store.data"
        ) from None


class ObjectStorage:
    """The objects below one s3:// URL; connects when it is first used. Safe for several threads, one at a time."""

    def __init__(
        self,
        url: str,
        settings: S3Settings,
        *,
        patience: float = PATIENCE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """An operation that fails because the server does not answer well is repeated for `patience` seconds."""
        self.url = url.rstrip("/")
        self._settings = settings
        self._patience = patience
        self._sleep = sleep
        self._lock = threading.RLock()
        self._connection: Connection | None = None

    def close(self) -> None:
        """Close the connection; the next operation opens another."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def put(self, local: Path, key: str) -> None:
        """Write a file as one object, and ask for the object's size afterwards.

        Raises SharedPlaceUnusable if that fails, or if the object has another size than the file.
        """

        def write() -> None:
            self._copy(str(local), self._of(key))
            size, there = local.stat().st_size, self._sizes(key).get(key)
            if there != size:
                raise SharedPlaceUnusable(
                    place=self._of(key), reason=f"it has {there} bytes after {size} were written", remedy="Try again."
                )

        self._patiently(write, key)

    def get(self, key: str, local: Path) -> None:
        """Write one object into a local file; raises ObjectMissing if there is none of this name."""
        self._patiently(lambda: self._copy(self._of(key), str(local)), key)

    def sizes(self, prefix: str) -> dict[str, int]:
        """The objects whose keys begin with a prefix, and their sizes in bytes."""
        return self._patiently(lambda: self._sizes(prefix), prefix)

    def delete(self, keys: Collection[str]) -> None:
        """Delete objects; those that do not exist are passed over."""
        if keys:
            self._patiently(lambda: self._delete(keys), next(iter(keys)))

    def _copy(self, source: str, target: str) -> None:
        self._opened().execute(statements("objects")["copy_file"], {"source": source, "target": target})

    def _sizes(self, prefix: str) -> dict[str, int]:
        pattern = f"{self._of(prefix)}*"
        found = self._opened().execute(statements("objects")["sizes"], {"pattern": pattern}).fetchall()
        return {name.removeprefix(f"{self.url}/"): int(size) for name, size in found}

    def _delete(self, keys: Collection[str]) -> None:
        connection, objects = self._opened(), statements("objects")
        load_extension(connection, "ducklake")
        connection.execute(f"ATTACH 'ducklake::memory:' AS bin (DATA_PATH {literal(f'{self.url}/')})")
        try:
            for number, key in enumerate(keys, 1):
                connection.execute(objects["schedule_deletion"], {"number": number, "key": key})
            connection.execute(objects["delete_scheduled"])
        finally:
            connection.execute("DETACH bin")

    def _of(self, key: str) -> str:
        return f"{self.url}/{key}"

    def _opened(self) -> Connection:
        if self._connection is None:
            self._connection = connect()
            use_s3(self._connection, self.url, self._settings)
            # Otherwise what was read once stays in memory.
            self._connection.execute("SET enable_external_file_cache = false")
        return self._connection

    def _patiently(self, operation: Callable[[], T], key: str) -> T:
        """Do something, again and again while the server does not answer well; errors become ours."""
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_pass),
            wait=tenacity.wait_random(0.5, 3),
            stop=tenacity.stop_after_delay(self._patience),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            with self._lock:
                return waiting(operation)
        except duckdb.Error as problem:
            with suppress(duckdb.Error):
                self.close()
            raise _unusable(self._of(key), problem) from None


def _may_pass(problem: BaseException) -> bool:
    """Whether the server, or the way to it, failed in a way that may pass."""
    if not isinstance(problem, duckdb.IOException | duckdb.HTTPException) or "http" not in str(problem).lower():
        return False
    status = _status(problem)
    return status is None or status in (408, 429) or status >= 500


def _status(problem: duckdb.Error) -> int | None:
    code = getattr(problem, "status_code", None)
    if isinstance(code, int) and code:
        return code
    found = _STATUS.search(str(problem))
    return int(found[1]) if found else None


def _unusable(place: str, problem: duckdb.Error) -> SharedPlaceUnusable:
    """The error to raise; nothing of DuckDB's message is in it."""
    status = _status(problem)
    if status == 404:
        return ObjectMissing(place=place)
    if status in (400, 401, 403):
        return SharedPlaceUnusable(place=place, reason=f"S3 refused the request (HTTP {status})", remedy=_ACCESS)
    if status is not None:
        return SharedPlaceUnusable(place=place, reason=f"S3 answers HTTP {status}", remedy="Try again later.")
    if isinstance(problem, duckdb.IOException) and "http" in str(problem).lower():
        return SharedPlaceUnusable(place=place, reason="S3 cannot be reached", remedy="Try again later.")
    return SharedPlaceUnusable(
        place=place, reason=f"DuckDB reported {type(problem).__name__}", remedy="Make sure of room on the disk."
    )
