"""Which errors a command may expect, and what is said of the others."""

from __future__ import annotations

from pipelines.errors import REPORT, WarehouseError


def file_problem(problem: OSError) -> str:
    """What the system says of a file that cannot be used; of anything else only the kind of error."""
    from pipelines.warehouse.database.file_errors import of_the_system

    return str(of_the_system(problem) or unexpected(problem))


def unexpected(problem: Exception) -> str:
    """The message for an error that nobody foresaw: its kind alone, as the text of a library may quote data."""
    return f"Unexpected error ({type(problem).__name__}). The published data is unchanged. {REPORT}"


def expected(*also: type[Exception]) -> tuple[type[Exception], ...]:
    """The errors that carry a message for the user."""
    from redcap_source.errors import RedcapError
    from redcap_source.simulator import SimulatorError

    return (WarehouseError, RedcapError, SimulatorError, *also)
