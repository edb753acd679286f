"""Our errors as Dagster's: one message, told whether a retry can help, without frames that hold values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipelines.errors import WarehouseError
from pipelines.sync import Load
from redcap_source import Calls
from redcap_source.errors import RedcapError, Transient


@contextmanager
def failing_plainly(load: Load | None = None) -> Iterator[None]:
    """Anything that goes wrong inside becomes a dg.Failure, entered in the project's ledger if a load is given.

    Dagster stores an exception's text and frames in clear; messages of other libraries may quote participants' data,
    so of those only the kind is told.
    """
    try:
        yield
    except dg.Failure:
        raise
    except (WarehouseError, RedcapError) as problem:
        told, retry = str(problem), isinstance(problem, Transient)
    except Exception as problem:
        told, retry = (
            f"Something unforeseen happened ({type(problem).__name__}). The published data is as it was.",
            False,
        )
    else:
        return
    if load is not None:
        _enter(load, told)
    raise dg.Failure(description=told, allow_retries=retry)


def _enter(load: Load, told: str) -> None:
    try:
        with load.mirror() as mirror:
            load.end(mirror, "failed", told, 0.0, Calls())
    except WarehouseError:
        # The ledger lies in the file that cannot be opened; the failure itself is told all the same.
        return
