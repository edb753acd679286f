"""Compares what was published of a project with its mirror, before anybody can read it.

All rows are counted. Those of changed records are compared value by value, and after a full refresh, or where a project
was published as a whole, all of them. Tables that a publish does not touch are those of a file that was compared before
and has not changed by a byte since (pipelines/warehouse/manifest.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipelines.errors import NotProven
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.long_statements import execute
from pipelines.warehouse.database.quoting import qualified
from pipelines.warehouse.database.rows import QUERIES_AT_ONCE
from pipelines.warehouse.publishing import copy_sql, proof_sql
from pipelines.warehouse.publishing.instruments import InstrumentPublisher
from pipelines.warehouse.publishing.source import MirrorSource
from pipelines.warehouse.tables.layout import NOW, PAST

PRESENT, COMPARED = "present rows", "rows with types"
# How long a statement may become, in characters: DuckDB's parser takes a hundred times as many bytes.
LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Proof:
    """How far a project was compared with its mirror, and found equal."""

    instruments: int = 0
    rows: int = 0
    """How many rows its instruments have together; all were counted."""
    compared: int = 0
    """In how many instruments rows were compared value by value."""
    whole: bool = False
    """Whether all rows of all instruments were."""


def prove(
    connection: Connection, source: MirrorSource, catalog: str, instruments: InstrumentPublisher, *, whole: bool
) -> Proof:
    """Compare the published rows of a project with its mirror; `catalog` is the mirror's, quoted.

    Raises NotProven where they differ.
    """
    rows, compared = 0, set[str]()
    for queries in _batches(_queries(source, catalog, instruments, whole=whole)):
        found = execute(connection, " UNION ALL ".join(queries)).fetchall()
        for instrument, what, mirror, published in found:
            if mirror != published:
                raise NotProven(project=source.project, instrument=instrument, what=what)
            if what == PRESENT:
                rows += published
            elif what == COMPARED:
                compared.add(instrument)
    names = {item.name for item in source.instruments}
    return Proof(len(names), rows, len(compared), whole or names <= instruments.renewed)


def _queries(source: MirrorSource, catalog: str, instruments: InstrumentPublisher, *, whole: bool) -> Iterator[str]:
    for what, mirror, published in (
        ("records", "redcap.records", "redcap.records"),
        ("cell changes", "redcap.record_changes", "_publish.cell_changes"),
    ):
        yield proof_sql.compare_shared(source.project, what, f"{catalog}.{mirror}", published)
    # After a full refresh every value is tested again; otherwise those of tables that were written as a whole are not.
    trusted = not (whole or instruments.anew)
    selects = {
        item.name: source.whole_select(item) if trusted and item.name in instruments.renewed else item.typed
        for item in source.instruments
    }
    for name, now in instruments.published.items():
        for ending, what in ((NOW, PRESENT), (PAST, "earlier versions")):
            if ending in now.present:
                table = copy_sql.PLACES[ending](source.project, name)
                yield proof_sql.compare_counts(name, what, f"{catalog}.{table}", table)
        if name not in selects:
            continue
        typed = qualified(source.project, name)
        verbatim = copy_sql.PLACES[NOW](source.project, name)
        yield proof_sql.compare_counts(name, "typed rows", f"{catalog}.{verbatim}", typed)
        every = whole or name in instruments.renewed
        if every or name in instruments.changed:
            where = "" if every else proof_sql.test_of(name)
            if not instruments.is_copy:
                yield proof_sql.compare_rows(name, "verbatim rows", f"{catalog}.{verbatim}", verbatim, where)
            field = source.record_id_field
            yield proof_sql.compare_typed(source.project, name, catalog, selects[name], field, whole=every)


def _batches(queries: Iterator[str]) -> Iterator[list[str]]:
    """Some queries at a time: one by one each costs a millisecond, and of hundreds the time grows with the square."""
    some: list[str] = []
    for query in queries:
        if len(some) == QUERIES_AT_ONCE or sum(map(len, some)) > LONGEST:
            yield some
            some = []
        some.append(query)
    if some:
        yield some
