"""Data access groups: the unique names REDCap gives them, and what follows when a group is renamed."""

import json

import pytest

from redcap_source.simulator import Simulator, load_project
from redcap_source.simulator.names import unique_group_name
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
