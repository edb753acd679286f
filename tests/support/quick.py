"""Which test modules need neither a server nor a DuckDB file: those of `make quick`.

A module is quick if neither what it imports from the tests nor the fixtures it uses import what opens a socket, a
process or a database file. The imports are read as text, so that modules which are not quick are not even imported.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

from tests.support.root import ROOT

# What opens something, by the names a test imports it under.
OPENERS = (
    "dagster",
    "duckdb",
    "http.server",
    "multiprocessing",
    "pipelines.cli",
    "pipelines.definitions",
    "pipelines.defs",
    "pipelines.demo",
    "pipelines.run",
    "pipelines.sync.load",
    "pipelines.warehouse.database.connection",
    "pipelines.warehouse.mirror.open",
    "pipelines.warehouse.publishing.publish",
    "pipelines.warehouse.staging.verify",
    "redcap_source.client",
    "redcap_source.http.connection",
    "redcap_source.simulator.Simulator",
    "redcap_source.simulator.server",
    "redcap_source.simulator.simulator",
    "redcap_source.RedcapClient",
    "socket",
    "subprocess",
    "typer.testing",
)


@cache
def imported(path: Path) -> frozenset[str]:
    """The dotted names that a file imports anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(names)


@cache
def opens(path: Path) -> bool:
    """Whether a file of the tests, or one of the tests that it imports, imports what opens something."""
    for name in imported(path):
        if any(name == opener or name.startswith(f"{opener}.") for opener in OPENERS):
            return True
        if name.startswith("tests.") and any(opens(other) for other in _files(name) if other != path):
            return True
    return False


def _files(name: str) -> list[Path]:
    places = [name, name.rpartition(".")[0]]
    return [path for place in places if (path := ROOT / f"{place.replace('.', '/')}.py").is_file()]


def is_quick(path: Path) -> bool:
    """Whether a test module belongs to `make quick`."""
    return not opens(path) and not any(opens(origin) for origin in _origins_of_fixtures(path))


def _origins_of_fixtures(path: Path) -> set[Path]:
    """The files that define the fixtures which a test module takes from the conftest files beside and above it."""
    wanted = {
        argument.arg
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
        for argument in node.args.args
    }
    above = [folder / "conftest.py" for folder in path.parents if folder.is_relative_to(ROOT / "tests")]
    return {origin for conftest in above if conftest.is_file() for origin in _origins(conftest, wanted)}


def _origins(conftest: Path, wanted: set[str]) -> set[Path]:
    tree = ast.parse(conftest.read_text(encoding="utf-8"))
    own = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    origins = {conftest} if own & wanted else set()
    for name in imported(conftest):
        if name.startswith("tests.") and name.rpartition(".")[2] in wanted:
            origins |= set(_files(name))
    return origins
