"""Files: those in file fields, and those in the project's file repository."""

from __future__ import annotations

from dataclasses import dataclass

from redcap_source.simulator.api.call import Answer, Call, text_answer
from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.rules.import_checks import LOCKED_FORM, LOCKED_RECORD
from redcap_source.simulator.rules.rights import NO_EXPORT_RIGHT, exportable_columns
from redcap_source.simulator.rules.saving import save
from redcap_source.simulator.state.dictionary import Field
from redcap_source.simulator.state.project import Folder, RepositoryFile, StoredFile
from redcap_source.simulator.state.records import Record, Slot
from redcap_source.simulator.versions import keys_known
from redcap_source.simulator.whole_numbers import number_or, whole_number
from redcap_source.simulator.wire.formats import Row, Table

NO_FILE = "There is no file to download for this record"


@dataclass(frozen=True)
class _Place:
    record: Record
    field: Field
    slot: Slot

    def stored(self) -> str:
        return self.record.slots.get(self.slot, {}).get(self.field.field_name, "")


def export_file(call: Call) -> Answer:
    """content=file&action=export: the bytes, with the name inside the content type."""
    call.require("api_export")
    place = _place(call)
    _refuse_withheld(call, place)
    stored = call.project.files.get(number_or(place.stored(), 0))
    if stored is None:
        raise Refusal(NO_FILE)
    call.log("export", "Download uploaded document (API) ", place.field.field_name, place.record.id)
    return _download(call, stored)


def _refuse_withheld(call: Call, place: _Place) -> None:
    # A file that an export of records would leave out cannot be downloaded either.
    columns = call.project.dictionary.columns_by_field[place.field.field_name]
    if not exportable_columns(call.project.dictionary, call.project.rights_of(call.username), columns):
        raise Refusal(NO_EXPORT_RIGHT, 403)


def _refuse_locked(place: _Place) -> None:
    if place.record.is_locked:
        raise Refusal(LOCKED_RECORD)
    if (place.slot, place.field.form_name) in place.record.locks:
        raise Refusal(LOCKED_FORM)


def _download(call: Call, stored: StoredFile) -> Answer:
    # Characters that would end the header or the name are left out.
    name = "".join(letter for letter in stored.name if letter not in '"\r\n' and ord(letter) >= 32)
    charset = ";charset=UTF-8" if call.behaviour.file_charset else ""
    header = f'{stored.mime_type}; name="{name}"{charset}'
    return Answer(stored.content, 200, header.encode("utf-8").decode("latin-1"))


def import_file(call: Call) -> Answer:
    """content=file&action=import: store a document in the field; the answer is empty."""
    call.require("api_import")
    place = _place(call)
    if place.field.validation == "signature":
        raise Refusal("Signature fields cannot be imported")
    upload = call.parameters.uploads.get("file")
    if upload is None:
        raise Refusal("No file was uploaded")
    _refuse_locked(place)
    number = call.project.next_file_id()
    call.project.files[number] = StoredFile(upload.name, upload.content, upload.mime_type)
    save(call.project, place.record.id, [(place.slot, {place.field.field_name: str(number)})], call.by(""))
    return text_answer("", call.return_format)


def delete_file(call: Call) -> Answer:
    """content=file&action=delete: blank the field; the answer is empty."""
    call.require("api_import")
    place = _place(call)
    if not place.stored():
        raise Refusal("There is no file to delete for this record")
    _refuse_locked(place)
    save(call.project, place.record.id, [(place.slot, {place.field.field_name: ""})], call.by(""))
    return text_answer("", call.return_format)


def _place(call: Call) -> _Place:
    """The field of a record that a request names."""
    name, record_id = call.parameters.text("field"), call.parameters.text("record")
    field = call.project.dictionary.by_name.get(name)
    if field is None or field.field_type != "file":
        raise Refusal(f"The field '{name}' does not exist or is not a 'file' field")
    record = call.record(record_id)
    if record is None:
        raise Refusal(f'The record "{record_id}" does not exist')
    event = call.event(call.parameters.text("event"))
    if field.form_name not in call.project.forms_at(event.event_id):
        raise Refusal(f"The field '{name}' is not on an instrument of the event '{event.unique_name}'")
    instance = call.parameters.text("repeat_instance")
    slot = call.project.slot_of(event.event_id, field.form_name, number_or(instance, 1))
    return _Place(record, field, slot)


def list_repository(call: Call) -> Answer:
    """content=fileRepository&action=list: what a folder holds, its folders first."""
    call.require("file_repository")
    folder = _folder(call)
    rows: list[Row] = [
        {"folder_id": number, "name": known.name, "role": known.role, "dag": known.group}
        for number, known in call.project.folders.items()
        if known.parent == folder and _may_enter(call, known)
    ]
    rows += [
        {"doc_id": number, "name": known.file.name, "role": "", "dag": ""}
        for number, known in call.project.repository.items()
        if known.folder == folder
    ]
    call.log("manage", "Manage/Design ", "List files in File Repository (API)")
    keys = keys_known("fileRepository", ("folder_id", "doc_id", "name", "role", "dag"), call.site.version)
    shown: list[Row] = [{key: row[key] for key in keys if key in row} for row in rows]
    return call.table(Table(keys, shown, root="items"))


def _folder(call: Call) -> int:
    """The folder that a request names; 0 is the top."""
    text = call.parameters.text("folder_id").strip()
    if not text:
        return 0
    number = whole_number(text)
    if number is None or not _is_open(call, number):
        raise Refusal(
            f"The File Repository folder folder_id={text} does not exist or else you do not have permission to that "
            "folder because it is DAG-restricted or Role-restricted."
        )
    return number


def _is_open(call: Call, number: int) -> bool:
    """Whether a folder exists and the user may enter it and every folder above it; the top is open to all."""
    folder = call.project.folders.get(number)
    return number == 0 or (folder is not None and _may_enter(call, folder) and _is_open(call, folder.parent))


def _may_enter(call: Call, folder: Folder) -> bool:
    # Users without a group and a role manage the project.
    user = call.project.user(call.username)
    group_fits = not folder.group or user.group in ("", folder.group)
    return group_fits and (not folder.role or user.role in ("", folder.role))


def create_folder(call: Call) -> Answer:
    """content=fileRepository&action=createFolder: the id of the new folder."""
    call.require("api_import", "file_repository")
    name = call.parameters.text("name").strip()
    if not name or len(name) > 150:
        raise Refusal("The folder name must have between 1 and 150 characters")
    parent = _folder(call)
    if any(folder.name == name and folder.parent == parent for folder in call.project.folders.values()):
        raise Refusal(f"A folder named '{name}' already exists there")
    number = max(call.project.folders, default=100) + 1
    call.project.folders[number] = Folder(name, parent, _group_named(call), _role_named(call))
    return call.table(Table(("folder_id",), [{"folder_id": number}], root="items"))


def _group_named(call: Call) -> str:
    text, groups = call.parameters.text("dag_id").strip(), call.project.groups.values()
    found = next((group.unique_name for group in groups if text == str(group.group_id)), "")
    if text and not found:
        raise Refusal(f"The data access group dag_id={text} does not exist")
    return found


def _role_named(call: Call) -> str:
    # No export shows ids of roles; they are numbered in the order in which they were added.
    text, names = call.parameters.text("role_id").strip(), list(call.project.roles)
    found = next((name for at, name in enumerate(names, start=1) if text in (str(at), name)), "")
    if text and not found:
        raise Refusal(f"The user role role_id={text} does not exist")
    return found


def export_document(call: Call) -> Answer:
    """content=fileRepository&action=export: the bytes, with the name inside the content type."""
    call.require("file_repository")
    return _download(call, call.project.repository[_document(call)].file)


def import_document(call: Call) -> Answer:
    """content=fileRepository&action=import: store a document; the answer is empty."""
    call.require("api_import", "file_repository")
    upload = call.parameters.uploads.get("file")
    if upload is None:
        raise Refusal("No file was uploaded")
    number = max(call.project.repository, default=0) + 1
    stored = StoredFile(upload.name, upload.content, upload.mime_type)
    call.project.repository[number] = RepositoryFile(stored, _folder(call))
    return text_answer("", call.return_format)


def delete_document(call: Call) -> Answer:
    """content=fileRepository&action=delete: remove a document; the answer is empty."""
    call.require("api_import", "file_repository")
    del call.project.repository[_document(call)]
    return text_answer("", call.return_format)


def _document(call: Call) -> int:
    text = call.parameters.text("doc_id")
    known = call.project.repository.get(number_or(text, 0))
    if known is None or not _is_open(call, known.folder):
        raise Refusal(f"The File Repository file doc_id={text} does not exist")
    return int(text)
