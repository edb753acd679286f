"""A load in its ledger, redcap.sync_runs: that it started, and how it ended."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from pipelines.errors import describe
from pipelines.interrupts import was_interrupted
from pipelines.run import ProjectRun
from pipelines.sync.reports import LoadReport
from pipelines.warehouse.mirror.mirror import Mirror
from redcap_source import Calls, RedcapClient

HALF_CHARACTERS = (
    "Some of REDCap's labels or values hold half a surrogate pair, which cannot be stored as a character. It is stored "
    "as its escape sequence, for example \\ud83d."
)


@dataclass(slots=True)
class Recording:
    """What a load gives its ledger: the report, in the end, and the client that counts its requests."""

    report: LoadReport
    client: RedcapClient | None = None

    @property
    def calls(self) -> Calls:
        """The requests that the load has made so far."""
        return Calls() if self.client is None else self.client.calls


@contextmanager
def recorded(run: ProjectRun, mirror: Mirror) -> Iterator[Recording]:
    """Record in the ledger that the load starts, and how it ends; then mark it as ready to be published.

    An error is recorded and raised. The run's staging folder is removed however the load ends, as its answers hold
    participants' data.
    """
    began = time.monotonic()
    record_start(run, mirror)
    recording = Recording(LoadReport(run.project.name, run.stamp.run_id, mode="full", outcome="failed"))
    try:
        yield recording
    except BaseException as problem:
        outcome = "interrupted" if was_interrupted(problem) else "failed"
        message = describe(mirror.explained(problem))
        record_end(run, mirror, outcome, message, time.monotonic() - began, recording.calls)
        raise
    finally:
        run.folder.clear_staging(run.project.name)
    report, calls, seconds = recording.report, recording.calls, time.monotonic() - began
    record_end(run, mirror, report.outcome, report.message, seconds, calls)
    run.store.marks.mark_loaded(run.project.name, run.stamp.run_id)
    recording.report = replace(report, requests=calls.requests, bytes=calls.bytes, seconds=seconds)


def record_start(run: ProjectRun, mirror: Mirror) -> None:
    """Add the run to the ledger, and remove the answers that earlier runs left when they failed."""
    run.folder.clear_staging(run.project.name)
    run.stamp = replace(run.stamp, now=mirror.runs.begin(run.stamp.run_id, "full", run.now()))


def record_end(
    run: ProjectRun, mirror: Mirror, outcome: str, message: str | None, seconds: float = 0.0, calls: Calls | None = None
) -> None:
    """Record in the ledger how the run ended, how long it took, and what it asked of the server."""
    calls = calls or Calls()
    if calls.half_characters:
        message = f"{message} {HALF_CHARACTERS}" if message else HALF_CHARACTERS
    mirror.runs.end(
        run.stamp.run_id,
        outcome=outcome,
        message=message,
        now=run.now(),
        seconds=seconds,
        requests=calls.requests,
        bytes_received=calls.bytes,
    )
