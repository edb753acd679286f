"""The errors of write-back: what happened, what was kept, what to do."""

from __future__ import annotations

from pipelines.errors import WarehouseError
from pipelines.wording import counted


class WritebackRefused(WarehouseError):
    """A write-back was refused, because it could write unwanted values to REDCap."""

    def __init__(self, *, project: str, problem: str, remedy: str, kept: str = "Nothing was sent to REDCap.") -> None:
        super().__init__(f"{project}: {problem} {kept} {remedy}")
        self.project = project


class WritebackStopped(WarehouseError):
    """A write-back ended before it was complete; says what is known of the cells that were being sent."""

    def __init__(self, *, project: str, reason: str, confirmed: int, unknown: int) -> None:
        state = (
            f"It is not known whether REDCap saved {counted(unknown, 'cell')}: the journal says intended, and the "
            "next `writeback --apply` looks at REDCap before anything is sent again."
            if unknown
            else "Nothing is left open in the journal."
        )
        super().__init__(f"{project}: the write-back stopped: {reason} {counted(confirmed, 'cell')} confirmed. {state}")
        self.project = project


class NotProposed(WarehouseError):
    """What was submitted as proposals cannot be read as such."""

    def __init__(self, *, project: str, reason: str, remedy: str = "") -> None:
        super().__init__(f"{project}: nothing was proposed: {reason}{' ' + remedy if remedy else ''}")
        self.project = project
