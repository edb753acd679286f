"""The table of what a move of the warehouse would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console

from pipelines.console.tables import new_table
from pipelines.warehouse.moving.plan import BEGUN, FORGOTTEN, LATER_THERE, THERE, TO_MOVE
from pipelines.wording import counted, printable

if TYPE_CHECKING:
    from pipelines.warehouse.moving.plan import Plan

_SHOWN = {
    TO_MOVE: "to be moved",
    THERE: "is there already",
    LATER_THERE: "is there already, loaded later",
    BEGUN: "nothing to move: no load of it has ended",
    FORGOTTEN: "to be removed",
}


def show_plan(plan: Plan, source: str, target: str) -> None:
    """Print one line per project to standard error, and what needs attention."""
    shown = new_table(f"From {source} to {target}", ("project", "last run", "MB", "what"), right=("MB",))
    for item in plan.projects:
        shown.add_row(item.project, printable(item.last_run or "-"), f"{item.bytes / 1e6:,.1f}", _SHOWN[item.state])
    console = Console(stderr=True)
    console.print(shown)
    megabytes = sum(item.bytes for item in plan.to_move) / 1e6
    console.print(f"{counted(len(plan.to_move), 'project')}, {megabytes:,.1f} MB.", markup=False)
    for item in plan.projects:
        if item.remark:
            console.print(f"{item.project}: {printable(item.remark.rstrip('.'))}.", soft_wrap=True, markup=False)
