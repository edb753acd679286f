"""Records outcomes in the journal and brings the written records into the mirror, in one transaction.

Until that transaction commits, the cells count as intended, so that after a crash the next run reads them back. Records
that cannot be fetched are left to the next load.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from pipelines.errors import VerificationFailed, WarehouseError
from pipelines.extract.chunks import Chunk, FetchPlan
from pipelines.extract.fetcher import Fetcher
from pipelines.extract.scopes import whole_scope
from pipelines.extract.selection import select
from pipelines.warehouse.mirror.rows.merge import apply_chunks
from pipelines.warehouse.staging.column_groups import StagedChunk
from pipelines.warehouse.staging.verify import open_verifier
from pipelines.warehouse.tables.writeback import CellOutcome, FormRow
from pipelines.writeback.decide.cells import CurrentValues, PlannedCell
from pipelines.writeback.project_rules import ProjectRules
from pipelines.writeback.send.tally import Tally
from pipelines.writeback.session import Session
from redcap_source import errors

log = logging.getLogger("redcap_warehouse")

# Values that were read from REDCap longer ago than this (seconds) are read again before anything is sent on their
# basis.
VALUES_HOLD = 5.0
# Written records are refreshed when there are this many, or when the values first read back are older than VALUES_HOLD.
REFRESH_RECORDS = 5_000


class Refresh:
    """Collects the outcomes of a run and the records to refresh, and saves them together."""

    def __init__(self, session: Session, rules: ProjectRules, tally: Tally) -> None:
        self._session = session
        self._rules = rules
        self._tally = tally
        self._records: dict[str, None] = {}
        """Written records that have yet to be brought into the mirror."""
        self._outcomes: list[CellOutcome] = []
        self._unopened: set[FormRow] | None = None
        """Rows whose form nobody had opened directly before sending; None until that was read."""
        self._read_at = float("inf")
        """When the first of the outcomes that are not saved yet was read."""
        self._fetches = 0

    def add_records(self, records: Collection[str]) -> None:
        """Have these records refreshed with the next save."""
        self._records |= dict.fromkeys(records)

    def add_unopened(self, rows: Collection[FormRow]) -> None:
        """Note rows whose form nobody had opened directly before they were written to."""
        self._unopened = (self._unopened or set()) | set(rows)

    def add(self, outcomes: Sequence[CellOutcome], cells: Sequence[PlannedCell], current: CurrentValues) -> None:
        """Add outcomes, and the records the cells were read back from, to be saved together."""
        self._read_at = min(self._read_at, time.monotonic())
        self._outcomes += outcomes
        # Only records that exist: REDCap may refuse a whole request because it names another one.
        records = (current.alike.get(cell.key.record, cell.key.record) for cell in cells)
        self.add_records([record for record in records if record in current.records])
        self._tally.add(outcomes, cells)

    def save_if_due(self) -> None:
        """Save if many records are waiting, or if they have been waiting long."""
        if len(self._records) >= REFRESH_RECORDS or time.monotonic() - self._read_at > VALUES_HOLD:
            self.save()

    @contextmanager
    def saved_at_end(self) -> Iterator[None]:
        """Save at the end of the block, also if sending was stopped: what was confirmed belongs in the warehouse."""
        try:
            yield
        except (WarehouseError, errors.RedcapError):
            self.save()
            raise
        self.save()

    def save(self) -> None:
        """Fetch the written records, and store them and the outcomes in one transaction."""
        if not (self._records or self._outcomes):
            return
        session = self._session
        session.step("fetch")
        records, self._records, self._read_at = list(self._records), {}, float("inf")
        staged = self._fetch(records) if records else []
        session.step("account")
        outcomes, self._outcomes = self._outcomes, []
        with session.mirror.transaction():
            session.journal.record_outcomes(outcomes, session.now())
            if staged:
                self._merge(staged, outcomes)
            session.proposals.count_batches()
        session.keep()

    def _merge(self, staged: Sequence[StagedChunk], outcomes: Sequence[CellOutcome]) -> None:
        """Replace the records' rows in the mirror, and attribute what changed to write-back."""
        session = self._session
        rows = apply_chunks(session.mirror.connection, self._rules.layout, staged, session.stamp)
        self._tally.rows_changed += rows.inserted + rows.updated + rows.deleted
        records = [record for chunk in staged for record in chunk.records]
        changed = session.journal.refresh(session.run_id, session.now(), records, self._unopened)
        self._tally.add_changed_after_write(sum(outcome.number in changed for outcome in outcomes))

    def _fetch(self, records: Collection[str]) -> list[StagedChunk]:
        """Fetch whole records and verify them, as a load does; none if the mirror's tables do not match."""
        if not self._rules.in_step:
            return []
        session, rules = self._session, self._rules
        self._fetches += 1
        plan = FetchPlan(
            project=session.project.name,
            record_id_field=rules.structure.record_id_field,
            whole=whole_scope(select(rules.structure, session.project), rules.layout.answer_columns),
        )
        try:
            with open_verifier(session.staging) as verifier:
                fetcher = Fetcher(
                    session.client,
                    plan,
                    staging=session.staging,
                    verifier=verifier,
                    concurrency=session.project.server.concurrency,
                    prefix=f"written-{self._fetches:05d}",
                )
                chunks = [item for item in fetcher.fetch(list(records)) if isinstance(item, Chunk)]
        except (VerificationFailed, errors.RedcapError) as problem:
            # The cells are confirmed all the same.
            log.warning("%s: written records are left to the next load: %s", session.project.name, problem)
            return []
        return [StagedChunk(tuple(map(plan.answer, chunk.parts)), chunk.records, chunk.excluded) for chunk in chunks]
