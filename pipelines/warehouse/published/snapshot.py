"""One project as it is published, which is what people clean: its dictionary and its rows.

The connection's default database is the published one. Not here: comparing a submission with it (comparison/).
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
from pipelines.warehouse.database.quoting import identifier, qualified
from pipelines.warehouse.published import snapshot_sql
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.value_checks import A_CHOICE
from redcap_source import model


@dataclass(frozen=True, slots=True)
class PublishedDictionary:
    """One project's structure as readers see it."""

    record_id_field: str
    missing_data_codes: str
    fields: tuple[model.Field, ...]
    instruments: Mapping[str, str]
    """The label of each, by its name."""
    events: frozenset[str]
    """Their unique names; none in a classic project."""


class PublishedSnapshot:
    """One project's published rows, as they are now or as they were at some time."""

    def __init__(self, connection: Connection, project: str, as_of: datetime | None = None) -> None:
        """`as_of` (UTC) selects the rows readers found then; the dictionary is always the present one."""
        self._connection = connection
        self._project = project
        self._as_of = as_of
        self._sql = statements("snapshot")
        self._columns: dict[str, tuple[str, ...]] = {}
        self._tables: dict[str, str] = {}

    def dictionary(self) -> PublishedDictionary | None:
        """Return the project's dictionary; None if the project has not been published."""
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
        """Return the columns of an instrument's table, the record id first; none if there is no such table."""
        if instrument not in self._columns:
            found = self._connection.execute(
                self._sql["columns"], {"schema": f"{self._project}_raw", "table": instrument}
            ).fetchall()
            self._columns[instrument] = tuple(name for (name,) in found)
        return self._columns[instrument]

    def table(self, instrument: str) -> str:
        """Return the table of an instrument's verbatim rows, as text for SQL."""
        if self._as_of is None:
            return qualified(f"{self._project}_raw", instrument)
        if instrument not in self._tables:
            # The versions are read once, however often the rows are compared.
            table = f"{instrument} as of"
            statement = snapshot_sql.create_rows_as_of(table, self._project, instrument, self._as_of)
            self._connection.execute(statement)
            self._tables[instrument] = identifier(table)
        return self._tables[instrument]

    def hidden_by_type(self, instrument: str) -> frozenset[tuple[str, str, str, str]]:
        """Return cells with a value that the typed table shows as empty: record, event, instance, field."""
        rows = self._connection.execute(
            self._sql["hidden_by_type"], {"project": self._project, "instrument": instrument, "choice": A_CHOICE}
        ).fetchall()
        return frozenset((str(a), str(b), str(c), str(d)) for a, b, c, d in rows)


def select(connection: Connection, query: str) -> tuple[list[str], Iterator[Sequence[Any]]]:
    """Return the columns and rows of a person's query over the published warehouse.

    Raises QueryRefused, also while the rows are read, if DuckDB cannot run it.
    """
    try:
        answer = connection.execute(query)
    except DatabaseError as problem:
        refused = _refused(problem)
    else:
        return [column[0] for column in answer.description or ()], _rows(answer)
    # Raised out here, so that DuckDB's error is not its context: its message may quote a participant's value.
    raise refused


def _rows(answer: Connection) -> Iterator[Sequence[Any]]:
    try:
        yield from _pages(answer)
    except DatabaseError as problem:
        refused = _refused(problem)
    else:
        return
    raise refused


def _pages(answer: Connection) -> Iterator[Sequence[Any]]:
    """Fetch the rows some at a time; a number of single precision keeps the digits that DuckDB shows.

    DuckDB converts it to double precision, in which 160.1 is 160.10000610351562.
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
    """The error for a query, with DuckDB's message if no value can be in it."""
    if quotes_no_values(problem):
        return QueryRefused(f"{problem}\nNothing was proposed. Correct the query, then try again.")
    return QueryRefused(
        f"DuckDB could not run the query ({type(problem).__name__}). Its message may quote a participant's value "
        "and is not shown. Nothing was proposed. Use TRY_CAST or try_strptime where a value may not fit, then "
        "try again."
    )
