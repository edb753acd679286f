"""Proving that an answer is whole before anything is done with it.

A flat export cut at the end of a line still parses, so parsing proves nothing about its last record; every
record before the last is whole, because REDCap writes the rows of a record together. The last record of a CSV
is therefore never taken from it: it is named `unproven` and asked again. JSON closes with a bracket, so a JSON
answer that parses is whole. Asking again, smaller, is extract.py's business.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.connection import Connection, DatabaseError, connect, harden
from pipelines.warehouse.database.quoting import literal
from pipelines.warehouse.staging.answers import Answer, csv_header, is_blank, json_keys, key_columns, list_some, source
from pipelines.warehouse.tables.layout import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT
from pipelines.wording import counted


@dataclass(frozen=True, slots=True)
class Verified:
    """What an answer holds, once it has been shown to be whole."""

    records: tuple[str, ...] = field(repr=False)
    """The records proven whole, in REDCap's order."""
    unverified: str | None = field(repr=False)
    rows: int
    """Rows of the proven records."""


@contextmanager
def open_verifier(staging: Path) -> Iterator[Connection]:
    """A connection that can read the staging folder and nothing else, and writes nowhere."""
    connection = connect()
    try:
        connection.execute("SET threads = 1")
        connection.execute("SET temp_directory = ''")
        # Rows are counted in the order REDCap sent them.
        connection.execute("SET preserve_insertion_order = true")
        harden(connection, [staging])
        yield connection
    finally:
        connection.close()


def verify(connection: Connection, answer: Answer, asked: Sequence[str]) -> Verified:
    """What the answer holds, or VerificationFailed.

    Checked: the columns are the expected ones, every row has all of them, no record was sent that was not
    asked for, a record's rows stand together, and no two rows have the same keys.
    Records that were asked for and are missing are the caller's to judge: they may have been deleted.
    """
    if is_blank(answer.path):
        return Verified(records=(), unverified=None, rows=0)
    check_columns(answer)
    _check_utf8(answer.path)
    try:
        if answer.format == "json":
            _prove_json_whole(connection, answer)
        return _prove(connection, answer, asked)
    except DatabaseError:
        # DuckDB's own message quotes the offending line, which is patients' data.
        raise VerificationFailed(
            reason=f"it cannot be read as rows of {counted(len(answer.columns), 'column')}"
        ) from None


# Each row's place in the answer, then what stands under each key, then what each record has, then all of it in one row.
_SEEN = """
SELECT list(record), list(first), list(rows)::BIGINT[], coalesce(bool_or(rows <> span), false),
    coalesce(sum(doubles), 0)::BIGINT
FROM (
    SELECT record, sum(rows) AS rows, max(last) - min(first) + 1 AS span, min(first) AS first,
        count(*) FILTER (rows > 1) AS doubles
    FROM (
        SELECT record, count(*) AS rows, min(n) AS first, max(n) AS last
        FROM (SELECT row_number() OVER () AS n, {keys} FROM {source})
        GROUP BY record, event, instrument, instance
    )
    GROUP BY record
)
"""


def _prove(connection: Connection, answer: Answer, asked: Sequence[str]) -> Verified:
    keys = ", ".join(key_columns(answer.columns))
    rows_of = source(answer, (answer.columns[0], EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE))
    row = connection.execute(_SEEN.format(keys=keys, source=rows_of)).fetchone()
    names, places, counts, scattered, doubles = row if row and row[0] else ([], [], [], False, 0)
    # Sorting them in DuckDB costs as much again as all of the rest.
    found = sorted(zip(places, names, counts, strict=True), key=itemgetter(0))
    records = tuple(record for _, record, _ in found)
    if None in records:
        raise VerificationFailed(reason="a row has no record id")
    if strangers := set(records).difference(asked):
        raise VerificationFailed(
            reason=f"{counted(len(strangers), 'record that was', 'records that were')} not requested came back"
        )
    if answer.format == "csv" and scattered:
        raise VerificationFailed(reason="the rows of a record do not stand together")
    if doubles:
        raise VerificationFailed(reason=f"{counted(doubles, 'row')} came twice")
    if not records or answer.format == "json":
        return Verified(records, None, sum(counts))
    return Verified(records[:-1], records[-1], sum(counts) - found[-1][2])


def _prove_json_whole(connection: Connection, answer: Answer) -> None:
    """Refuse a JSON list that was cut, or one of whose objects lacks a column."""
    check_json_closed(answer.path)
    size = answer.path.stat().st_size + 4096
    other = connection.execute(
        f"SELECT count(*) FROM read_json_objects({literal(str(answer.path))}, format = 'array', "
        f"maximum_object_size = {size}) WHERE json_keys(json) <> $columns",
        {"columns": list(answer.columns)},
    ).fetchone()
    if other and other[0]:
        raise VerificationFailed(reason=f"{other[0]} of its rows have other columns than the first")


def check_json_closed(path: Path) -> None:
    """Refuse a JSON list without its closing bracket; DuckDB would read it as if it were whole."""
    with path.open("rb") as body:
        body.seek(max(0, path.stat().st_size - 64))
        if not body.read().rstrip().endswith(b"]"):
            raise VerificationFailed(reason="its JSON is cut or broken")


def _check_utf8(path: Path) -> None:
    """Refuse text in another encoding; DuckDB only notices in the columns it is asked for."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as body:
            while piece := body.read(1 << 20):
                # ASCII after whole characters needs no decoding, and is most of what there is.
                if decoder.getstate()[0] or not piece.isascii():
                    decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise VerificationFailed(reason="it is not UTF-8 text") from None


def check_columns(answer: Answer) -> None:
    """Refuse an answer whose columns are not the expected ones."""
    expected = answer.columns
    came = csv_header(answer.path) if answer.format == "csv" else json_keys(answer.path)
    if came == expected:
        return
    missing = [name for name in expected if name not in set(came)]
    added = [name for name in came if name not in set(expected)]
    parts = [f"lacks {list_some(missing)}"] * bool(missing) + [f"has {list_some(added)} more"] * bool(added)
    raise VerificationFailed(reason="its columns " + (" and ".join(parts) or "stand in another order"))
