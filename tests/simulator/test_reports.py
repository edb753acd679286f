"""Saved reports and randomizations beyond the simplest."""

import json

import pytest

from redcap_source.simulator import Allocation, Simulator
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating

PEOPLE = (
    {"id": "1", "name": "Ada", "age": "10", "sex": "1", "race___1": "1", "race___aa": "1"},
    {"id": "2", "name": "Bram", "age": "9", "sex": "2"},
    {"id": "10", "name": "Chidi", "age": "10", "note": "two\nlines"},
    {"id": "11", "name": "Dee"},
)


def report(ask, **asked):
    return [tuple(row.values()) for row in ask.csv(content="report", report_id="3", **asked)]


@pytest.mark.parametrize(
    ("order", "ids"),
    [
        ((), ["1", "2", "10", "11"]),
        (("-id",), ["11", "10", "2", "1"]),
        (("age",), ["11", "2", "1", "10"]),
        (("-age", "-name"), ["10", "1", "2", "11"]),
    ],
)
def test_rows_come_in_the_order_of_the_report(asker, order, ids):
    ask = asker(classic(*PEOPLE))
    ask.project.add_report(3, "People", ["id", "age", "name"], order=order)
    assert [row[0] for row in report(ask)] == ids


def test_columns_come_in_the_order_of_the_report_and_logic_limits_the_rows(asker):
    ask = asker(classic(*PEOPLE))
    ask.project.add_report(3, "People", ["name", "visit_complete", "age"], "[age] >= 10")
    assert ask(content="report", report_id="3", format="csv").split("\n")[0] == "name,visit_complete,age"
    assert [row[0] for row in report(ask)] == ["Ada", "Chidi"]


def test_a_report_outlives_its_fields(asker):
    ask = asker(classic(*PEOPLE))
    ask.project.add_report(3, "People", ["id", "age", "name"])
    ask.project.remove_field("age")
    assert report(ask)[0] == ("1", "Ada")


def test_line_breaks_are_folded_unless_the_report_keeps_them(asker):
    ask = asker(classic(*PEOPLE))
    ask.project.add_report(3, "Notes", ["id", "note"])
    assert report(ask)[2] == ("10", "two lines") and report(ask, rawOrLabel="label")[2] == ("10", "two lines")
    ask.project.add_report(3, "Notes", ["id", "note"], folds_lines=False)
    assert report(ask)[2] == ("10", "two\nlines")


def test_boxes_can_be_one_column(asker):
    ask = asker(classic(*PEOPLE))
    ask.project.add_report(3, "Race", ["id", "race"], combines_checkboxes=True)
    assert report(ask)[:2] == [("1", "1,Aa"), ("2", "")]
    assert report(ask, rawOrLabel="label")[0] == ("1", "One,Letters")
    assert ask.csv(content="record", fields="id,race", combineCheckboxOptions="true")[0] == {"id": "1", "race": "1,Aa"}


def test_events_groups_and_whole_records(asker):
    ask = asker(repeating())
    ask.project.add_report(3, "Later", ["id", "note"], events=["later_arm_1"])
    assert {row[1] for row in report(ask)} == {"later_arm_1"}
    ask.project.add_report(3, "Site A", ["id", "name"], groups=["site_a"], shows_groups=True)
    assert [(row["id"], row["redcap_data_access_group"]) for row in ask.csv(content="report", report_id="3")] == [
        ("1", "site_a")] * 2  # fmt: skip
    ask.project.add_report(3, "Seen", ["id", "seen"], "[seen] = '1'")
    assert len(report(ask)) == 1
    ask.project.add_report(3, "Seen", ["id", "seen"], "[seen] = '1'", whole_records=True)
    assert len(report(ask)) == 4


def test_survey_columns_come_where_the_report_has_them(asker):
    ask = asker(classic(*PEOPLE))
    ask.project.respond("1", "visit", {"seen": "1"})
    ask.project.add_report(3, "Seen", ["id", "seen"], shows_survey_fields=True)
    assert list(ask.csv(content="report", report_id="3")[0]) == [
        "id", "redcap_survey_identifier", "visit_timestamp", "seen"]  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "json", "xml"])
def test_a_report_comes_in_every_format(asker, form):
    ask = asker(classic(*PEOPLE))
    ask.project.add_report(3, "People", ["id", "name"], order=["-id"])
    answer = ask(content="report", report_id="3", format=form)
    assert answer.index("Dee") < answer.index("Ada")


def test_a_report_there_is_not_is_refused(asker):
    assert asker(classic()).refused(content="report", report_id="9")[0] == 400


def test_reports_travel_with_the_project(tmp_path, asker, simulator):
    ask = asker(repeating())
    ask.project.add_report(
        3, "A & B", ["id", "note"], "[seen] = '1'", events=["start_arm_1"], groups=["site_a"], order=["-id", "note"],
        whole_records=True, shows_groups=True, shows_survey_fields=True, combines_checkboxes=True, folds_lines=False,
    )  # fmt: skip
    wanted = ask.project.project.reports[3]
    with Simulator(super_token="S" * 64) as other:
        data = json.dumps([{"project_title": "Copy", "purpose": 0}])
        anyone = Asker(other.url, ask.project)
        anyone(token="S" * 64, content="project", format="json", data=data, odm=ask(content="project_xml"))
        assert other.projects["Copy"].project.reports == {1: wanted}
    ask.project.add_randomization(5, "sex", [Allocation("1", "R-1", ("9",))], strata=["age"], is_concealed=True)
    simulator.save_state(tmp_path / "state")
    again = Simulator()
    again.load_state(tmp_path / "state")
    restored = again.projects[ask.project.name].project
    assert restored.reports == {3: wanted}
    assert restored.randomizations == ask.project.project.randomizations


def randomize(ask, record, **asked):
    return ask.json(content="record", action="randomize", record=record, randomization_id="5", **asked)


def refused(ask, record):
    return ask.refused(content="record", action="randomize", record=record, randomization_id="5")


def test_strata_choose_their_part_of_the_table(asker):
    ask = asker(classic(*PEOPLE))
    table = [Allocation("1", stratum=("9",)), Allocation("2", stratum=("10",)), Allocation("1", stratum=("10",))]
    ask.project.add_randomization(5, "sex", table, strata=["age"])
    ask.project.save("1", {"sex": ""})
    assert [randomize(ask, record)["target_field"] for record in ("1", "10")] == ["2", "1"]
    assert "no value for age" in refused(ask, "11")[1]
    ask.project.save("11", {"age": "10"})
    assert "no allocations left" in refused(ask, "11")[1]
    assert "already been randomized" in refused(ask, "1")[1]
    assert "not exist" in refused(ask, "99")[1]


@pytest.mark.parametrize(
    ("asked", "is_concealed", "alternative"),
    [({}, False, ""), ({"returnAlt": "true"}, False, "R-17"), ({"returnAlt": "true"}, True, "*")],
)
def test_the_alternative_is_returned_if_asked_for_and_not_concealed(asker, asked, is_concealed, alternative):
    ask = asker(classic(*PEOPLE))
    ask.project.add_randomization(5, "sex", [Allocation("2", "R-17")], is_concealed=is_concealed)
    answer = randomize(ask, "11", **asked)
    assert answer == {"randomization_id": 5, "record": "11", "target_field": "2", "target_field_alt": alternative}


def test_randomizing_is_logged_and_needs_its_right(asker):
    ask = asker(classic(*PEOPLE))
    ask.project.add_randomization(5, "sex", ["2", "1"])
    randomize(ask, "11")
    rows = [(row["action"], row["details"]) for row in ask.json(content="log", logtype="record")[:2]]
    assert rows == [
        ("Randomize Record 11", "Randomize record"),
        ("Update record 11", "sex = '2', basics_complete = '0'"),
    ]
    ask.project.set_rights(random_perform=0)
    assert refused(ask, "10")[0] == 403
