"""content=pdf: instruments as plain pages with a line for each field, blank or with data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from redcap_source.simulator.api.call import Answer, Call
from redcap_source.simulator.api.surveys import record_named
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.rules.rights import exportable_columns, hashed_id
from redcap_source.simulator.state.dictionary import Column
from redcap_source.simulator.state.project import Project
from redcap_source.simulator.state.records import Record
from redcap_source.simulator.state.users import FULL_EXPORT

LINES_A_PAGE = 50
# Longer PDFs are cut off here: a rehearsal needs no more.
MOST_PAGES = 200


def export_pdf(call: Call) -> Answer:
    """The instruments asked for; compactDisplay leaves out fields without a value, on blank forms too.

    PHPCap's suite asserts of a live server that a compact blank form is smaller.
    """
    call.require("api_export")
    instrument = call.parameters.text("instrument")
    if instrument and instrument not in call.project.dictionary.forms:
        raise Refusal(f'The instrument "{instrument}" does not exist')
    records = _records(call)
    forms = (instrument,) if instrument else call.project.dictionary.forms
    is_compact = call.parameters.flag("compactDisplay")
    lines = _blank(call.project, forms, is_compact=is_compact) if records is None else _filled(call, records, forms)
    # A real server announces its PDFs as HTML.
    return Answer(_document(_pages(call.project.title, lines)), 200, "text/html; charset=UTF-8")


def _records(call: Call) -> list[Record] | None:
    """The records whose data are asked for; None for blank forms."""
    if "allRecords" in call.parameters or "allrecords" in call.parameters:
        return call.records()
    return [record_named(call)] if call.parameters.text("record") else None


def _blank(project: Project, forms: Iterable[str], *, is_compact: bool) -> Iterator[str]:
    for form in forms:
        yield project.dictionary.form_labels[form]
        if not is_compact:
            yield from (f"{field.field_label}:" for field in project.dictionary.fields_of(form))


def _filled(call: Call, records: Iterable[Record], forms: Iterable[str]) -> Iterator[str]:
    dictionary = call.project.dictionary
    columns = [column for column in dictionary.columns if column.form in forms]
    # Refuses users who may export nothing.
    rights = call.project.rights_of(call.username)
    allowed = exportable_columns(dictionary, rights, columns)
    is_compact = call.parameters.flag("compactDisplay")
    hides_id = bool(dictionary.fields[0].identifier) and rights.export_level(dictionary.forms[0]) != FULL_EXPORT
    for record in records:
        yield f"Record {hashed_id(record.id) if hides_id else record.id}"
        yield from _lines(call.project, record, allowed, is_compact=is_compact)


def _lines(project: Project, record: Record, columns: Iterable[Column], *, is_compact: bool) -> Iterator[str]:
    for slot in project.slots_in_order(list(record.slots)):
        forms = project.forms_in(slot)
        for column in columns:
            value = record.slots[slot].get(column.name, "")
            if column.form in forms and column.field != project.dictionary.record_id and (value or not is_compact):
                yield f"{column.name}: {value}"


def _pages(title: str, lines: Iterable[str]) -> list[list[str]]:
    pages = [[title]]
    for line in lines:
        if len(pages[-1]) > LINES_A_PAGE:
            if len(pages) == MOST_PAGES:
                break
            pages.append([title])
        pages[-1].append(line)
    return pages


def _document(pages: list[list[str]]) -> bytes:
    kids = b" ".join(b"%d 0 R" % (4 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%b] /Count %d >>" % (kids, len(pages)),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, lines in enumerate(pages):
        stream = b"BT /F1 10 Tf 14 TL 56 760 Td %b ET" % b" ".join(b"(%b) Tj T*" % _shown(line) for line in lines)
        objects += [
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
            b" /Resources << /Font << /F1 3 0 R >> >> >>" % (5 + 2 * number),
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


def _shown(line: str) -> bytes:
    folded = " ".join(line.split()).encode("latin-1", "replace")
    return folded.replace(b"\\", b" ").replace(b"(", b"[").replace(b")", b"]")
