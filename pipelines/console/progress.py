"""Progress bars of loads, on standard error and on a terminal only, so that output can be piped."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

from pipelines.sync.reports import Progress


class CellSpeed(ProgressColumn):
    """Cells a second."""

    def render(self, task: Task) -> Text:
        """The average over the whole task, which is steadier than that of the last chunk."""
        seconds = task.elapsed or 0.0
        cells = task.fields.get("cells", 0)
        return Text(f"{cells / seconds:,.0f} cells/s" if seconds > 0.2 and cells else "", style="cyan")


class ProgressBars:
    """One bar per project, on a terminal that can draw it."""

    def __init__(self) -> None:
        console = Console(stderr=True)
        self._bars = RichProgress(
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            TextColumn("{task.fields[step]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("records"),
            CellSpeed(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def of(self, project: str) -> Progress:
        """A new bar, as the Progress that the project's load reports to; that of an earlier try is removed."""
        if (earlier := self._tasks.get(project)) is not None:
            self._bars.remove_task(earlier)
        task = self._bars.add_task(project, total=None, step="", cells=0)
        self._tasks[project] = task
        return _Bar(self._bars, task)

    def failed(self, project: str) -> None:
        """Stop the project's bar and mark it as failed."""
        self._bars.update(self._tasks[project], step="[red]failed")
        self._bars.stop_task(self._tasks[project])


class _Bar(Progress):
    def __init__(self, bars: RichProgress, task: TaskID) -> None:
        self._bars = bars
        self._task = task
        self._cells = 0

    def planned(self, records: int, requests: int) -> None:
        self._bars.reset(self._task, total=records, step=f"records, ~{requests:,} requests", cells=0)

    def fetched(self, records: int, cells: int) -> None:
        self._cells += cells
        self._bars.update(self._task, advance=records, cells=self._cells)

    def step(self, name: str) -> None:
        self._bars.update(self._task, step=name)
