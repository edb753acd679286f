"""Which records, events, columns and rows a record export asks for.

Flat and EAV exports and XML share it. Not here: how cells are written (flat.py, eav.py, odm.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from redcap_source.simulator.behaviour import Behaviour
from redcap_source.simulator.errors import FOREIGN_RECORD, Refusal
from redcap_source.simulator.logic.lookup import value_at
from redcap_source.simulator.logic.parser import LogicError, parse
from redcap_source.simulator.rules.rights import exportable_columns
from redcap_source.simulator.state.dictionary import Column
from redcap_source.simulator.state.log import Effect
from redcap_source.simulator.state.names import natural_key
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record, Slot, Values
from redcap_source.simulator.wire.parameters import Parameters

NO_VALUES: Values = {}
RowTest = Callable[[Record, Slot], bool]
SelectedRow = tuple[Record, Slot, Values]


@dataclass(frozen=True)
class Selection:
    """The columns and rows of one export."""

    columns: tuple[Column, ...]
    with_record_id: bool
    hides_record_id: bool
    record_ids: tuple[str, ...]
    events: frozenset[int]
    group: str
    row_test: RowTest | None
    # Whether these are all columns of the project: then every stored row is exported.
    is_whole: bool
    id_only_instances: bool
    # Puts the rows of all records into another order, as reports may.
    sort: Callable[[list[SelectedRow]], list[SelectedRow]] | None = None

    def rows(self, project: Project) -> Iterator[tuple[Record, list[tuple[Slot, Values]]]]:
        """The selected rows of each selected record that has any, in REDCap's order."""
        if self.sort is None:
            yield from self._rows(project)
            return
        found = [(record, slot, values) for record, rows in self._rows(project) for slot, values in rows]
        yield from ((record, [(slot, values)]) for record, slot, values in self.sort(found))

    def _rows(self, project: Project) -> Iterator[tuple[Record, list[tuple[Slot, Values]]]]:
        wanted = frozenset(column.name for column in self.columns)
        for record_id in self.record_ids:
            record = project.records.get(record_id)
            if record is None or (self.group and record.group != self.group):
                continue
            rows = self._rows_of(project, record, wanted)
            if rows:
                yield record, rows

    def _rows_of(self, project: Project, record: Record, wanted: frozenset[str]) -> list[tuple[Slot, Values]]:
        chosen = [slot for slot in record.slots if slot[0] in self.events]
        if len(chosen) > 1:
            chosen = project.slots_in_order(chosen)
        found = [
            (slot, record.slots[slot])
            for slot in chosen
            if not slot[1] or self.is_whole or self._has_any(record.slots[slot], wanted)
        ]
        if not found and chosen:
            # A record with repeats only is exported under its id alone.
            found = [((event_id, "", 0), NO_VALUES) for event_id in dict.fromkeys(slot[0] for slot in chosen)]
        if self.row_test is not None:
            found = [(slot, values) for slot, values in found if self.row_test(record, slot)]
        return found

    def _has_any(self, values: Values, wanted: frozenset[str]) -> bool:
        return self.id_only_instances or not wanted.isdisjoint(values)


def in_field_order(selection: Selection, fields: tuple[str, ...]) -> Selection:
    """The selection with its columns in the order of these fields, as reports have them."""
    rank = {name: at for at, name in enumerate(fields)}
    return replace(selection, columns=tuple(sorted(selection.columns, key=lambda column: rank.get(column.field, 0))))


def selection_of(
    project: Project, username: str, parameters: Parameters, behaviour: Behaviour, now: datetime
) -> Selection:
    """The selection that an export request asks for; refuses what a current server refuses."""
    rights = project.rights_of(username)
    refuse = behaviour.unknown_names == "refuse"
    columns, with_id = _columns(project, parameters, refuse=refuse)
    allowed = exportable_columns(project.dictionary, rights, columns)
    user_group = project.users[username].group
    if user_group and behaviour.foreign_records == "refuse":
        _refuse_foreign(project, parameters.items("records"), user_group)
    return Selection(
        columns=allowed,
        with_record_id=with_id,
        hides_record_id=bool(project.dictionary.fields[0].identifier)
        and rights.export_level(project.dictionary.forms[0]) != 1,
        record_ids=_record_ids(project, parameters, behaviour),
        events=_events(project, parameters, refuse=refuse),
        group=user_group,
        row_test=_row_test(project, parameters.text("filterLogic"), now),
        is_whole=len(columns) >= len(project.dictionary.columns) - 1,
        id_only_instances=behaviour.id_only_instances,
    )


def _refuse_foreign(project: Project, asked: list[str], group: str) -> None:
    for record_id in asked:
        record = project.records.get(record_id)
        if record is not None and record.group != group:
            raise Refusal(FOREIGN_RECORD % record_id, 403)


def _columns(project: Project, parameters: Parameters, *, refuse: bool) -> tuple[list[Column], bool]:
    dictionary = project.dictionary
    fields, forms = parameters.items("fields"), parameters.items("forms")
    known = set(dictionary.by_name) | {f"{form}_complete" for form in dictionary.forms}
    if refuse:
        refuse_unknown("fields", fields, known)
        refuse_unknown("forms", forms, dictionary.forms)
    chosen_fields, chosen_forms = set(fields), set(forms)
    everything = not fields and not forms
    columns = [
        column
        for column in dictionary.columns
        if column.field != dictionary.record_id
        and (everything or column.field in chosen_fields or column.form in chosen_forms)
    ]
    with_id = everything or dictionary.record_id in chosen_fields or dictionary.forms[0] in chosen_forms
    return columns, with_id


def refuse_unknown(parameter: str, given: list[str], known: object) -> None:
    """Refuse names that the project does not have."""
    unknown = [name for name in given if name not in known]  # type: ignore[operator]
    if unknown:
        listed = ", ".join(f"'{name}'" for name in unknown)
        raise Refusal(f'The following values in the parameter "{parameter}" are not valid: {listed}')


def _events(project: Project, parameters: Parameters, *, refuse: bool) -> frozenset[int]:
    names = parameters.items("events")
    if not names or not project.is_longitudinal:
        return frozenset(event.event_id for event in project.shown_events())
    if refuse:
        refuse_unknown("events", names, {event.unique_name for event in project.events})
    return frozenset(event.event_id for event in project.events if event.unique_name in names)


def _record_ids(project: Project, parameters: Parameters, behaviour: Behaviour) -> tuple[str, ...]:
    asked = parameters.items("records")
    if behaviour.ids_ignore_case:
        asked = [project.records.matching_id(record) for record in asked]
    # Looked up one by one, because few of many may be asked for.
    known = sorted({record for record in asked if record in project.records}, key=natural_key)
    ids = known if asked else project.records.ids()
    begin, end = parameters.text("dateRangeBegin").strip(), parameters.text("dateRangeEnd").strip()
    if begin or end:
        touched = _touched(project, begin, end, behaviour)
        ids = [record for record in ids if record in touched]
    return tuple(ids)


def _touched(project: Project, begin: str, end: str, behaviour: Behaviour) -> set[str]:
    effects: set[Effect] = {"data"}
    if behaviour.date_range_sees_renames:
        effects.add("rename")
    if behaviour.date_range_sees_dag_moves:
        effects.add("group")
    return project.log.records_touched(
        _with_seconds(begin),
        _with_seconds(end),
        effects=frozenset(effects),
        inclusive=(behaviour.date_range_begin_inclusive, behaviour.date_range_end_inclusive),
    )


def _with_seconds(text: str) -> str:
    # A time without seconds is accepted, and so is a bare date.
    text = text.replace("T", " ")
    return text + {10: " 00:00:00", 16: ":00"}.get(len(text), "")


def _row_test(project: Project, text: str, now: datetime) -> RowTest | None:
    if not text.strip():
        return None
    try:
        condition = parse(text, project.dictionary.missing_codes)
    except LogicError as error:
        raise Refusal(f"The filterLogic is not valid: {error}") from error
    known = set(project.dictionary.by_name) | {f"{form}_complete" for form in project.dictionary.forms}
    unknown = [ref.field for ref in condition.references if ref.field not in known and "-" not in ref.field]
    if unknown:
        raise Refusal(f"The filterLogic is not valid: unknown field [{unknown[0]}]")

    def test(record: Record, slot: Slot) -> bool:
        return condition.holds(lambda reference: value_at(project, record, slot, reference), now)

    return test
