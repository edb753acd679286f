"""Recomputes calculated fields after a change, where the expression can be parsed."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from redcap_source.simulator.logic.functions import number_text
from redcap_source.simulator.logic.lookup import value_at
from redcap_source.simulator.logic.parser import Logic, LogicError, parse
from redcap_source.simulator.state.dictionary import Field
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot

_TAG = re.compile(r"@CALC(TEXT|DATE)\s*\((.*)\)\s*$", re.IGNORECASE | re.DOTALL)


def recalculated(project: Project, record: Record, touched: list[Slot], now: datetime) -> dict[Slot, dict[str, str]]:
    """The new values of calculated fields, by slot, after changes in the slots `touched`; chains are followed."""
    fields = project.dictionary.calculated
    found: dict[Slot, dict[str, str]] = {}
    # Each round computes at least one more field of any chain; a circle never ends, so the rounds are limited.
    for _ in range(len(fields)):
        changed = _round(project, record, touched, now)
        if not changed:
            break
        for slot, values in changed.items():
            found.setdefault(slot, {}).update(values)
            record = record.with_slot(slot, {**record.slots[slot], **values})
        touched = [*touched, *changed]
    return found


def _round(project: Project, record: Record, touched: list[Slot], now: datetime) -> dict[Slot, dict[str, str]]:
    """The changes that one pass over all calculations makes."""
    changed: dict[Slot, dict[str, str]] = {}
    for slot in record.slots:
        forms = frozenset(project.forms_in(slot))
        for field in project.dictionary.calculated:
            if field.form_name not in forms or not _is_affected(project, field, slot, touched):
                continue
            seen = record.with_slot(slot, {**record.slots[slot], **changed.get(slot, {})})
            result = _result(project, seen, slot, field, now)
            if result is not None and result != seen.slots[slot].get(field.field_name, ""):
                changed.setdefault(slot, {})[field.field_name] = result
    return changed


def _is_affected(project: Project, field: Field, slot: Slot, touched: list[Slot]) -> bool:
    # A calculation in another slot is affected only if it uses fields of other rows.
    expression = expression_of(project, field)
    if expression is None:
        return False
    if slot in touched:
        return True
    return any(reference.event or slot[1] for reference in expression.references)


def _result(project: Project, record: Record, slot: Slot, field: Field, now: datetime) -> str | None:
    expression = expression_of(project, field)
    if expression is None:
        return None
    value = expression.value(lambda reference: value_at(project, record, slot, reference), now)
    return number_text(value)


def expression_of(project: Project, field: Field) -> Logic | None:
    """The parsed calculation of a field; None for other fields, and for calculations that cannot be parsed."""
    tag = _TAG.search(field.field_annotation)
    if field.field_type != "calc" and tag is None:
        return None
    text = tag[2] if tag is not None else field.select_choices_or_calculations
    return _parsed(text, tuple(project.dictionary.missing_codes))


@lru_cache(maxsize=4096)
def _parsed(text: str, missing_codes: tuple[str, ...]) -> Logic | None:
    try:
        return parse(text, missing_codes)
    except LogicError:
        return None
