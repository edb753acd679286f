"""A folder with a project XML and other files."""

import csv
import io

import pytest

from redcap_source.simulator import SimulatorError, load_project
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating

XML = {"content": "project_xml", "returnMetadataOnly": "true"}


@pytest.fixture
def source(asker):
    """Two events, one of which repeats, and an instrument that repeats."""
    return asker(repeating())


def loaded(simulator, folder):
    return Asker(simulator.url, simulator.add_project(load_project(folder), name="copy"))


def save(folder, text, name):
    (folder / name).write_text(text, encoding="utf-8", newline="")


@pytest.mark.parametrize(
    "names", [("project.xml", "records.csv"), ("Trial_2024.REDCap.xml", "Trial_DATA_2024-05-01.csv")]
)
def test_a_project_xml_and_records_are_both_loaded(tmp_path, simulator, source, names):
    records = {"content": "record", "exportDataAccessGroups": "true"}
    save(tmp_path, source(**XML), names[0])
    save(tmp_path, source(**records, format="csv"), names[1])
    copy = loaded(simulator, tmp_path)
    assert copy.csv(**records) == source.csv(**records)
    assert [row["username"] for row in copy.json(content="log") if row["record"]] == ["data_manager"] * 2


def test_records_beside_an_xml_that_holds_records_add_to_them(tmp_path, simulator, asker):
    source = asker(classic({"id": "1", "name": "Ada", "age": "30"}, {"id": "2", "name": "Bram"}))
    save(tmp_path, source(content="project_xml"), "project.xml")
    save(tmp_path, "id,name,age\n3,Cleo,\n1,Ida,\n", "records.csv")
    found = {row["id"]: (row["name"], row["age"]) for row in loaded(simulator, tmp_path).csv(content="record")}
    assert found == {"1": ("Ida", "30"), "2": ("Bram", ""), "3": ("Cleo", "")}


def test_a_dictionary_as_the_web_page_names_it_is_found(tmp_path):
    save(tmp_path, "field_name,form_name\nid,a\nage,a\n", "Trial_DataDictionary_2024-05-01.csv")
    save(tmp_path, "id,age\n7,8\n", "Trial_DATA_2024-05-01_0930.csv")
    save(tmp_path, "Study ID,Age\nseven,eight\n", "Trial_DATA_LABELS_2024-05-01_0931.csv")
    assert load_project(tmp_path).records.ids() == ["7"]


def test_of_two_files_for_one_thing_none_is_chosen(tmp_path):
    save(tmp_path, "field_name,form_name\nid,a\n", "data_dictionary.csv")
    for hour in "12":
        save(tmp_path, "id\n1\n", f"Trial_DATA_2024-05-0{hour}.csv")
    with pytest.raises(SimulatorError, match=r"Trial_DATA_2024-05-01\.csv, Trial_DATA_2024-05-02\.csv, and only one"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("column", "wrong", "words"),
    [("redcap_event_name", "nowhere_arm_1", "event 'nowhere_arm_1'"), ("redcap_repeat_instance", "x", "not a number")],
)
def test_records_that_have_no_place_are_refused(tmp_path, source, column, wrong, words):
    rows = source.csv(content="record")
    rows[1][column] = wrong
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    save(tmp_path, source(**XML), "project.xml")
    save(tmp_path, text.getvalue(), "records.csv")
    with pytest.raises(SimulatorError, match=words):
        load_project(tmp_path)


def test_a_mapping_without_its_columns_is_refused_by_name(tmp_path):
    save(tmp_path, "field_name,form_name\nid,a\n", "metadata.csv")
    save(tmp_path, "event,form\nfirst_arm_1,a\n", "form_event_mapping.csv")
    with pytest.raises(SimulatorError, match=r"form_event_mapping\.csv has no column 'unique_event_name'"):
        load_project(tmp_path)


def test_numbers_of_any_length_in_a_folder_are_no_numbers(tmp_path):
    save(tmp_path, "field_name,form_name\nid,a\n", "metadata.csv")
    save(tmp_path, f"event_name,arm_num,unique_event_name\nA,{'9' * 5000},a_arm_1\nB,1,b_arm_1\n", "events.csv")
    assert [event.arm for event in load_project(tmp_path).events] == [1, 1]


def test_an_xml_with_a_text_for_a_number_is_refused_by_its_attribute(tmp_path, source):
    save(tmp_path, source(**XML).replace('redcap:ArmNum="1"', 'redcap:ArmNum="one"'), "project.xml")
    with pytest.raises(SimulatorError, match='ArmNum="one"; it must be a whole number'):
        load_project(tmp_path)
