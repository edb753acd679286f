"""Which errors a command expects, and the messages for those it does not."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping

from pipelines.errors import REPORT, WarehouseError


def file_problem(problem: OSError) -> str:
    """The message for an OSError: the system's, about the file, or else only the kind of error."""
    from pipelines.warehouse.database.file_errors import of_the_system

    return str(of_the_system(problem) or unexpected(problem))


def unexpected(problem: Exception) -> str:
    """The message for an unexpected error: its kind alone, because a library's text may quote data."""
    return f"Unexpected error ({type(problem).__name__}). The published data is unchanged. {REPORT}"


def of_a_load(project: str, problem: Exception) -> str:
    """The message for an error that stopped the load of a project; errors that are expected name it themselves."""
    if isinstance(problem, expected()):
        return str(problem)
    if isinstance(problem, OSError):
        return file_problem(problem)
    if os.environ.get("REDCAP_WAREHOUSE_TRACE"):
        traceback.print_exception(problem)
    return f"{project}: Unexpected error ({type(problem).__name__}). The data of its previous load is kept. {REPORT}"


def expected(*also: type[Exception]) -> tuple[type[Exception], ...]:
    """The errors whose text is a message for the user, and the given ones."""
    from redcap_source.errors import RedcapError

    # Only a command that imported the simulator can meet its errors; importing it takes as long as a short load.
    simulator = sys.modules.get("redcap_source.simulator")
    return (WarehouseError, RedcapError, *([] if simulator is None else [simulator.SimulatorError]), *also)


def not_published(left_out: Mapping[str, str], name: str) -> list[str]:
    """Messages about projects that the published warehouse lacks since it was made again; each has a reason or none.

    `name` is what messages call it.
    """
    return [
        f"{project} is not in {name}: {reason or 'it could not be published'}." for project, reason in left_out.items()
    ]
