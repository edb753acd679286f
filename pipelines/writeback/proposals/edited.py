"""Which cells of an edited copy are proposals: those that a person would not read as what was published. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from pipelines.writeback.decide.rules import Rule
from pipelines.writeback.decide.values import looks_alike, spelled
from pipelines.writeback.proposals.columns import ProjectColumns
from pipelines.writeback.proposals.table import Blanks
from redcap_source.dictionary import ValueKind

Hidden = Callable[[str], frozenset[tuple[str, str, str, str]]]


@dataclass(slots=True)
class EditedCells:
    """Decides about one cell after another, and counts those that propose nothing."""

    columns: ProjectColumns
    blanks: Blanks
    hidden: Hidden = field(repr=False)
    """Returns the cells of an instrument that the typed table shows as empty: record, event, instance, field."""
    left: int = 0
    _hidden: dict[str, frozenset[tuple[str, str, str, str]]] = field(repr=False, default_factory=dict)

    def wanted(self, rule: Rule, key: tuple[str, str, str], seen: str, text: str) -> str | None:
        """Return the value proposed for a cell; None if it proposes nothing."""
        new = spelled(rule.field, rule.kind, text)
        if is_unchanged(rule, seen, new):
            return None
        if is_number_of(seen, new) or (new == "" and not self._erases(rule, key)):
            self.left += 1
            return None
        return new

    def _erases(self, rule: Rule, key: tuple[str, str, str]) -> bool:
        if self.blanks is not Blanks.CLEAR or rule.status:
            return False
        # The typed table shows a value that does not fit its type as empty, so a blank does not mean an edit.
        if rule.instrument not in self._hidden:
            self._hidden[rule.instrument] = self.hidden(rule.instrument)
        return (*key, rule.column) not in self._hidden[rule.instrument]


def is_unchanged(rule: Rule, seen: str, new: str) -> bool:
    """Whether a cell of an export or of a published table equals what was published."""
    if rule.kind is ValueKind.STATUS and (seen, new) == ("", "0"):
        # An export has 0 for a form that nobody ever opened (REDCap API, Values by field type).
        return True
    return looks_alike(rule.kind, rule.validation, seen, new)


def is_number_of(seen: str, new: str) -> bool:
    """Whether a spreadsheet wrote `1.0` for the text `1`, as it does with whole numbers in a column with blanks."""
    return re.fullmatch(r"-?\d+", seen) is not None and re.fullmatch(re.escape(seen) + "[.,]0+", new) is not None
