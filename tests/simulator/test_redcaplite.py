"""redcaplite drives the simulator through every method it has."""

import pytest
from redcaplite import RedcapClient
from redcaplite.http.error import APIException

from redcap_source.simulator import Simulator
from redcap_source.simulator.state.project import Report, StoredFile
from tests.simulator.grids import repeating

TESTED: set[str] = {"post", "text_api", "file_download_api", "file_upload_api"}


def drives(*names):
    """Note which of redcaplite's methods a test calls."""
    TESTED.update(names)
    return lambda function: function


@pytest.fixture
def study(simulator, monkeypatch):
    project = repeating()
    project.surveys = {"visit"}
    project.reports[3] = Report("Ages", ("id", "age"))
    project.files[30] = StoredFile("scan.txt", b"scan", "text/plain")
    project.records.put(
        project.records.get("1").with_slot((1, "", 0), {"age": "41", "scan": "30", "basics_complete": "2"})
    )
    return RedcapClient(simulator.url, simulator.add_project(project, name="study").token)


@drives(
    "get_arms", "import_arms", "delete_arms", "get_events", "import_events", "delete_events", "get_form_event_mappings",
    "import_form_event_mappings", "get_repeating_forms_events", "import_repeating_forms_events",
)  # fmt: skip
def test_arms_events_mapping_and_repeats(study):
    assert study.import_arms([{"arm_num": 2, "name": "Second"}], override=0) == 1
    assert study.import_events([{"event_name": "V", "arm_num": 2}]) == 1
    assert study.get_arms([2]) == [{"arm_num": 2, "name": "Second"}]
    assert study.get_events(format="csv").shape[0] == 3
    mapping = study.get_form_event_mappings()
    assert study.import_form_event_mappings(mapping) == len(mapping) == 3
    assert study.import_repeating_forms_events(study.get_repeating_forms_events()) == 2
    assert study.delete_events(["v_arm_2"]) == 1 and study.delete_arms([2]) == 1


@drives("get_metadata", "import_metadata", "get_field_names", "get_instruments", "export_pdf")
def test_dictionary(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = study.get_metadata()
    assert frame.shape == (11, 18)
    assert study.import_metadata(study.get_metadata(format="json"), format="json") == 11
    assert len(study.get_field_names("race")) == 3 and len(study.get_instruments()) == 2
    study.export_pdf(record="1", instrument="basics", event="start_arm_1")


@drives(
    "export_records", "import_records", "delete_records", "rename_record", "generate_next_record_name", "get_report"
)
def test_records(study):
    assert study.export_records(fields=["id", "age"]).shape[0] == 3
    rows = [{"id": "3", "redcap_event_name": "start_arm_1", "age": "5"}]
    assert study.import_records(rows, format="json") == ["3"]
    assert study.rename_record("3", "5") == 1
    assert str(study.generate_next_record_name()) == "6"
    assert study.delete_records(["5"]) == 1
    assert study.get_report(3, format="json")[0]["age"] == "41"


@drives(
    "get_users", "import_users", "delete_users", "get_user_roles", "import_user_roles", "delete_user_roles",
    "get_user_role_mappings", "import_user_role_mappings", "get_dags", "import_dags", "delete_dags", "switch_dag",
    "get_user_dag_mappings", "import_user_dag_mappings",
)  # fmt: skip
def test_people(study):
    assert study.import_users([{"username": "kim", "forms_export": {"basics": 1}}]) == 1
    assert study.import_user_roles([{"role_label": "Nurse"}]) == 1
    name = study.get_user_roles()[0]["unique_role_name"]
    assert study.import_user_role_mappings([{"username": "kim", "unique_role_name": name}]) == 1
    assert study.get_user_role_mappings(format="csv").shape[0] == 2
    assert study.delete_user_roles([name]) == 1
    assert study.import_dags([{"data_access_group_name": "North", "unique_group_name": ""}]) == 1
    assert study.import_user_dag_mappings([{"username": "kim", "redcap_data_access_group": "north"}]) == 1
    assert study.get_user_dag_mappings()[1]["redcap_data_access_group"] == "north"
    assert len(study.get_dags()) == 2 and study.delete_dags(["north"]) == 1
    assert study.delete_users(["kim"]) == 1 and len(study.get_users()) == 1
    study.switch_dag("site_a")
    assert study.export_records(fields=["id"])["id"].astype(str).to_list() == ["1", "1"]


@drives(
    "get_file", "import_file", "delete_file", "create_folder_file_repository", "list_file_repository",
    "export_file_repository", "import_file_repository", "delete_file_repository",
)  # fmt: skip
def test_files(study, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    study.get_file("1", "scan", event="start_arm_1", file_dictionary=str(tmp_path))
    path = tmp_path / "up.txt"
    path.write_bytes(b"up")
    study.import_file(str(path), "2", "scan", event="start_arm_1")
    # The documented answer is empty; this client reads it as JSON all the same, after the deed is done.
    with pytest.raises(ValueError, match="Expecting value"):
        study.delete_file("2", "scan", event="start_arm_1")
    with pytest.raises(APIException, match="no file"):
        study.get_file("2", "scan", event="start_arm_1")
    folder = study.create_folder_file_repository("docs")[0]["folder_id"]
    study.import_file_repository(str(path), folder_id=folder)
    [document] = study.list_file_repository(folder)
    study.export_file_repository(document["doc_id"], file_dictionary=str(tmp_path))
    with pytest.raises(ValueError, match="Expecting value"):
        study.delete_file_repository(document["doc_id"])
    assert list(study.list_file_repository(folder)) == []


@drives("get_logs", "get_project", "get_project_xml", "import_project_settings", "get_version", "create_project")
def test_project_and_log(study):
    assert study.get_logs(logtype="record").shape[0] == 2
    assert study.get_project()["is_longitudinal"] == 1
    assert "SubjectData" in str(study.get_project_xml())
    assert int(study.import_project_settings([{"project_title": "New title", "nonsense": "x"}])) == 1
    assert study.get_project()["project_title"] == "New title"
    assert "14.7.3" in str(study.get_version())


def test_a_super_token_creates_projects():
    with Simulator(super_token="S" * 64) as simulator:
        # The token is plain text, which this client reads as JSON: it fails after the project was created.
        with pytest.raises(ValueError):
            RedcapClient(simulator.url, "S" * 64).create_project([{"project_title": "Made", "purpose": 0}])
        made = RedcapClient(simulator.url, simulator.projects["Made"].token)
        assert made.get_project()["project_title"] == "Made"


@drives("get_survey_link", "get_participant_list", "get_survey_queue_link", "get_survey_return_code")
def test_surveys(study):
    assert "surveys" in str(study.get_survey_link("1", "visit", event="start_arm_1", repeat_instance=1))
    assert "surveys" in str(study.get_survey_queue_link("1"))
    assert len(str(study.get_survey_return_code("1", "visit", event="start_arm_1", repeat_instance=1))) == 8
    assert study.get_participant_list("visit", event="start_arm_1").shape[0] == 2


def test_every_method_of_redcaplite_is_driven():
    methods = {n for n in dir(RedcapClient) if not n.startswith("_") and callable(getattr(RedcapClient, n))}
    assert methods - TESTED == set()
