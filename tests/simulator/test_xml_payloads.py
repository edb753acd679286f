"""XML that clients send: one object as the root, a list of objects, and what is neither."""

import pytest

from redcap_source.simulator import Simulator
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating

SUPER = "S" * 64
HEAD = '<?xml version="1.0" encoding="UTF-8" ?>'
TITLED = "<item><project_title>T</project_title><purpose>0</purpose></item>"
BAD_FORMAT = "The data is not in the specified format."
REFUSED = f"{HEAD}<hash><error>{BAD_FORMAT}</error></hash>"


@pytest.mark.parametrize("data", [HEAD + TITLED, f"{HEAD}\n    <items>{TITLED}</items>"])
def test_a_project_is_made_of_one_item_with_or_without_a_list_around_it(data):
    with Simulator(super_token=SUPER) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic(), name="other"))
        status, token, _ = ask.raw(token=SUPER, content="project", format="xml", data=data)
        assert (status, len(token)) == (200, 32)
        info = ask(token=token, content="project", format="xml")
        assert "<project_title><![CDATA[T]]></project_title>" in info


def test_a_project_that_is_made_of_an_xml_has_no_calculated_values_until_its_records_change(asker):
    xml = asker(classic({"id": "1", "kg": "2.0", "twice": "4"}))(content="project_xml")
    with Simulator(super_token=SUPER) as simulator:
        ask = Asker(simulator.url, simulator.add_project(classic(), name="other"))
        token = ask(token=SUPER, content="project", format="xml", data=HEAD + TITLED, odm=xml)
        eav = {"token": token, "content": "record", "format": "csv", "type": "eav"}
        assert ask(**eav) == "record,field_name,value\n1,id,1\n1,kg,2.0\n"
        ask(token=token, content="record", format="csv", data="id,kg\n1,3.0\n")
        assert ask(fields="twice", **eav) == "record,field_name,value\n1,twice,6\n"


@pytest.mark.parametrize("data", [HEAD + TITLED, f"{HEAD}<items>{TITLED}</items>"])
def test_settings_are_taken_from_one_item_with_or_without_a_list_around_it(asker, data):
    ask = asker(classic())
    assert ask(content="project_settings", format="xml", data=data) == "2"
    assert ask.json(content="project")["project_title"] == "T"


@pytest.mark.parametrize(
    "data",
    [
        f"{HEAD}<project><project_title>T</project_title></project>",
        f"{HEAD}<items>T</items>",
        f"{HEAD}<items></items>",
        f"{HEAD}<item><unheard_of>1</unheard_of></item>",
        f"{HEAD}<item/>",
        "<item><project_title>T</item>",
        "",
    ],
)
def test_settings_that_are_not_understood_are_refused_and_change_nothing(asker, data):
    ask = asker(classic())
    before = ask.json(content="project")
    status, body, _ = ask.raw(content="project_settings", format="xml", data=data)
    assert (status, body) == (400, REFUSED)
    assert ask.json(content="project") == before


@pytest.mark.parametrize("data", ["[]", "{}", "7", '["project_title"]', '[{"unheard_of": "1"}]'])
def test_settings_in_json_that_are_not_understood_are_refused(asker, data):
    ask = asker(classic())
    assert ask.refused(content="project_settings", data=data) == (400, BAD_FORMAT)


CONTENTS = {
    "metadata": ("<field_name>id</field_name><form_name>basics</form_name><field_type>text</field_type>", "1"),
    "arm": ("<arm_num>1</arm_num><name>One</name>", "1"),
    "event": ("<event_name>Start</event_name><arm_num>1</arm_num>", "1"),
    "formEventMapping": ("<unique_event_name>start_arm_1</unique_event_name><form>basics</form>", "1"),
    "repeatingFormsEvents": ("<event_name>start_arm_1</event_name><form_name>visit</form_name>", "1"),
    "user": ("<username>kim</username><forms><basics>1</basics></forms>", "1"),
    "userRole": ("<role_label>Nurse</role_label><forms><basics>1</basics></forms>", "1"),
    "userRoleMapping": ("<username>api_user</username><unique_role_name></unique_role_name>", "1"),
    "dag": ("<data_access_group_name>North</data_access_group_name><unique_group_name/>", "1"),
    "userDagMapping": ("<username>api_user</username><redcap_data_access_group/>", "1"),
    "record": (
        "<id>9</id><redcap_event_name>start_arm_1</redcap_event_name><name>Zoe</name>",
        f"{HEAD}<count>1</count>",
    ),
}  # fmt: skip


@pytest.mark.parametrize("content", CONTENTS)
@pytest.mark.parametrize("around", [("", ""), ("<items>", "</items>")])
def test_every_import_takes_one_item_with_or_without_a_list_around_it(asker, content, around):
    cells, answer = CONTENTS[content]
    ask = asker(repeating())
    action = {} if content == "record" else {"action": "import"}
    data = f"{HEAD}{around[0]}<item>{cells}</item>{around[1]}"
    assert ask(content=content, format="xml", data=data, **action) == answer


@pytest.mark.parametrize("content", CONTENTS)
def test_no_import_takes_cells_that_stand_in_no_item(asker, content):
    ask = asker(repeating())
    data = f"{HEAD}<items>{CONTENTS[content][0]}</items>".replace("<basics>1</basics>", "")
    status, body, _ = ask.raw(content=content, format="xml", data=data)
    assert (status, body) == (400, REFUSED)


def test_records_in_eav_come_as_one_item_too(asker):
    ask = asker(classic({"id": "1"}))
    data = f"{HEAD}<item><record>1</record><field_name>age</field_name><value>5</value></item>"
    assert ask(content="record", format="xml", type="eav", data=data) == f"{HEAD}<count>1</count>"
    assert ask.csv(content="record", fields="age") == [{"age": "5"}]


@pytest.mark.parametrize("content", [name for name in CONTENTS if name != "record"])
def test_json_for_the_setup_must_be_a_list(asker, content):
    # The sentence of a real server; only for records a count of 0 was recorded.
    ask = asker(repeating())
    status, sentence = ask.refused(content=content, action="import", data="{}")
    assert status == 400 and sentence.endswith("The JSON must be in an array, as in [{ ... }].")
    assert len(ask.json(content="formEventMapping")) == 3
