"""Whether an edited file is a copy of what it is compared with, or of what was published earlier.

In an older copy, a cell that somebody has changed since looks like an edit back to its earlier value. If it were
treated as an edit, it would silently undo that change.
"""

from __future__ import annotations

from datetime import datetime

from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.writeback.decide.values import looks_alike
from pipelines.writeback.proposals.columns import ProjectColumns


def refuse_stale(comparison: Comparison, columns: ProjectColumns) -> None:
    """Refuse the rows whose edits may come from an older copy, each with the reason."""
    reverted = _reverted_rows(comparison, columns)
    if not reverted:
        return
    replaced_at = min(reverted.values())
    load = f"{replaced_at:%Y-%m-%d %H:%M:%S}"
    undone = (
        f"it holds what the table showed before {load} UTC; --as-of says when the copy was made, "
        "also where the old value is meant"
    )
    since = (
        f"a cell of it changed at {load} UTC or later, and the copy seems to be older; --as-of says when it was made"
    )
    changed = [row for row in comparison.rows_changed_since(replaced_at) if row not in reverted]
    comparison.refuse([*((row, undone) for row in reverted), *((row, since) for row in changed)])


def _reverted_rows(comparison: Comparison, columns: ProjectColumns) -> dict[int, datetime]:
    """The rows with a cell that would get an earlier value back, and when the first such value was replaced."""
    replaced: dict[tuple[int, str], datetime] = {}
    for page in comparison.earlier_values():
        for each in page:
            rule = columns.rules.get(each.column)
            if rule is not None and looks_alike(rule.kind, rule.validation, each.old, each.new):
                key = each.row, each.column
                # A cell may have held the value several times: the copy may be of the last time.
                replaced[key] = max(replaced.get(key, each.detected_at), each.detected_at)
    rows: dict[int, datetime] = {}
    for (row, _), moment in replaced.items():
        rows[row] = min(rows.get(row, moment), moment)
    return rows
