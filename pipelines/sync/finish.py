"""The last step: deletions and renames, who made the changes, totals, and the watermark."""

from __future__ import annotations

import shutil

from pipelines.run import ProjectRun
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import LoadReport, Tally, ids_message, quarantine_message
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.rows.deletions import Removals


def finish(run: ProjectRun, mirror: Mirror, plan: WorkPlan, tally: Tally) -> LoadReport:
    """End the load in the mirror, so that it may be published, and return the load's report.

    The watermark moves only if no record is left to fetch; what is missing stays pending for the next load.
    """
    vanished = (*plan.vanished, *tally.vanished)
    known = set(mirror.state.known_records()) if vanished else set()
    missing = dict.fromkeys(record for record in vanished if record in known)
    removals = mirror.remove_missing(list(missing), plan.layout, run.stamp)
    mirror.pending.requeue([item.record for item in tally.quarantined], deleted=tally.vanished)
    complete = mirror.pending.count() == 0
    totals = _totals(run, mirror, plan, tally, removals)
    watermark = plan.upto if complete else None
    unexplained = mirror.finish(
        plan.layout,
        run.stamp,
        totals={**totals, "watermark_to": watermark, "redcap_version": mirror.state.redcap_version()},
        watermark=watermark,
        chunk_records=tally.chunk_records,
        sign=not plan.baseline,
    )
    shutil.rmtree(run.staging, ignore_errors=True)
    return LoadReport(
        project=run.project.name,
        run_id=run.stamp.run_id,
        mode=plan.mode,
        outcome="ok" if complete else "incomplete",
        rows=mirror.state.count_rows(),
        invalid_values=mirror.state.count_invalid_values(),
        watermark=watermark,
        message=_message(plan, tally, complete=complete, unexplained=unexplained),
        **totals,
    )


def _totals(run: ProjectRun, mirror: Mirror, plan: WorkPlan, tally: Tally, removals: Removals) -> dict[str, int]:
    """The counts of redcap.sync_runs that LoadReport has, too."""
    added, changed = mirror.runs.count_records(run.stamp.now)
    return {
        "records_in_redcap": plan.in_redcap - len(tally.vanished),
        "records_loaded": tally.loaded,
        "records_added": added,
        "records_changed": changed,
        "records_unchanged": max(0, tally.loaded - added - changed),
        "records_deleted": removals.deleted,
        "records_renamed": removals.renamed,
        "records_quarantined": len(tally.quarantined),
        "rows_inserted": tally.touched.inserted,
        "rows_updated": tally.touched.updated,
        "rows_deleted": tally.touched.deleted + removals.rows,
        "rows_unchanged": tally.touched.unchanged,
        "cells": tally.touched.cells,
        "chunks": tally.chunks,
    }


def _message(plan: WorkPlan, tally: Tally, *, complete: bool, unexplained: int) -> str | None:
    """What a person should know of this load; None if there is nothing."""
    parts = [*plan.remarks]
    if not complete:
        parts.append(quarantine_message(tally.quarantined))
    if unexplained:
        parts.append(ids_message(unexplained))
    return " ".join(parts) or None
