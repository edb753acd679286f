"""Methods about the project as a whole, and REDCap's version."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from redcap_source import errors, model
from redcap_source.http.sinks import Received
from redcap_source.methods.caller import Caller
from redcap_source.methods.options import as_list
from redcap_source.protocol.import_data import data_text, settings_text
from redcap_source.protocol.parsing import json_of
from redcap_source.protocol.request import Expect, Parameter, Request, change
from redcap_source.token import Token


class ProjectMethods(Caller):
    """version; project_info, import_project_settings, create_project; export_project_xml."""

    def version(self) -> str:
        """REDCap's version, as `14.7.3`."""
        request = Request("version", expect=Expect.LINE)
        line = self._line(request)
        if not line[:1].isdigit():
            raise errors.UnexpectedAnswer(self._context(request), detail="Expected a version.", server_text=line[:200])
        return line

    def project_info(self) -> model.ProjectInfo:
        """The project's settings."""
        request = Request("project", expect=Expect.OBJECT)
        row = json_of(self._body(request), self._context(request))
        return model.ProjectInfo.from_row(row)

    def import_project_settings(self, settings: Mapping[str, Any]) -> int:
        """Change settings of the project, by the names in `project_info`; returns how many were accepted."""
        return self._count(change("project_settings", "", {"data": settings_text(settings)}))

    def create_project(
        self, project_title: str, purpose: int, *, odm: str | Path | None = None, **settings: object
    ) -> Token:
        """Create a project with a super token; returns the new project's own token.

        `odm` is a project XML (text, or a path to it) to create it from. `purpose` 1 needs `purpose_other` as well.
        """
        row = {"project_title": project_title, "purpose": purpose, **settings}
        parameters: dict[str, Parameter] = {
            "data": data_text([row]),
            "odm": odm.read_text(encoding="utf-8") if isinstance(odm, Path) else odm,
        }
        return self._change(change("project", "", parameters, expect=Expect.LINE), _created_token)

    def export_project_xml(
        self,
        sink: Path,
        *,
        metadata_only: bool = False,
        records: Sequence[str] = (),
        fields: Sequence[str] = (),
        events: Sequence[str] = (),
        export_survey_fields: bool = False,
        export_data_access_groups: bool = False,
        filter_logic: str = "",
        export_files: bool = False,
    ) -> Received:
        """Stream the whole project as REDCap's XML (CDISC ODM) to a file, without uploaded files by default."""
        parameters: dict[str, Parameter] = {
            "returnMetadataOnly": metadata_only,
            "records": as_list("records", records),
            "fields": as_list("fields", fields),
            "events": as_list("events", events),
            "exportSurveyFields": export_survey_fields,
            "exportDataAccessGroups": export_data_access_groups,
            "filterLogic": filter_logic,
            "exportFiles": export_files,
        }
        return self._to_file(Request("project_xml", parameters=parameters, format="xml", expect=Expect.XML), sink)


def _created_token(body: bytes) -> Token:
    # Noise of a debugging server can precede the token, so only the end counts.
    found = re.search(rb"(?<![0-9A-Za-z])([0-9A-Fa-f]{32})\s*$", body)
    if found is None:
        raise ValueError("expected a token")
    return Token(found[1].decode("ascii"))
