"""The nightly load of one project, as one readable sequence; no Dagster here.

    structure   preflight, then everything about the project that is not a record
    plan        which records to fetch: what changed, by REDCap's dates, its log and a census of all ids
    fetch       chunks into the staging folder, each proven whole
    apply       proven chunks into the mirror, a transaction a batch
    finish      deletions and renames, who made the changes, totals, and the watermark last

Each step finds what it needs on disk, so that an orchestrator can run and repeat them one by one; `load_project`
runs them all. Publishing is a step of the whole warehouse: warehouse.publish.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from pipelines.config.settings import Config, ProjectConfig
from pipelines.errors import LoadSuperseded, WarehouseDamaged, WorkingFileLost, describe
from pipelines.extract.change_detection import (
    Evidence,
    Since,
    as_utc,
    gather,
    look_at_clocks,
    refresh_is_due,
    told_deleted,
    unexplained,
)
from pipelines.extract.chunks import JSON_RECORDS, Chunk, ChunkSize, Fetched, Quarantined, Vanished
from pipelines.extract.fetcher import Fetcher
from pipelines.extract.log_reading import LogTerms
from pipelines.extract.planner import Planner, only_in
from pipelines.extract.selection import narrow, unknown_in_writeback
from pipelines.extract.server_time import ServerTime, set_back, why_everything
from pipelines.extract.structure import read_structure
from pipelines.interrupts import was_interrupted
from pipelines.run import ANSWER_LIMIT, HALF_CHARACTERS, Now, Sleep, new_run_id, open_client, utc_now
from pipelines.sync.guards import Guard
from pipelines.sync.handoff import fetched_adapter, plan_adapter
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import (
    BatchReport,
    LoadOptions,
    LoadReport,
    Progress,
    StructureReport,
    Tally,
    batch_report,
    ids_message,
    quarantine_message,
    structure_report,
)
from pipelines.warehouse.database.connection import Connection, private_files, private_folder
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.rows.hash_key import read_hash_key
from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.mirror.runs import ChunkEntry
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.mirror.state import PlannedUntil, PreviousLoad
from pipelines.warehouse.mirror.working_file import (
    damaged,
    published_projects,
    published_source,
    refusal,
    start_over,
    what_was_lost,
)
from pipelines.warehouse.staging.census import counted_twice, forget_census
from pipelines.warehouse.staging.column_groups import StagedChunk
from pipelines.warehouse.staging.verify import open_verifier
from pipelines.warehouse.tables.layout import Layout, make_layout
from pipelines.warehouse.tables.structure import Structure
from redcap_source import Calls, RedcapClient

log = logging.getLogger("redcap_warehouse")


# A transaction's rows stay in memory until it commits, so it is bounded by what was staged, not by the project.
BATCH_BYTES = 32_000_000


# Of wider projects less is staged: besides its text every column takes room of its own.
BATCH_COLUMNS = 4_000


@dataclass(frozen=True, slots=True)
class Beginning:
    """The moment before a load's first question, and how long ago it was."""

    client: RedcapClient
    now: ServerTime
    own_clock: Now
    ticks: float

    def elapsed(self) -> timedelta:
        """How long ago it was, by whichever clock says longest: one may have been set, another have stood still."""
        spans = [timedelta(seconds=time.monotonic() - self.ticks), self.own_clock() - self.now.own]
        header = as_utc(self.client.server_date)
        if header is not None and self.now.header is not None:
            spans.append(header - self.now.header)
        return max(spans)

    def planned_until(self, evidence: Evidence | None) -> PlannedUntil | None:
        """From when on the next load is to ask; None where nobody knows the time."""
        if self.now.upto is None:
            return None
        wall = self.now.wall or (evidence.wall if evidence is not None else None)
        return PlannedUntil(self.now.upto, wall, self.now.ahead)

    def remarks(self, previous: PreviousLoad, evidence: Evidence | None) -> tuple[str, ...]:
        """What the ledger is to say of the clocks."""
        planned_until = previous.planned_until
        said = (
            self.now.remark(),
            None if planned_until is None else why_everything(planned_until.ahead, planned_until.upto, self.now),
            None if evidence is None else evidence.remark,
        )
        return tuple(remark for remark in said if remark)


class Load:
    """One run over one project: its parts know each other through the warehouse folder."""

    def __init__(
        self,
        config: Config,
        project: ProjectConfig,
        *,
        run_id: str,
        staging: str | None = None,
        options: LoadOptions | None = None,
        progress: Progress | None = None,
        now: Now = utc_now,
        sleep: Sleep = time.sleep,
        answer_limit: int = ANSWER_LIMIT,
    ) -> None:
        """`staging` names the folder where steps find each other's work, if that is not the run's id.

        `answer_limit` is the longest answer that is taken from REDCap, in bytes.
        """
        self.config = config
        self.project = project
        self.folder = WarehouseFolder(config.warehouse)
        self.options = options or LoadOptions()
        self.progress = progress or Progress()
        self.now = now
        self.sleep = sleep
        self.answer_limit = answer_limit
        self.stamp = RunStamp(project.name, run_id, now())
        self._start_over = self.options.start_over
        self.staging = self.folder.staging(project.name, staging or run_id)

    # -- opening things --------------------------------------------------------------------------------------

    @contextmanager
    def client(self) -> Iterator[RedcapClient]:
        """A client of the project's server, keeping the server's one pace."""
        with open_client(self.project, self.folder, sleep=self.sleep, answer_limit=self.answer_limit) as client:
            yield client

    @contextmanager
    def mirror(self, *, published: Path | None = None, readable: Sequence[Path] = ()) -> Iterator[Mirror]:
        """The project's working file; nobody else loads the project while it is open.

        The `published` database and the `readable` files can be read from SQL beside it.
        Raises WorkingFileLost where there is none to go on from, and HashKeyUnusable where identifiers could not be
        hashed as they were.
        """
        self.folder.make()
        with project_locked(self.folder, self.project.name):
            # Once a run: the steps that follow go on from what was begun.
            start_anew, self._start_over = self._start_over, False
            if start_anew:
                start_over(self.folder, self.project.name)
            with self._opened(start_anew, published, readable) as mirror:
                if self.project.identifiers == "hash":
                    hash_key = read_hash_key(self.folder, self.project.name, mirror.connection)
                    self.stamp = replace(self.stamp, hash_key=hash_key)
                yield mirror

    @contextmanager
    def _opened(self, start_anew: bool, published: Path | None, readable: Sequence[Path]) -> Iterator[Mirror]:
        name, path = self.project.name, self.folder.mirror(self.project.name)
        staging = self.folder.work / "staging"
        limit = self.config.memory_limit

        def refuse(found: str) -> WorkingFileLost | None:
            return refusal(self.folder, name, found)

        try:
            with open_mirror(
                path,
                name,
                staging=staging,
                memory_limit=limit,
                refuse=refuse,
                start_over=start_anew,
                replaces=published_source(self.folder, name) if start_anew else None,
                published=published,
                readable=readable,
            ) as mirror:
                yield mirror
        except WarehouseDamaged as problem:
            if problem.path != path:
                raise
            lost = what_was_lost(self.folder, name, damaged(problem), published_projects(self.folder))
            raise lost from None

    def whole(self, mirror: Mirror) -> LoadReport:
        """All steps, with the run entered in the ledger before and after."""
        began = time.monotonic()
        self.begin(mirror)
        client: RedcapClient | None = None
        try:
            with self.client() as client, self._verifying(None) as verifier:
                plan, _ = self.structure(client, mirror, verifier)
                self.progress.planned(plan.size, plan.requests)
                tally = self.apply(mirror, plan, self.fetch(client, plan, plan.batch(0, 1), "chunk", verifier))
            report = self.finish(mirror, plan, tally)
        except BaseException as problem:
            calls = client.calls if client is not None else Calls()
            outcome = "interrupted" if was_interrupted(problem) else "failed"
            self.end(mirror, outcome, describe(mirror.explained(problem)), time.monotonic() - began, calls)
            raise
        finally:
            # Answers hold participants' data; nothing of this run needs them any more, however it ended.
            self.folder.clear_staging(self.project.name)
        seconds = time.monotonic() - began
        self.end(mirror, report.outcome, report.message, seconds, client.calls)
        self.folder.mark_loaded(self.project.name, self.stamp.run_id)
        return replace(report, requests=client.calls.requests, bytes=client.calls.bytes, seconds=seconds)

    def begin(self, mirror: Mirror) -> None:
        """Enter the run in the ledger; what earlier runs that failed had fetched is of no use any more."""
        self.folder.clear_staging(self.project.name)
        self.stamp = replace(self.stamp, now=mirror.begin_run(self.stamp.run_id, "full", self.now()))

    def end(self, mirror: Mirror, outcome: str, message: str | None, seconds: float, calls: Calls) -> None:
        """Enter in the ledger how the run ended."""
        if calls.half_characters:
            message = f"{message} {HALF_CHARACTERS}" if message else HALF_CHARACTERS
        mirror.end_run(
            self.stamp.run_id,
            outcome=outcome,
            message=message,
            now=self.now(),
            seconds=seconds,
            requests=calls.requests,
            bytes_received=calls.bytes,
        )

    # -- the steps -------------------------------------------------------------------------------------------

    def structure(
        self, client: RedcapClient, mirror: Mirror, verifier: Connection | None = None
    ) -> tuple[WorkPlan, StructureReport]:
        """Preflight and structure, then the plan: nothing of the mirror's records is touched."""
        self.progress.step("structure")
        previous = mirror.previous()
        version = client.version()
        # Taken before anything else is read: what changes from now on belongs to the next night.
        began = self._look_at_clocks(client, previous)
        self.stamp = replace(self.stamp, baseline=not previous.ended)
        whole = read_structure(client, version)
        structure = narrow(whole, self.project)
        guard = self._guard()
        guard.check_binding(structure, previous)
        self.progress.step("census")
        with self._verifying(verifier) as verifier:
            everything = self._reads_everything(previous, began.now)
            cover = () if everything else mirror.cover()
            events = {event.unique_event_name for event in structure.events}
            planner = Planner(client, verifier, self.staging, self.project, structure)
            census = planner.census(cover if events.issuperset(cover) else ())
            if everything:
                census = counted_twice(census, planner.census(census.cover))
            columns = planner.answer_columns(census.records)
            layout = make_layout(structure, columns, hash_identifiers=self.project.identifiers == "hash")
            guard.check_names(layout)
            guard.check_visible(layout, previous)
            self.progress.step("changes")
            renames = mirror.find_renames(structure)
            evidence = self._evidence(client, structure, layout, renames, previous, began, everything=everything)
            changed = evidence.changed if evidence is not None else None
            known = mirror.known_records()
            census = planner.completed(census, known, changed, told_deleted(evidence))
            vanished = tuple(only_in(known, census.records))
            guard.check_group(layout, structure, previous, unexplained(vanished, evidence))
            guard.check_deletions(len(vanished), len(known), len(census.records))
            if evidence is not None and not evidence.readable:
                structure = replace(structure, not_readable=(*structure.not_readable, "log"))
            # From here to the end of the load the mirror is between two nights, and no publish may take it up.
            self.folder.unmark(self.project.name)
            drift = mirror.write_structure(structure, layout, self.stamp, renames)
            self._keep_log(mirror, evidence)
            planned_until = began.planned_until(evidence) if self._moves_on(previous) else None
            todo = mirror.plan(census, changed or (), everything=changed is None, upto=planned_until)
            stale = mirror.stale_instruments() if previous.planned_until is not None else ()
            errands = planner.errands(layout, census, todo, stale)
            forget_census(verifier)
        mode = "full" if changed is None else "incremental"
        mirror.name_mode(self.stamp.run_id, mode)
        plan = WorkPlan(
            run_id=self.stamp.run_id,
            began=self.stamp.now,
            mode=mode,
            baseline=self.stamp.baseline,
            layout=layout,
            errands=errands,
            vanished=vanished,
            in_redcap=len(census.records),
            upto=None if planned_until is None else planned_until.upto,
            remarks=(*began.remarks(previous, evidence), *unknown_in_writeback(whole, self.project)),
            chunk_records=previous.chunk_records,
            calls=client.calls,
        )
        return plan, structure_report(structure, layout, drift)

    def fetch(
        self,
        client: RedcapClient,
        plan: WorkPlan,
        parts: Sequence[tuple[int, slice]],
        prefix: str,
        verifier: Connection | None = None,
    ) -> Iterator[Fetched]:
        """Parts of errands into the staging folder, in proven chunks; progress is told as they come."""
        with self._verifying(verifier) as verifier, private_files():
            for at, part in parts:
                errand = plan.errands[at]
                fetcher = Fetcher(
                    client,
                    errand.fetch,
                    staging=self.staging,
                    verifier=verifier,
                    concurrency=self.project.server.concurrency,
                    size=ChunkSize(plan.chunk_records) if plan.chunk_records else None,
                    prefix=f"{prefix}-{at}",
                )
                records = errand.records[part]
                for item in fetcher.fetch(records, dict(zip(records, errand.due[part], strict=True))):
                    if isinstance(item, Chunk):
                        self.progress.fetched(len(item.records), item.cells)
                        yield replace(item, errand=at)
                    else:
                        yield item

    @contextmanager
    def _verifying(self, shared: Connection | None) -> Iterator[Connection]:
        """The staging folder, and a connection that proves what comes there: one for all steps, or a new one."""
        private_folder(self.staging)
        if shared is not None:
            yield shared
            return
        with open_verifier(self.staging) as verifier:
            yield verifier

    # -- between steps that do not share a process -----------------------------------------------------------

    def keep_plan(self, plan: WorkPlan) -> None:
        """Leave the plan in the run's staging folder for the steps that follow."""
        self._keep("plan.json", plan_adapter().dump_json(plan))

    def has_plan(self) -> bool:
        """Whether a step of this very run left a plan; that of an earlier try would miss what was entered since."""
        return (self.staging / "plan.json").exists() and self._read_plan().run_id == self.stamp.run_id

    def resume(self) -> WorkPlan:
        """The plan an earlier step left; what is done from here on belongs to the run that made it."""
        plan = self._read_plan()
        self.stamp = replace(self.stamp, run_id=plan.run_id, now=plan.began, baseline=plan.baseline)
        return plan

    def _read_plan(self) -> WorkPlan:
        try:
            return plan_adapter().validate_json((self.staging / "plan.json").read_bytes())
        except FileNotFoundError:
            raise LoadSuperseded(project=self.project.name) from None

    def keep_fetched(self, batch: int, fetched: Iterable[Fetched]) -> BatchReport:
        """Run a fetch to its end and leave the list of what it brought; returns its counts."""
        items = list(fetched)
        self._keep(f"batch-{batch:03d}.json", fetched_adapter().dump_json(items))
        return batch_report(batch, items)

    def read_fetched(self, batches: int) -> Iterator[Fetched]:
        """What the fetches of this run brought, batch by batch."""
        for batch in range(batches):
            yield from fetched_adapter().validate_json((self.staging / f"batch-{batch:03d}.json").read_bytes())

    def _keep(self, name: str, content: bytes) -> None:
        private_folder(self.staging)
        with private_files():
            fresh = self.staging / f".{name}"
            fresh.write_bytes(content)
            fresh.replace(self.staging / name)

    # -- into the mirror -------------------------------------------------------------------------------------

    def apply(self, mirror: Mirror, plan: WorkPlan, fetched: Iterable[Fetched], *, keep_answers: bool = False) -> Tally:
        """What was fetched, into the mirror; a batch of chunks is one transaction.

        It may be done again from the start after it failed, if the answers are kept until the load has finished.
        """
        mirror.forget_chunks(self.stamp.run_id)
        tally = Tally()
        batch: list[Chunk] = []
        most = BATCH_BYTES * BATCH_COLUMNS // max(BATCH_COLUMNS, len(plan.layout.answer_columns))
        for item in fetched:
            match item:
                case Chunk():
                    if batch and batch[0].errand != item.errand:
                        self._apply_batch(mirror, plan, batch, tally, keep_answers)
                        batch = []
                    batch.append(item)
                    if sum(chunk.bytes for chunk in batch) >= most:
                        self._apply_batch(mirror, plan, batch, tally, keep_answers)
                        batch = []
                case Quarantined():
                    tally.quarantined.append(item)
                    entry = ChunkEntry(0, 1, 0, 0, 0, 0.0, 0, "quarantined", item.reason)
                    mirror.apply(plan.layout, [], [entry], self.stamp)
                case Vanished():
                    tally.vanished.extend(item.records)
        self._apply_batch(mirror, plan, batch, tally, keep_answers)
        return tally

    def _apply_batch(
        self, mirror: Mirror, plan: WorkPlan, batch: Sequence[Chunk], tally: Tally, keep_answers: bool
    ) -> None:
        if not batch:
            return
        errand = plan.errands[batch[0].errand]
        staged = [StagedChunk(tuple(map(errand.fetch.answer, c.parts)), c.records, c.left) for c in batch]
        entries = [_entry(chunk, number) for number, chunk in enumerate(batch, tally.chunks + 1)]
        tally.touched += mirror.apply(plan.layout, staged, entries, self.stamp, instruments=errand.instruments)
        if errand.instruments is None:
            tally.loaded += sum(len(chunk.records) for chunk in batch)
            tally.chunk_records = _learned(batch) or tally.chunk_records
        tally.chunks += len(batch)
        tally.bytes += sum(chunk.bytes for chunk in batch)
        if not keep_answers:
            for part in (part for chunk in batch for part in chunk.parts):
                part.path.unlink(missing_ok=True)

    def finish(self, mirror: Mirror, plan: WorkPlan, tally: Tally) -> LoadReport:
        """Deletions and renames, totals, and the watermark last; from here on the load may be published."""
        self.progress.step("finish")
        known = set(mirror.known_records())
        gone = dict.fromkeys(record for record in (*plan.vanished, *tally.vanished) if record in known)
        departures = mirror.depart(list(gone), plan.layout, self.stamp)
        mirror.settle(vanished=tally.vanished, quarantined=[item.record for item in tally.quarantined])
        whole = mirror.to_do() == 0
        added, changed = mirror.records_of(self.stamp)
        totals = {
            "records_in_redcap": plan.in_redcap - len(tally.vanished),
            "records_loaded": tally.loaded,
            "records_added": added,
            "records_changed": changed,
            "records_unchanged": max(0, tally.loaded - added - changed),
            "records_deleted": departures.deleted,
            "records_renamed": departures.renamed,
            "records_quarantined": len(tally.quarantined),
            "rows_inserted": tally.touched.inserted,
            "rows_updated": tally.touched.updated,
            "rows_deleted": tally.touched.deleted + departures.rows,
            "rows_unchanged": tally.touched.unchanged,
            "cells": tally.touched.cells,
            "chunks": tally.chunks,
        }
        # A night with a hole in it does not move the watermark; what is missing stays on the list for the next.
        watermark = plan.upto if whole else None
        unexplained = mirror.finish(
            plan.layout,
            self.stamp,
            totals={**totals, "watermark_to": watermark, "redcap_version": mirror.redcap_version()},
            watermark=watermark,
            chunk_records=tally.chunk_records,
            sign=not plan.baseline,
        )
        said = [*plan.remarks]
        if not whole:
            said.append(quarantine_message(tally.quarantined))
        if unexplained:
            said.append(ids_message(unexplained))
        shutil.rmtree(self.staging, ignore_errors=True)
        return LoadReport(
            project=self.project.name,
            run_id=self.stamp.run_id,
            mode=plan.mode,
            outcome="ok" if whole else "incomplete",
            rows=mirror.rows(plan.layout),
            invalid_values=mirror.invalid_values(),
            watermark=watermark,
            message=" ".join(said) or None,
            **totals,
        )

    # -- small -----------------------------------------------------------------------------------------------

    def _guard(self) -> Guard:
        return Guard(
            project=self.project.name,
            project_id=self.project.project_id,
            deletion_limit=self.config.deletion_limit,
            allow_deletions=self.options.allow_deletions,
            allow_narrower=self.options.allow_narrower,
        )

    def _look_at_clocks(self, client: RedcapClient, previous: PreviousLoad) -> Beginning:
        wall = previous.planned_until.wall if previous.planned_until is not None else None
        # This computer's clock is read right after the answer whose header it is held against.
        now = look_at_clocks(client, self.now(), last_wall=wall, offset=previous.offset)
        return Beginning(client, now, self.now, time.monotonic())

    def _evidence(
        self,
        client: RedcapClient,
        structure: Structure,
        layout: Layout,
        renames: Renames,
        previous: PreviousLoad,
        began: Beginning,
        *,
        everything: bool,
    ) -> Evidence | None:
        """What REDCap says changed; None where nobody knows its time, so that nothing can be asked by time."""
        if began.now.upto is None:
            return None
        # Where some values are left out of the warehouse, the log must not bring them in.
        whole = self.project.identifiers == "keep" and self.project.include is None and self.project.exclude is None
        # The log tells of a form status under the name it had then.
        told = frozenset((*layout.answer_columns, *renames.columns))
        return gather(
            client,
            terms=LogTerms(structure.record_id_field, told, whole, renames.columns),
            folder=self.staging,
            since=self._since(previous, began),
            upto=began.now.upto,
            elapsed=began.elapsed,
            zone=self.project.server.time_zone,
            everything=everything,
        )

    def _since(self, previous: PreviousLoad, began: Beginning) -> Since:
        """From when on changes are asked for: what a clock that was set back has stamped since lies earlier."""
        planned_until, asked = previous.planned_until, self.options.since
        if planned_until is None or (asked is not None and asked > planned_until.upto):
            return Since(asked, None, previous.offset)
        back = set_back(planned_until.ahead, began.now)
        moment = (planned_until.upto if asked is None else asked) - back
        wall = None if planned_until.wall is None else planned_until.wall - back
        return Since(min(moment, began.now.upto or moment), wall, previous.offset)

    def _reads_everything(self, previous: PreviousLoad, now: ServerTime) -> bool:
        """Whether the night reads every record, whatever REDCap says changed."""
        planned_until = previous.planned_until
        if planned_until is None or now.upto is None or self.options.full:
            return True
        if why_everything(planned_until.ahead, planned_until.upto, now):
            # What happened since the last load may be stamped before it.
            return True
        due = refresh_is_due(previous.refreshed, now.upto, self.project.full_refresh_every)
        # One that was begun goes on from the list of what is still to do.
        return due and not previous.refreshing and self.options.since is None

    def _moves_on(self, previous: PreviousLoad) -> bool:
        """Whether all that happened up to now is looked at, so that the next load can begin from here."""
        since = self.options.since
        return since is None or (previous.planned_until is not None and since <= previous.planned_until.upto)

    def _keep_log(self, mirror: Mirror, evidence: Evidence | None) -> None:
        if evidence is None or evidence.log is None:
            return
        if evidence.clock.offset_now is not None:
            mirror.keep_clock(evidence.clock.offset_now, self.stamp.now)
        read = evidence.log
        mirror.keep_log(read.files, read.stamps, evidence.begin, evidence.clock, self.stamp.run_id)
        for path in read.files:
            path.unlink()


def load_project(
    config: Config,
    project: ProjectConfig,
    *,
    options: LoadOptions | None = None,
    run_id: str | None = None,
    progress: Progress | None = None,
    now: Now = utc_now,
    sleep: Sleep = time.sleep,
    answer_limit: int = ANSWER_LIMIT,
) -> LoadReport:
    """Load one project, from the first request to the watermark; the mirror is left whole whatever happens.

    Raises what stopped the load (WarehouseError or RedcapError) after entering it in the ledger.
    """
    run_id = run_id or new_run_id(now)
    load = Load(
        config,
        project,
        run_id=run_id,
        options=options,
        progress=progress,
        now=now,
        sleep=sleep,
        answer_limit=answer_limit,
    )
    with load.mirror() as mirror:
        return load.whole(mirror)


def _entry(chunk: Chunk, number: int) -> ChunkEntry:
    return ChunkEntry(
        chunk=number,
        asked=chunk.asked,
        returned=len(chunk.records),
        rows=chunk.rows,
        bytes=chunk.bytes,
        seconds=chunk.seconds,
        attempts=chunk.attempts,
        outcome="ok",
    )


def _learned(batch: Sequence[Chunk]) -> int | None:
    """How many records to ask for at a time, by the last answer that held enough of them to tell."""
    for chunk in reversed(batch):
        if chunk.parts[0].scope is None and len(chunk.records) > JSON_RECORDS:
            return ChunkSize(len(chunk.records)).after(len(chunk.records), chunk.seconds, chunk.bytes).records
    return None
