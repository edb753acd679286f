"""Record import: every cell of every row is checked, and an import without errors is stored.

Not here: reading CSV, JSON, XML and EAV into rows (wire/import_data.py), storing values (saving.py), the checks of
cells (import_checks.py).
"""

from __future__ import annotations

from collections.abc import Iterable

from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.rules.import_checks import GROUP, ImportChecker, Row, check_unique
from redcap_source.simulator.rules.import_plan import ImportOptions, Plan
from redcap_source.simulator.rules.saving import By, assign_group, save
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Slot

KEYS = frozenset({"redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", GROUP})

ILLEGAL_GROUP = "Illegal use of 'redcap_data_access_group' field!"


def key_cells(project: Project, slot: Slot) -> dict[str, str]:
    """The cells by which a row of an import names its slot; none in a classic project where nothing repeats."""
    event_id, instrument, instance = slot
    cells = {"redcap_event_name": project.event(event_id).unique_name} if project.is_longitudinal else {}
    if instance:
        cells |= {"redcap_repeat_instrument": instrument, "redcap_repeat_instance": str(instance)}
    return cells


def plan_import(project: Project, rows: Iterable[Row], username: str, options: ImportOptions) -> Plan:
    """Check every row; the plan holds the values to store, and the errors that REDCap would report."""
    rows = list(rows)
    _refuse_unknown_columns(project, rows)
    if project.user(username).group and any(GROUP in row for row in rows):
        raise Refusal(ILLEGAL_GROUP)
    checker = ImportChecker(project, username, options)
    for row in rows:
        checker.check(row)
    check_unique(project, checker.plan)
    return checker.plan


def apply_plan(project: Project, plan: Plan, by: By) -> None:
    """Store the values of a plan; one with errors is refused."""
    plan.refuse_errors()
    own_group = project.user(by.user).group
    for record_id, slots in plan.records.items():
        is_new = record_id not in project.records
        save(project, record_id, slots.items(), by)
        group = plan.groups.get(record_id, own_group if is_new else None)
        if group is not None:
            assign_group(project, record_id, group, by)


def _refuse_unknown_columns(project: Project, rows: list[Row]) -> None:
    dictionary = project.dictionary
    pseudo = {"redcap_survey_identifier", *(f"{form}_timestamp" for form in dictionary.forms)}
    known = KEYS | pseudo | set(dictionary.by_name) | set(dictionary.column_named)
    columns = dict.fromkeys(name for row in rows for name in row if name)
    unknown = [name for name in columns if name not in known]
    # The bare name of a checkbox is a field, but not a column that can be imported.
    unknown += [n for n in columns if n in dictionary.by_name and dictionary.by_name[n].field_type == "checkbox"]
    if unknown:
        raise Refusal(f"The following fields were not found in the project as real data fields: {', '.join(unknown)}")
