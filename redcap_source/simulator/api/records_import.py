"""Requests that change records: import, delete, rename, randomize."""

from __future__ import annotations

from dataclasses import replace

from redcap_source.simulator.api.call import Answer, Call, text_answer
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.loaders.odm_records import rows_of_odm
from redcap_source.simulator.rules.import_plan import ImportOptions, Plan
from redcap_source.simulator.rules.imports import apply_plan, plan_import
from redcap_source.simulator.rules.numbering import next_record_id
from redcap_source.simulator.rules.saving import By, delete, rename, save, wipe
from redcap_source.simulator.state.project import Project, Randomization
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.whole_numbers import number_or, whole_number
from redcap_source.simulator.wire.formats import XML_HEAD, json_text, quoted, xml_escaped
from redcap_source.simulator.wire.import_data import flat_rows, rows_of, texts


def import_records(call: Call) -> Answer:
    """content=record with data: all records are stored or none, unless it runs in the background."""
    call.require("api_import")
    options = ImportOptions.of(call.parameters, call.behaviour)
    rows = _rows(call)
    rows, pairs = _numbered(call, rows, options)
    plan = plan_import(call.project, rows, call.username, options)
    if call.parameters.flag("backgroundProcess"):
        return _in_background(call, plan)
    apply_plan(call.project, plan, call.by())
    return _result(call, list(plan.records), pairs)


def _rows(call: Call) -> list[dict[str, str]]:
    record_id = call.project.dictionary.record_id
    if call.parameters.text("format").lower() == "odm":
        return rows_of_odm(call.project, call.parameters.text("data"))
    rows = texts(rows_of(call.parameters, takes_bare_object=True))
    return flat_rows(rows, record_id) if call.parameters.text("type").lower() == "eav" else rows


def _numbered(
    call: Call, rows: list[dict[str, str]], options: ImportOptions
) -> tuple[list[dict[str, str]], list[tuple[str, str]]]:
    """The rows under the ids that auto-numbering assigns, if it is on, and the pairs of new and given ids."""
    record_id = call.project.dictionary.record_id
    given = list(dict.fromkeys(row.get(record_id, "") for row in rows))
    if not (options.auto_number and call.project.settings["record_autonumbering_enabled"]):
        return rows, [(old, old) for old in given]
    prefix, dash, number = next_record_id(call.project, call.username).rpartition("-")
    new = {old: f"{prefix}{dash}{int(number) + at}" for at, old in enumerate(given)}
    return [{**row, record_id: new[row.get(record_id, "")]} for row in rows], [(new[old], old) for old in given]


def _in_background(call: Call, plan: Plan) -> Answer:
    # Records with errors are left out; the others are saved under the name of the system.
    kept = Plan(
        {record: slots for record, slots in plan.records.items() if record not in plan.failed},
        {record: group for record, group in plan.groups.items() if record not in plan.failed},
    )
    by = By(f"SYSTEM ({call.username})", call.clock, " (API)")
    call.project.guests.setdefault(by.user, call.project.user(call.username))
    apply_plan(call.project, kept, by)
    texts_by_format = {
        "json": '{"success":true}',
        "csv": "success\ntrue\n",
        "xml": f"{XML_HEAD}<hash><success>true</success></hash>",
    }
    return text_answer(texts_by_format[call.return_format], call.return_format)


def _result(call: Call, records: list[str], pairs: list[tuple[str, str]]) -> Answer:
    form = call.return_format
    asked = call.parameters.text("returnContent") or "count"
    if asked == "nothing":
        return text_answer("", form)
    if asked == "ids":
        return text_answer(_listed(records, form), form)
    if asked == "auto_ids":
        return text_answer(_listed([f"{new},{old}" for new, old in pairs], form), form)
    count = len(records)
    wrapped = {"json": f'{{"count":{count}}}', "csv": str(count), "xml": f"{XML_HEAD}<count>{count}</count>"}
    return text_answer(wrapped[form], form)


def _listed(ids: list[str], form: str) -> str:
    if form == "json":
        return json_text(ids)
    if form == "csv":
        return "\n".join(["id", *(quoted(one) for one in ids)])
    return f"{XML_HEAD}<ids>{''.join(f'<id>{xml_escaped(one)}</id>' for one in ids)}</ids>"


def delete_records(call: Call) -> Answer:
    """content=record&action=delete: delete records, or their data in an instrument or event."""
    call.require("record_delete")
    arm = _arm(call)
    records = call.named("records")
    _refuse_missing(call, records, arm)
    instrument, event_name = call.parameters.text("instrument"), call.parameters.text("event")
    for record in records:
        if instrument or event_name:
            _wipe(call, record, instrument, event_name)
        else:
            erase_log = call.parameters.text("delete_logging") == "1"
            delete(call.project, record, arm, call.by(), erase_log=erase_log)
    return call.text(len(records))


def _arm(call: Call) -> int | None:
    text = call.parameters.text("arm").strip()
    if not text:
        return None
    if number_or(text, -1) not in call.project.arms:
        raise Refusal(f'The value of the parameter "arm" is not valid: {text}')
    return int(text)


def _refuse_missing(call: Call, records: list[str], arm: int | None) -> None:
    if not records:
        raise Refusal("No records were provided to be deleted")
    missing = [record for record in records if not _exists(call, record, arm)]
    if missing:
        raise Refusal(
            "One or more of the records provided cannot be deleted because they do not exist in the project. "
            f"The following records do not exist: {', '.join(missing)}"
        )


def _exists(call: Call, record_id: str, arm: int | None) -> bool:
    record = call.record(record_id)
    if record is None:
        return False
    return arm is None or any(_arm_of(call, slot) == arm for slot in record.slots)


def _arm_of(call: Call, slot: Slot) -> int:
    return call.project.event(slot[0]).arm


def _wipe(call: Call, record_id: str, instrument: str, event_name: str) -> None:
    project = call.project
    event = call.event(event_name, required=bool(instrument))
    number = call.parameters.text("repeat_instance")
    instance = whole_number(number)
    record = project.records.get(record_id)
    if record is None:
        return
    if instrument:
        if instrument not in project.dictionary.forms:
            raise Refusal(f'The instrument "{instrument}" does not exist in this project')
        slots = [project.slot_of(event.event_id, instrument, instance or 1)]
        wipe(project, record_id, slots, frozenset({instrument}), call.by())
    else:
        slots = [slot for slot in record.slots if slot[0] == event.event_id and instance in (None, slot[2])]
        wipe(project, record_id, slots, None, call.by())


def rename_record(call: Call) -> Answer:
    """content=record&action=rename: give a record another id, in one arm if one is named."""
    call.require("record_rename")
    old, new = call.parameters.text("record"), call.parameters.text("new_record_name").strip()
    arm = _arm(call)
    if not _exists(call, old, arm):
        raise Refusal(f'The record "{old}" does not exist')
    if not new:
        raise Refusal('The parameter "new_record_name" is missing')
    if new in call.project.records:
        raise Refusal(f'The record name "{new}" is already in use')
    record = call.project.records.get(old)
    if record is not None and arm is not None:
        _split(call, record, arm, new)
    else:
        rename(call.project, old, new, call.by())
    return call.text(1)


def _split(call: Call, record: Record, arm: int, new: str) -> None:
    # Renaming in one arm leaves the record's data in the others under its old id.
    others = record.without_slots(lambda slot: _arm_of(call, slot) == arm)
    labels = frozenset(call.project.event_label(event) for event in call.project.events if event.arm == arm)
    rename(call.project, record.id, new, call.by(), labels if others.slots else None)
    renamed = call.project.records.get(new)
    if others.slots and renamed is not None:
        call.project.records.put(others)
        call.project.records.put(renamed.without_slots(lambda slot: _arm_of(call, slot) != arm))


def randomize(call: Call) -> Answer:
    """content=record&action=randomize: assign the next allocation of its stratum to a record."""
    call.require("random_perform")
    project, record_id = call.project, call.parameters.text("record")
    number, setup = _randomization(call)
    record = project.records.get(record_id)
    if record is None or not _exists(call, record_id, None):
        raise Refusal(f'The record "{record_id}" does not exist')
    slot = _target(project, setup)
    if record.slots.get(slot, {}).get(setup.target_field):
        raise Refusal(f'The record "{record_id}" has already been randomized')
    stratum = _stratum(record, slot, setup)
    line = next((line for line in setup.allocations if line.stratum == stratum), None)
    if line is None:
        raise Refusal("There are no allocations left")
    left = list(setup.allocations)
    left.remove(line)
    project.randomizations[number] = replace(setup, allocations=tuple(left))
    save(project, record_id, [(slot, {setup.target_field: line.group})], call.by(""))
    project.log.add(call.by().row("record_edit", f"Randomize Record {record_id}", "Randomize record", record_id))
    alternative = "*" if setup.is_concealed else line.alternative
    shown: dict[str, str | int] = {
        "randomization_id": number, "record": record_id, "target_field": line.group,
        "target_field_alt": alternative if call.parameters.flag("returnAlt") else "",
    }  # fmt: skip
    return call.object(shown)


def _randomization(call: Call) -> tuple[int, Randomization]:
    text = call.parameters.text("randomization_id")
    number = number_or(text, -1)
    setup = call.project.randomizations.get(number)
    if setup is None:
        raise Refusal(f'The value of the parameter "randomization_id" is not valid: {text}')
    return number, setup


def _target(project: Project, setup: Randomization) -> Slot:
    event_id = setup.target_event or project.first_event().event_id
    if all(event.event_id != event_id for event in project.events):
        raise Refusal("The event in which the randomization takes place does not exist any more")
    return (event_id, "", 0)


def _stratum(record: Record, slot: Slot, setup: Randomization) -> tuple[str, ...]:
    values = record.slots.get(slot, {})
    blank = [name for name in setup.strata if not values.get(name)]
    if blank:
        raise Refusal(f'The record "{record.id}" cannot be randomized: no value for {", ".join(blank)}')
    return tuple(values[name] for name in setup.strata)
