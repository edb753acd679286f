"""The first step: read what is there, judge it, write it into the mirror, and plan what to fetch.

Everything is read before it is judged, and judged before anything is written; only whether the token belongs to the
project is judged first. Rows of records are neither read nor written here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import Any

from pipelines.errors import VerificationFailed
from pipelines.extract.change_detection import DetectedChanges, detect_changes, logged_deletions
from pipelines.extract.chunks import AtHand
from pipelines.extract.log_reading import LogTerms
from pipelines.extract.planner import FetchTask, Planner, only_in
from pipelines.extract.selection import narrow, unknown_in_writeback
from pipelines.extract.speed.server_speed import AnswerTime
from pipelines.extract.speed.speed_file import read_speed
from pipelines.extract.structure import WITH_RIGHTS, read_basics, read_structure
from pipelines.run import ProjectRun
from pipelines.sync.findings import Assumed, Findings, Preflight
from pipelines.sync.guards import Guard
from pipelines.sync.known_structure import is_worth_keeping, structure_key, unchanged, why_not_proven
from pipelines.sync.load_clock import read_clocks
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import LoadOptions, Progress, StructureReport, structure_report
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.mirror.known_structure import known_structure
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.schema.drift import Drift
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.mirror.state import PlannedUntil
from pipelines.warehouse.staging.census import Census, drop_census, merge_censuses
from pipelines.warehouse.tables.layout import Layout, make_layout
from pipelines.warehouse.tables.structure import REPEATING_SETUP, Structure
from redcap_source import RedcapClient, errors

log = logging.getLogger("redcap_warehouse")


def prepare(
    run: ProjectRun,
    client: RedcapClient,
    mirror: Mirror,
    verifier: Connection,
    options: LoadOptions,
    progress: Progress | None = None,
) -> tuple[WorkPlan, StructureReport]:
    """Bring the mirror's tables to the project's structure; returns what to fetch, and what was found.

    Raises LoadRefused, before anything is written, where a load could destroy good data.
    """
    reading = _Reading(run, client, mirror, verifier, options, progress or Progress(), _guard(run, options))
    preflight, findings = reading.read()
    reading.guard.check(findings, preflight.previous)
    planned_until = preflight.clock.planned_until(findings.detected, options.since)
    drift, pending, stale = _adopt(run, mirror, preflight, findings, planned_until)
    planner = reading.planner(preflight)
    tasks = planner.fetch_tasks(
        findings.layout, findings.census, pending, stale, mirror.tables.rows_of, findings.at_hand
    )
    drop_census(verifier)
    plan = _work_plan(run, preflight, findings, tasks, planned_until, client)
    report = structure_report(findings.structure, findings.layout, drift, read=preflight.assumed is None)
    return plan, report


def _guard(run: ProjectRun, options: LoadOptions) -> Guard:
    return Guard(
        project=run.project.name,
        project_id=run.project.project_id,
        deletion_limit=run.config.deletion_limit,
        allow_deletions=options.allow_deletions,
        allow_narrower=options.allow_narrower,
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    """What it takes to read everything about a project that a load judges before it writes."""

    run: ProjectRun
    client: RedcapClient
    mirror: Mirror
    verifier: Connection
    options: LoadOptions
    progress: Progress
    guard: Guard
    seen: list[AnswerTime] = field(default_factory=list)
    """How long the larger answers took."""

    def read(self) -> tuple[Preflight, Findings]:
        """The structure and what changed; where the structure is assumed, that is proven or it is read after all."""
        preflight = self._preflight()
        if preflight.assumed is None:
            return preflight, self._findings(preflight)
        findings: Findings | None = None
        try:
            findings = self._findings(preflight)
            doubt = why_not_proven(preflight.assumed.known, preflight.assumed.basics, preflight.clock, findings)
        except (errors.UnexpectedAnswer, errors.RequestRefused, errors.MissingRight, VerificationFailed):
            doubt = "an answer of REDCap does not fit the structure of the last load"
        if doubt is None and findings is not None:
            return preflight, findings
        log.info("%s: the structure is read again, because %s.", self.run.project.name, doubt)
        self.progress.step("structure")
        whole = read_structure(self.client, preflight.whole.version)
        again = self._with_structure(preflight, whole)
        if findings is None or _loads_differently(whole, preflight.whole):
            return again, self._findings(again)
        return again, replace(findings, structure=_as_found(again.structure, findings.detected))

    def planner(self, preflight: Preflight) -> Planner:
        """What asks REDCap what there is to fetch."""
        run = self.run
        earlier = read_speed(run.folder.pace, run.project.server.url)
        return Planner(self.client, self.verifier, run.staging, run.project, preflight.structure, earlier, self.seen)

    def _preflight(self) -> Preflight:
        """The project's structure; refuses a token of another project before anything else is asked with it."""
        run, client, mirror = self.run, self.client, self.mirror
        self.progress.step("structure")
        previous = mirror.state.previous()
        run.stamp = replace(run.stamp, baseline=not previous.ended)
        version = client.version()
        # Read before anything else: what changes from now on is left to the next load.
        clock = read_clocks(client, run.now, previous)
        everything = clock.reads_everything(self.options, run.project.full_refresh_every)
        key = structure_key(run.project, client, mirror)
        provable = not everything and self.options.since is None and clock.now.agree
        known = mirror.state.known_structure(key) if provable else None
        basics = None if known is None else read_basics(client, known.structure)
        assumed = unchanged(known, version, basics) if known is not None and basics is not None else None
        whole = assumed or read_structure(client, version, basics)
        structure = narrow(whole, run.project)
        self.guard.check_binding(structure, previous)
        if assumed is None or known is None or basics is None:
            return Preflight(previous, clock, whole, structure, everything, key)
        return Preflight(previous, clock, whole, structure, everything, key, Assumed(known, basics))

    def _with_structure(self, preflight: Preflight, whole: Structure) -> Preflight:
        structure = narrow(whole, self.run.project)
        self.guard.check_binding(structure, preflight.previous)
        return replace(preflight, whole=whole, structure=structure, assumed=None)

    def _findings(self, preflight: Preflight) -> Findings:
        planner = self.planner(preflight)
        self.progress.step("census")
        census, layout, at_hand = _read_census(self.run, planner, self.mirror, preflight)
        self.progress.step("changes")
        findings = _read_changes(self.run, planner, self.mirror, preflight, census, layout, self.options)
        return replace(findings, at_hand=at_hand)


def _loads_differently(one: Structure, other: Structure) -> bool:
    """Whether records would be asked for or stored in another way; people and groups decide nothing of that."""
    people: dict[str, Any] = {attribute: () for attribute, name, _ in WITH_RIGHTS if name != REPEATING_SETUP}
    return replace(one, **people) != replace(other, **people)


def _read_census(
    run: ProjectRun, planner: Planner, mirror: Mirror, preflight: Preflight
) -> tuple[Census, Layout, AtHand | None]:
    """Which records there are, in which columns and tables their rows belong, and the record that shows the columns."""
    structure = preflight.structure
    cover = () if preflight.everything else mirror.pending.covering_events()
    events = {event.unique_event_name for event in structure.events}
    census = planner.census(cover if events.issuperset(cover) else ())
    if preflight.everything:
        census = merge_censuses(census, planner.census(census.covering_events))
    columns, at_hand = planner.answer_columns(census.records, keep=preflight.everything)
    return census, make_layout(structure, columns, hash_identifiers=run.project.identifiers == "hash"), at_hand


def _read_changes(
    run: ProjectRun,
    planner: Planner,
    mirror: Mirror,
    preflight: Preflight,
    census: Census,
    layout: Layout,
    options: LoadOptions,
) -> Findings:
    """What changed since the previous load, and whether records that the census lacks are really deleted."""
    renames = mirror.tables.find_renames(preflight.structure)
    detected = _detect_changes(run, planner.client, preflight, layout, renames, options)
    structure = _as_found(preflight.structure, detected)
    known = tuple(mirror.state.known_records())
    changed = None if detected is None else detected.changed
    census = planner.completed(census, known, changed, logged_deletions(detected))
    missing = tuple(only_in(known, census.records))
    return Findings(structure, layout, renames, detected, known, census, missing)


def _as_found(structure: Structure, detected: DetectedChanges | None) -> Structure:
    """The structure, with whether the log could not be read."""
    if detected is None or detected.readable:
        return structure
    return replace(structure, not_readable=(*structure.not_readable, "log"))


def _detect_changes(
    run: ProjectRun,
    client: RedcapClient,
    preflight: Preflight,
    layout: Layout,
    renames: Renames,
    options: LoadOptions,
) -> DetectedChanges | None:
    """What REDCap says changed; None if its time is unknown, because changes are requested by time."""
    project, clock = run.project, preflight.clock
    if clock.now.upto is None:
        return None
    # Values that are left out of the warehouse must not get into it through the log.
    whole = project.identifiers == "keep" and project.include is None and project.exclude is None
    # The log has a form status under the name that the form had then.
    columns = frozenset((*layout.answer_columns, *renames.columns))
    return detect_changes(
        client,
        terms=LogTerms(preflight.structure.record_id_field, columns, whole, renames.columns),
        folder=run.staging,
        since=clock.since(options.since),
        upto=clock.now.upto,
        elapsed=clock.elapsed,
        zone=project.server.time_zone,
        everything=preflight.everything,
    )


def _adopt(
    run: ProjectRun, mirror: Mirror, preflight: Preflight, findings: Findings, planned_until: PlannedUntil | None
) -> tuple[tuple[Drift, ...], tuple[str, ...], tuple[str, ...]]:
    """Write what was found; returns what changed in the structure, the pending records and the stale instruments.

    From here to the end of the load the mirror is between two loads, and no publish may use it. There are three
    transactions rather than one, because one would hold changed tables and the log of a busy project in memory
    together. The last one moves the time from which the next load begins, so after an interruption in between, all of
    it is done again.
    """
    run.store.marks.unmark(run.project.name)
    drift = _write_structure(run, mirror, preflight, findings)
    _save_log(run, mirror, findings.detected)
    changed = findings.changed
    pending = mirror.pending.plan(findings.census, changed or (), everything=changed is None, upto=planned_until)
    stale = mirror.tables.stale_instruments() if preflight.previous.planned_until is not None else ()
    mirror.runs.set_mode(run.stamp.run_id, _mode(findings))
    return drift, pending, stale


def _write_structure(run: ProjectRun, mirror: Mirror, preflight: Preflight, findings: Findings) -> tuple[Drift, ...]:
    """Write the structure, unless it is the one that is written there already."""
    layout = findings.layout
    if preflight.assumed is not None:
        mirror.keep_structure(layout)
        return ()
    keep = is_worth_keeping(preflight.whole, findings, preflight.previous.not_readable)
    known = known_structure(preflight.whole, layout.answer_columns) if keep else None
    return mirror.write_structure(
        findings.structure, layout, run.stamp, findings.renames, key=preflight.key, known=known
    )


def _save_log(run: ProjectRun, mirror: Mirror, detected: DetectedChanges | None) -> None:
    if detected is None or detected.log is None:
        return
    if detected.clock.offset_now is not None:
        mirror.state.save_clock(detected.clock.offset_now, run.stamp.now)
    read = detected.log
    mirror.audit_log.save(read.files, read.stamps, detected.begin, detected.clock, run.stamp.run_id)
    for path in read.files:
        path.unlink()


def _mode(findings: Findings) -> str:
    return "full" if findings.changed is None else "incremental"


def _work_plan(
    run: ProjectRun,
    preflight: Preflight,
    findings: Findings,
    tasks: tuple[FetchTask, ...],
    planned_until: PlannedUntil | None,
    client: RedcapClient,
) -> WorkPlan:
    remarks = preflight.clock.remarks(findings.detected)
    return WorkPlan(
        run_id=run.stamp.run_id,
        began=run.stamp.now,
        mode=_mode(findings),
        baseline=run.stamp.baseline,
        layout=findings.layout,
        tasks=tasks,
        vanished=findings.missing,
        in_redcap=len(findings.census.records),
        upto=None if planned_until is None else planned_until.upto,
        remarks=(*remarks, *unknown_in_writeback(preflight.whole, run.project)),
        chunk_records=preflight.previous.chunk_records,
        calls=client.calls,
    )
