"""Where a DuckLake is, and what DuckDB is told of it. Pure: nothing is opened here.

The URL of the catalog holds a password. DuckDB is given it as the parameter of a secret, so that it is in no statement,
no error and no name of a database; what is no secret, as `sslmode`, is in the connection string.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

from pipelines.errors import ConfigError

# What messages call it.
PUBLISHED_LAKE = "the published DuckLake"
# The schema of PostgreSQL that has the lake's catalog.
METADATA_SCHEMA = "redcap_lake"
# As in DuckDB's secrets: the parts of a connection that are never in a statement.
_SECRET = ("host", "port", "user", "password", "dbname")
# A machine that vanished is noticed within half a minute; DuckDB would wait for two hours. Seconds, but for the last,
# which are milliseconds.
_DEFAULTS = {
    "connect_timeout": "10",
    "keepalives_idle": "5",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
}


@dataclass(frozen=True, slots=True)
class Lake:
    """One DuckLake: the URL of its catalog, and where its data are."""

    catalog: str = field(repr=False)
    """postgresql://…; never shown."""
    data: str
    """A folder, or s3://bucket/prefix: the Parquet files are in it."""

    @property
    def data_path(self) -> str:
        """The place of the data, with the slash at its end that DuckLake wants."""
        return self.data.rstrip("/") + "/"

    @property
    def in_bucket(self) -> bool:
        """Whether the data are in a bucket."""
        return self.data.startswith("s3://")

    @property
    def secret(self) -> dict[str, str]:
        """The parts of the connection that are never in a statement."""
        return {name: value for name, value in _parts(self.catalog).items() if name in _SECRET}

    @property
    def options(self) -> str:
        """The other parts, as a connection string of PostgreSQL."""
        parts = {name: value for name, value in _parts(self.catalog).items() if name not in _SECRET}
        return " ".join(f"{name}={_quoted(value)}" for name, value in ({**_DEFAULTS, **parts}).items())


def _parts(url: str) -> Mapping[str, str]:
    """The parts of a URL by libpq's names."""
    try:
        split = urlsplit(url)
    except ValueError:
        split = None
    if split is None or split.scheme not in ("postgresql", "postgres"):
        raise ConfigError(
            "the URL of the store's catalog cannot be read.",
            remedy="It has the form postgresql://user:password@host:port/database.",
        )
    users, _, places = split.netloc.rpartition("@")
    user, _, password = users.partition(":")
    # There may be several hosts, of which the first that answers is used.
    hosts, ports = zip(*(_host_and_port(place) for place in places.split(",")), strict=True)
    found = {
        "host": ",".join(hosts),
        "port": ",".join(ports) if any(ports) else "",
        "user": unquote(user),
        "password": unquote(password),
        "dbname": unquote(split.path.lstrip("/")),
    }
    found |= dict(parse_qsl(split.query))
    if "sslpassword" in found:
        raise ConfigError(
            "the URL of the store's catalog has `sslpassword`, which DuckDB would show in the names of databases.",
            remedy="Use a key without a password that only this user can read.",
        )
    return {name: value for name, value in found.items() if value}


def _host_and_port(place: str) -> tuple[str, str]:
    found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d*))?", place)
    if found is None:
        raise ConfigError("the host in the URL of the store's catalog cannot be read.")
    return unquote(found[1].strip("[]")), found[2] or ""


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
