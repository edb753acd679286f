"""Errors of the warehouse as failures of Dagster: one message, whether a retry can help, and no frames with values."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from pipelines.errors import WarehouseBusy, WarehouseError
from pipelines.run import ProjectRun
from pipelines.sync.recording import record_end
from pipelines.warehouse.database.file_errors import of_the_system
from redcap_source.errors import RedcapError, Transient

ROOT = Path(__file__).resolve().parents[2]
OURS = (ROOT / "pipelines", ROOT / "redcap_source")


@contextmanager
def as_dagster_failure(run: ProjectRun | None = None) -> Iterator[None]:
    """Turn any error inside into a dg.Failure, and record it in the project's ledger if its run is given.

    Dagster stores an exception's text and frames in clear text, and messages of other libraries may quote participants'
    data: of those only the kind and the place are reported.
    """
    outcome = "failed"
    try:
        yield
    except dg.Failure:
        raise
    except (WarehouseError, RedcapError) as problem:
        message, retry = str(problem), isinstance(problem, Transient | WarehouseBusy)
    except OSError as problem:
        message, retry = str(of_the_system(problem) or _unexpected(problem)), False
    except Exception as problem:
        message, retry = _unexpected(problem), False
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        # Dagster's retry policies apply to interrupts, too: a run terminated in the UI would start again in a minute.
        message, retry, outcome = "Interrupted. The published data is unchanged.", False, "interrupted"
    else:
        return
    _record(run, outcome, message)
    # Without `from None` Dagster would store the original error as context: a `with` block passes it in.
    raise dg.Failure(description=message, allow_retries=retry) from None


def _unexpected(problem: Exception) -> str:
    place = ""
    for frame in traceback.extract_tb(problem.__traceback__):
        path = Path(frame.filename)
        if any(path.is_relative_to(package) for package in OURS):
            place = f" at {path.relative_to(ROOT)}:{frame.lineno}"
    return (
        f"Unexpected error ({type(problem).__name__}{place}). The published data is unchanged. "
        "`redcap-warehouse sync` with REDCAP_WAREHOUSE_TRACE=1 shows the traceback, in your terminal only."
    )


def _record(run: ProjectRun | None, outcome: str, message: str) -> None:
    if run is None:
        return
    try:
        with run.mirror() as mirror:
            record_end(run, mirror, outcome, message)
    except WarehouseError:
        # The ledger is in the file that cannot be opened; the failure itself is reported in any case.
        return
