"""What people looked at when they cleaned: one project as it is published, its dictionary and its rows.

The connection's default database is the published one. Not here: comparing an offer with it (comparison.py).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.errors import QueryRefused
from pipelines.warehouse.database.connection import Connection, DatabaseError
from pipelines.warehouse.database.file_errors import quotes_no_values
from pipelines.warehouse.database.parquet import ROWS_AT_ONCE
from pipelines.warehouse.database.quoting import identifier, literal, qualified
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.value_checks import A_CHOICE
from redcap_source import model


@dataclass(frozen=True, slots=True)
class PublishedDictionary:
    """One project's structure as its readers see it."""

    record_id_field: str
    missing_data_codes: str
    fields: tuple[model.Field, ...]
    instruments: Mapping[str, str]
    """The label of each, by its name."""
    events: frozenset[str]
    """Unique names; none in a classic project."""


class PublishedSnapshot:
    """One project's published rows, as they are or as they were at some time."""

    def __init__(self, connection: Connection, project: str, as_of: datetime | None = None) -> None:
        """`as_of` (UTC) looks at the rows readers found then; the dictionary is always today's."""
        self._connection = connection
        self._project = project
        self._as_of = as_of
        self._sql = statements("snapshot")
        self._columns: dict[str, tuple[str, ...]] = {}
        self._tables: dict[str, str] = {}

    def dictionary(self) -> PublishedDictionary | None:
        """The project's dictionary; None where it has not been published."""
        values = {"project": self._project}
        row = self._connection.execute(self._sql["project"], values).fetchone()
        if row is None:
            return None
        fields = self._connection.execute(self._sql["dictionary"], values)
        names = [column[0] for column in fields.description or ()]
        rows = [dict(zip(names, found, strict=True)) for found in fields.fetchall()]
        instruments = self._connection.execute(self._sql["instruments"], values).fetchall()
        events = self._connection.execute(self._sql["events"], values).fetchall()
        return PublishedDictionary(
            record_id_field=row[0],
            missing_data_codes=row[1] or "",
            fields=tuple(map(model.Field.from_row, rows)),
            instruments=dict(instruments),
            events=frozenset(name for (name,) in events),
        )

    def columns(self, instrument: str) -> tuple[str, ...]:
        """The columns of an instrument's table, the record id first; none where there is no such table."""
        if instrument not in self._columns:
            found = self._connection.execute(
                self._sql["columns"], {"schema": f"{self._project}_raw", "table": instrument}
            ).fetchall()
            self._columns[instrument] = tuple(name for (name,) in found)
        return self._columns[instrument]

    def table(self, instrument: str) -> str:
        """The verbatim rows of an instrument, as a name for SQL."""
        if self._as_of is None:
            return qualified(f"{self._project}_raw", instrument)
        if instrument not in self._tables:
            # The versions are gone through once, however often the rows are compared.
            name = identifier(f"{instrument} as of")
            macro = qualified(f"{self._project}_history", "as_of")
            moment = f"TIMESTAMP {literal(self._as_of.isoformat(sep=' '))}"
            self._connection.execute(
                f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM {macro}({literal(instrument)}, {moment})"
            )
            self._tables[instrument] = name
        return self._tables[instrument]

    def hidden_by_type(self, instrument: str) -> frozenset[tuple[str, str, str, str]]:
        """Cells that the typed table shows as empty though they hold something: record, event, instance, field."""
        rows = self._connection.execute(
            self._sql["hidden_by_type"], {"project": self._project, "instrument": instrument, "choice": A_CHOICE}
        ).fetchall()
        return frozenset((str(a), str(b), str(c), str(d)) for a, b, c, d in rows)


def select(connection: Connection, query: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """The columns and rows of a person's query over the published warehouse; QueryRefused where DuckDB refuses it."""
    try:
        answer = connection.execute(query)
    except DatabaseError as problem:
        refused = _refused(problem)
    else:
        return [column[0] for column in answer.description or ()], _fetched(answer)
    # Raised out here: DuckDB's message may quote a participant's value.
    raise refused


def _fetched(answer: Connection) -> Iterator[Sequence[Any]]:
    try:
        yield from rows_of(answer)
    except DatabaseError as problem:
        refused = _refused(problem)
    else:
        return
    raise refused


def rows_of(answer: Connection) -> Iterator[Sequence[Any]]:
    """The rows of an answer, fetched a few at a time; a number of single precision keeps the digits it shows.

    DuckDB hands one over in double precision, where 160.1 has become 160.10000610351562.
    """
    narrow = [at for at, (_, kind, *_) in enumerate(answer.description or ()) if str(kind) == "FLOAT"]
    while rows := answer.fetchmany(ROWS_AT_ONCE):
        yield from (_shortened(row, narrow) for row in rows) if narrow else rows


def _shortened(row: Sequence[Any], narrow: Sequence[int]) -> Sequence[Any]:
    from numpy import float32

    return [
        float(str(float32(value))) if at in narrow and isinstance(value, float) else value
        for at, value in enumerate(row)
    ]


def _refused(problem: DatabaseError) -> QueryRefused:
    """DuckDB's own words about a query where no value can stand in them."""
    if quotes_no_values(problem):
        return QueryRefused(str(problem))
    return QueryRefused(
        f"DuckDB could not work out the query ({type(problem).__name__}). Its message may quote a participant's "
        "value and is not shown. Nothing was proposed. Use TRY_CAST or try_strptime where a value may not fit, then "
        "try again."
    )
