"""What real servers once answered, decoded: every structure answer parses, and the columns are the expected ones."""

import csv
import json
from pathlib import Path

import pytest

from redcap_source import dictionary, model

pytestmark = pytest.mark.recorded

KINDS = {
    "project_info": model.ProjectInfo,
    "metadata": model.Field,
    "export_field_names": model.ExportFieldName,
    "instruments": model.Instrument,
    "arms": model.Arm,
    "events": model.Event,
    "form_event_mapping": model.FormEvent,
    "repeating_forms_events": model.RepeatingForm,
    "users": model.User,
    "user_roles": model.UserRole,
    "user_role_assignments": model.RoleAssignment,
    "dags": model.DataAccessGroup,
    "user_dag_mapping": model.DataAccessGroupAssignment,
    "log": model.LogRow,
}
# The one client's recordings carry these spread-out copies of `forms` and `forms_export`.
SPREAD = ("_form_access", "_export_access")


def rows_of(path: Path) -> list[dict]:
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            return list(csv.DictReader(file))
    value = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(value, list):
        return value
    if path.stem == "instruments":  # one client kept them as {name: label}
        return [{"instrument_name": name, "instrument_label": label} for name, label in value.items()]
    return [value]


def recordings(folder: Path, name: str) -> list[Path]:
    # Under from_odm/ lies what a reader of project XMLs derived, which is no answer of a server.
    found = [path for path in folder.rglob(f"{name}.*") if path.suffix in (".csv", ".json")]
    return sorted(path for path in found if not {"from_odm", "http"} & set(path.parts))


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_every_recorded_structure_answer_becomes_values(recorded, name, kind):
    paths = recordings(recorded, name)
    assert paths, f"no recorded {name}"
    for path in paths:
        rows = rows_of(path)
        values = [kind.from_row(row) for row in rows]
        assert len(values) == len(rows)
        unknown = {key for value in values for key in value.extra if not key.endswith(SPREAD)}
        assert unknown == set(), path


def header_of(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
        return next(csv.reader(file), [])


def test_the_expected_columns_are_the_recorded_ones(recorded):
    compared = 0
    for path in sorted(recorded.glob("*/metadata.csv")):
        records = path.parent / "records_flat.csv"
        # This client writes a frame of no columns where a project has no records, or only the fields it asked for.
        if not records.exists() or path.parent.name == "redcapapi-basicdata" or not header_of(records):
            continue
        header = header_of(records)
        fields = [model.Field.from_row(row) for row in rows_of(path)]
        info = path.parent / "project_info.csv"
        codes = rows_of(info)[0].get("missing_data_codes", "") if info.exists() else ""
        columns = dictionary.expected_columns(
            fields,
            longitudinal="redcap_event_name" in header,
            repeating="redcap_repeat_instance" in header,
            data_access_groups="redcap_data_access_group" in header,
            survey_fields="redcap_survey_identifier" in header,
            survey_forms=[name.removesuffix("_timestamp") for name in header],
            missing_codes=dictionary.missing_data_codes(codes),
        )
        assert columns == header, path.parent.name
        compared += 1
    assert compared >= 14


def test_recorded_export_field_names_agree_with_the_checkbox_rule(recorded):
    for path in recordings(recorded, "export_field_names"):
        fields = {}
        for row in rows_of(path):
            name = model.ExportFieldName.from_row(row)
            fields.setdefault(name.original_field_name, []).append(name)
        for original, names in fields.items():
            for name in names:
                rule = dictionary.checkbox_column(original, name.choice_value) if name.choice_value else original
                assert name.export_field_name == rule


def test_recorded_bodies_of_a_real_server_pass_as_whole(recorded, serve, tmp_path):
    from tests.support.canned import answer, client_of

    folder = recorded / "redcapexporter-avalanche"
    body = (folder / "records_flat.csv").read_bytes()
    with client_of(serve(answer(body))) as client:
        frame = client.export_records()
        client.export_records_to(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == body
    with client_of(serve(answer((folder / "records_flat.json").read_bytes()))) as client:
        client.export_records_to(tmp_path / "a.json", format="json")
    rows = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert frame.to_dict("records") == rows
    with client_of(serve(answer((folder / "metadata.json").read_bytes()))) as client:
        assert len(client.data_dictionary()) == 67
    with client_of(serve(answer((folder / "users.json").read_bytes()))) as client:
        assert client.users()[0].rights["api_export"] in (0, 1)
    with client_of(serve(answer((folder / "project_info.json").read_bytes()))) as client:
        assert client.project_info().project_id == 14465
