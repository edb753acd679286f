"""Tables on standard output: loads, statuses, a record's history, answers to queries.

Tables of loads and statuses never show a participant's value; histories and answers to queries do.
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipelines.sync.reports import LoadReport
from pipelines.wording import counted, printable

if TYPE_CHECKING:
    from pipelines.warehouse.published.query import Answer
    from pipelines.warehouse.published.record_history import CellChange, RecordHistory
    from pipelines.warehouse.store.results import ProjectStatus


SHOWN_ROWS = 200


# Output that is piped into a file or a mail is not wrapped to a terminal's width.
WIDTH_OF_NO_TERMINAL = 200


def show_loads(reports: Sequence[LoadReport], place: str | None) -> None:
    """Print one line per load, and where the published warehouse is, if anything was published."""
    if not reports:
        return
    columns = (
        *("project", "load", "outcome", "records", "read", "new", "changed", "deleted", "renamed"),
        *("rows", "invalid", "requests", "MB", "seconds"),
    )
    table = new_table("Loaded", columns, right=columns[3:])
    for r in reports:
        counts = (r.records_in_redcap, r.records_loaded, r.records_added, r.records_changed, r.records_deleted)
        table.add_row(
            r.project,
            r.mode,
            _coloured(r.outcome),
            *(f"{n:,}" for n in (*counts, r.records_renamed, r.rows, r.invalid_values, r.requests)),
            f"{r.bytes / 1e6:,.1f}",
            f"{r.seconds:,.1f}",
        )
    console = stdout()
    console.print(table)
    if place is not None:
        console.print(f"Published: {place}", soft_wrap=True)


def show_statuses(statuses: Sequence[ProjectStatus], remarks: Sequence[str] = ()) -> None:
    """Print one line per project, and below it what needs attention, with the `remarks` on the published file."""
    columns = ("project", "last run", "last good load (UTC)", "age", "records", "rows", "changes", "invalid")
    table = new_table("Warehouse", columns, right=columns[4:])
    for s in statuses:
        table.add_row(
            s.project,
            _last_run(s),
            f"{s.last_good:%Y-%m-%d %H:%M}" if s.last_good else "-",
            _age(s.last_good),
            *(f"{n:,}" if n is not None else "-" for n in (s.records, s.rows, s.changes, s.invalid_values)),
        )
    console = stdout()
    console.print(table)
    for remark in remarks:
        console.print(printable(remark), soft_wrap=True, markup=False)
    for s in statuses:
        for remark in _remarks(s):
            console.print(
                f"{s.project}: {printable(remark.removeprefix(f'{s.project}: '))}", soft_wrap=True, markup=False
            )


def _last_run(s: ProjectStatus) -> str:
    if not s.configured:
        return "[yellow]not configured"
    return "[yellow]loading now" if s.loading else _coloured(s.last_outcome or "never")


def _remarks(s: ProjectStatus) -> Iterable[str]:
    if not s.configured:
        yield (
            "it is not in projects.yaml, so it is no longer loaded; its published data is kept. "
            f"`redcap-warehouse forget {s.project}` removes it."
        )
        return
    if s.last_outcome is None:
        yield "not loaded yet."
    if s.last_outcome not in (None, "ok", "running"):
        yield s.message or f"the last run ended as {s.last_outcome}."
    if s.last_outcome == "ok" and s.message:
        yield s.message
    if s.last_outcome == "ok" and s.quarantined:
        yield f"{counted(s.quarantined, 'record is', 'records are')} quarantined."
    if s.waiting:
        yield "its last load is not published yet. `redcap-warehouse publish` publishes it, unless a load does."
    if s.drift:
        yield f"{counted(s.drift, 'change')} of the dictionary or setup in the last run (redcap.dictionary_changes)."
    if s.hidden_fields:
        hidden = counted(s.hidden_fields, "field is", "fields are")
        yield f"{hidden} not visible to the token (redcap.projects.hidden_fields)."
    if s.not_readable:
        yield f"the token may not read: {', '.join(s.not_readable)}."


def show_history(history: RecordHistory, *, cells: bool) -> None:
    """Print a record's ids, then its changes, one line per cell; rows that were added or deleted as a whole are one
    line.

    With `cells`, these too are shown cell by cell.
    """
    console = stdout()
    for name in history.names:
        end = f", renamed to {name.renamed_to}" if name.renamed_to else ", deleted" if name.deleted_at else ""
        at = f" {name.deleted_at:%Y-%m-%d %H:%M}" if name.deleted_at else ""
        console.print(f"{printable(name.record)}: first seen {name.first_seen:%Y-%m-%d %H:%M}{end}{at}", markup=False)
    columns = ("found (UTC)", "changed (UTC)", "by", "origin", "event", "instrument", "#", "field", "before", "after")
    reasons = any(change.reason for change in history.changes)
    table = new_table(None, (*columns, "why") if reasons else columns)
    for changes in _grouped(history.changes, cells=cells):
        first = changes[0]
        whole = len(changes) > 1
        shown = (
            f"{first.detected_at:%Y-%m-%d %H:%M}",
            f"{first.changed_at:%Y-%m-%d %H:%M}" if first.changed_at else "",
            first.changed_by or "",
            first.origin,
            first.event or "",
            first.instrument or "",
            first.instance or "",
            f"({first.change} of {counted(len(changes), 'value')})" if whole else first.field,
            "" if whole else first.old_value or "",
            "" if whole else first.new_value or "",
            *(((first.reason or ""),) if reasons else ()),
        )
        # Values may look like rich's markup.
        table.add_row(*(Text(printable(cell)) for cell in shown))
    console.print(table)


def _grouped(changes: Sequence[CellChange], *, cells: bool) -> list[list[CellChange]]:
    """The changes of each line: cells of a row that was added or deleted as a whole share one."""

    def row(change: CellChange) -> tuple[object, ...]:
        alone = cells or change.change not in ("insert", "delete")
        where = (change.run_id, change.change, change.record, change.event, change.instrument, change.instance)
        return (*where, change.field) if alone else where

    return [list(together) for _, together in groupby(changes, key=row)]


def show_answer(answer: Answer, style: str) -> None:
    """Print a query's answer as a table, as csv or as json."""
    if style == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(answer.columns)
        writer.writerows(answer.rows)
    elif style == "json":
        rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        sys.stdout.write(json.dumps(rows, indent=2, default=str) + "\n")
    else:
        answer_table(stdout(), answer)


def answer_table(console: Console, answer: Answer, title: str | None = None) -> None:
    """Print a query's answer as a table; a long one is cut off, and the last line says so."""
    table = new_table(title, answer.columns)
    for row in answer.rows[:SHOWN_ROWS]:
        table.add_row(*(Text("" if value is None else printable(str(value))) for value in row))
    console.print(table)
    if len(answer.rows) > SHOWN_ROWS:
        more = counted(len(answer.rows) - SHOWN_ROWS, "more row")
        console.print(f"… {more}; --csv or --json print all.")


def stdout() -> Console:
    """The console for results: as wide as the terminal, or WIDTH_OF_NO_TERMINAL where there is none."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH_OF_NO_TERMINAL)


def new_table(title: str | None, columns: Sequence[str], *, right: Sequence[str] = ()) -> Table:
    """An empty table; the columns named in `right` hold numbers."""
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(Text(column), justify="right" if column in right else "left", overflow="fold")
    return table


_COLOURS = {
    "ok": "green",
    "incomplete": "yellow",
    "interrupted": "yellow",
    "failed": "red",
    "killed": "red",
    "damaged": "red",
    "missing": "red",
}


def _coloured(outcome: str) -> str:
    return f"[{_COLOURS.get(outcome, 'default')}]{outcome}[/]"


def _age(moment: datetime | None) -> str:
    if moment is None:
        return "-"
    minutes = int((datetime.now(UTC).replace(tzinfo=None) - moment).total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"
