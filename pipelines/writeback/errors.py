"""Why a write-back does not even begin: what was seen, what is kept, what to do if it is meant."""

from __future__ import annotations

from pipelines.errors import WarehouseError
from pipelines.wording import counted


class WritebackRefused(WarehouseError):
    """Going on could write what nobody wants in REDCap."""

    def __init__(self, *, project: str, seen: str, if_meant: str, kept: str = "Nothing was sent to REDCap.") -> None:
        super().__init__(f"{project}: {seen} {kept} {if_meant}")
        self.project = project


class WritebackStopped(WarehouseError):
    """A write-back ended before it was through; says what is known of the cells that were under way."""

    def __init__(self, *, project: str, why: str, confirmed: int, unknown: int) -> None:
        under_way = (
            f"It is not known whether REDCap saved {counted(unknown, 'cell')}: the journal says intended, and the "
            "next `writeback --apply` looks at REDCap before anything is sent again."
            if unknown
            else "Nothing is left open in the journal."
        )
        super().__init__(
            f"{project}: the write-back stopped: {why} {counted(confirmed, 'cell')} confirmed. {under_way}"
        )
        self.project = project


class NotProposed(WarehouseError):
    """What was offered as proposals cannot be read as such."""

    def __init__(self, *, project: str, why: str, remedy: str = "") -> None:
        super().__init__(f"{project}: nothing was proposed: {why}{' ' + remedy if remedy else ''}")
        self.project = project
