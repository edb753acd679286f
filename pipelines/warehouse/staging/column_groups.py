"""Which columns of staged answers are read together: as many as memory bears, whole instruments at a time.

What memory a batch takes follows the columns read at once, not those of the project. Where they are more than that, the
answers are split first; putting the rows into tables is apply.py's business.
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
    """A chunk as apply needs it: some records whole, in one CSV or spread over several."""

    answers: tuple[Answer, ...]
    records: tuple[str, ...] = field(repr=False)
    excluded: tuple[str, ...] = field(repr=False, default=())
    """Records in the answers that are not proven whole: what the mirror has of them stays."""


@dataclass(frozen=True, slots=True)
class Source:
    """One answer, and the records whose rows in it are not taken."""

    answer: Answer
    excluded: tuple[str, ...] = field(repr=False)


Group = tuple[list[Source], list[InstrumentTable]]


def column_groups(layout: Layout, wanted: Sequence[InstrumentTable], chunks: Sequence[StagedChunk]) -> Iterator[Group]:
    """The instruments in groups of a bearable width, each with the answers in which its cells stand.

    An instrument that is wider by itself is a group of its own. What was split is gone when the groups are used up.
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
    """The columns of a flat answer in which some instruments' cells stand, and the keys."""
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
    """The groups, each with answers of its own columns only."""
    if not sources:
        yield from (([], group) for group in groups)
        return
    columns = [columns_read(layout, group) for group in groups]
    # Where the answers lie is all of the disk that the database may read.
    with tempfile.TemporaryDirectory(prefix="parts-", dir=sources[0].answer.path.parent) as folder:
        parts = [_split(source, columns, Path(folder), number) for number, source in enumerate(sources)]
        for at, group in enumerate(groups):
            yield [split[at] for split in parts], group


def _split(source: Source, columns: Sequence[Collection[str]], folder: Path, number: int) -> list[Source]:
    """An answer in parts, each with some of its columns; where that cannot be, the whole of it for each part."""
    answer = source.answer
    parts = [
        Answer(folder / f"{number}-{part}.csv", "csv", tuple(name for name in answer.columns if name in some))
        for part, some in enumerate(columns)
    ]
    return [Source(part, source.excluded) for part in parts] if split_csv(answer, parts) else [source] * len(parts)
