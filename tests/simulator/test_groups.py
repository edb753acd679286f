"""Data access groups: the unique names REDCap gives them, and what follows when a group is renamed."""

import json

import pytest

from redcap_source.simulator import Simulator, load_project
from redcap_source.simulator.state.names import unique_group_name
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic

SUPER = "S" * 64


def send_groups(ask, rows):
    return ask(content="dag", action="import", format="json", data=json.dumps(rows))


def groups(ask):
    return [(row["data_access_group_name"], row["unique_group_name"]) for row in ask.json(content="dag")]


def test_a_groups_unique_name_drops_its_hyphens(asker):
    ask = asker(classic())
    new = [{"data_access_group_name": label, "unique_group_name": ""} for label in ("dag-a", "Site B - North")]
    assert send_groups(ask, new) == "2"
    assert groups(ask) == [("dag-a", "daga"), ("Site B - North", "site_b_north")]
    assert unique_group_name("Da-Ga", {"daga"}) == "dagab"


def test_a_renamed_group_gets_a_new_unique_name_and_keeps_its_people_and_records(asker):
    ask = asker(classic({"id": "1", "age": "5"}, {"id": "2", "age": "6"}))
    send_groups(ask, [{"data_access_group_name": label, "unique_group_name": ""} for label in ("Site A", "Site B")])
    ask.project.add_user("kim", dag="site_a")
    ask.project.assign_dag("1", "site_a")
    ask.project.add_report(1, "Ages", ["id", "age"], groups=["site_a"])
    before = ask.json(content="dag")
    new = [{"data_access_group_name": "A different name", "unique_group_name": "site_a"}]
    assert send_groups(ask, new) == "1"
    assert groups(ask) == [("A different name", "a_different_name"), ("Site B", "site_b")]
    assert [row["data_access_group_id"] for row in ask.json(content="dag")] == [
        row["data_access_group_id"] for row in before
    ]
    mapping = {row["username"]: row["redcap_data_access_group"] for row in ask.json(content="userDagMapping")}
    assert mapping["kim"] == "a_different_name"
    rows = ask.csv(content="record", fields="id", exportDataAccessGroups="true")
    assert [row["redcap_data_access_group"] for row in rows] == ["a_different_name", ""]
    assert [row["id"] for row in ask.csv(content="report", report_id=1)] == ["1"]
    status, body, _ = ask.raw(content="dag", action="import", format="json", data=json.dumps(new))
    assert (status, json.loads(body)["error"]) == (400, "The data access group 'site_a' does not exist")


def test_a_group_that_is_sent_back_as_it_was_keeps_its_name_and_two_may_exchange_theirs(asker):
    ask = asker(classic({"id": "1"}))
    send_groups(ask, [{"data_access_group_name": label, "unique_group_name": ""} for label in ("Site A", "Site B")])
    assert send_groups(ask, ask.json(content="dag")) == "2"
    assert groups(ask) == [("Site A", "site_a"), ("Site B", "site_b")]
    swap = [
        {"data_access_group_name": "Site B", "unique_group_name": "site_a"},
        {"data_access_group_name": "Site A", "unique_group_name": "site_b"},
    ]
    assert send_groups(ask, swap) == "2"
    # While both have the label Site B, a letter makes their names unique.
    assert groups(ask) == [("Site B", "site_bb"), ("Site A", "site_a")]


def test_groups_are_imported_all_or_none(asker):
    ask = asker(classic())
    rows = [
        {"data_access_group_name": "New", "unique_group_name": ""},
        {"data_access_group_name": "x", "unique_group_name": "no"},
    ]
    assert ask.refused(content="dag", action="import", data=json.dumps(rows))[0] == 400
    assert groups(ask) == []


def test_a_project_xml_with_hyphens_in_its_groups_has_no_others(asker):
    ask = asker(classic({"id": "1", "age": "5"}))
    send_groups(ask, [{"data_access_group_name": "dag-a", "unique_group_name": ""}])
    ask.project.assign_dag("1", "daga")
    xml = ask(content="project_xml", exportDataAccessGroups="true")
    with Simulator(super_token=SUPER) as other:
        twin = Asker(other.url, other.add_project(classic(), name="other"))
        item = "<item><project_title>T</project_title><purpose>0</purpose></item>"
        token = twin(token=SUPER, content="project", format="xml", data=item, odm=xml)
        asked = {"token": token, "format": "json"}
        assert [g["unique_group_name"] for g in json.loads(twin(content="dag", **asked))] == ["daga"]
        [row] = json.loads(twin(content="record", exportDataAccessGroups="true", **asked))
        assert row["redcap_data_access_group"] == "daga"


@pytest.mark.recorded
def test_a_recorded_project_with_hyphens_in_its_groups_has_no_others(asker, recorded):
    ask = asker(load_project(recorded / "redcapr-dag"))
    assert groups(ask) == [("dag-a", "daga"), ("dag-b", "dagb")]


@pytest.mark.parametrize("content", ["dag", "userDagMapping"])
def test_who_sits_in_a_group_may_not_ask_about_groups_unless_they_are_an_administrator(asker, content):
    ask = asker(classic())
    token = ask.project.add_user("kim", dag="site_a")
    mapping = [{"username": ask.project.project.api_user, "redcap_data_access_group": "site_a"}]
    assert ask(content="userDagMapping", action="import", format="json", data=json.dumps(mapping)) == "1"
    assert "site_a" in ask(content=content, format="csv")
    status, body = ask.refused(content=content, token=token)
    assert status == 403 and "You do not have permission to use Data Access Groups" in body
