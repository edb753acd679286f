"""Files as people have them: encodings, delimiters, and what is no data dictionary."""

import gzip
import json

import pytest

from redcap_source.simulator import SimulatorError, load_project

DICTIONARY = """field_name,form_name,field_type,field_label,select_choices_or_calculations
id,größe,text,"Kürzel, Straße",
cb,größe,checkbox,Wahl – „so“ oder anders,"ä, Ä | ö, Ö"
"""
LABELS = ["Kürzel, Straße", "Wahl – „so“ oder anders"]


def written(folder, content, name="study.csv"):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_a_dictionary_is_read_in_any_encoding_and_with_any_delimiter(tmp_path, asker, encoding, delimiter):
    text = DICTIONARY
    if delimiter != ",":
        quoted = {'"Kürzel, Straße"': "Kürzel# Straße", '"ä, Ä | ö, Ö"': "ä# Ä | ö# Ö"}
        for old, new in quoted.items():
            text = text.replace(old, new)
        text = text.replace(",", delimiter).replace("#", ",")
    ask = asker(load_project(written(tmp_path, text.encode(encoding))))
    assert [row["field_label"] for row in ask.json(content="metadata")] == LABELS
    assert ask.json(content="metadata")[1]["select_choices_or_calculations"] == "ä, Ä | ö, Ö"
    assert ask.project.project.dictionary.by_name["cb"].choices == {"ä": "Ä", "ö": "Ö"}


def test_every_table_of_a_folder_is_read_that_way(tmp_path, asker):
    written(tmp_path, DICTIONARY.replace("größe", "basis").encode("windows-1252"), "data_dictionary.csv")
    written(tmp_path, "id;cb___1;basis_complete\r\nMüller;;2\r\n".encode("windows-1252"), "records.csv")
    written(tmp_path, "data_access_group_name\tunique_group_name\nMünchen\tmuenchen\n".encode("utf-16"), "dags.csv")
    ask = asker(load_project(tmp_path))
    assert [row["id"] for row in ask.csv(content="record")] == ["Müller"]
    assert ask.json(content="dag")[0]["data_access_group_name"] == "München"


def test_what_a_file_holds_counts_and_not_its_name(tmp_path, asker):
    xml = asker("classic", records=1)(content="project_xml", returnMetadataOnly="true").encode()
    forms = load_project(written(tmp_path, xml, "study.xml")).dictionary.forms
    assert load_project(written(tmp_path, b"\xef\xbb\xbf" + xml, "study.txt")).dictionary.forms == forms
    assert load_project(written(tmp_path, gzip.compress(xml), "study")).dictionary.forms == forms
    assert load_project(written(tmp_path, DICTIONARY.replace(",", "\t").encode(), "study.tsv")).dictionary.record_id


def test_a_line_that_names_the_delimiter_is_no_header(tmp_path):
    text = "sep=;\r\n\r\nfield_name;form_name;field_type\r\n;;\r\nid;a;text\r\n"
    assert load_project(written(tmp_path, text.encode())).dictionary.record_id == "id"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"name,age\nx,1\n", ["'name', 'age'", "'Variable / Field Name', 'Form Name'", "'field_name'"]),
        ("a.csv", b"", ["not a data dictionary", "no rows"]),
        ("a.csv", b"field_name,form_name,field_type\n", ["no rows"]),
        ("a.json", b'[{"record_id": "1"}]', ["'record_id'", "'field_name'"]),
        ("a.xlsx", b"PK\x03\x04\x14\x00", ["spreadsheet", "save the table as CSV"]),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", ["spreadsheet", "save the table as CSV"]),
        ("a.csv", b"field_name,form_name\nid,\x81\n", ["neither UTF-8 nor Windows-1252"]),
        ("a.csv", b"\xff\xfef\x00i", ["UTF-16"]),
        ("a.csv", b'field_name,form_name\nid,a\nage,"a\nsex,a\n', ["quote", "never closed"]),
        ("a.csv", b"field_name,form_name\nid,a\n\nage,a,text\n", ["Row 4", "more cells"]),
    ],
)
def test_a_file_that_is_not_a_data_dictionary_is_refused(tmp_path, name, content, words):
    with pytest.raises(SimulatorError) as caught:
        load_project(written(tmp_path, content, name))
    assert all(word in str(caught.value) for word in (*words, str(tmp_path / name)))


def test_a_folder_with_a_spreadsheet_says_to_save_it_as_csv(tmp_path):
    written(tmp_path, b"PK\x03\x04", "data_dictionary.xlsx")
    with pytest.raises(SimulatorError, match=r"data_dictionary\.xlsx is a spreadsheet: save it as CSV"):
        load_project(tmp_path)


def test_json_tables_may_hold_numbers_switches_and_objects(tmp_path):
    rows = [{"field_name": "id", "form_name": "a", "required_field": True, "field_label": 5, "field_note": None}]
    field = load_project(written(tmp_path, json.dumps(rows).encode(), "a.json")).dictionary.fields[0]
    assert (field.required_field, field.field_label, field.field_note) == ("y", "5", "")
