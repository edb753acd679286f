"""Write-back of one project, from the plan to the account: the short places where something is read, sent or kept.

    plan      structure and live cells are read, every proposal is decided about; nothing is sent
    apply     batch by batch: look again, journal, send, look; then bring the records into the warehouse
    settle    cells of a run that died are looked at before anything else

What is decided is decide.py's business, what a request is batches.py's, what is kept journal.py's. REDCap knows no
compare-and-set: looking directly before sending narrows the race with a person typing, and cannot close it.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pipelines.config.settings import Config, ProjectConfig
from pipelines.errors import VerificationFailed, WarehouseError, describe
from pipelines.extract.chunks import Chunk, FetchPlan
from pipelines.extract.fetcher import Fetcher
from pipelines.extract.scopes import whole_scope
from pipelines.extract.selection import narrow, select
from pipelines.extract.structure import read_structure
from pipelines.interrupts import was_interrupted
from pipelines.run import Now, ProjectRun, Sleep, utc_now
from pipelines.warehouse.database.connection import private_folder
from pipelines.warehouse.mirror.journal import Journal, Settlement
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.rows.merge import apply_chunks
from pipelines.warehouse.published.query import is_published
from pipelines.warehouse.staging.column_groups import StagedChunk
from pipelines.warehouse.staging.verify import open_verifier
from pipelines.warehouse.tables.layout import Layout, make_layout, unexpected_columns
from pipelines.warehouse.tables.structure import Structure
from pipelines.warehouse.tables.writeback import Decision, Entry, FormRow, Proposal, Status
from pipelines.wording import counted
from pipelines.writeback.current_values import read_live
from pipelines.writeback.decide.decide import Decided, Live, counts, decide, sift, unopened_rows
from pipelines.writeback.decide.reasons import Why
from pipelines.writeback.decide.rulebook import Allowed, Rulebook, make_rulebook
from pipelines.writeback.errors import WritebackRefused, WritebackStopped
from pipelines.writeback.exports import may_import
from pipelines.writeback.report import (
    MODE,
    Outcome,
    Plan,
    Step,
    WritebackOptions,
    batch_names,
    count_records,
    no_step,
    reverse_name,
)
from pipelines.writeback.send.bisection import Splitting, about_records
from pipelines.writeback.send.outcomes import (
    SendResult,
    cell_of,
    has_arrived,
    is_untouched,
    journal_entry,
    late_settlement,
    not_sent,
    problem_class,
    same_as_before,
    settlement,
)
from pipelines.writeback.send.requests import Parcel, import_rows, in_batches, parcels, row_text
from pipelines.writeback.send.tally import Tally
from redcap_source import Calls, RedcapClient, errors

log = logging.getLogger("redcap_warehouse")


# A request whose answer was lost is sent again so often, each time after looking at what arrived.
TRIES = 3


FIRST_WAIT = 2.0


# A look at REDCap that is older than so many seconds is not believed any more when a request is about to leave.
LOOK_HOLDS = 5.0


# Of so few records a large share is everyday work.
FEW_RECORDS = 5


# Written records are brought into the warehouse at the latest when there are so many, or when the look at the first of
# them is no longer believed.
BRING_RECORDS = 5_000


class Writeback:
    """One run: what it was asked for, and how its files and its client are opened."""

    def __init__(
        self,
        config: Config,
        project: ProjectConfig,
        *,
        run_id: str,
        options: WritebackOptions | None = None,
        now: Now = utc_now,
        sleep: Sleep = time.sleep,
        step: Step = no_step,
    ) -> None:
        """`step` is called before each thing that is done, for tests that let a run die there."""
        self.config = config
        self.project = project
        self.options = options or WritebackOptions()
        self.now = now
        self.sleep = sleep
        self.step = step
        self.run = ProjectRun(config, project, run_id=run_id, now=now, sleep=sleep)

    @contextmanager
    def opened(self) -> Iterator[Desk]:
        """The project's working file and a client, for one run; nobody else loads or writes the project meanwhile."""
        with self.run.mirror() as mirror:
            journal = Journal(mirror.connection, self.project.name)
            self._check_load(journal)
            # No load is under way, so what lies in the staging folder is of runs that died.
            self.run.folder.clear_staging(self.project.name)
            private_folder(self.run.staging)
            try:
                with self.run.client() as client:
                    yield Desk(self, mirror, journal, client)
            finally:
                shutil.rmtree(self.run.staging, ignore_errors=True)

    def _check_load(self, journal: Journal) -> None:
        name = self.project.name
        last = journal.last_load()
        if last is None or last.last_good is None:
            raise WritebackRefused(
                project=name,
                seen="the project has never been loaded, so nothing can have been seen in the warehouse.",
                if_meant="Run `redcap-warehouse sync` first.",
            )
        if last.outcome not in ("ok", "incomplete"):
            raise WritebackRefused(
                project=name,
                seen=f"the project's last load did not end well ({last.outcome}).",
                if_meant="Run `redcap-warehouse sync` first, so that the warehouse is whole.",
            )
        age = self.now() - last.last_good
        if age > self.project.writeback.max_age:
            raise WritebackRefused(
                project=name,
                seen=f"the warehouse is {age.total_seconds() / 3600:.0f} hours old, and projects.yaml allows "
                f"{self.project.writeback.max_age.total_seconds() / 3600:.0f} (writeback.max_age).",
                if_meant="Load the project again and look at the proposals anew.",
            )


@dataclass(frozen=True, slots=True)
class _Known:
    """The project as it is now."""

    structure: Structure
    rulebook: Rulebook
    layout: Layout
    in_step: bool
    """Whether the warehouse's tables are those of this structure."""


class Desk:
    """A run with everything open: reading, deciding, sending, accounting."""

    def __init__(self, work: Writeback, mirror: Mirror, journal: Journal, client: RedcapClient) -> None:
        self.work = work
        self.project = work.project
        self.mirror = mirror
        self.journal = journal
        self.client = client
        self.run_id = work.run.stamp.run_id
        self._stamp = work.run.stamp
        self._began = time.monotonic()
        self._looked = float("-inf")
        self._read_at = float("inf")
        """When the first of the cells was read back that are not kept yet."""
        self._request = 0
        self._tally = Tally()
        self._due: dict[str, None] = {}
        """Records that were written and have yet to be brought into the warehouse."""
        self._unopened: set[FormRow] | None = None
        """Rows whose forms nobody had opened when they were looked at directly before sending; None before that."""
        self._settled: list[Settlement] = []
        """What became of cells, to be kept together with that: until then they count as intended."""

    # -- the two things a run can be ---------------------------------------------------------------------------

    def plan(self) -> Plan:
        """Decide, keep the decisions, send nothing."""
        known = self._known()
        proposals = self._proposals()
        decided = self._decided(known, proposals)
        names = batch_names(proposals)
        with self.mirror.transaction():
            self.journal.rule([item.ruling for item in decided], self.run_id, self.work.now(), final=False)
            self._empty_withheld(known)
            self.journal.mark(names, self.run_id, self.work.now(), applied=False)
        refusal = self._refusal(known, decided)
        return Plan(
            project=self.project.name,
            run_id=self.run_id,
            counts=counts(decided),
            records=count_records(decided),
            batches=names,
            unsettled=len(self.journal.intended()),
            refusal=str(refusal) if refusal else "",
            to_publish=self._may_publish(),
            requests=self.client.calls.requests,
            seconds=time.monotonic() - self._began,
            decided=tuple(decided),
        )

    def propose_reverse(self, batch: str, author: str) -> None:
        """Enter what undoes a batch as it is now; what was entered before and is still so stays."""
        known = [row.batch for row in self.journal.batches()]
        name = reverse_name(batch)
        cells = self.journal.reverting(batch, name) if batch in known else []
        if not cells and name not in known:
            what = "wrote nothing that could be undone" if batch in known else "is not known"
            raise WritebackRefused(
                project=self.project.name,
                seen=f"the batch {batch} {what}.",
                if_meant="writeback.batches lists all batches and what became of them.",
            )
        entered = self.journal.open_proposals(name)
        if {(each.cell, each.seen, each.new) for each in entered} == set(cells) and not any(
            each.ruled_out for each in entered
        ):
            return
        proposals = [
            Proposal(0, name, cell, after, before, f"revert of {batch}", author) for cell, after, before in cells
        ]
        with self.mirror.transaction():
            self.journal.forget_open(name)
            self.journal.add(proposals, batch=name, author=author, source="revert", now=self.work.now(), reverts=batch)

    def apply(self, prepare: Callable[[], None] = lambda: None) -> Outcome:
        """The whole write-back, entered in the ledger as a run of its own.

        `prepare` is called once it is known what became of the cells of earlier runs.
        """
        self._stamp = replace(self._stamp, now=self.mirror.runs.begin(self.run_id, MODE, self.work.now()))
        try:
            outcome = self._apply(prepare)
        except BaseException as problem:
            ended = "interrupted" if was_interrupted(problem) else "failed"
            self._end(ended, describe(self.mirror.explained(problem)))
            raise
        self._end("ok", None)
        return replace(outcome, to_publish=self._may_publish())

    def _apply(self, prepare: Callable[[], None]) -> Outcome:
        known = self._known()
        self._settle(known)
        prepare()
        proposals = self._proposals()
        decided = self._decided(known, proposals)
        if refusal := self._refusal(known, decided):
            raise refusal
        final: dict[int, Decided] = {item.proposal.number: item for item in decided}
        try:
            for batch in in_batches([item for item in decided if item.writes]):
                final |= {item.proposal.number: item for item in self._written(known, batch)}
                if len(self._due) >= BRING_RECORDS or time.monotonic() - self._read_at > LOOK_HOLDS:
                    self._bring_in(known)
        except (WarehouseError, errors.RedcapError):
            # What was confirmed before the trouble belongs in the warehouse all the same.
            self._bring_in(known)
            raise
        self._bring_in(known)
        names = batch_names(proposals)
        self.work.step("rule")
        with self.mirror.transaction():
            self.journal.rule([item.ruling for item in final.values()], self.run_id, self.work.now(), final=True)
            self._empty_withheld(known)
            self.journal.mark(names, self.run_id, self.work.now(), applied=True)
        tally = self._tally
        return Outcome(
            project=self.project.name,
            run_id=self.run_id,
            batches=names,
            counts=counts(list(final.values())),
            sent=tally.sent,
            confirmed=tally.by_status.get(Status.CONFIRMED, 0),
            failed=tally.by_status.get(Status.FAILED, 0),
            not_confirmed=tally.by_status.get(Status.NOT_CONFIRMED, 0),
            settled=tally.settled,
            messages=dict(tally.messages),
            rows_changed=tally.rows_changed,
            requests=self.client.calls.requests,
            seconds=time.monotonic() - self._began,
        )

    def _end(self, outcome: str, message: str | None) -> None:
        calls: Calls = self.client.calls
        self.mirror.runs.end(
            self.run_id,
            outcome=outcome,
            message=message,
            now=self.work.now(),
            seconds=time.monotonic() - self._began,
            requests=calls.requests,
            bytes_received=calls.bytes,
        )

    def _may_publish(self) -> bool:
        last = self.journal.last_load()
        return last is not None and is_published(self.work.run.folder, self.project.name, last.run_id)

    # -- reading ---------------------------------------------------------------------------------------------

    def _known(self) -> _Known:
        """The structure as REDCap has it now, and the rules it makes; refuses a token of another project."""
        structure = read_structure(self.client, self.client.version())
        self._check_binding(structure.project.project_id)
        narrowed = narrow(structure, self.project)
        previous = self.mirror.state.previous()
        layout = make_layout(narrowed, previous.visible_columns, hash_identifiers=self.project.identifiers == "hash")
        wanted = {table.name: [column.name for column in table.columns] for table in layout.instruments}
        strange = unexpected_columns(narrowed, previous.visible_columns)
        hidden = make_layout(narrowed).instruments
        complete = {c.field for table in hidden for c in table.columns}
        seen = {c.field for table in layout.instruments for c in table.columns}
        in_step = self.mirror.tables.have_columns(wanted) and not strange
        in_step = in_step and complete - seen <= self.mirror.state.hidden_fields()
        in_step = in_step and not self.mirror.tables.find_renames(narrowed)
        settings = self.project.writeback
        rulebook = make_rulebook(
            structure,
            loaded=[instrument.instrument_name for instrument in narrowed.instruments],
            allowed=Allowed(frozenset(settings.fields), frozenset(settings.instruments)),
            identifiers=self.project.identifiers == "keep",
        )
        return _Known(narrowed, rulebook, layout, in_step)

    def _proposals(self) -> list[Proposal]:
        batch = self.work.options.batch
        names = [row.batch for row in self.journal.batches()]
        if batch is not None and batch not in names:
            known = ", ".join(names[-5:]) or "none"
            raise WritebackRefused(
                project=self.project.name,
                seen=f"there is no batch {batch}. The latest are: {known}.",
                if_meant="Propose something first, or name one of these.",
            )
        return self.journal.open_proposals(batch)

    def _decided(self, known: _Known, proposals: Sequence[Proposal]) -> list[Decided]:
        sifted, invalid = sift(known.rulebook, proposals)
        looked_at = self._decide(known, sifted, self._read_back(known, sifted))
        return sorted([*looked_at, *invalid], key=lambda item: item.proposal.number)

    def _decide(self, known: _Known, cells: Sequence[Decided], live: Live) -> list[Decided]:
        """The decisions by what REDCap holds now."""
        allowed = self.work.options.new_records
        return decide(
            known.rulebook,
            cells,
            live,
            today=self.work.now().date(),
            new_records=self.project.writeback.new_records if allowed is None else allowed,
        )

    def _empty_withheld(self, known: _Known) -> None:
        """Remove the values of proposals that the warehouse may not keep, and leave none in holes of the file."""
        rules, now = known.rulebook, self.work.now()
        if not rules.identifiers and self.journal.empty_withheld(rules.withholds, Why.IDENTIFIER, self.run_id, now):
            self.mirror.removed_values = True

    # -- guards ------------------------------------------------------------------------------------------------

    def _check_binding(self, found: int | None) -> None:
        previous = self.mirror.state.previous().project_id
        for wanted in (self.project.project_id, previous):
            if found is not None and wanted is not None and found != wanted:
                raise WritebackRefused(
                    project=self.project.name,
                    seen=f"the token belongs to REDCap project {found}, not to {wanted}.",
                    if_meant="Check the token and project_id in projects.yaml.",
                )

    def _check_binding_again(self) -> None:
        """Directly before a batch is sent: reading may have taken long, and a token can be given away meanwhile."""
        self.work.step("bind")
        self._check_binding(self.client.project_info().project_id)

    def _refusal(self, known: _Known, decided: Sequence[Decided]) -> WritebackRefused | None:
        """Why none of a plan may be sent."""
        name, settings = self.project.name, self.project.writeback
        cells = sum(item.writes for item in decided)
        if not cells:
            return None
        if not known.in_step:
            return WritebackRefused(
                project=name,
                seen="the project's fields or instruments have changed since it was last loaded.",
                if_meant="Run `redcap-warehouse sync` first, so that the warehouse can take the changes up.",
            )
        most = settings.max_cells if self.work.options.max_cells is None else self.work.options.max_cells
        if cells > most:
            return WritebackRefused(
                project=name,
                seen=f"{counted(cells, 'cell')} would be written, more than the {most:,} that are allowed at once.",
                if_meant="If so many are right, use --max-cells, or raise writeback.max_cells in projects.yaml.",
            )
        records, total = count_records(decided), len(self.mirror.state.known_records())
        if records > FEW_RECORDS and records > settings.max_record_share * total:
            return WritebackRefused(
                project=name,
                seen=f"{records:,} of {counted(total, 'record')} would be written, more than the "
                f"{settings.max_record_share:.0%} that are allowed at once.",
                if_meant="If so many are right, raise writeback.max_record_share in projects.yaml.",
            )
        return None

    # -- sending -----------------------------------------------------------------------------------------------

    def _written(self, known: _Known, batch: Sequence[Decided]) -> list[Decided]:
        """Look at a batch once more, send what may still be written, look at what came of it; the last decisions."""
        self._check_binding_again()
        self.work.step("look")
        self._looked = time.monotonic()
        live = self._read_back(known, batch)
        again = self._decide(known, batch, live)
        self._unopened = (self._unopened or set()) | unopened_rows(known.rulebook, again, live)
        changed = self._write(known, [item for item in again if item.writes])
        return [
            replace(item, decision=Decision.CONFLICT, why=Why.CHANGED) if item.proposal.number in changed else item
            for item in again
        ]

    def _write(self, known: _Known, batch: Sequence[Decided]) -> set[int]:
        """Send a batch, and look at what came of it.

        Returns the proposals that were not sent after all, because somebody changed their cells at the last moment.
        """
        sent: list[Decided] = []
        came = SendResult()
        stopped: Exception | None = None
        for parcel in parcels(known.rulebook, batch):
            self._note_intended(known, parcel)
            sent += parcel.cells
            try:
                self._send(known, parcel, came)
            except (WarehouseError, errors.RedcapError) as problem:
                stopped = problem
                break
            # The next one has been waiting for this one.
            self._looked = float("-inf")
        if sent:
            self._look_at_sent(known, sent, came, stopped)
        return came.changed

    def _note_intended(self, known: _Known, parcel: Parcel) -> None:
        self._request += 1
        self.work.step("intend")
        entries = [journal_entry(known.rulebook, cell, self.run_id, self._request) for cell in parcel.cells]
        with self.mirror.transaction():
            self.journal.intend(entries, self.run_id, self._request, self.work.now())
        self._tally.sent += len(entries)

    def _send(self, known: _Known, parcel: Parcel, came: SendResult) -> None:
        """Send a parcel, split where REDCap refuses some of it."""
        splitting = Splitting(parcel.cells)
        try:
            while cells := splitting.next():
                self.work.step("send")
                try:
                    self._deliver(known, self._still_wanted(known, cells, came), came, clears=parcel.clears)
                except errors.ImportRejected as refusal:
                    splitting.was_refused(refusal.lines, refusal.message or "refused without a word about the cells")
                    self._give_up_if_hopeless(splitting)
                except (errors.MissingRight, errors.Blocked) as refusal:
                    if not may_import(self.client):
                        raise
                    # The token may write, so the refusal is about some of what was sent.
                    said = refusal.message or problem_class(refusal)
                    splitting.was_refused(about_records(cells, refusal.server_text, said), said)
                    self._give_up_if_hopeless(splitting)
                except errors.TooLarge:
                    splitting.was_refused((), "too large a request")
                else:
                    splitting.went_through()
        finally:
            came.guilty |= splitting.guilty

    def _give_up_if_hopeless(self, splitting: Splitting) -> None:
        if splitting.hopeless:
            for cell in splitting.give_up():
                splitting.guilty[cell.proposal.number] = "not sent: REDCap refused everything before it"

    def _still_wanted(self, known: _Known, cells: Sequence[Decided], came: SendResult) -> list[Decided]:
        """The cells without those that somebody changed since they were looked at; asked only if that is long ago.

        One that was in a request before, whose answer was lost or said that it was too large, may have arrived with it.
        """
        if time.monotonic() - self._looked <= LOOK_HOLDS:
            return list(cells)
        self.work.step("look again")
        live = self._read_back(known, cells)
        hidden = {cell.proposal.number for cell in cells if cell.place.record in live.refused}
        came.guilty |= dict.fromkeys(hidden - came.left, f"not sent: {Why.OUT_OF_REACH}")
        cells = [cell for cell in cells if cell.proposal.number not in hidden]
        touched = [cell for cell in cells if not same_as_before(known.rulebook, cell, live)]
        arrived = {
            cell.proposal.number
            for cell in touched
            if cell.proposal.number in came.left
            and has_arrived(known.rulebook, cell, live.value(cell.place, cell.column))
        }
        came.changed |= {cell.proposal.number for cell in touched} - arrived
        return [cell for cell in cells if cell.proposal.number not in came.changed | arrived]

    def _deliver(self, known: _Known, cells: Sequence[Decided], came: SendResult, *, clears: bool) -> None:
        """One import; where its answer is lost, what arrived is looked at, and only the rest is sent again.

        Sending again cannot double anything: record ids and instances are always given, and values that are the same
        change nothing. A cell that somebody else changed meanwhile is not sent again.
        """
        left = list(cells)
        for attempt in range(1, TRIES + 1):
            if not left:
                return
            came.left |= {cell.proposal.number for cell in left}
            try:
                self.client.import_records(
                    row_text(import_rows(known.rulebook, left)), overwrite="overwrite" if clears else "normal"
                )
            except (errors.OutcomeUnknown, errors.Transient) as problem:
                if len(cells) > 1 and _is_too_large(problem):
                    raise errors.TooLarge(problem.context, status=problem.status) from None
                if attempt == TRIES:
                    raise
                log.info("%s: the answer to an import was lost; looking at what arrived", self.project.name)
                self.work.sleep(FIRST_WAIT * 2 ** (attempt - 1))
                self._looked = float("-inf")
                self.work.step("look after loss")
                live = self._read_back(known, left)
                left = [cell for cell in left if is_untouched(known.rulebook, cell, live)]
            else:
                return

    def _read_back(self, known: _Known, cells: Sequence[Decided]) -> Live:
        concurrency = self.project.server.concurrency
        return read_live(self.client, known.rulebook, cells, self.work.run.staging, concurrency=concurrency)

    # -- looking and accounting --------------------------------------------------------------------------------

    def _look_at_sent(
        self, known: _Known, sent: Sequence[Decided], came: SendResult, stopped: Exception | None
    ) -> None:
        """Read a batch's cells back and note what became of them; then raise what stopped the sending, if anything.

        Cells that do not hold what was sent after an answer was lost stay intended: they may still arrive.
        """
        self.work.step("read back")
        lost = isinstance(stopped, errors.OutcomeUnknown | errors.Transient)
        try:
            live = self._read_back(known, sent)
        except (WarehouseError, errors.RedcapError) as problem:
            self._bring_in(known)
            raise self._stopped(stopped or problem) from None
        looked = [settlement(known.rulebook, cell, live, came, lost=lost) for cell in sent]
        settled = [one for one in looked if one is not None]
        if stopped is not None and not lost:
            settled = [not_sent(one, f"not sent: {problem_class(stopped)}") for one in settled]
        self._account(settled, sent, live)
        if stopped is not None:
            self._bring_in(known)
            raise self._stopped(stopped) from None

    def _account(self, settled: Sequence[Settlement], cells: Sequence[Decided], live: Live) -> None:
        """Have what became of cells kept with the next records that are brought in: those they were seen to be in."""
        self._read_at = min(self._read_at, time.monotonic())
        self._settled += settled
        # To ask for a record that REDCap does not show would hold the others back.
        there = (live.alike.get(cell.place.record, cell.place.record) for cell in cells)
        self._due |= dict.fromkeys(record for record in there if record in live.records)
        self._tally.add(settled, cells)

    def _bring_in(self, known: _Known) -> None:
        """What became of cells, and their records as they are now, in one transaction.

        Until then they count as intended, so that a run that dies is settled by looking. Records that cannot be had
        wait for the next load.
        """
        if not (self._due or self._settled):
            return
        self.work.step("fetch")
        records, self._due, self._read_at = list(self._due), {}, float("inf")
        staged = self._fetched(known, records) if records else []
        self.work.step("account")
        settled, self._settled = self._settled, []
        with self.mirror.transaction():
            self.journal.settle(settled, self.work.now())
            if staged:
                touched = apply_chunks(self.mirror.connection, known.layout, staged, self._stamp)
                self._tally.rows_changed += touched.inserted + touched.updated + touched.deleted
                brought = [record for chunk in staged for record in chunk.records]
                overtaken = self.journal.bring_in(self.run_id, self.work.now(), brought, self._unopened)
                self._tally.overtaken(sum(one.number in overtaken for one in settled))
            self.journal.total()

    def _fetched(self, known: _Known, records: Collection[str]) -> list[StagedChunk]:
        """The records whole and proven, as a load would fetch them; those that cannot be had wait for the next load."""
        if not known.in_step:
            return []
        columns = known.layout.answer_columns
        plan = FetchPlan(
            project=self.project.name,
            record_id_field=known.structure.record_id_field,
            whole=whole_scope(select(known.structure, self.project), columns),
        )
        staging = self.work.run.staging
        try:
            with open_verifier(staging) as verifier:
                fetcher = Fetcher(
                    self.client,
                    plan,
                    staging=staging,
                    verifier=verifier,
                    concurrency=self.project.server.concurrency,
                    prefix=f"written-{self._request:05d}",
                )
                chunks = [item for item in fetcher.fetch(list(records)) if isinstance(item, Chunk)]
        except (VerificationFailed, errors.RedcapError) as problem:
            # The cells are known to have arrived; the next load brings their records.
            log.warning("%s: written records wait for the next load: %s", self.project.name, problem)
            return []
        return [StagedChunk(tuple(map(plan.answer, chunk.parts)), chunk.records, chunk.excluded) for chunk in chunks]

    def _stopped(self, problem: Exception) -> WritebackStopped:
        return WritebackStopped(
            project=self.project.name,
            why=str(problem),
            confirmed=self._tally.by_status.get(Status.CONFIRMED, 0),
            unknown=len(self.journal.intended()),
        )

    # -- what an earlier run left open -------------------------------------------------------------------------

    def _settle(self, known: _Known) -> None:
        """Look at the cells that a run which died may have sent, before anything else is done.

        Records that it had written and not brought into the warehouse are brought by this one.
        """
        self._due |= dict.fromkeys(self.journal.unaccounted())
        entries = self.journal.intended()
        if entries:
            self._settle_entries(known, entries)
        self._bring_in(known)

    def _settle_entries(self, known: _Known, entries: Sequence[Entry]) -> None:
        log.info("%s: looking at %d cells of an earlier run", self.project.name, len(entries))
        cells = [cell_of(known.rulebook, entry) for entry in entries if entry.cell.field in known.rulebook.rules]
        gone = [entry for entry in entries if entry.cell.field not in known.rulebook.rules]
        live = self._read_back(known, cells)
        settled = [late_settlement(known.rulebook, cell, live) for cell in cells]
        settled += [
            Settlement(entry.proposal, Status.NOT_CONFIRMED, "", "the project has no such field any more")
            for entry in gone
        ]
        self._account(settled, cells, live)
        self._tally.settled = len(settled)


def _is_too_large(problem: errors.RedcapError) -> bool:
    reason = problem.reason if isinstance(problem, errors.OutcomeUnknown) else problem
    return isinstance(reason, errors.TooLarge)
