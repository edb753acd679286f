"""Every record id the simulator makes or loads can be asked for through its API."""

import csv
import io

import pytest

from redcap_source.simulator import SimulatorError, load_project, make_study
from tests.simulator.grids import classic

ODD = [" 1", "2 ", "\t3", "\u00a04", "a b", "x,y", "5-é", "0", "007", "Ünal", "{7}", "a&b=c", '"q"', "8;9", "10|11"]


def addressed(ask):
    """Requests each record alone in every way, and checks that it is in the answer."""
    ids = [row["id"] for row in ask.csv(content="record", fields="id")]
    for record in ids:
        assert [row["id"] for row in ask.csv(content="record", **{"records[0]": record})] == [record]
        assert [row["id"] for row in ask.csv(content="record", filterLogic=f"[id] = '{record}'")] == [record]
        if "," not in record:
            assert [row["id"] for row in ask.csv(content="record", records=record)] == [record]
    for number, record in enumerate(ids):
        asked = {"content": "record", "action": "rename", "record": record, "new_record_name": f"n{number}"}
        assert ask(**asked) == "1"
    assert ask(content="record", action="delete", **{"records[0]": "n0"}) == "1"
    return ids


def save(folder, text, name):
    (folder / name).write_text(text, encoding="utf-8", newline="")


def test_ids_of_a_table_can_be_addressed(tmp_path, asker):
    save(tmp_path, "field_name,form_name\nid,a\nage,a\n", "data_dictionary.csv")
    table = io.StringIO()
    csv.writer(table).writerows([["id", "age"], *[[record, "5"] for record in ODD]])
    save(tmp_path, table.getvalue(), "records.csv")
    assert sorted(addressed(asker(load_project(tmp_path)))) == sorted(record.strip() for record in ODD)


def test_ids_of_a_project_xml_can_be_addressed(tmp_path, asker):
    rows = [{"id": record, "age": "5"} for record in ODD]
    save(tmp_path, asker(classic(*rows))(content="project_xml"), "study.xml")
    project = load_project(tmp_path / "study.xml")
    project.settings["project_title"] = "other"
    assert sorted(addressed(asker(project))) == sorted(record.strip() for record in ODD)


@pytest.mark.parametrize("kind", ["classic", "longitudinal", "repeating"])
def test_ids_of_made_up_studies_have_no_blanks_around_them(kind):
    assert all(record and record == record.strip() for record in make_study(kind, records=5).records.ids())


def test_ids_that_edits_give_can_be_addressed(asker):
    ask = asker(classic({"id": "1", "age": "5"}))
    ask.project.rename("1", " one ")
    ask.project.save(" two ", {"age": "6"})
    assert addressed(ask) == ["one", "two"]
    with pytest.raises(SimulatorError, match="not blank"):
        ask.project.rename("n1", " ")


def test_rows_whose_ids_differ_in_blanks_only_are_one_record(tmp_path, asker):
    save(tmp_path, "field_name,form_name\nid,a\nage,a\nsize,a\n", "data_dictionary.csv")
    save(tmp_path, "id,age,size\n1,5,\n 1,,6\n", "records.csv")
    assert asker(load_project(tmp_path)).csv(content="record")[0] == {
        "id": "1", "age": "5", "size": "6", "a_complete": "0"
    }  # fmt: skip
    xml = asker(classic({"id": "1", "age": "5"}, {"id": " 1", "name": "Ada"}))(content="project_xml")
    save(tmp_path, xml, "study.xml")
    [values] = [slots for r in load_project(tmp_path / "study.xml").records for slots in r.slots.values()]
    assert (values["age"], values["name"]) == ("5", "Ada")


def test_data_without_a_record_id_are_refused(tmp_path, asker):
    save(tmp_path, "field_name,form_name\nid,a\nage,a\n", "data_dictionary.csv")
    save(tmp_path, "id,age\n1,5\n ,6\n,,\n", "records.csv")
    with pytest.raises(SimulatorError, match="row without a record id"):
        load_project(tmp_path)
    xml = asker(classic({"id": "1", "age": "5"}))(content="project_xml")
    save(tmp_path, xml.replace('SubjectKey="1"', 'SubjectKey=" "'), "study.xml")
    with pytest.raises(SimulatorError, match="record without an id"):
        load_project(tmp_path / "study.xml")
