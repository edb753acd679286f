"""The second step: chunks of records from REDCap into the staging folder, each verified to be complete."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines.errors import describe
from pipelines.extract.chunks import Chunk, ChunkSize, Fetched
from pipelines.extract.fetcher import Fetcher
from pipelines.extract.planner import FetchTask
from pipelines.extract.speed.speed_file import save_speed
from pipelines.extract.undesignated import SEARCH_FAILED, search_all
from pipelines.run import ProjectRun
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import Progress
from pipelines.warehouse.database.connection import Connection, private_files
from redcap_source import RedcapClient

log = logging.getLogger("redcap_warehouse")


def fetch(
    run: ProjectRun,
    client: RedcapClient,
    verifier: Connection,
    plan: WorkPlan,
    parts: Sequence[tuple[int, slice]] | None = None,
    *,
    prefix: str = "chunk",
    progress: Progress | None = None,
) -> Iterator[Fetched]:
    """Yield the results for the plan's records as they arrive: chunks, quarantined records and deleted records.

    `parts` are the tasks to fetch and which of their records (all without it); `prefix` begins the names of the files.
    """
    progress = progress or Progress()
    progress.planned(plan.size, plan.requests)
    with private_files():
        for at, part in plan.batch(0, 1) if parts is None else parts:
            task = plan.tasks[at]
            fetcher = Fetcher(
                client,
                task.fetch,
                staging=run.staging,
                verifier=verifier,
                concurrency=run.project.server.concurrency,
                size=ChunkSize(plan.chunk_records) if plan.chunk_records else None,
                prefix=f"{prefix}-{at}",
            )
            records = task.records[part]
            masks = dict(zip(records, task.scope_masks[part], strict=True))
            for item in fetcher.fetch(records, masks, searched=task.searched, at_hand=task.at_hand):
                if isinstance(item, Chunk):
                    progress.fetched(len(item.records), item.cells)
                    yield replace(item, task=at)
                else:
                    yield item
            save_speed(run.folder.pace, run.project.server.url, fetcher.speed)


def search_first(run: ProjectRun, client: RedcapClient, verifier: Connection, plan: WorkPlan) -> WorkPlan:
    """The plan, after a search for values that narrow requests do not show.

    Steps that each fetch some of the records would otherwise each search the whole project.
    """
    tasks = []
    for task in plan.tasks:
        if any(task.scope_masks) and not task.searched:
            whole = _with_undesignated_values(run, client, verifier, task)
            pairs = zip(task.records, task.scope_masks, strict=True)
            masks = tuple(0 if whole is None or record in whole else mask for record, mask in pairs)
            task = replace(task, scope_masks=masks, searched=True)
        tasks.append(task)
    return replace(plan, tasks=tuple(tasks), calls=client.calls + plan.calls)


def _with_undesignated_values(
    run: ProjectRun, client: RedcapClient, verifier: Connection, task: FetchTask
) -> frozenset[str] | None:
    """The records that a search found; None if it was not answered, so that every record is requested whole."""
    concurrency = run.project.server.concurrency
    try:
        with private_files():
            return search_all(client, verifier, task.fetch, staging=run.staging, concurrency=concurrency)
    except SEARCH_FAILED as problem:
        log.warning("%s: every record is requested whole, because %s", run.project.name, describe(problem))
        return None
