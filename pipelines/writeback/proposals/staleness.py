"""Whether an edited file is a copy of the night it is compared with.

In a copy from before the last nights a cell that somebody changed since looks edited, back to what it was. Taken for an
edit it would undo that change, and nothing would notice.
"""

from __future__ import annotations

from datetime import datetime

from pipelines.warehouse.comparison.cells import Comparison
from pipelines.writeback.decide.values import looks_alike
from pipelines.writeback.proposals.columns import ProjectColumns


def refuse_stale(comparison: Comparison, columns: ProjectColumns) -> None:
    """Refuse the rows that cannot be told from edits of an older copy, each with why."""
    went_back = _went_back(comparison, columns)
    if not went_back:
        return
    made_before = min(went_back.values())
    night = f"{made_before:%Y-%m-%d %H:%M:%S}"
    undone = (
        f"it holds what the table showed before {night} UTC; --as-of says when the copy was made, "
        "also where the old value is meant"
    )
    since = (
        f"a cell of it changed at {night} UTC or later, and the copy seems to be older; --as-of says when it was made"
    )
    changed = [row for row in comparison.rows_changed_since(made_before) if row not in went_back]
    comparison.refuse([*((row, undone) for row in went_back), *((row, since) for row in changed)])


def _went_back(comparison: Comparison, columns: ProjectColumns) -> dict[int, datetime]:
    """The rows with a cell that would go back to an earlier value, and when the first such value was replaced."""
    replaced: dict[tuple[int, str], datetime] = {}
    for page in comparison.earlier_values():
        for each in page:
            rule = columns.rules.get(each.column)
            if rule is not None and looks_alike(rule.kind, rule.validation, each.old, each.new):
                key = each.row, each.column
                # The same value may have been there several times: it is the last that the copy may show.
                replaced[key] = max(replaced.get(key, each.detected_at), each.detected_at)
    rows: dict[int, datetime] = {}
    for (row, _), moment in replaced.items():
        rows[row] = min(rows.get(row, moment), moment)
    return rows
