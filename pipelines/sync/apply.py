"""The third step: stores verified chunks in the mirror, one transaction for each batch of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pipelines.extract.chunks import JSON_RECORDS, Chunk, ChunkSize, Fetched, Quarantined, Vanished
from pipelines.run import ProjectRun
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import Tally
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.runs import ChunkEntry
from pipelines.warehouse.staging.column_groups import StagedChunk

# A transaction's rows stay in memory until it commits, so it is bounded by what was staged, not by the project.
BATCH_BYTES = 32_000_000

# Less is staged for wider projects, because every column takes memory besides its text.
BATCH_COLUMNS = 4_000


def apply(
    run: ProjectRun, mirror: Mirror, plan: WorkPlan, fetched: Iterable[Fetched], *, keep_answers: bool = False
) -> Tally:
    """Store what was fetched in the mirror, and return counts of what was applied.

    With `keep_answers` their files stay until the load has finished, so a failed apply can be repeated.
    """
    mirror.runs.delete_chunk_entries(run.stamp.run_id)
    tally = Tally()
    batch: list[Chunk] = []
    limit = BATCH_BYTES * BATCH_COLUMNS // max(BATCH_COLUMNS, len(plan.layout.answer_columns))
    for item in fetched:
        match item:
            case Chunk():
                if batch and batch[0].task != item.task:
                    _apply_batch(run, mirror, plan, batch, tally, keep_answers)
                    batch = []
                batch.append(item)
                if sum(chunk.bytes for chunk in batch) >= limit:
                    _apply_batch(run, mirror, plan, batch, tally, keep_answers)
                    batch = []
            case Quarantined():
                tally.quarantined.append(item)
                entry = ChunkEntry(0, 1, 0, 0, 0, 0.0, 0, "quarantined", item.reason)
                mirror.apply(plan.layout, [], [entry], run.stamp)
            case Vanished():
                tally.vanished.extend(item.records)
    _apply_batch(run, mirror, plan, batch, tally, keep_answers)
    return tally


def _apply_batch(
    run: ProjectRun, mirror: Mirror, plan: WorkPlan, batch: Sequence[Chunk], tally: Tally, keep_answers: bool
) -> None:
    if not batch:
        return
    task = plan.tasks[batch[0].task]
    staged = [StagedChunk(tuple(map(task.fetch.answer, c.parts)), c.records, c.excluded) for c in batch]
    entries = [_entry(chunk, number) for number, chunk in enumerate(batch, tally.chunks + 1)]
    # A load of everything lists again which values do not fit, because another version may judge them otherwise.
    recheck = plan.mode == "full"
    tally.touched += mirror.apply(
        plan.layout, staged, entries, run.stamp, instruments=task.instruments, recheck=recheck
    )
    if task.instruments is None:
        tally.loaded += sum(len(chunk.records) for chunk in batch)
        tally.chunk_records = _chunk_records(batch) or tally.chunk_records
    tally.chunks += len(batch)
    tally.bytes += sum(chunk.bytes for chunk in batch)
    if not keep_answers:
        for part in (part for chunk in batch for part in chunk.parts):
            part.path.unlink(missing_ok=True)


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


def _chunk_records(batch: Sequence[Chunk]) -> int | None:
    """How many records to request at a time, by the last answer large enough to tell; None if there is none."""
    for chunk in reversed(batch):
        records = len(chunk.records)
        if chunk.parts[0].scope is None and records > JSON_RECORDS:
            fits = ChunkSize(records).after(records, chunk.seconds, chunk.bytes).records
            # A few records of a small night say only that more would have been possible.
            if fits < ChunkSize(records).after(records, 0, 0).records:
                return fits
    return None
