"""Surveys: links, codes and participants."""

from __future__ import annotations

import hashlib

from redcap_source.simulator.api.call import Answer, Call
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.records import Record
from redcap_source.simulator.wire.formats import Row, Table

_CODE = "ABCDEFGHJKLMNPRTWXY346789"


def survey_link(call: Call) -> Answer:
    """content=surveyLink: the address of a record's survey."""
    return call.text(f"{_surveys(call)}?s={_code(10, 'link', *_response(call))}")


def survey_queue_link(call: Call) -> Answer:
    """content=surveyQueueLink: the address of a record's survey queue."""
    record = record_named(call)
    if not call.project.surveys:
        raise Refusal("The survey queue is not enabled in this project")
    return call.text(f"{_surveys(call)}?sq={_code(10, 'queue', call.project.name, record.id)}")


def survey_return_code(call: Call) -> Answer:
    """content=surveyReturnCode: eight characters."""
    return call.text(_code(8, "return", *_response(call)))


def survey_access_code(call: Call) -> Answer:
    """content=surveyAccessCode: nine characters."""
    return call.text(_code(9, "access", *_response(call)))


def _surveys(call: Call) -> str:
    return call.site.url.removesuffix("api/") + "surveys/"


def _code(length: int, *parts: str) -> str:
    digest = hashlib.sha256("/".join(parts).encode()).digest()
    return "".join(_CODE[byte % len(_CODE)] for byte in digest[:length])


def record_named(call: Call, event: Event | None = None) -> Record:
    """The record that a request names; it must exist, and in the arm of the event if one is given."""
    name = call.parameters.text("record")
    record = call.record(name)
    if record is None or (event is not None and not _is_in(call, record, event)):
        raise Refusal(f'The record "{name}" does not exist')
    return record


def _is_in(call: Call, record: Record, event: Event) -> bool:
    """Whether a record has data in an event's arm; a classic project has just one arm."""
    arm = {known.event_id for known in call.project.shown_events() if known.arm == event.arm}
    return any(slot[0] in arm for slot in record.slots)


def _response(call: Call) -> tuple[str, ...]:
    # The record is checked first, as a real server was recorded to do.
    record_named(call)
    instrument, event = _survey(call)
    record = record_named(call, event)
    return (call.project.name, record.id, instrument, event.unique_name, call.parameters.text("repeat_instance", "1"))


def _survey(call: Call) -> tuple[str, Event]:
    instrument = call.parameters.text("instrument")
    if instrument not in call.project.dictionary.forms:
        raise Refusal(f'The instrument "{instrument}" does not exist')
    if instrument not in call.project.surveys:
        raise Refusal(f'The instrument "{instrument}" has not been enabled as a survey')
    event = call.event(call.parameters.text("event"))
    if instrument not in call.project.forms_at(event.event_id):
        raise Refusal(f'The instrument "{instrument}" is not designated for the event "{event.unique_name}"')
    return instrument, event


def participant_list(call: Call) -> Answer:
    """content=participantList: the records in the event's arm, which were or can be invited."""
    call.require("manage_survey_participants")
    instrument, event = _survey(call)
    keys = (
        "email", "email_occurrence", "identifier", "record", "invitation_sent_status", "invitation_send_time",
        "response_status", "survey_access_code", "survey_link",
    )  # fmt: skip
    invited = (record for record in call.records() if _is_in(call, record, event))
    rows = [_participant(call, record, instrument, event) for record in invited]
    return call.table(Table(keys, rows, root="items"))


def _participant(call: Call, record: Record, instrument: str, event: Event) -> Row:
    emails = [field.field_name for field in call.project.dictionary.fields if field.validation == "email"]
    values = {name: value for slot in record.slots.values() for name, value in slot.items()}
    slot = call.project.slot_of(event.event_id, instrument, 1)
    stamp = record.slots.get(slot, {}).get(f"{instrument}_timestamp", "")
    parts = (call.project.name, record.id, instrument, event.unique_name, "1")
    return {
        "email": next((values[name] for name in emails if name in values), ""),
        "email_occurrence": 1,
        "identifier": "",
        "record": record.id,
        "invitation_sent_status": 0,
        "invitation_send_time": "",
        "response_status": 0 if not stamp else 1 if stamp.startswith("[") else 2,
        "survey_access_code": _code(9, "access", *parts),
        "survey_link": f"{_surveys(call)}?s={_code(10, 'link', *parts)}",
    }
