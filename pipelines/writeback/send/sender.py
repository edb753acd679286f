"""Sends one batch of planned cells: reads them once more, records them as intended, imports, and reads back.

REDCap has no compare-and-set: reading directly before sending narrows the race with a person typing, and cannot
close it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import replace

from pipelines.errors import WarehouseError
from pipelines.warehouse.tables.writeback import Decision
from pipelines.writeback.decide.cells import PlannedCell
from pipelines.writeback.decide.decide import unopened_rows
from pipelines.writeback.decide.reasons import Reason
from pipelines.writeback.plan import decide_by
from pipelines.writeback.project_rules import ProjectRules
from pipelines.writeback.send.bisection import Bisection, about_records
from pipelines.writeback.send.outcomes import (
    SendResult,
    has_arrived,
    is_untouched,
    journal_entry,
    problem_class,
    same_as_before,
)
from pipelines.writeback.send.read_back import ReadBack
from pipelines.writeback.send.refresh import VALUES_HOLD, Refresh
from pipelines.writeback.send.requests import ImportRequest, import_requests, import_rows, row_text
from pipelines.writeback.send.rights import may_import
from pipelines.writeback.send.tally import Tally
from pipelines.writeback.session import Session
from redcap_source import errors

log = logging.getLogger("redcap_warehouse")

# How often a request is sent whose answer is lost, each time after reading which of its cells were saved.
TRIES = 3
# Seconds before the first of these reads; doubled for each further one.
FIRST_WAIT = 2.0


class Sender:
    """Sends the batches of one run, one after another."""

    def __init__(
        self, session: Session, rules: ProjectRules, read_back: ReadBack, refresh: Refresh, tally: Tally
    ) -> None:
        self._session = session
        self._rules = rules
        self._rulebook = rules.rulebook
        self._read_back = read_back
        self._refresh = refresh
        self._tally = tally
        self._request = 0
        self._values_read = float("-inf")
        """When the cells about to be sent were last read."""

    def send(self, batch: Sequence[PlannedCell]) -> list[PlannedCell]:
        """Send what may still be written of a batch and read it back; returns the final decisions.

        Raises WritebackStopped if the sending ended early; then the journal has every cell that may have been saved.
        """
        session = self._session
        session.check_binding_again()
        session.step("look")
        self._values_read = time.monotonic()
        current = session.read_current(self._rules, batch)
        planned = decide_by(session, self._rules, batch, current)
        self._refresh.add_unopened(unopened_rows(self._rulebook, planned, current))
        changed = self._send_requests([item for item in planned if item.writes]).changed
        return [
            replace(item, decision=Decision.CONFLICT, reason=Reason.CHANGED)
            if item.proposal.number in changed
            else item
            for item in planned
        ]

    def _send_requests(self, cells: Sequence[PlannedCell]) -> SendResult:
        """Send the requests of a batch until one of them stops it, and read the cells back."""
        sent: list[PlannedCell] = []
        result = SendResult()
        stopped: Exception | None = None
        for request in import_requests(self._rulebook, cells):
            self._record_intended(request)
            sent += request.cells
            try:
                self._session.keep()
                self._send_request(request, result)
            except (WarehouseError, errors.RedcapError) as problem:
                stopped = problem
                break
            # The next request's cells were read before this one was sent.
            self._values_read = float("-inf")
        if sent:
            self._read_back.collect(sent, result, stopped)
        return result

    def _record_intended(self, request: ImportRequest) -> None:
        session = self._session
        self._request += 1
        session.step("intend")
        entries = [journal_entry(self._rulebook, cell, session.run_id, self._request) for cell in request.cells]
        with session.mirror.transaction():
            session.journal.record_intended(entries, session.run_id, self._request, session.now())
        self._tally.sent += len(entries)

    def _send_request(self, request: ImportRequest, result: SendResult) -> None:
        """Send a request, in parts if REDCap rejects some of it."""
        bisection = Bisection(request.cells)
        try:
            while cells := bisection.next():
                self._session.step("send")
                try:
                    self._import(self._still_wanted(cells, result), result, clears=request.clears)
                except errors.ImportRejected as problem:
                    bisection.record_rejected(problem.lines, problem.message or "rejected without naming cells")
                    _give_up_if_exhausted(bisection)
                except (errors.MissingRight, errors.Blocked) as problem:
                    if not may_import(self._session.client):
                        raise
                    # The token may import, so the refusal is about some of what was sent.
                    said = problem.message or problem_class(problem)
                    bisection.record_rejected(about_records(cells, problem.server_text, said), said)
                    _give_up_if_exhausted(bisection)
                except errors.TooLarge:
                    bisection.record_rejected((), "too large a request")
                else:
                    bisection.record_accepted()
        finally:
            result.rejected |= bisection.rejected

    def _still_wanted(self, cells: Sequence[PlannedCell], result: SendResult) -> list[PlannedCell]:
        """Return the cells that nobody has changed since they were read; they are read again if that was long ago.

        A cell may hold the new value already, if it was in a request whose answer was lost or that was too large.
        """
        if time.monotonic() - self._values_read <= VALUES_HOLD:
            return list(cells)
        self._session.step("look again")
        current = self._session.read_current(self._rules, cells)
        hidden = {cell.proposal.number for cell in cells if cell.key.record in current.refused}
        result.rejected |= dict.fromkeys(hidden - result.sent, f"not sent: {Reason.OUT_OF_REACH}")
        cells = [cell for cell in cells if cell.proposal.number not in hidden]
        touched = [cell for cell in cells if not same_as_before(self._rulebook, cell, current)]
        arrived = {
            cell.proposal.number
            for cell in touched
            if cell.proposal.number in result.sent
            and has_arrived(self._rulebook, cell, current.value(cell.key, cell.column))
        }
        result.changed |= {cell.proposal.number for cell in touched} - arrived
        return [cell for cell in cells if cell.proposal.number not in result.changed | arrived]

    def _import(self, cells: Sequence[PlannedCell], result: SendResult, *, clears: bool) -> None:
        """Import cells; if the answer is lost, read which of them were saved and send only the rest again.

        Sending again cannot add anything twice: record ids and instances are always given, and equal values change
        nothing. A cell that somebody else has changed meanwhile is not sent again.
        """
        session, left = self._session, list(cells)
        for attempt in range(1, TRIES + 1):
            if not left:
                return
            result.sent |= {cell.proposal.number for cell in left}
            try:
                session.client.import_records(
                    row_text(import_rows(self._rulebook, left)), overwrite="overwrite" if clears else "normal"
                )
            except (errors.OutcomeUnknown, errors.Transient) as problem:
                if len(cells) > 1 and _is_too_large(problem):
                    raise errors.TooLarge(problem.context, status=problem.status) from None
                if attempt == TRIES:
                    raise
                log.info("%s: the answer to an import was lost; reading what was saved", session.project.name)
                session.sleep(FIRST_WAIT * 2 ** (attempt - 1))
                self._values_read = float("-inf")
                session.step("look after loss")
                current = session.read_current(self._rules, left)
                left = [cell for cell in left if is_untouched(self._rulebook, cell, current)]
            else:
                return


def _give_up_if_exhausted(bisection: Bisection) -> None:
    if bisection.exhausted:
        for cell in bisection.give_up():
            bisection.rejected[cell.proposal.number] = "not sent: REDCap refused everything before it"


def _is_too_large(problem: errors.RedcapError) -> bool:
    reason = problem.reason if isinstance(problem, errors.OutcomeUnknown) else problem
    return isinstance(reason, errors.TooLarge)
