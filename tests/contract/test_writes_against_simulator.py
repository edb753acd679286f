"""Changes made by the client in the simulated REDCap, and read back."""

import pandas as pd
import pytest

from redcap_source import RedcapClient, RetryPolicy, Token, dictionary, errors
from redcap_source.simulator import Simulator, make_study

KINDS = ("classic", "longitudinal", "repeating")
SUPER = "A" * 64


def client_for(simulator, token):
    return RedcapClient(simulator.url, Token(token), retry=RetryPolicy(attempts=3), sleep=lambda _: None)


@pytest.fixture
def simulator():
    with Simulator(super_token=SUPER) as simulator:
        yield simulator


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def handle(simulator, kind):
    return simulator.add_project(make_study(kind, records=8), name=kind)


@pytest.fixture
def client(simulator, handle):
    with client_for(simulator, handle.token) as client:
        yield client


@pytest.fixture
def classic(simulator):
    handle = simulator.add_project(make_study("classic", records=8), name="classic")
    with client_for(simulator, handle.token) as client:
        yield client


def id_field(client):
    return dictionary.record_id_field(client.data_dictionary())


def test_a_twin_made_from_the_project_xml_exports_the_same(simulator, client, tmp_path):
    client.export_project_xml(tmp_path / "project.xml", export_data_access_groups=True, export_files=True)
    with client_for(simulator, SUPER) as creator:
        token = creator.create_project("Twin", 0, odm=tmp_path / "project.xml")
    with client_for(simulator, token.reveal()) as twin:
        # Values of calculated fields do not travel; they come when something in their record changes.
        computed = [
            field.field_name
            for field in client.data_dictionary()
            if field.field_type == "calc" or "@CALC" in (field.field_annotation or "")
        ]
        pd.testing.assert_frame_equal(
            twin.export_records().drop(columns=computed), client.export_records().drop(columns=computed)
        )
        assert [field.field_name for field in twin.data_dictionary()] == [
            field.field_name for field in client.data_dictionary()
        ]


def test_importing_what_was_exported_changes_nothing(client):
    before = client.export_records()
    calculated = [field.field_name for field in client.data_dictionary() if field.field_type in ("calc", "file")]
    rows = before.drop(columns=[name for name in calculated if name in before])
    kept = {name for field, names in dictionary.columns_by_field(client.data_dictionary()) for name in names}
    # A blank and a status of a form that is not there are no values; they are left out of their row.
    listed = [
        {name: value for name, value in row.items() if value != "" and (name in kept or name.startswith("redcap_"))}
        for row in rows.to_dict("records")
    ]
    result = client.import_records(listed)
    assert result.count == before[id_field(client)].nunique()
    pd.testing.assert_frame_equal(client.export_records(), before)


def test_records_are_added_deleted_and_renamed(classic):
    key = id_field(classic)
    name = classic.next_record_name()
    assert classic.import_records([{key: name}], return_content="ids").ids == (name,)
    assert name in classic.record_ids(key)
    classic.rename_record(name, f"{name}-x")
    assert f"{name}-x" in classic.record_ids(key)
    assert classic.delete_records([f"{name}-x"]) == 1
    assert f"{name}-x" not in classic.record_ids(key)
    with pytest.raises(errors.RequestRefused) as caught:
        classic.delete_records(["no-such-record"])
    assert "no-such-record" not in str(caught.value)


def test_a_rejected_import_names_cells_and_saves_nothing(classic):
    key, fields = id_field(classic), classic.data_dictionary()
    radio = next(field.field_name for field in fields if field.field_type in ("radio", "dropdown"))
    before = classic.export_records()
    ids = classic.record_ids(key)[:2]
    with pytest.raises(errors.ImportRejected) as caught:
        classic.import_records([{key: ids[0], radio: "Zebulon"}, {key: ids[1], radio: "Zebulon"}])
    assert [(line.record, line.field, line.value) for line in caught.value.lines] == [
        (record, radio, "Zebulon") for record in ids
    ]
    assert "Zebulon" not in str(caught.value)
    pd.testing.assert_frame_equal(classic.export_records(), before)


def test_an_unknown_column_is_an_error(classic):
    with pytest.raises(errors.ImportRejected, match="no_such_field"):
        classic.import_records([{id_field(classic): "1", "no_such_field": "1"}])


def test_a_lost_answer_is_an_unknown_outcome_and_is_not_repeated(simulator, classic):
    key = id_field(classic)
    simulator.faults.add("reset", content="record", times=1, after_work=True)
    with pytest.raises(errors.OutcomeUnknown):
        classic.import_records([{key: "9001"}])
    imports = classic.calls.requests
    assert imports == 2  # the dictionary, and the import once
    assert "9001" in classic.record_ids(key)


def test_the_structure_can_be_sent_back_as_it_came(client, kind):
    if kind != "classic":
        for export, send in (
            (client.arms, client.import_arms),
            (client.events, client.import_events),
            (client.form_event_mapping, client.import_form_event_mapping),
        ):
            before = export()
            assert send(before) == len(before)
            assert export() == before
    repeating = client.repeating_forms_events()
    if repeating:
        client.import_repeating_forms_events(repeating)
        assert client.repeating_forms_events() == repeating
    before = client.data_dictionary()
    assert client.import_data_dictionary(before) == len(before)
    assert client.data_dictionary() == before


def test_groups_roles_and_users_are_added_and_removed(classic):
    assert classic.import_data_access_groups([{"data_access_group_name": "New", "unique_group_name": ""}]) == 1
    assert "new" in {group.unique_group_name for group in classic.data_access_groups()}
    assert classic.import_users([{"username": "zed", "logging": 1}]) == 1
    assert classic.import_data_access_group_assignments([{"username": "zed", "redcap_data_access_group": "new"}]) == 1
    groups = {row.username: row.redcap_data_access_group for row in classic.data_access_group_assignments()}
    assert groups["zed"] == "new"
    assert classic.import_user_roles([{"role_label": "Nurse"}]) == 1
    (role,) = [role for role in classic.user_roles() if role.role_label == "Nurse"]
    assignment = [{"username": "zed", "unique_role_name": role.unique_role_name}]
    assert classic.import_user_role_assignments(assignment) == 1
    assert role.unique_role_name in {row.unique_role_name for row in classic.user_role_assignments()}
    assert classic.import_user_role_assignments([{"username": "zed", "unique_role_name": ""}]) == 1
    assert classic.delete_user_roles([role.unique_role_name]) == 1
    assert classic.delete_users(["zed"]) == 1
    assert classic.delete_data_access_groups(["new"]) == 1


def test_files_are_uploaded_and_downloaded(classic, tmp_path):
    field = next(
        field.field_name
        for field in classic.data_dictionary()
        if field.field_type == "file" and field.text_validation_type_or_show_slider_number != "signature"
    )
    record = classic.record_ids(id_field(classic))[0]
    (tmp_path / "up.bin").write_bytes(bytes(range(256)) * 1000)
    classic.import_file(record, field, tmp_path / "up.bin", name="scan é.bin")
    (tmp_path / "down").mkdir()
    saved = classic.export_file(record, field, tmp_path / "down")
    assert saved.path.read_bytes() == (tmp_path / "up.bin").read_bytes()
    assert saved.name == "scan é.bin"
    classic.delete_file(record, field)
    with pytest.raises(errors.RequestRefused):
        classic.export_file(record, field, tmp_path / "down")


def test_the_file_repository_takes_folders_and_files(classic, tmp_path):
    (tmp_path / "a.txt").write_text("text")
    folder = classic.create_repository_folder("docs")
    classic.import_repository_file(tmp_path / "a.txt", folder_id=folder)
    (item,) = classic.file_repository(folder)
    (tmp_path / "down").mkdir()
    assert classic.export_repository_file(item.doc_id, tmp_path / "down").path.read_text() == "text"
    classic.delete_repository_file(item.doc_id)
    assert classic.file_repository(folder) == ()


def test_settings_change(classic):
    assert classic.import_project_settings({"project_title": "Renamed"}) >= 1
    assert classic.project_info().project_title == "Renamed"


def test_pdfs_are_pdfs(client, tmp_path):
    client.export_instruments_pdf(tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF-")
