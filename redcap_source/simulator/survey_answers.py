"""Surveys and paper: links, codes, participants, and PDFs of instruments."""

from __future__ import annotations

import hashlib

from redcap_source.simulator.call import Answer, Call
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.formats import Row, Table
from redcap_source.simulator.project import Event
from redcap_source.simulator.record_writes import event_of
from redcap_source.simulator.records import Record
from redcap_source.simulator.rights import exportable_columns

_CODE = "ABCDEFGHJKLMNPRTWXY346789"


def survey_link(call: Call) -> Answer:
    """content=surveyLink."""
    return call.text(f"{_surveys(call)}?s={_code(10, 'link', *_response(call))}")


def survey_queue_link(call: Call) -> Answer:
    """content=surveyQueueLink."""
    record = _record(call)
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


def _record(call: Call, event: Event | None = None) -> Record:
    """The record a request names, which must exist, and in the arm of the event if one is named."""
    name = call.parameters.text("record")
    record = call.project.records.get(name)
    group = call.project.user(call.username).group
    if record is None or (group and record.group != group) or (event is not None and not _is_in(call, record, event)):
        raise Refusal(f'The record "{name}" does not exist')
    return record


def _is_in(call: Call, record: Record, event: Event) -> bool:
    """Whether a record exists in an event's arm; in a classic project there is just one."""
    arm = {known.event_id for known in call.project.shown_events() if known.arm == event.arm}
    return any(slot[0] in arm for slot in record.slots)


def _response(call: Call) -> tuple[str, ...]:
    # The record first, as its absence is what a real server was seen to complain of.
    _record(call)
    instrument, event = _survey(call)
    record = _record(call, event)
    return (call.project.name, record.id, instrument, event.unique_name, call.parameters.text("repeat_instance", "1"))


def _survey(call: Call) -> tuple[str, Event]:
    instrument = call.parameters.text("instrument")
    if instrument not in call.project.dictionary.forms:
        raise Refusal(f'The instrument "{instrument}" does not exist')
    if instrument not in call.project.surveys:
        raise Refusal(f'The instrument "{instrument}" has not been enabled as a survey')
    event = event_of(call, call.parameters.text("event"))
    if instrument not in call.project.forms_at(event.event_id):
        raise Refusal(f'The instrument "{instrument}" is not designated for the event "{event.unique_name}"')
    return instrument, event


def participant_list(call: Call) -> Answer:
    """content=participantList: those who were or can be invited, which are the records in the event's arm."""
    call.require("manage_survey_participants", "You do not have Manage Survey Participants privileges")
    instrument, event = _survey(call)
    keys = (
        "email", "email_occurrence", "identifier", "record", "invitation_sent_status", "invitation_send_time",
        "response_status", "survey_access_code", "survey_link",
    )  # fmt: skip
    group = call.project.user(call.username).group
    seen = (record for record in call.project.records if not group or record.group == group)
    rows = [_participant(call, record, instrument, event) for record in seen if _is_in(call, record, event)]
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


def pdf(call: Call) -> Answer:
    """content=pdf: a page that names what was asked for."""
    call.require("api_export", "You do not have API Export privileges")
    instrument = call.parameters.text("instrument")
    if instrument and instrument not in call.project.dictionary.forms:
        raise Refusal(f'The instrument "{instrument}" does not exist')
    if "record" in call.parameters and call.parameters.text("record"):
        _record(call)
    everything = "allRecords" in call.parameters or "allrecords" in call.parameters
    if everything or call.parameters.text("record"):
        # Raises for users who may export nothing.
        exportable_columns(call.project.dictionary, call.project.rights_of(call.username), ())
    words = f"{call.project.title} {instrument} {'all records' if everything else call.parameters.text('record')}"
    # A real server announces its PDFs as HTML.
    return Answer(_page(words), 200, "text/html; charset=UTF-8")


def _page(words: str) -> bytes:
    shown = words.encode("latin-1", "replace").replace(b"\\", b" ").replace(b"(", b"[").replace(b")", b"]")
    stream = b"BT /F1 12 Tf 72 720 Td (%b) Tj ET" % shown
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R"
        b" /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
        b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream),
    ]
    body, places = b"%PDF-1.4\n", []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    tail = b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, len(body))
    return body + head + table + tail
