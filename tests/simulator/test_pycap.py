"""PyCap drives the simulator through every method it has."""

import io
from datetime import datetime

import pytest
import redcap

from redcap_source.simulator.state.project import Report, StoredFile
from tests.simulator.grids import repeating

TESTED: set[str] = set()


def drives(*names):
    """Note which of PyCap's methods a test calls."""
    TESTED.update(names)
    return lambda function: function


@pytest.fixture
def study(simulator):
    """A project with a bit of everything, and PyCap on it."""
    project = repeating()
    project.surveys = {"visit"}
    project.reports[3] = Report("Ages", ("id", "age"), "")
    project.files[30] = StoredFile("scan.txt", b"bytes \xff", "text/plain")
    project.records.put(
        project.records.get("1").with_slot(
            (1, "", 0), {"name": "Ada", "age": "41", "scan": "30", "basics_complete": "2"}
        )
    )
    handle = simulator.add_project(project, name="study")
    yield redcap.Project(simulator.url, handle.token)
    # PyCap keeps one session for the whole process.
    redcap.request._session.close()


@drives("export_records")
def test_exporting_records(study):
    assert study.def_field == "id" and study.is_longitudinal
    rows = study.export_records(export_data_access_groups=True, export_survey_fields=True)
    assert rows[0]["redcap_data_access_group"] == "site_a" and rows[1]["redcap_repeat_instance"] == 1
    assert "visit_timestamp" in rows[0]
    labelled = study.export_records(raw_or_label="label", fields=["race"], export_checkbox_labels=True)
    assert labelled[0]["redcap_event_name"] == "Start"
    frame = study.export_records(format_type="df", records=["2"], events=["start_arm_1"], forms=["basics"])
    assert frame["name"].to_list() == ["Bram"]
    assert study.export_records(filter_logic="[age] = 41", fields=["age"])[0]["age"] == "41"
    assert study.export_records(date_begin=datetime(2999, 1, 1), date_end=datetime(2999, 1, 2)) == []
    eav = study.export_records(record_type="eav", fields=["seen"], format_type="csv")
    assert eav.startswith("record,redcap_event_name,redcap_repeat_instrument,redcap_repeat_instance,field_name,value")
    assert "<item>" in study.export_records(format_type="xml")
    study.export_records(decimal_character=",", export_blank_for_gray_form_status=True, raw_or_label_headers="label")


@drives("import_records", "generate_next_record_name", "delete_records")
def test_writing_records(study):
    start = {"redcap_event_name": "start_arm_1"}
    assert study.generate_next_record_name() == "3"
    assert study.import_records([{"id": 3, **start, "age": 30}]) == {"count": 1}
    assert study.import_records([{"id": "3", **start}], return_content="ids") == ["3"]
    assert study.import_records([{"id": "3", **start}], return_content="nothing") == [{}]
    assert study.import_records("id,redcap_event_name,born\n3,start_arm_1,31/12/2001\n", import_format="csv",
                                date_format="DMY") == {"count": 1}  # fmt: skip
    frame = study.export_records(format_type="df", records=["3"], fields=["age"], df_kwargs={"index_col": None})
    assert study.import_records(
        frame[["id", "redcap_event_name", "age"]], import_format="df", overwrite="overwrite"
    ) == {"count": 1}
    assert study.import_records([{"id": "x", **start}], force_auto_number=True, return_content="auto_ids") == ["4,x"]
    with pytest.raises(redcap.RedcapError, match="not a valid category"):
        study.import_records([{"id": "3", **start, "sex": "9"}])
    assert study.delete_records(["3"]) == 1
    assert study.delete_records(["1"], instrument="visit", event="start_arm_1", repeat_instance=1) == 1
    assert study.delete_records(["4"], arm="1", return_format_type="csv") == "1"
    with pytest.raises(redcap.RedcapError, match="do not exist in the project"):
        study.delete_records(["99"])


@drives("export_metadata", "import_metadata", "export_field_names", "export_instruments", "export_pdf")
def test_dictionary_and_instruments(study):
    assert study.export_metadata(fields=["age"])[0]["text_validation_type_or_show_slider_number"] == "integer"
    assert study.export_metadata(format_type="df", forms=["visit"]).index.to_list() == ["seen", "note"]
    assert study.import_metadata(study.export_metadata()) == 11
    assert study.import_metadata(study.export_metadata(format_type="csv"), import_format="csv") == 11
    assert study.export_field_names(field="race")[1]["export_field_name"] == "race____4"
    assert study.export_field_names(format_type="df").shape == (14, 2)
    assert [row["instrument_name"] for row in study.export_instruments()] == ["basics", "visit"]
    content, _ = study.export_pdf(record="1", instrument="basics", event="start_arm_1")
    assert content.startswith(b"%PDF-")
    assert study.export_pdf(all_records=True, compact_display=True)[0].startswith(b"%PDF-")


@drives(
    "export_arms", "import_arms", "delete_arms", "export_events", "import_events", "delete_events",
    "export_instrument_event_mappings", "import_instrument_event_mappings",
    "export_repeating_instruments_events", "import_repeating_instruments_events",
)  # fmt: skip
def test_arms_events_mapping_and_repeats(study):
    assert study.import_arms([{"arm_num": 2, "name": "Second"}]) == 1
    assert study.import_events([{"event_name": "Visit 1", "arm_num": 2, "unique_event_name": ""}]) == 1
    assert [arm["arm_num"] for arm in study.export_arms()] == [1, 2]
    assert study.export_arms(arms=["2"]) == [{"arm_num": 2, "name": "Second"}]
    assert study.export_events(arms=["2"])[0]["unique_event_name"] == "visit_1_arm_2"
    mapping = study.export_instrument_event_mappings()
    assert (
        study.import_instrument_event_mappings(
            [*mapping, {"arm_num": 2, "unique_event_name": "visit_1_arm_2", "form": "visit"}]
        )
        == len(mapping) + 1
    )
    repeats = study.export_repeating_instruments_events()
    assert study.import_repeating_instruments_events(repeats) == 2
    assert study.export_repeating_instruments_events(format_type="df").shape[0] == 2
    assert study.delete_events(["visit_1_arm_2"]) == 1
    assert study.delete_arms(["2"]) == 1
    with pytest.raises(redcap.RedcapError):
        study.import_arms([{"arm_num": "x"}])


@drives(
    "export_users", "import_users", "delete_users", "export_user_roles", "import_user_roles", "delete_user_roles",
    "export_user_role_assignment", "import_user_role_assignment", "export_dags", "import_dags", "delete_dags",
    "switch_dag", "export_user_dag_assignment", "import_user_dag_assignment",
)  # fmt: skip
def test_people(study):
    assert study.import_users([{"username": "kim", "api_export": 1, "forms_export": {"basics": 2}}]) == 1
    kim = study.export_users()[1]
    assert (kim["api_export"], kim["design"], kim["forms_export"]) == (1, 0, {"basics": 2, "visit": 0})
    assert study.import_user_roles([{"role_label": "Nurse", "record_create": "1", "forms": {"visit": "1"}}]) == 1
    role = study.export_user_roles()[0]
    assert role["role_label"] == "Nurse" and role["unique_role_name"].startswith("U-") and role["record_create"] == "1"
    assert study.import_user_role_assignment([{"username": "kim", "unique_role_name": role["unique_role_name"]}]) == 1
    assert study.export_user_role_assignment()[1]["unique_role_name"] == role["unique_role_name"]
    assert study.delete_user_roles([role["unique_role_name"]]) == 1
    with pytest.raises(redcap.RedcapError, match="Invalid Unique Role Names"):
        study.delete_user_roles(["U-NONE"])
    assert study.import_dags([{"data_access_group_name": "North Wing", "unique_group_name": ""}]) == 1
    assert [group["unique_group_name"] for group in study.export_dags()] == ["site_a", "north_wing"]
    assert study.import_user_dag_assignment([{"username": "kim", "redcap_data_access_group": "north_wing"}]) == 1
    assert study.export_user_dag_assignment(format_type="df").shape == (2, 2)
    assert study.switch_dag("site_a") == "1"
    assert {row["id"] for row in study.export_records()} == {"1"}
    # An administrator may ask about groups while in one; test_groups.py has the refusal for all others.
    assert study.import_dags([{"data_access_group_name": "X", "unique_group_name": ""}]) == 1
    study.switch_dag("")
    assert study.delete_dags(["north_wing", "x"]) == 2 and study.delete_users(["kim"]) == 1


@drives("export_file", "import_file", "delete_file")
def test_files_of_records(study):
    content, facts = study.export_file("1", "scan", event="start_arm_1")
    assert content == b"bytes \xff" and facts["name"] == "scan.txt"
    study.import_file("2", "scan", "new.bin", io.BytesIO(b"\x00\x01"), event="start_arm_1")
    assert study.export_file("2", "scan", event="start_arm_1", repeat_instance=1)[0] == b"\x00\x01"
    study.delete_file("2", "scan", event="start_arm_1")
    with pytest.raises(redcap.RedcapError):
        study.export_file("2", "scan", event="start_arm_1")
    with pytest.raises(ValueError, match="not a 'file' field"):
        study.export_file("2", "age", event="start_arm_1")


@drives(
    "create_folder_in_repository", "export_file_repository", "export_file_from_repository",
    "import_file_into_repository", "delete_file_from_repository",
)  # fmt: skip
def test_the_file_repository(study):
    [folder] = study.create_folder_in_repository("docs")
    study.import_file_into_repository("a.txt", io.BytesIO(b"hello"), folder_id=folder["folder_id"])
    assert study.export_file_repository() == [{"folder_id": 101, "name": "docs"}]
    [document] = study.export_file_repository(folder_id=101)
    assert document == {"doc_id": 1, "name": "a.txt"}
    content, facts = study.export_file_from_repository(1)
    assert (content, facts["name"]) == (b"hello", "a.txt")
    study.delete_file_from_repository(1)
    assert study.export_file_repository(folder_id=101) == []
    with pytest.raises(redcap.RedcapError, match="folder_id=99 does not exist"):
        study.export_file_repository(folder_id=99)


@drives("export_report", "export_logging", "export_version", "export_project_info")
def test_report_log_version_and_project(study):
    assert study.export_report("3")[0] == {
        "id": "1", "redcap_event_name": "start_arm_1", "redcap_repeat_instrument": "", "redcap_repeat_instance": "",
        "age": "41",
    }  # fmt: skip
    assert study.export_report("3", format_type="df", csv_delimiter=",").shape[0] == 3
    rows = study.export_logging(log_type="record", begin_time=datetime(2020, 1, 1), end_time=datetime(2999, 1, 1))
    assert {row["record"] for row in rows} == {"1", "2"}
    assert len(study.export_logging(user="nobody", record="1", dag="site_a")) == 0
    assert str(study.export_version()) == "14.7.3"
    assert study.export_project_info()["is_longitudinal"] == 1


@drives(
    "export_survey_link", "export_survey_queue_link", "export_survey_return_code", "export_survey_access_code",
    "export_survey_participant_list",
)  # fmt: skip
def test_surveys(study):
    where = {"instrument": "visit", "event": "start_arm_1", "repeat_instance": 1}
    assert "/surveys/?s=" in study.export_survey_link("1", **where)
    assert "/surveys/?sq=" in study.export_survey_queue_link("1")
    assert len(study.export_survey_return_code("1", **where)) == 8
    assert len(study.export_survey_access_code("1", **where)) == 9
    assert len(study.export_survey_participant_list("visit", event="start_arm_1")) == 2
    with pytest.raises(redcap.RedcapError, match='The record "-1" does not exist'):
        study.export_survey_link("-1", **where)


def test_every_method_of_pycap_is_driven():
    methods = {
        name
        for name in dir(redcap.Project)
        if not name.startswith("_") and callable(getattr(redcap.Project, name)) and name != "is_longitudinal"
    }
    assert methods - TESTED == set()
