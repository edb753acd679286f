"""Reads a CSV file that was checked to be a table. Not here: the check (pipelines/writeback/proposals/files.py)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb

from pipelines.warehouse.database.quoting import literal


@dataclass(frozen=True, slots=True)
class PlainCsv:
    """A CSV file that was checked to be a table, and that DuckDB must read as the same rows."""

    path: Path
    delimiter: str
    columns: int
    rows: int
    blank_rows: bool = False
    """Whether it has rows of delimiters only, which are not counted in `rows`."""


class NotTheSameRows(Exception):
    """DuckDB read a file differently from the check; the message quotes nothing of the file."""


def read_csv(statement: Callable[[], object]) -> None:
    """Run a statement that reads a checked file; raises NotTheSameRows, without the line DuckDB quotes, if it fails."""
    try:
        statement()
    except (duckdb.InvalidInputException, duckdb.ConversionException):
        pass
    else:
        return
    # Raised outside the handler, and not by a context manager: DuckDB's error would be chained to it.
    raise NotTheSameRows("a first check found a table in it, and DuckDB could not read it as one.")


def csv_source(file: PlainCsv) -> str:
    """The SQL table function that reads the file: text named c0, c1, … by its place, blank cells NULL."""
    columns = ", ".join(f"'c{at}': 'VARCHAR'" for at in range(file.columns))
    delimiter = "\\t" if file.delimiter == "\t" else file.delimiter
    source = (
        f"read_csv({literal(str(file.path))}, columns = {{{columns}}}, header = true, auto_detect = false, "
        f"delim = {literal(delimiter)}, quote = '\"', escape = '\"', comment = '', nullstr = '', strict_mode = true, "
        "null_padding = false, parallel = false, encoding = 'utf-8')"
    )
    if not file.blank_rows:
        return source
    return f"(FROM {source} WHERE coalesce({', '.join(f'c{at}' for at in range(file.columns))}) IS NOT NULL)"
