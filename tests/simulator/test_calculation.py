"""Calculated fields follow the fields in their expression, in whatever row these are."""

import pytest

from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.project import Project


def project_of(*calculations, longitudinal=False):
    """Fields a and b on one form, c on another, and calculations of (name, form, expression)."""
    fields = [Field("id", "one"), Field("a", "one"), Field("b", "one"), Field("c", "two")]
    for name, form, expression in calculations:
        fields.append(Field(name, form, field_type="calc", select_choices_or_calculations=expression))
    fields.sort(key=lambda field: field.form_name)
    project = Project(Dictionary(fields))
    if longitudinal:
        project.settings["is_longitudinal"] = 1
        project.events = [Event(1, "First", 1, "first_arm_1"), Event(2, "Second", 1, "second_arm_1")]
        project.mapping = {1: ("one", "two"), 2: ("one", "two")}
    return project


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("[a] + [b]", "7"),
        ("([a] - [b]) * 2", "2"),
        ("[a] / [b]", "1.3333333333333333"),
        ("[a] ^ 2 / 100", "0.16"),
        ("round([a] / [b], 2)", "1.33"),
        ("sum([a], [b], 0.5)", "7.5"),
        ("if([a] > [b], 1, 0)", "1"),
        ("[a] + [c]", ""),
        ("[a] / ([b] - 3)", ""),
    ],
)
def test_simple_arithmetic_is_done_on_import(asker, expression, value):
    ask = asker(project_of(("x", "one", expression)))
    ask(content="record", format="csv", data="id,a,b,x\n1,4,3,99\n")
    assert ask.csv(content="record")[0]["x"] == value


def test_calculations_hang_on_one_another_in_any_order(asker):
    ask = asker(project_of(("x", "one", "[y] + 1"), ("y", "one", "[z] * 2"), ("z", "two", "[a] + [b]")))
    ask(content="record", format="csv", data="id,a,b\n1,4,3\n")
    row = ask.csv(content="record")[0]
    assert (row["z"], row["y"], row["x"]) == ("7", "14", "15")
    ask(content="record", format="csv", data="id,a\n1,5\n")
    assert ask.csv(content="record")[0]["x"] == "17"
    newest = ask.json(content="log", logtype="record")[0]
    assert newest["action"] == "Update record (Auto calculation) 1" and "x = '17'" in newest["details"]


def test_another_events_calculation_follows_too(asker):
    ask = asker(project_of(("x", "one", "[a] * 2"), ("total", "two", "[first_arm_1][x] + 1"), longitudinal=True))
    data = "id,redcap_event_name,a\n1,first_arm_1,4\n1,second_arm_1,\n"
    ask(content="record", format="csv", data=data)
    rows = ask.csv(content="record")
    assert [row["total"] for row in rows] == ["9", "9"]
    ask.project.save("1", {"a": "10"}, event="first_arm_1")
    assert [row["total"] for row in ask.csv(content="record")] == ["21", "21"]


def test_what_loses_its_parts_goes_blank(asker):
    ask = asker(project_of(("x", "one", "[a] + [b]")))
    ask(content="record", format="csv", data="id,a,b\n1,4,3\n")
    ask(content="record", format="csv", data="id,a\n1,\n", overwriteBehavior="overwrite")
    assert ask.csv(content="record")[0]["x"] == ""


def test_a_circle_ends(asker):
    ask = asker(project_of(("x", "one", "[y] + 1"), ("y", "one", "[x] + [a]")))
    ask(content="record", format="csv", data="id,a\n1,4\n")
    assert ask.csv(content="record")[0]["a"] == "4"


def test_what_cannot_be_read_is_left_alone(asker):
    ask = asker(project_of(("x", "one", "some_special_function([a])")))
    ask(content="record", format="csv", data="id,a\n1,4\n")
    assert ask.csv(content="record")[0]["x"] == ""


def test_text_is_calculated_as_well(asker):
    project = project_of()
    fields = [*project.dictionary.fields, Field("hello", "two", field_annotation="@CALCTEXT(concat('Hello ', [a]))")]
    ask = asker(Project(Dictionary(fields)))
    ask(content="record", format="csv", data="id,a\n1,Ada\n")
    assert ask.csv(content="record")[0]["hello"] == "Hello Ada"
