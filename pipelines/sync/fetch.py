"""The second step: chunks of records from REDCap into the staging folder, each verified to be complete."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pipelines.extract.chunks import Chunk, ChunkSize, Fetched
from pipelines.extract.fetcher import Fetcher
from pipelines.extract.speed.speed_file import save_speed
from pipelines.run import ProjectRun
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import Progress
from pipelines.warehouse.database.connection import Connection, private_files
from redcap_source import RedcapClient


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
            for item in fetcher.fetch(records, dict(zip(records, task.scope_masks[part], strict=True))):
                if isinstance(item, Chunk):
                    progress.fetched(len(item.records), item.cells)
                    yield replace(item, task=at)
                else:
                    yield item
            save_speed(run.folder.pace, run.project.server.url, fetcher.speed)
