"""An answer of REDCap on disk, and how SQL reads it."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT

Format = Literal["csv", "json"]


@dataclass(frozen=True, slots=True)
class Answer:
    """A flat export in the staging folder, and what it was asked for."""

    path: Path
    format: Format
    columns: tuple[str, ...]
    """The columns the run expects, in REDCap's order."""


def source(answer: Answer, wanted: Collection[str]) -> str:
    """The SQL table function that reads some columns of an answer, named c0, c1, … by their place in it.

    All are text, blank cells NULL. Of a CSV all columns can be read, as they cannot be told apart otherwise.
    """
    return _json_source(answer, wanted) if answer.format == "json" else csv_source(answer)


def csv_header(path: Path) -> tuple[str, ...]:
    """The column names of a CSV answer."""
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        return tuple(next(csv.reader(lines), ()))


def json_keys(path: Path) -> tuple[str, ...]:
    """The keys of the first object of a JSON answer."""
    text = path.read_text(encoding="utf-8", errors="replace").lstrip()
    if not text.startswith("["):
        raise VerificationFailed(reason="it is not a JSON list")
    try:
        first, _ = json.JSONDecoder().raw_decode(text[1:].lstrip())
    except ValueError:
        raise VerificationFailed(reason="its JSON is cut or broken") from None
    return tuple(first) if isinstance(first, dict) else ()


def is_blank(path: Path) -> bool:
    """Whether the answer says "no rows": nothing, a newline, or an empty list."""
    return path.stat().st_size < 8 and path.read_bytes().strip() in (b"", b"[]")


def csv_source(answer: Answer) -> str:
    """The SQL table function that reads a CSV answer: text named c0, c1, … by its place, blank cells NULL."""
    columns = ", ".join(f"'c{i}': 'VARCHAR'" for i in range(len(answer.columns)))
    # One buffer holds the whole chunk: no line, however long, can stand across two.
    size = answer.path.stat().st_size + 4096
    return (
        f"read_csv({literal(str(answer.path))}, columns = {{{columns}}}, header = true, auto_detect = false, "
        f"delim = ',', quote = '\"', escape = '\"', nullstr = '', strict_mode = true, null_padding = false, "
        f"max_line_size = {size}, buffer_size = {size}, parallel = false, encoding = 'utf-8')"
    )


def _json_source(answer: Answer, wanted: Collection[str]) -> str:
    # Each column named costs a tenth of a millisecond, whatever it holds. Where only one is, DuckDB may take whole
    # objects for its values if it is not told that they are records.
    named = [(i, name) for i, name in enumerate(answer.columns) if name in wanted]
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for _, name in named)
    size = answer.path.stat().st_size + 4096
    shown = ", ".join(f"nullif({identifier(name)}, '') AS c{i}" for i, name in named)
    return (
        f"(SELECT {shown} FROM read_json({literal(str(answer.path))}, columns = {{{columns}}}, "
        f"format = 'array', records = true, maximum_object_size = {size}))"
    )


def key_columns(columns: Sequence[str]) -> Iterator[str]:
    yield "c0 AS record"
    for column, name in ((EVENT, "event"), (REPEAT_INSTRUMENT, "instrument"), (REPEAT_INSTANCE, "instance")):
        yield f"c{columns.index(column)} AS {name}" if column in columns else f"NULL AS {name}"


def list_some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} others"
