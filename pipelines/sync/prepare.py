"""The first step: read what is there, judge it, write it into the mirror, and plan what to fetch.

Everything is read before it is judged, and judged before anything is written; only whether the token belongs to the
project is judged first. Rows of records are neither read nor written here.
"""

from __future__ import annotations

from dataclasses import replace

from pipelines.extract.change_detection import DetectedChanges, detect_changes, logged_deletions
from pipelines.extract.log_reading import LogTerms
from pipelines.extract.planner import FetchTask, Planner, only_in
from pipelines.extract.selection import narrow, unknown_in_writeback
from pipelines.extract.structure import read_structure
from pipelines.run import ProjectRun
from pipelines.sync.findings import Findings, Preflight
from pipelines.sync.guards import Guard
from pipelines.sync.load_clock import read_clocks
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import LoadOptions, Progress, StructureReport, structure_report
from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.schema.drift import Drift
from pipelines.warehouse.mirror.schema.renames import Renames
from pipelines.warehouse.mirror.state import PlannedUntil
from pipelines.warehouse.staging.census import Census, drop_census, merge_censuses
from pipelines.warehouse.tables.layout import Layout, make_layout
from redcap_source import RedcapClient


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
    progress = progress or Progress()
    guard = _guard(run, options)
    progress.step("structure")
    preflight = _preflight(run, client, mirror, guard, options)
    planner = Planner(client, verifier, run.staging, run.project, preflight.structure)
    progress.step("census")
    census, layout = _read_census(run, planner, mirror, preflight)
    progress.step("changes")
    findings = _read_changes(run, planner, mirror, preflight, census, layout, options)
    guard.check(findings, preflight.previous)
    planned_until = preflight.clock.planned_until(findings.detected, options.since)
    drift, pending, stale = _adopt(run, mirror, preflight, findings, planned_until)
    tasks = planner.fetch_tasks(layout, findings.census, pending, stale)
    drop_census(verifier)
    plan = _work_plan(run, preflight, findings, tasks, planned_until, client)
    return plan, structure_report(findings.structure, layout, drift)


def _guard(run: ProjectRun, options: LoadOptions) -> Guard:
    return Guard(
        project=run.project.name,
        project_id=run.project.project_id,
        deletion_limit=run.config.deletion_limit,
        allow_deletions=options.allow_deletions,
        allow_narrower=options.allow_narrower,
    )


def _preflight(run: ProjectRun, client: RedcapClient, mirror: Mirror, guard: Guard, options: LoadOptions) -> Preflight:
    """The project's structure; refuses a token of another project before anything else is asked with it."""
    previous = mirror.state.previous()
    run.stamp = replace(run.stamp, baseline=not previous.ended)
    version = client.version()
    # Read before anything else: what changes from now on is left to the next load.
    clock = read_clocks(client, run.now, previous)
    whole = read_structure(client, version)
    structure = narrow(whole, run.project)
    guard.check_binding(structure, previous)
    everything = clock.reads_everything(options, run.project.full_refresh_every)
    return Preflight(previous, clock, whole, structure, everything)


def _read_census(run: ProjectRun, planner: Planner, mirror: Mirror, preflight: Preflight) -> tuple[Census, Layout]:
    """Which records there are, and in which columns and tables their rows belong."""
    structure = preflight.structure
    cover = () if preflight.everything else mirror.pending.covering_events()
    events = {event.unique_event_name for event in structure.events}
    census = planner.census(cover if events.issuperset(cover) else ())
    if preflight.everything:
        census = merge_censuses(census, planner.census(census.covering_events))
    columns = planner.answer_columns(census.records)
    return census, make_layout(structure, columns, hash_identifiers=run.project.identifiers == "hash")


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
    structure = preflight.structure
    renames = mirror.tables.find_renames(structure)
    detected = _detect_changes(run, planner.client, preflight, layout, renames, options)
    if detected is not None and not detected.readable:
        structure = replace(structure, not_readable=(*structure.not_readable, "log"))
    known = tuple(mirror.state.known_records())
    changed = None if detected is None else detected.changed
    census = planner.completed(census, known, changed, logged_deletions(detected))
    missing = tuple(only_in(known, census.records))
    return Findings(structure, layout, renames, detected, known, census, missing)


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
    run.folder.unmark(run.project.name)
    drift = mirror.write_structure(findings.structure, findings.layout, run.stamp, findings.renames)
    _save_log(run, mirror, findings.detected)
    changed = findings.changed
    pending = mirror.pending.plan(findings.census, changed or (), everything=changed is None, upto=planned_until)
    stale = mirror.tables.stale_instruments() if preflight.previous.planned_until is not None else ()
    mirror.runs.set_mode(run.stamp.run_id, _mode(findings))
    return drift, pending, stale


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
