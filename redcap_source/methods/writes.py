"""Every call that changes something in REDCap: imports, deletes, renames, uploads, switches.

None is ever sent twice on the client's own account. REDCap knows no idempotency key, and a lost answer does not stop
the server: where one fails on the way, the error is OutcomeUnknown, and reading tells what happened. Calls that change
nothing are in reads.py, sending is client.py's.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from redcap_source import errors, model
from redcap_source.methods.caller import Caller
from redcap_source.methods.options import RecordFormat, RecordType, as_list
from redcap_source.protocol import parsing as reading
from redcap_source.protocol.import_data import Rows, data_text, settings_text
from redcap_source.protocol.request import Expect, Parameter, Request, Upload
from redcap_source.token import Token

Result = TypeVar("Result")
ReturnContent = Literal["count", "ids", "auto_ids", "nothing"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What REDCap said of a record import, as far as it was asked to.

    `count` is of distinct records in the data, not of rows or of changes. `auto_ids` pairs the id REDCap gave with
    the one submitted. None for all that was not asked; of a background import only `accepted` is known.
    """

    count: int | None = None
    ids: tuple[str, ...] | None = field(default=None, repr=False)
    auto_ids: tuple[tuple[str, str], ...] | None = field(default=None, repr=False)
    accepted: bool | None = None


class Writes(Caller):
    """REDCap's changing methods; their rights and project status are REDCap's to check."""

    # --- Records ---

    def import_records(
        self,
        data: Rows,
        *,
        format: RecordFormat = "json",
        type: RecordType = "flat",
        overwrite: Literal["normal", "overwrite"] = "normal",
        force_auto_number: bool = False,
        date_format: Literal["YMD", "MDY", "DMY"] = "YMD",
        csv_delimiter: str = "",
        return_content: ReturnContent = "count",
        background: bool = False,
    ) -> Imported:
        """Import rows (mappings, a DataFrame) or text in the given format; all of it is saved, or nothing.

        Cells that are None or NaN are left out; with `overwrite` a blank erases. ImportRejected names the cells that
        were refused, NothingImported means that REDCap understood nothing, OutcomeUnknown that no answer came.
        """
        text = data_text(data)
        if text == "[]":
            return Imported(count=0)
        parameters: dict[str, Parameter] = {
            "type": type,
            "overwriteBehavior": overwrite,
            "forceAutoNumber": force_auto_number,
            "dateFormat": date_format,
            "csvDelimiter": csv_delimiter,
            "returnContent": return_content,
            "backgroundProcess": True if background else None,
            "data": text,
        }
        # What was not given is left to REDCap's default, which is the documented one.
        expect = Expect.NOTHING if return_content == "nothing" else Expect.JSON
        request = Request("record", "", parameters, format=format, expect=expect, repeatable=False)
        result = self._changed(request, lambda body: _import_result(body, return_content, background))
        if 0 in (result.count, None if result.ids is None else len(result.ids)) or result.accepted is False:
            raise errors.NothingImported(self._context(request), status=200)
        return result

    def delete_records(
        self,
        records: Sequence[str],
        *,
        arm: int | None = None,
        instrument: str = "",
        event: str = "",
        repeat_instance: int | None = None,
        delete_logging: bool = False,
    ) -> int:
        """Delete records, or with an instrument or event only that part of them; answers with how many records.

        One unknown id refuses the whole call. `delete_logging` erases what the log says of them, where that is allowed.
        """
        parameters: dict[str, Parameter] = {
            "records": _some("records", records),
            "arm": arm,
            "instrument": instrument,
            "event": event,
            "repeat_instance": repeat_instance,
            "delete_logging": "1" if delete_logging else None,
        }
        return self._count(Request("record", "delete", parameters, expect=Expect.JSON, repeatable=False))

    def rename_record(self, record: str, new_record_name: str, *, arm: int | None = None) -> None:
        """Give a record another id, which must be free; with an arm, only there."""
        parameters: dict[str, Parameter] = {"record": record, "new_record_name": new_record_name, "arm": arm}
        self._count(Request("record", "rename", parameters, expect=Expect.JSON, repeatable=False))

    def randomize_record(
        self, record: str, randomization_id: int, *, return_alternative: bool = False
    ) -> model.Randomization:
        """Randomize a record, whose strata must be filled in."""
        parameters: dict[str, Parameter] = {
            "record": record,
            "randomization_id": randomization_id,
            "returnAlt": return_alternative,
        }
        request = Request("record", "randomize", parameters, expect=Expect.JSON, repeatable=False)
        return self._changed(request, lambda body: model.Randomization.from_row(_only_object(body)))

    # --- Structure ---

    def import_data_dictionary(self, fields: Rows, *, format: str = "json") -> int:
        """Replace the whole data dictionary; fields that are not in it are lost with their data. Development only."""
        return self._import("metadata", "", fields, format)

    def import_arms(self, arms: Rows, *, override: bool = False, format: str = "json") -> int:
        """Add or rename arms; with `override` delete all that are not given."""
        return self._import("arm", "import", arms, format, override=int(override))

    def delete_arms(self, arms: Sequence[int | str]) -> int:
        """Delete arms with their events and data."""
        return self._delete("arm", "arms", arms)

    def import_events(self, events: Rows, *, override: bool = False, format: str = "json") -> int:
        """Add or change events; with `override` delete all that are not given."""
        return self._import("event", "import", events, format, override=int(override))

    def delete_events(self, events: Sequence[str]) -> int:
        """Delete events, by their unique names, with their data."""
        return self._delete("event", "events", events)

    def import_form_event_mapping(self, mapping: Rows, *, format: str = "json") -> int:
        """Replace the designation of instruments for events."""
        return self._import("formEventMapping", "import", mapping, format)

    def import_repeating_forms_events(self, rows: Rows, *, format: str = "json") -> int:
        """Replace the repeating setup; a blank form name makes the whole event repeat."""
        return self._import("repeatingFormsEvents", "", rows, format)

    # --- Users, roles, data access groups ---

    def import_users(self, users: Rows, *, format: str = "json") -> int:
        """Add users or change their rights; what is not mentioned stays."""
        return self._import("user", "", users, format)

    def delete_users(self, users: Sequence[str]) -> int:
        """Remove users from the project."""
        return self._delete("user", "users", users)

    def import_user_roles(self, roles: Rows, *, format: str = "json") -> int:
        """Add roles, or change those whose unique names are given."""
        return self._import("userRole", "", roles, format)

    def delete_user_roles(self, roles: Sequence[str]) -> int:
        """Delete roles, by their unique names."""
        return self._delete("userRole", "roles", roles)

    def import_user_role_assignments(self, rows: Rows, *, format: str = "json") -> int:
        """Give users roles; a blank role takes it away."""
        return self._import("userRoleMapping", "import", rows, format)

    def import_data_access_groups(self, groups: Rows, *, format: str = "json") -> int:
        """Add data access groups, or rename those whose unique names are given."""
        return self._import("dag", "import", groups, format)

    def delete_data_access_groups(self, groups: Sequence[str]) -> int:
        """Delete data access groups, by their unique names."""
        return self._delete("dag", "dags", groups)

    def import_data_access_group_assignments(self, rows: Rows, *, format: str = "json") -> int:
        """Put users into data access groups; a blank group takes them out."""
        return self._import("userDagMapping", "import", rows, format)

    def switch_data_access_group(self, group: str) -> None:
        """Move the token's own user to another group, for good: later exports return that group's records."""
        self._count(Request("dag", "switch", {"dag": group}, expect=Expect.JSON, repeatable=False))

    # --- Files ---

    def import_file(
        self,
        record: str,
        field: str,
        path: Path,
        *,
        name: str = "",
        event: str = "",
        repeat_instance: int | None = None,
    ) -> None:
        """Upload a file into a field of an existing record, under its own name or another."""
        parameters: dict[str, Parameter] = {"record": record, "field": field, "event": event}
        parameters["repeat_instance"] = repeat_instance
        self._done("file", "import", parameters, _upload(path, name))

    def delete_file(self, record: str, field: str, *, event: str = "", repeat_instance: int | None = None) -> None:
        """Delete the file in a field."""
        parameters: dict[str, Parameter] = {"record": record, "field": field, "event": event}
        parameters["repeat_instance"] = repeat_instance
        self._done("file", "delete", parameters)

    def create_repository_folder(
        self, name: str, *, folder_id: int | None = None, dag_id: int | None = None, role_id: int | None = None
    ) -> int:
        """Create a folder in the file repository, at its top or in another, perhaps for one group or role; its id."""
        parameters: dict[str, Parameter] = {
            "name": name,
            "folder_id": folder_id,
            "dag_id": dag_id,
            "role_id": role_id,
        }
        request = Request("fileRepository", "createFolder", parameters, expect=Expect.ROWS, repeatable=False)
        return self._changed(request, lambda body: int(_only_object(body)["folder_id"]))

    def import_repository_file(self, path: Path, *, name: str = "", folder_id: int | None = None) -> None:
        """Upload a file into the file repository, at its top or in a folder."""
        self._done("fileRepository", "import", {"folder_id": folder_id}, _upload(path, name))

    def delete_repository_file(self, doc_id: int) -> None:
        """Delete a file of the file repository; REDCap keeps it in its bin for thirty days."""
        self._done("fileRepository", "delete", {"doc_id": doc_id})

    # --- Projects ---

    def import_project_settings(self, settings: Mapping[str, Any]) -> int:
        """Change settings of the project, by the names in `project_info`; answers with how many were accepted."""
        data = settings_text(settings)
        request = Request("project_settings", "", {"data": data}, expect=Expect.JSON, repeatable=False)
        return self._count(request)

    def create_project(
        self, project_title: str, purpose: int, *, odm: str | Path | None = None, **settings: object
    ) -> Token:
        """Create a project with a super token; answers with the new project's own token.

        `odm` is a project XML (text, or a path to it) to make it from. `purpose` 1 wants `purpose_other` as well.
        """
        row = {"project_title": project_title, "purpose": purpose, **settings}
        parameters: dict[str, Parameter] = {
            "data": data_text([row]),
            "odm": odm.read_text(encoding="utf-8") if isinstance(odm, Path) else odm,
        }
        request = Request("project", "", parameters, expect=Expect.LINE, repeatable=False)
        return self._changed(request, _created_token)

    # --- Ways of this half ---

    def _import(self, content: str, action: str, rows: Rows, format: str, **parameters: Parameter) -> int:
        data = data_text(rows)
        request = Request(
            content, action, {**parameters, "data": data}, format=format, expect=Expect.JSON, repeatable=False
        )
        return self._count(request)

    def _delete(self, content: str, parameter: str, names: Sequence[str | int]) -> int:
        parameters = {parameter: _some(parameter, names)}
        return self._count(Request(content, "delete", parameters, expect=Expect.JSON, repeatable=False))

    def _count(self, request: Request) -> int:
        return self._changed(request, lambda body: reading.count_of(body, self._context(request)))

    def _changed(self, request: Request, read: Callable[[bytes], Result]) -> Result:
        """What a change answers with; an answer that cannot be read leaves the outcome open."""
        body, context = self._body(request), self._context(request)
        try:
            return read(body)
        except (errors.UnexpectedAnswer, ValueError, TypeError, KeyError, IndexError, RecursionError):
            unknown = errors.OutcomeUnknown(context, reason=errors.UnexpectedAnswer(context, status=200))
        raise unknown

    def _done(
        self, content: str, action: str, parameters: Mapping[str, Parameter], upload: Upload | None = None
    ) -> None:
        """A change that answers with nothing at all."""
        self._body(Request(content, action, parameters, expect=Expect.NOTHING, repeatable=False, upload=upload))


def _import_result(body: bytes, content: ReturnContent, background: bool) -> Imported:
    if content == "nothing" and not background:
        return Imported()
    value = json.loads(body)
    if background:
        accepted = value["success"] if isinstance(value, dict) else value
        return Imported(accepted=accepted in (True, "true", 1, "1"))
    if content == "count":
        return Imported(count=int(value["count"] if isinstance(value, dict) else value))
    if not isinstance(value, list):
        raise TypeError("a list of ids was due")
    if content == "ids":
        return Imported(ids=tuple(map(str, value)))
    # The new id stands first, and REDCap's own numbers hold no comma; the submitted label may.
    pairs = (str(pair).partition(",") for pair in value)
    return Imported(auto_ids=tuple((new, submitted) for new, _, submitted in pairs))


def _only_object(body: bytes) -> Mapping[str, Any]:
    """The one object in an answer, alone or in a list."""
    value = json.loads(body)
    row = value[0] if isinstance(value, list) else value
    if not isinstance(row, dict):
        raise TypeError("an object was due")
    return row


def _created_token(body: bytes) -> Token:
    # Noise of a debugging server can precede the token, so only the end counts.
    found = re.search(rb"(?<![0-9A-Za-z])([0-9A-Fa-f]{32})\s*$", body)
    if found is None:
        raise ValueError("a token was due")
    return Token(found[1].decode("ascii"))


def _some(parameter: str, names: Sequence[str | int]) -> Parameter:
    """Names to delete: never none, for whatever REDCap makes of a delete without names."""
    listed: Parameter = as_list("records", names)
    if not listed:
        raise ValueError(f"Nothing to delete: {parameter} is empty.")
    return listed


def _upload(path: Path, name: str) -> Upload:
    return Upload(Path(path), name or Path(path).name)
