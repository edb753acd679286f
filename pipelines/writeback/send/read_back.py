"""Reads cells back after they were sent, or after an earlier run was killed, and collects their outcomes."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from pipelines.errors import WarehouseError
from pipelines.warehouse.tables.writeback import Status
from pipelines.writeback.decide.cells import PlannedCell
from pipelines.writeback.errors import WritebackStopped
from pipelines.writeback.project_rules import ProjectRules
from pipelines.writeback.send.outcomes import (
    SendResult,
    as_not_sent,
    earlier_outcomes,
    outcome_of,
    planned_cell_of,
    problem_class,
)
from pipelines.writeback.send.refresh import Refresh
from pipelines.writeback.send.tally import Tally
from pipelines.writeback.session import Session
from redcap_source import errors

log = logging.getLogger("redcap_warehouse")


class ReadBack:
    """Finds out from REDCap what happened to cells, and passes the outcomes to `refresh`."""

    def __init__(self, session: Session, rules: ProjectRules, refresh: Refresh, tally: Tally) -> None:
        self._session = session
        self._rules = rules
        self._refresh = refresh
        self._tally = tally

    def settle_earlier_runs(self) -> None:
        """Read back the cells that a killed run may have sent, and refresh the records it had written."""
        session, rulebook = self._session, self._rules.rulebook
        self._refresh.add_records(session.journal.records_to_refresh())
        entries = session.journal.intended()
        if entries:
            log.info("%s: looking at %d cells of an earlier run", session.project.name, len(entries))
            cells = [planned_cell_of(rulebook, entry) for entry in entries if entry.cell.field in rulebook.rules]
            current = session.read_current(self._rules, cells)
            outcomes = earlier_outcomes(rulebook, entries, cells, current)
            self._refresh.add(outcomes, cells, current)
            self._tally.settled = len(outcomes)
        self._refresh.save()

    def collect(self, sent: Sequence[PlannedCell], result: SendResult, stopped: Exception | None) -> None:
        """Read a batch's cells back and collect their outcomes; raises WritebackStopped if `stopped` ended the sending.

        Cells without the value that was sent stay intended if the answer was lost: the request may still arrive.
        """
        session = self._session
        session.step("read back")
        lost = isinstance(stopped, errors.OutcomeUnknown | errors.Transient)
        try:
            current = session.read_current(self._rules, sent)
        except (WarehouseError, errors.RedcapError) as problem:
            self._refresh.save()
            raise self._stopped(stopped or problem) from None
        found = (outcome_of(self._rules.rulebook, cell, current, result, lost=lost) for cell in sent)
        outcomes = [outcome for outcome in found if outcome is not None]
        if stopped is not None and not lost:
            outcomes = [as_not_sent(outcome, f"not sent: {problem_class(stopped)}") for outcome in outcomes]
        self._refresh.add(outcomes, sent, current)
        if stopped is not None:
            self._refresh.save()
            raise self._stopped(stopped) from None

    def _stopped(self, problem: Exception) -> WritebackStopped:
        return WritebackStopped(
            project=self._session.project.name,
            reason=str(problem),
            confirmed=self._tally.count(Status.CONFIRMED),
            unknown=len(self._session.journal.intended()),
        )
