"""Verifies that an answer is whole before anything is done with it.

A flat export cut at the end of a line still parses, so parsing shows nothing about its last record; every record before
the last is whole, because REDCap writes the rows of a record together. The last record of a CSV is therefore never
taken from it: it is returned as `unverified` and requested again. JSON closes with a bracket, so a JSON answer that
parses is whole. Not here: requesting again, in smaller chunks (pipelines/extract/fetcher.py).
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
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.staging.answers import Answer, csv_header, is_blank, json_keys, list_some
from pipelines.warehouse.staging.staging_sql import count_other_objects, verified_rows
from pipelines.wording import counted


@dataclass(frozen=True, slots=True)
class Verified:
    """What an answer holds, once it was found to be whole."""

    records: tuple[str, ...] = field(repr=False)
    """The records that are whole, in REDCap's order."""
    unverified: str | None = field(repr=False)
    """The last record of a CSV, of which a part may be missing."""
    rows: int
    """Rows of the records that are whole."""


@contextmanager
def open_verifier(staging: Path) -> Iterator[Connection]:
    """A connection that can read the staging folder and nothing else, and writes nowhere."""
    connection = connect()
    try:
        connection.execute("SET threads = 1")
        connection.execute("SET temp_directory = ''")
        # Rows are numbered in the order REDCap sent them.
        connection.execute("SET preserve_insertion_order = true")
        harden(connection, [staging])
        yield connection
    finally:
        connection.close()


def verify(connection: Connection, answer: Answer, asked: Sequence[str]) -> Verified:
    """What the answer holds; VerificationFailed if it is not what was requested.

    Checked: the columns are the expected ones, every row has all of them, every record was requested, a record's rows
    are consecutive, and no two rows have the same keys. Records that were requested and are missing are left to the
    caller: they may have been deleted.
    """
    if is_blank(answer.path):
        return Verified(records=(), unverified=None, rows=0)
    check_columns(answer)
    _check_utf8(answer.path)
    try:
        if answer.format == "json":
            _check_json(connection, answer)
        return _verify_rows(connection, answer, asked)
    except DatabaseError:
        # DuckDB's own message quotes the offending line, which is patients' data.
        width = counted(len(answer.columns), "column")
        raise VerificationFailed(reason=f"it cannot be read as rows of {width}") from None


def _verify_rows(connection: Connection, answer: Answer, asked: Sequence[str]) -> Verified:
    row = one(connection, verified_rows(answer))
    names, places, counts, scattered, duplicates = row if row and row[0] else ([], [], [], False, 0)
    # Sorting them in DuckDB costs as much again as all of the rest.
    found = sorted(zip(places, names, counts, strict=True), key=itemgetter(0))
    records = tuple(record for _, record, _ in found)
    if None in records:
        raise VerificationFailed(reason="a row has no record id")
    if others := set(records).difference(asked):
        raise VerificationFailed(
            reason=f"it has {counted(len(others), 'record that was', 'records that were')} not requested"
        )
    if answer.format == "csv" and scattered:
        raise VerificationFailed(reason="the rows of a record are not consecutive")
    if duplicates:
        raise VerificationFailed(reason=f"{counted(duplicates, 'row occurs', 'rows occur')} twice")
    if not records or answer.format == "json":
        return Verified(records, None, sum(counts))
    return Verified(records[:-1], records[-1], sum(counts) - found[-1][2])


def _check_json(connection: Connection, answer: Answer) -> None:
    """Refuse a JSON list that was cut, or one of whose objects lacks a column."""
    check_json_closed(answer.path)
    if other := count(connection, count_other_objects(answer), {"columns": list(answer.columns)}):
        raise VerificationFailed(reason=f"{other} of its rows have other columns than the first")


def check_json_closed(path: Path) -> None:
    """Refuse a JSON list without its closing bracket; DuckDB would read it as if it were whole."""
    with path.open("rb") as body:
        body.seek(max(0, path.stat().st_size - 64))
        if not body.read().rstrip().endswith(b"]"):
            raise VerificationFailed(reason="its JSON is cut or broken")


def _check_utf8(path: Path) -> None:
    """Refuse text in another encoding; DuckDB notices it only in the columns it is asked for."""
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
    found = csv_header(answer.path) if answer.format == "csv" else json_keys(answer.path)
    if found == expected:
        return
    missing = [name for name in expected if name not in set(found)]
    added = [name for name in found if name not in set(expected)]
    parts = [f"columns are missing: {list_some(missing)}"] * bool(missing)
    parts += [f"columns are unexpected: {list_some(added)}"] * bool(added)
    raise VerificationFailed(reason="; ".join(parts) or "its columns are in another order than expected")
