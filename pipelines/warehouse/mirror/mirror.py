"""A project's mirror: the private database of one REDCap project that loads write and publishing reads.

Each batch of chunks is one transaction and the watermark is written last, so a load that dies leaves a mirror the next
one can continue from. Not here: fetching (pipelines/extract), and publishing (pipelines/warehouse/publishing).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from pipelines.warehouse.database.connection import Connection, DatabaseError, transaction
from pipelines.warehouse.database.file_errors import doing, is_short_of_memory, unusable
from pipelines.warehouse.database.memory import Width, allow, enough, limit_of, needed
from pipelines.warehouse.mirror.audit_log import AuditLog
from pipelines.warehouse.mirror.known_structure import KnownStructure, save_known_structure
from pipelines.warehouse.mirror.pending import Pending
from pipelines.warehouse.mirror.rows.deletions import Removals, find_renames, rename, tombstone, unexplained_ids
from pipelines.warehouse.mirror.rows.history import RunStamp, attribute
from pipelines.warehouse.mirror.rows.merge import apply_chunks
from pipelines.warehouse.mirror.rows.merge_instrument import RowCounts
from pipelines.warehouse.mirror.runs import ChunkEntry, Runs
from pipelines.warehouse.mirror.schema.catalog import list_disagreements, write_structure
from pipelines.warehouse.mirror.schema.digest import is_written, save_digest, structure_digest
from pipelines.warehouse.mirror.schema.drift import Drift
from pipelines.warehouse.mirror.schema.migrate import Tables
from pipelines.warehouse.mirror.schema.renames import Renames, rename_events, rename_instruments
from pipelines.warehouse.mirror.schema.view_definitions import invalid_columns, write_view_definitions
from pipelines.warehouse.mirror.state import State
from pipelines.warehouse.staging.column_groups import StagedChunk
from pipelines.warehouse.tables.layout import KEYS, Layout, work_columns
from pipelines.warehouse.tables.structure import Structure


class Mirror:
    """The open mirror of one project: its parts, and the transactions that cross them."""

    def __init__(self, connection: Connection, project: str, path: Path, memory_limit: str | None = None) -> None:
        self.connection = connection
        self.project = project
        self.path = path
        self.memory_limit = memory_limit
        self.runs = Runs(connection, project)
        self.state = State(connection)
        self.pending = Pending(connection)
        self.tables = Tables(connection, project)
        self.audit_log = AuditLog(connection, project)
        self.width = Width()
        """How many columns its tables have, or were about to have."""
        self.removed_values = False
        """Whether values were removed that must not remain anywhere in the file."""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what happens inside as a whole; on any error, undo all of it."""
        with transaction(self.connection):
            yield

    def explained(self, problem: BaseException) -> BaseException:
        """A database error as one of ours, in words that quote no data; any other error as it is."""
        if is_short_of_memory(problem):
            return unusable(self.path, problem, enough=enough(self.connection, self.width))
        return unusable(self.path, problem) if isinstance(problem, DatabaseError) else problem

    @doing("bringing its tables to the structure of the project")
    def write_structure(
        self,
        structure: Structure,
        layout: Layout,
        stamp: RunStamp,
        renamed: Renames | None = None,
        *,
        key: str = "",
        known: KnownStructure | None = None,
    ) -> tuple[Drift, ...]:
        """Bring schema redcap and the instruments' tables to a structure, in one transaction.

        Tables, rows and everything recorded about them get the `renamed` names first. Nothing is written of a structure
        that the mirror already has. `known` is stored under its key, for loads in which nothing can have changed the
        structure. Returns how the structure differs from the previous one.
        """
        renamed = renamed or Renames()
        self._make_room(layout)
        digest = structure_digest(structure, layout)
        if not renamed and is_written(self.connection, digest, structure):
            with self.transaction():
                save_known_structure(self.connection, key, known)
            return ()
        with self.transaction():
            if renamed:
                rename_instruments(self.connection, self.project, renamed)
            drift = write_structure(self.connection, self.project, structure, layout, stamp.run_id, stamp.now, renamed)
            self.tables.migrate(layout, stamp)
            list_disagreements(self.connection, self.project, structure, stamp.run_id)
            self.state.save_visible_columns(layout)
            save_known_structure(self.connection, key, known)
            if renamed.events:
                rename_events(self.connection, self.project, renamed.events)
            save_digest(self.connection, digest)
        return drift

    def keep_structure(self, layout: Layout) -> None:
        """Prepare for a load whose structure and layout are those that the mirror's tables have already."""
        self._make_room(layout)

    def _make_room(self, layout: Layout) -> None:
        """Raise the memory limit to what rows of the widest instrument take; a configured limit is not changed."""
        columns = [len(KEYS) + len(work_columns(layout, table)) for table in layout.instruments]
        self.width = Width(max(columns, default=0), sum(columns))
        if self.memory_limit is None and needed(self.width) > limit_of(self.connection):
            allow(self.connection, None, self.width)

    @doing("storing answers in its tables")
    def apply(
        self,
        layout: Layout,
        chunks: Sequence[StagedChunk],
        entries: Sequence[ChunkEntry],
        stamp: RunStamp,
        *,
        instruments: Collection[str] | None = None,
        recheck: bool = False,
    ) -> RowCounts:
        """Store verified chunks and their ledger rows: all of it or, on any error, nothing.

        Records that were read in all instruments (`instruments` is None) are no longer pending. With `recheck` the
        values of rows that are as they were are examined again, too.
        """
        with self.transaction():
            counts = RowCounts()
            if chunks:
                counts = apply_chunks(self.connection, layout, chunks, stamp, instruments=instruments, recheck=recheck)
            if chunks and instruments is None:
                self.pending.done([record for chunk in chunks for record in chunk.records])
            self.runs.add_chunks(entries, stamp.run_id)
            # A write-back refreshes what it wrote and ends there; a load writes the definitions when it ends.
            if counts.invalid and not stamp.baseline and invalid_columns(self.connection):
                write_view_definitions(self.connection, self.project, layout)
        return counts

    @doing("recording deleted and renamed records")
    def remove_missing(self, missing: Collection[str], layout: Layout, stamp: RunStamp) -> Removals:
        """Remove records that REDCap no longer has: those with a new id are renamed, the others deleted.

        A deleted record leaves a tombstone in redcap.records, and every cell of it is recorded as deleted.
        """
        if not missing:
            return Removals()
        with self.transaction():
            new_ids = find_renames(self.connection, self.project, layout, missing)
            rename(self.connection, layout, new_ids, stamp)
            rows = tombstone(self.connection, layout, [record for record in missing if record not in new_ids], stamp)
        return Removals(deleted=len(missing) - len(new_ids), renamed=len(new_ids), rows=rows)

    @doing("the last step of the load")
    def finish(
        self,
        layout: Layout,
        stamp: RunStamp,
        *,
        totals: Mapping[str, object],
        watermark: datetime | None,
        chunk_records: int | None,
        sign: bool,
    ) -> int:
        """The last transaction of a load: who made the changes, the views' definitions, totals, and the watermark.

        The watermark moves only when nothing is pending (`watermark` is not None). Returns how many new ids in
        REDCap's log are not explained by what the loads found.
        """
        with self.transaction():
            if sign:
                self.audit_log.sign_changes(stamp.run_id)
            # Cells that a write-back sent, and could not account for because it died, are attributed to it.
            attribute(self.connection, stamp)
            unexplained = unexplained_ids(self.connection, stamp)
            write_view_definitions(self.connection, self.project, layout)
            self.tables.mark_read()
            # A load that reaches this point has read every pending record, or has named those it could not read.
            self.pending.end_refresh()
            self.runs.write_totals(stamp.run_id, stamp.now, totals, rows=self.tables.count_rows(layout))
            if chunk_records is not None:
                self.state.save_chunk_size(chunk_records, stamp.now)
            if watermark is not None:
                self.state.move_watermark(watermark, stamp.run_id)
        return unexplained
