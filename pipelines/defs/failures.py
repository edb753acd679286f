"""Our errors as Dagster's: one message, told whether a retry can help, without frames that hold values."""

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
    """Anything that goes wrong inside becomes a dg.Failure, entered in the project's ledger if its run is given.

    Dagster stores an exception's text and frames in clear; messages of other libraries may quote participants' data,
    so of those only the kind and the place are told.
    """
    outcome = "failed"
    try:
        yield
    except dg.Failure:
        raise
    except (WarehouseError, RedcapError) as problem:
        told, retry = str(problem), isinstance(problem, Transient | WarehouseBusy)
    except OSError as problem:
        told, retry = str(of_the_system(problem) or _unexpected(problem)), False
    except Exception as problem:
        told, retry = _unexpected(problem), False
    except (KeyboardInterrupt, DagsterExecutionInterruptedError):
        # Dagster's retry policies hold for interrupts too: a run terminated in the UI would begin anew in a minute.
        told, retry, outcome = "Interrupted. The published data is as it was.", False, "interrupted"
    else:
        return
    _enter(run, outcome, told)
    # A `with` block hands its error in from outside, so it would be stored as context here too, but for `from None`.
    raise dg.Failure(description=told, allow_retries=retry) from None


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


def _enter(run: ProjectRun | None, outcome: str, told: str) -> None:
    if run is None:
        return
    try:
        with run.mirror() as mirror:
            record_end(run, mirror, outcome, told)
    except WarehouseError:
        # The ledger lies in the file that cannot be opened; the failure itself is told all the same.
        return
