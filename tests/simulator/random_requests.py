"""Random API requests: plausible and broken parameters, payloads in every format, from what a project holds."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import dataclass, field
from html import escape

from redcap_source.simulator import ProjectHandle
from redcap_source.simulator.api import router
from redcap_source.simulator.wire.parameters import Parameters

METHODS = sorted(router.HANDLERS)
FORMATS = ("json", "csv", "xml")
# What a person or a program sends where something else belongs.
BROKEN = (
    "", " ", "0", "-1", "99999999999999999999", "1" * 5000, "²", "٣", "1.5", "true", "null", "\x00", "\x01\x1f", "'",
    '"', "a,b", "ä ö 🙂", "<b>", "]]>", "&amp;", "..", "[x]", "2024-13-45", "2024-02-30 25:61:61", "0000-00-00 00:00",
    "%", "\r\n", "datediff(", "[age] >", "\ud7ff\ufffe", "x" * 3000, "{", "[[1]]", "new", "１",
)  # fmt: skip
DATES = ("2024-01-01", "2024-07-01 00:00:00", "2030-01-01 00:00", "1999-12-31 23:59:59")
FLAGS = ("true", "false", "1", "0", "True")
LOGIC = ("[age] > 3", '[sex] = "1"', "[race(1)] = 1", "[name] <> '' and [kg] < 5", "1 = 1")
# Payloads that hold nothing the API could understand, by the format they come under.
FOREIGN = {
    "json": ("", "{", "3", '"text"', "[1, 2]", '["a"]', "[[]]", "null", "id,name\n1,Ada\n", "<records/>", "[" * 3000,
             '[{"a": ' + "9" * 5000 + "}]", '[{"a": "\\ud800"}]'),
    "csv": ("", "\n\n", '[{"id": "1"}]'),
    "xml": ("", "<", "id,name\n1,Ada\n", "<records><item></records>", "[]", "<records>text</records>",
            '<!DOCTYPE a [<!ENTITY b "c">]><a>&d;</a>'),
    "odm": ("", "<records/>", "[]", "<ODM/>"),
}  # fmt: skip
# Contents whose rows the API also exports, and the name of the array a deletion takes.
TABLES = ("record", "metadata", "arm", "event", "formEventMapping", "repeatingFormsEvents", "user", "userRole",
          "userRoleMapping", "dag", "userDagMapping", "project")  # fmt: skip
DELETED = {"record": "records", "arm": "arms", "event": "events", "user": "users", "userRole": "roles", "dag": "dags"}


@dataclass
class RandomRequest:
    """A request's parameters, a file it sends along, and whether its payload can be understood at all."""

    parameters: dict[str, str]
    file: bytes | None = None
    is_foreign: bool = False
    rows: list[dict[str, str]] = field(default_factory=list)


class Requests:
    """Makes requests on one project; the same seed makes the same."""

    def __init__(self, handle: ProjectHandle, seed: int) -> None:
        self._handle = handle
        self.random = random.Random(seed)

    def make(self) -> RandomRequest:
        """One request."""
        content, action = self.random.choice(METHODS)
        if self.random.random() < 0.02:
            content = self.random.choice(("nothing", "", "Record", "mobileApp"))
        form = self.random.choice(FORMATS)
        parameters = {"token": self._handle.token, "content": content, "format": form}
        if action != "export" or content in ("file", "fileRepository"):
            parameters["action"] = action
        if self.random.random() < 0.1:
            parameters["format"] = self.random.choice(("odm", "yaml", "", "JSON"))
        if self.random.random() < 0.4:
            parameters["returnFormat"] = self.random.choice(FORMATS)
        made = RandomRequest(parameters)
        self._add_parameters(parameters, content, action)
        if action == "import":
            self._add_payload(made, content)
        if content in ("file", "fileRepository") and action == "import":
            made.file = self.random.choice((b"text", b"", b"\xff\x00", None))
        return made

    # --- parameters ---

    def _add_parameters(self, parameters: dict[str, str], content: str, action: str) -> None:
        pools = self._pools()
        chance = 0.85 if action in ("delete", "rename", "randomize", "switch") or content in ("file", "pdf") else 0.15
        for name, pool in pools.items():
            if self.random.random() > (chance if name in self._wanted(content, action) else 0.06):
                continue
            value = self.random.choice(pool) if pool and self.random.random() < 0.85 else self.random.choice(BROKEN)
            is_list = name.endswith("s") and name not in ("exportSurveyFields", "exportDataAccessGroups")
            if is_list and self.random.random() < 0.7:
                for at in range(self.random.randint(1, 3)):
                    parameters[f"{name}[{at}]"] = value if at == 0 or not pool else self.random.choice(pool)
            else:
                parameters[name] = value

    def _wanted(self, content: str, action: str) -> tuple[str, ...]:
        if action == "delete" and content in DELETED:
            return (DELETED[content],)
        by_action = {"rename": ("record", "new_record_name"), "randomize": ("record", "randomization_id"),
                     "switch": ("dag",), "createFolder": ("name",)}  # fmt: skip
        by_content = {"file": ("record", "field", "event"), "fileRepository": ("doc_id", "folder_id"),
                      "report": ("report_id",)}  # fmt: skip
        return by_action.get(action) or by_content.get(content, ("records", "fields", "forms", "events", "record",
                                                                 "event", "instrument", "type"))  # fmt: skip

    def _pools(self) -> dict[str, list[str]]:
        project = self._handle.project
        records = self._handle.records()
        fields = [name.field_name for name in project.dictionary.fields]
        events = [event.unique_name for event in project.events]
        forms = list(project.dictionary.forms)
        flags = ("exportSurveyFields", "exportDataAccessGroups", "exportCheckboxLabel", "returnMetadataOnly",
                 "override", "exportBlankForGrayFormStatus", "forceAutoNumber", "backgroundProcess", "exportFiles",
                 "allRecords", "compactDisplay", "delete_logging", "combineCheckboxOptions")  # fmt: skip
        pools = {
            "type": ["flat", "eav"], "records": records, "fields": fields, "forms": forms, "events": events,
            "arms": [str(arm) for arm in project.arms], "dags": list(project.groups), "roles": list(project.roles),
            "users": [name for name in project.users if name != project.api_user], "record": records,
            "field": fields, "event": events, "instrument": forms, "repeat_instance": ["1", "2", "7"],
            "arm": [str(arm) for arm in project.arms], "dag": list(project.groups), "new_record_name": ["9", "b 4"],
            "randomization_id": ["1"], "report_id": [str(number) for number in project.reports],
            "rawOrLabel": ["raw", "label"], "rawOrLabelHeaders": ["raw", "label"], "csvDelimiter": [",", ";", "tab"],
            "decimalCharacter": [",", "."], "filterLogic": list(LOGIC), "dateRangeBegin": list(DATES),
            "dateRangeEnd": list(DATES), "overwriteBehavior": ["normal", "overwrite"],
            "dateFormat": ["YMD", "MDY", "DMY"], "returnContent": ["count", "ids", "auto_ids", "nothing"],
            "logtype": ["", "record", "export", "manage", "record_delete"], "user": list(project.users),
            "beginTime": list(DATES), "endTime": list(DATES), "name": ["docs", "more"],
            "folder_id": [str(number) for number in project.folders],
            "doc_id": [str(number) for number in project.repository],
        }  # fmt: skip
        return pools | {flag: list(FLAGS) for flag in flags}

    # --- payloads ---

    def _add_payload(self, made: RandomRequest, content: str) -> None:
        form = made.parameters["format"].lower()
        form = form if form in FORMATS or (form == "odm" and content == "record") else "xml"
        if self.random.random() < 0.2:
            made.parameters["data"] = self.random.choice(FOREIGN[form])
            made.is_foreign = True
            return
        rows = self._rows(content)
        self._break(rows)
        made.rows = rows
        made.parameters["data"] = written(rows, form if form != "odm" else "xml")
        made.is_foreign = form == "odm"

    def _rows(self, content: str) -> list[dict[str, str]]:
        """Rows as the project itself exports them, or new ones."""
        known = "project" if content == "project_settings" else content
        if known not in TABLES or self.random.random() < 0.25:
            return [dict(self._new_row(content)) for _ in range(self.random.randint(1, 3))]
        asked = {"token": self._handle.token, "content": known, "format": "json"}
        if known == "record":
            asked["records"] = ",".join(self._handle.records()[:3])
        found = router.answer(self._handle.site, Parameters(asked.items()))
        body = found.body if isinstance(found.body, bytes) else b"".join(found.body)
        loaded = json.loads(body)
        rows = [loaded] if isinstance(loaded, dict) else loaded
        rows = [row for row in rows if row.get("username") != self._handle.project.api_user]
        if found.status != 200 or not rows:
            return [dict(self._new_row(content))]
        return rows if known == "metadata" else self.random.sample(rows, min(len(rows), 3))

    def _new_row(self, content: str) -> dict[str, str]:
        project, pick = self._handle.project, self.random.choice
        some = str(self.random.randint(1, 9))
        rows = {
            "metadata": {"field_name": f"f{some}", "form_name": "basics", "field_type": "text", "field_label": "F"},
            "arm": {"arm_num": some, "name": f"Arm {some}"},
            "event": {"event_name": f"Event {some}", "arm_num": "1"},
            "formEventMapping": {"arm_num": "1", "unique_event_name": pick(project.events).unique_name
                                 if project.events else "x", "form": pick(project.dictionary.forms)},
            "repeatingFormsEvents": {"form_name": pick(project.dictionary.forms), "custom_form_label": "[age]",
                                     "event_name": project.events[0].unique_name if project.events else ""},
            "user": {"username": f"user{some}", "design": pick("01"), "api_export": pick("01")},
            "userRole": {"role_label": f"Role {some}", "logging": pick("01")},
            "userRoleMapping": {"username": f"user{some}", "unique_role_name": ""},
            "dag": {"data_access_group_name": f"Group-{some}", "unique_group_name": ""},
            "userDagMapping": {"username": f"user{some}", "redcap_data_access_group": ""},
            "project_settings": {"project_title": "Other", "purpose": some},
        }  # fmt: skip
        return rows.get(content) or {project.dictionary.record_id: f"new {some}"}

    def _break(self, rows: list[dict[str, str]]) -> None:
        """Let some cells, keys and rows be wrong."""
        while rows and self.random.random() < 0.45:
            row = self.random.choice(rows)
            if not row:
                return
            key, kind = self.random.choice(list(row)), self.random.randint(0, 4)
            if kind == 0:
                del row[key]
            elif kind == 1:
                rows.append(dict(row))
            elif kind == 2:
                row[self.random.choice(("odd", "a b", "redcap_event_name", "redcap_repeat_instance", "ä"))] = "1"
            else:
                row[key] = self.random.choice(BROKEN)


def written(rows: list[dict[str, str]], form: str) -> str:
    """Rows as JSON, CSV or XML."""
    if form == "json":
        return json.dumps(rows)
    if form == "csv":
        text = io.StringIO()
        keys = list(dict.fromkeys(key for row in rows for key in row))
        lines = csv.DictWriter(text, keys)
        lines.writeheader()
        lines.writerows({key: _flat(cell) for key, cell in row.items()} for row in rows)
        return text.getvalue()
    items = ("".join(f"<{key}>{_element(cell)}</{key}>" for key, cell in row.items()) for row in rows)
    return f"<records>{''.join(f'<item>{item}</item>' for item in items)}</records>"


def _flat(cell: object) -> object:
    return ",".join(f"{key}:{value}" for key, value in cell.items()) if isinstance(cell, dict) else cell


def _element(cell: object) -> str:
    if isinstance(cell, dict):
        return "".join(f"<{key}>{value}</{key}>" for key, value in cell.items())
    return escape("" if cell is None else str(cell))
