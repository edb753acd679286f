"""Which columns of staged answers are read together: as many as memory allows, whole instruments at a time.

The memory a batch takes depends on the columns that are read at once, not on those of the project. Where a project has
more, the answers are split first. Not here: storing the rows (mirror/rows/merge.py).
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.warehouse.staging.answers import Answer
from pipelines.warehouse.staging.split_csv import split_csv
from pipelines.warehouse.tables.layout import (
    EVENT,
    REPEAT_INSTANCE,
    REPEAT_INSTRUMENT,
    InstrumentTable,
    Layout,
    work_columns,
)

# Columns read at once: each costs a vector of 32 kB in every step of a statement.
WIDEST = 1200


@dataclass(frozen=True, slots=True)
class StagedChunk:
    """A verified chunk: some complete records, in one CSV or in several with some columns each."""

    answers: tuple[Answer, ...]
    records: tuple[str, ...] = field(repr=False)
    excluded: tuple[str, ...] = field(repr=False, default=())
    """Records in the answers that may not be complete: what the mirror has of them is kept."""


@dataclass(frozen=True, slots=True)
class Source:
    """One answer, and the records whose rows in it are not used."""

    answer: Answer
    excluded: tuple[str, ...] = field(repr=False)


Group = tuple[list[Source], list[InstrumentTable]]


def column_groups(layout: Layout, wanted: Sequence[InstrumentTable], chunks: Sequence[StagedChunk]) -> Iterator[Group]:
    """The instruments in groups of at most WIDEST columns, each with the answers that have its columns.

    An instrument that is wider is a group of its own. Split answers are removed when the iteration ends.
    """
    sources = [Source(answer, chunk.excluded) for chunk in chunks for answer in chunk.answers]
    columns = [frozenset(source.answer.columns) for source in sources]
    together: dict[tuple[int, ...], list[InstrumentTable]] = {}
    for table in wanted:
        needed = {name for _, name in work_columns(layout, table)}
        holding = tuple(at for at, present in enumerate(columns) if needed <= present)
        together.setdefault(holding, []).append(table)
    for holding, tables in together.items():
        held, groups = [sources[at] for at in holding], list(_by_width(tables))
        if len(groups) == 1:
            yield held, tables
        else:
            yield from _apart(layout, held, groups)


def columns_read(layout: Layout, tables: Sequence[InstrumentTable]) -> set[str]:
    """The columns of a flat answer that have some instruments' cells, and the keys."""
    keys = {layout.record_id_field, EVENT, REPEAT_INSTRUMENT, REPEAT_INSTANCE}
    return keys | {name for table in tables for _, name in work_columns(layout, table)}


def _by_width(tables: Sequence[InstrumentTable]) -> Iterator[list[InstrumentTable]]:
    group: list[InstrumentTable] = []
    width = 0
    for table in tables:
        if group and width + len(table.columns) > WIDEST:
            yield group
            group, width = [], 0
        group.append(table)
        width += len(table.columns)
    yield group


def _apart(layout: Layout, sources: Sequence[Source], groups: Sequence[list[InstrumentTable]]) -> Iterator[Group]:
    """The groups, each with answers that have only its columns."""
    if not sources:
        yield from (([], group) for group in groups)
        return
    columns = [columns_read(layout, group) for group in groups]
    # The folder of the answers is the only one that the database may read.
    with tempfile.TemporaryDirectory(prefix="parts-", dir=sources[0].answer.path.parent) as folder:
        parts = [_split(source, columns, Path(folder), number) for number, source in enumerate(sources)]
        for at, group in enumerate(groups):
            yield [split[at] for split in parts], group


def _split(source: Source, columns: Sequence[Collection[str]], folder: Path, number: int) -> list[Source]:
    """An answer split into parts with some columns each; where it cannot be split, the whole answer for each part."""
    answer = source.answer
    parts = [
        Answer(folder / f"{number}-{part}.csv", "csv", tuple(name for name in answer.columns if name in some))
        for part, some in enumerate(columns)
    ]
    return [Source(part, source.excluded) for part in parts] if split_csv(answer, parts) else [source] * len(parts)
