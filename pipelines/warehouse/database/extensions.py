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
    connection.execute(f"LOAD {literal(str(file))}")


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
