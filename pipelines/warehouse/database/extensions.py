"""DuckDB extensions that are installed as Python packages: finding them, and loading them without a download.

DuckDB would fetch an extension from its own server; the warehouse connects to nothing but REDCap and its own store. An
extension fits exactly one version of DuckDB, which checks that, and the extension's signature, when it loads it.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import duckdb

from pipelines.errors import ConfigError, ExtensionUnusable
from pipelines.warehouse.database.quoting import literal

# The packages that carry DuckDB's extensions: the community's, and DuckDB's own for 2.0 and later.
PACKAGES = ("duckdb_extension_{}", "duckdb_core_ext_{}")
# Extension -> the extra of this package that installs it.
EXTRAS = {"ducklake": "ducklake", "postgres_scanner": "ducklake", "httpfs": "s3"}

# DuckDB would download extensions by itself, for an SQLite file under one of our names or for a query that names a URL.
# The warehouse connects to nothing but REDCap.
DOWNLOAD_SETTINGS = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
# The files that DuckDB has found signed in this process. It reads them whole for that, which takes 0.2 s of CPU time a
# file, and would do it again for every connection.
_SIGNED: set[tuple[str, int, int, int]] = set()


def trust_in_extensions() -> dict[str, str]:
    """The settings with which a new connection loads the files that are known to be signed as they are.

    Other files are verified first. SQL of a person can load nothing: connections are hardened before.
    """
    return {"allow_unsigned_extensions": "true"} if _SIGNED else {}


def find_extension(name: str) -> Path | None:
    """The installed file of an extension for the DuckDB that is running; None if there is none."""
    files = _installed(name)
    return next((file for file in files if file.parent.name.removeprefix("v") == duckdb.__version__), None)


def load_extension(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    """Load an extension into a connection, before the connection is hardened.

    Raises ExtensionUnusable if it is not installed, or is one for another version of DuckDB.
    """
    file = find_extension(name)
    if file is None:
        others = sorted({found.parent.name.removeprefix("v") for found in _installed(name)})
        raise ExtensionUnusable(
            name=name, extra=EXTRAS.get(name, "ducklake"), running=duckdb.__version__, installed=others
        )
    load, accepts_all = f"LOAD {literal(str(file))}", _accepts_all(connection)
    if accepts_all and _identity(file) not in _SIGNED:
        with duckdb.connect(config=dict(DOWNLOAD_SETTINGS)) as strict:
            strict.execute(load)
        _SIGNED.add(_identity(file))
    connection.execute(load)
    if not accepts_all:
        _SIGNED.add(_identity(file))


def _identity(file: Path) -> tuple[str, int, int, int]:
    found = file.stat()
    return str(file), found.st_ino, found.st_size, found.st_mtime_ns


def _accepts_all(connection: duckdb.DuckDBPyConnection) -> bool:
    row = connection.execute("SELECT current_setting('allow_unsigned_extensions')").fetchone()
    return row is not None and bool(row[0])


def check_extras(*, in_bucket: bool) -> None:
    """Raise ConfigError, before anything is opened, if what a store of several machines needs is not installed."""
    extensions = [name for name, extra in EXTRAS.items() if in_bucket or extra != "s3"]
    missing = [f"DuckDB's extension {name}" for name in extensions if find_extension(name) is None]
    if importlib.util.find_spec("psycopg2") is None:
        missing.append("the package psycopg2")
    if not missing:
        return
    extras = "extras `ducklake` and `s3`" if in_bucket else "extra `ducklake`"
    raise ConfigError(
        f"this store needs what is not installed for DuckDB {duckdb.__version__}, which runs: {', '.join(missing)}. "
        "Nothing was opened.",
        where="projects.yaml, store",
        remedy=f"Install the {extras} of redcap-warehouse in the environment that it runs in; the version of DuckDB "
        "that fits comes with them.",
    )


def _installed(name: str) -> list[Path]:
    """Every file of an extension in the installed packages, whatever version of DuckDB it is for."""
    files: list[Path] = []
    for pattern in PACKAGES:
        spec = importlib.util.find_spec(pattern.format(name))
        for folder in (spec.submodule_search_locations or []) if spec else []:
            files += sorted(Path(folder).rglob(f"{name}.duckdb_extension"))
    return files
