"""DuckLakes of a test's own: a PostgreSQL for the catalogs, a folder for the data, and reading them as analysts do."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipelines.warehouse.database.connection import open_reader
from pipelines.warehouse.lake.address import Lake
from pipelines.warehouse.lake.attach import reading
from pipelines.warehouse.lake.publish import LakePublisher, Mirrors, Outcome
from pipelines.warehouse.publishing.source import read_source
from tests.support.postgres import RunningPostgres

_numbers = itertools.count()
CATALOG = "WAREHOUSE_CATALOG"


@pytest.fixture
def lake(postgres: RunningPostgres, tmp_path: Path) -> Lake:
    """A lake that does not exist yet."""
    return Lake(postgres.new_database(f"lake{next(_numbers)}"), str(tmp_path / "data"))


def new_store(postgres: RunningPostgres, data: Path, environment: pytest.MonkeyPatch) -> str:
    """The key `store` of projects.yaml, with its value, for a lake that does not exist yet."""
    environment.setenv(CATALOG, postgres.new_database(f"store{next(_numbers)}"))
    return f"store: {{catalog: {{env: {CATALOG}}}, data: '{data}'}}"


@dataclass
class Publishing:
    """A publisher into one lake, and where the mirrors are."""

    lake: Lake
    mirrors: dict[str, Path]
    publisher: LakePublisher = field(init=False)

    def __post_init__(self) -> None:
        folders = {path.parent for path in self.mirrors.values()}
        self.publisher = LakePublisher(
            self.lake, tuple(sorted(folders)), Path(self.lake.data).parent / "spill", sleep=lambda seconds: None
        )

    def publish(self, *projects: str, **options: object) -> Outcome:
        """Publish these projects, or all."""
        names = projects or tuple(self.mirrors)
        return self.publisher.publish(names, Mirrors(self.to_read, self.marked), **options)

    def marked(self, project: str) -> str:
        """The last run in the project's mirror."""
        with open_reader(self.mirrors[project]) as connection:
            return read_source(connection, project).runs[-1].run_id

    @contextmanager
    def to_read(self, project: str) -> Iterator[Path]:
        yield self.mirrors[project]


@pytest.fixture
def publishing(lake) -> Iterator[Callable[..., Publishing]]:
    """Makes publishers, and closes them."""
    made: list[Publishing] = []

    def make(**mirrors: Path) -> Publishing:
        made.append(Publishing(lake, mirrors))
        return made[-1]

    yield make
    for one in made:
        one.publisher.close()
    shutil.rmtree(lake.data, ignore_errors=True)


_TABLES = """
SELECT schema_name, table_name, list((column_name, data_type, comment) ORDER BY column_index)
FROM duckdb_columns() WHERE database_name = current_database() AND NOT internal
AND schema_name <> '_publish' AND schema_name NOT LIKE '%:%' GROUP BY ALL
"""


def everything_in(lake: Lake) -> dict[str, tuple]:
    """The columns with their types and comments, and the rows, of every table and view, by schema and name."""
    found = {}
    with reading(lake) as connection:
        for schema, table, columns in connection.execute(_TABLES).fetchall():
            rows = connection.execute(f'SELECT * FROM "{schema}"."{table}"').fetchall()
            found[f"{schema}.{table}"] = (columns, sorted(rows, key=repr))
    return found


def rows_in(lake: Lake, query: str) -> list[tuple]:
    """A query of the lake, as any reader would ask it."""
    with reading(lake) as connection:
        return connection.execute(query).fetchall()
