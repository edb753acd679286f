"""What a project's mirror holds for readers, read before anything is published of it.

Read by a connection to which no other file is attached: the catalog of a published file with a hundred projects takes
longer to list than the whole mirror to describe.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.memory import Width
from pipelines.warehouse.database.rows import count, one
from pipelines.warehouse.manifest import PublishedProject, Shape
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.casts import trusting
from pipelines.warehouse.tables.layout import FORMAT, NOW, PAST, VERSION
from pipelines.warehouse.tables.views import TYPED, VERBATIM

# How a load ends that readers may see; an incomplete one lacks only records it names.
ENDED_WELL = ("ok", "incomplete")

# Columns of versions that are not cells.
NO_CELLS = (*VERSION, "_valid_to", "_closed_run")


@dataclass(frozen=True, slots=True)
class Run:
    """One run in the mirror's ledger."""

    run_id: str
    started_at: datetime | None
    outcome: str | None
    mode: str | None

    @property
    def is_load(self) -> bool:
        """Whether it is a load; write-backs are runs, too."""
        return self.mode != "writeback"


@dataclass(frozen=True, slots=True)
class InstrumentSource:
    """How the mirror says an instrument is to be shown."""

    name: str
    raw: str
    typed: str
    labels: str
    labels_from: str
    comments: Mapping[str, str]
    """What the table (under "") and its columns are."""
    keys: Mapping[str, str]
    """The key columns readers see: REDCap's name for each name in the mirror."""
    changed_run: str
    hidden: Mapping[str, str] = field(default_factory=dict)
    """How earlier values of columns that the token no longer sees get their type, in SQL."""

    @property
    def table_digest(self) -> str:
        """What identifies the table with types."""
        return _digest([self.typed])

    @property
    def view_digest(self) -> str:
        """What identifies the views."""
        return _digest([self.raw, self.labels, self.labels_from, dict(self.keys)])

    @property
    def comment_digest(self) -> str:
        """What identifies the comments."""
        return _digest([dict(self.comments)])


@dataclass(frozen=True, slots=True)
class MirrorSource:
    """One mirror, as it was when it was read."""

    project: str
    identity: str
    format: int
    replaced: frozenset[str] = frozenset()
    """Identities of mirrors that were discarded for this one."""
    runs: tuple[Run, ...] = ()
    changed_by: frozenset[str] = frozenset()
    """Runs that changed rows, cells or the structure."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """A digest of every part that readers find."""
    record_id_field: str = ""
    columns: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)
    """The columns of the tables of rows, by the ending of the schema and the instrument."""
    rows: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """About how many rows each of them has; none where there were never any."""
    ill_fitting: frozenset[str] = frozenset()
    """Instruments with values that do not fit their type."""
    instruments: tuple[InstrumentSource, ...] = ()

    @property
    def ended(self) -> frozenset[str]:
        """Instruments of which a row was ever replaced or removed."""
        return frozenset(name for (ending, name), rows in self.rows.items() if ending == PAST and rows)

    @property
    def is_ours(self) -> bool:
        """Whether this version of the warehouse can read it."""
        return self.format == FORMAT

    @property
    def content(self) -> str:
        """A digest of all that readers find."""
        return _digest(sorted(self.parts.items()))

    @property
    def last_load(self) -> str:
        """The last run that was a load."""
        return next((run.run_id for run in reversed(self.runs) if run.is_load), "")

    @property
    def last_good_load(self) -> str:
        """The last load that ended well."""
        return next((run.run_id for run in reversed(self.runs) if run.is_load and run.outcome in ENDED_WELL), "")

    @property
    def first_runs(self) -> tuple[str, ...]:
        """The runs up to the first that ended well: the first load."""
        first = []
        for run in self.runs:
            first.append(run.run_id)
            if run.outcome in ENDED_WELL:
                return tuple(first)
        return ()

    @property
    def shape(self) -> Shape:
        """How many tables it needs, and how large they are."""
        cells = [rows * len(self.columns.get(place, ())) for place, rows in self.rows.items() if place[0] == NOW]
        return Shape(len(self.instruments), max(cells, default=0))

    @property
    def width(self) -> Width:
        """How many columns its tables have."""
        widths = [len(columns) for (ending, _), columns in self.columns.items() if ending == NOW]
        return Width(max(widths, default=0), sum(widths))

    def whole_select(self, item: InstrumentSource) -> str:
        """The SELECT of all rows of an instrument with types; where all values fit, one that does not test each."""
        return (None if item.name in self.ill_fitting else trusting(item.typed)) or item.typed

    def history_select(self, item: InstrumentSource, *, has_ended: bool) -> str:
        """The SELECT of all versions of an instrument with types; `has_ended` says that there are others than today's.

        Which values of those do not fit is listed nowhere, so each is tested.
        """
        return item.typed if has_ended else self.whole_select(item)

    def history_digest(self, item: InstrumentSource, *, has_ended: bool) -> str:
        """What identifies the views of all versions, but for their columns."""
        return _digest([self.history_select(item, has_ended=has_ended), dict(item.hidden)])

    def is_as(self, published: PublishedProject | None) -> bool:
        """Whether readers would see nothing new."""
        return published is not None and (self.identity, self.content) == (published.identity, published.content)

    def has_run(self, run: str) -> bool:
        """Whether the mirror's ledger has this run."""
        return any(found.run_id == run for found in self.runs)

    def was_refreshed_after(self, run: str) -> bool:
        """Whether a load after this one read every record."""
        ids = [found.run_id for found in self.runs]
        later = self.runs[ids.index(run) + 1 :] if run in ids else self.runs
        return any(found.mode == "full" for found in later)

    def was_changed_after(self, run: str) -> bool:
        """Whether loads after this one changed anything. What a write-back changed is what REDCap has."""
        ids = [found.run_id for found in self.runs]
        later = self.runs[ids.index(run) + 1 :]
        return not self.changed_by.isdisjoint(found.run_id for found in later if found.is_load)


def read_source(connection: Connection, project: str, *, published: PublishedProject | None = None) -> MirrorSource:
    """Read a project's mirror; `connection` has it open.

    Of a mirror that holds what is `published` already, the tables and instruments are not read: they are not needed,
    and reading them takes as long as all the rest.
    """
    sql = statements("source")
    identity, number = one(connection, sql["identity"]) or ("", 0)
    source = MirrorSource(project, identity, number)
    if number != FORMAT:
        return source
    parts = dict(connection.execute(sql["parts"]).fetchall())
    if count(connection, sql["has_writeback"]):
        parts |= dict(connection.execute(sql["writeback_parts"]).fetchall())
    source = replace(
        source,
        replaced=frozenset(old for (old,) in connection.execute(sql["replaced"]).fetchall()),
        runs=tuple(Run(*run) for run in connection.execute(sql["runs"]).fetchall()),
        changed_by=frozenset(run for (run,) in connection.execute(sql["runs_with_changes"]).fetchall()),
        parts=parts,
    )
    return source if source.is_as(published) else _with_tables(connection, source)


def _with_tables(connection: Connection, source: MirrorSource) -> MirrorSource:
    """The source with its tables and instruments."""
    sql, project = statements("source"), source.project
    values = {"now": project + NOW, "past": project + PAST}
    columns = connection.execute(sql["columns"], values).fetchall()
    rows = connection.execute(sql["rows"], values).fetchall()
    found = connection.execute(sql["publications"])
    names = [column[0] for column in found.description or ()]
    instruments = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    row = one(connection, sql["record_id_field"])
    return replace(
        source,
        record_id_field=row[0] if row else "",
        columns={(schema.removeprefix(project), table): names for schema, table, names in columns},
        rows={(schema.removeprefix(project), table): number for schema, table, number in rows},
        ill_fitting=frozenset(name for (name,) in connection.execute(sql["ill_fitting"]).fetchall()),
        instruments=tuple(map(_instrument, instruments)),
    )


def _instrument(row: Mapping[str, Any]) -> InstrumentSource:
    # Rows that an earlier version of the warehouse wrote have neither `labels_from` nor `hidden`.
    source = TYPED if row.get("labels_from") == TYPED else VERBATIM
    return InstrumentSource(
        name=row["instrument"],
        raw=row["raw_select"],
        typed=row["typed_select"],
        labels=row["label_select"],
        labels_from=source,
        comments=json.loads(row["comments"]),
        keys=json.loads(row["keys"]),
        changed_run=row["changed_run"],
        hidden=json.loads(row.get("hidden") or "{}"),
    )


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
