"""The log, the clock and the date range: three views of the same history."""

from datetime import UTC, datetime

import pytest

from redcap_source.simulator import Behaviour, Simulator
from tests.simulator.conftest import Asker
from tests.simulator.grids import classic, repeating


@pytest.fixture
def frozen():
    """A simulator whose clock is stopped at noon, Chicago time."""
    with Simulator(clock=lambda: datetime(2024, 7, 1, 17, 0, 30, tzinfo=UTC)) as running:
        yield running


def asker_for(simulator, project):
    return Asker(simulator.url, simulator.add_project(project, name="study"))


def records_rows(ask):
    return [(row["action"], row["details"], row["record"]) for row in ask.json(content="log", logtype="record")]


def test_edits_are_worded_as_redcap_words_them(frozen):
    ask = asker_for(frozen, repeating())
    p = ask.project
    p.save("1", {"sex": "2", "race____4": "1"})
    p.save("1", {"note": "it's\ntwo"}, event="start_arm_1", instrument="visit", instance=2)
    p.save("3", {"name": "Chidi"})
    p.assign_dag("3", "site_a")
    p.rename("3", "33")
    p.delete("2")
    event = "(Start (Arm 1: Arm 1))" if p.project.arms.get(1) else "(Start (Arm 1: ))"
    assert records_rows(ask)[:6] == [
        ("Delete record 2", "id = '2'", "2"),
        ("Update record 33", "id = '33'", "33"),
        ("Update record 3", "Assign record to Data Access Group (redcap_data_access_group = 'site_a')", "33"),
        (f"Create record 3 {event}", "id = '3', name = 'Chidi', basics_complete = '0'", "33"),
        (f"Update record 1 {event}", "[instance = 2], note = 'it's two'", "1"),
        (f"Update record 1 {event}", "sex = '2', race(-4) = checked", "1"),
    ]


def test_times_are_server_local_minutes(frozen):
    ask = asker_for(frozen, classic({"id": "1"}))
    ask.project.save("1", {"age": "5"})
    newest = ask.json(content="log", logtype="record")[0]
    assert newest["timestamp"] == "2024-07-01 12:00"
    assert ask.raw(content="version")[2]["Date"] == "Mon, 01 Jul 2024 17:00:30 GMT"


def test_unchanged_values_leave_no_trace(frozen):
    ask = asker_for(frozen, classic({"id": "1", "age": "5", "basics_complete": "0"}))
    before = records_rows(ask)
    ask.project.save("1", {"age": "5", "race___1": "0"})
    assert records_rows(ask) == before


def test_the_date_range_answers_from_the_log_to_the_second(frozen):
    ask = asker_for(frozen, classic({"id": "1"}, {"id": "2"}, {"id": "3"}))

    def touched(begin="", end=""):
        rows = ask.csv(content="record", fields="id", dateRangeBegin=begin, dateRangeEnd=end)
        return [row["id"] for row in rows]

    assert touched("2024-07-01 00:00:00") == []
    ask.project.save("1", {"age": "5"})
    frozen.clock.advance(10)
    ask.project.save("2", {"age": "6"})
    ask.project.delete("3")
    assert touched("2024-07-01 00:00:00") == ["1", "2"]
    assert touched("2024-07-01 12:00:31") == ["2"]
    assert touched("2024-07-01 12:00:30", "2024-07-01 12:00:39") == ["1"]
    assert touched("2024-07-01 12:00:30", "2024-07-01 12:00:40") == ["1", "2"]
    assert touched("2000-01-01 00:00:00") == ["1", "2"]


def test_in_autumn_an_hour_comes_twice(frozen):
    ask = asker_for(frozen, classic({"id": "1"}, {"id": "2"}))
    frozen.clock.set(datetime(2024, 11, 3, 6, 30, tzinfo=UTC))
    ask.project.save("1", {"age": "5"})
    frozen.clock.advance(hours=1)
    ask.project.save("2", {"age": "5"})
    assert [row["timestamp"] for row in ask.json(content="log", logtype="record")[:2]] == ["2024-11-03 01:30"] * 2


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        ({"logtype": "record_add"}, 2),
        ({"logtype": "record_edit", "user": "nurse1"}, 1),
        ({"logtype": "record", "record": "1"}, 2),
        ({"logtype": "record", "record": "nobody"}, 0),
        ({"logtype": "record", "beginTime": "2024-07-01 12:00"}, 1),
        ({"logtype": "record", "beginTime": "2024-07-01", "endTime": "2024-07-01"}, 1),
        ({"logtype": "record", "beginTime": "2024-07-01 12:01"}, 0),
        ({"logtype": "manage"}, 0),
    ],
)
def test_log_rows_are_chosen_by_type_user_record_and_time(frozen, asked, count):
    ask = asker_for(frozen, classic({"id": "1"}, {"id": "2"}))
    ask.project.save("1", {"age": "5"})
    rows = [row for row in ask.json(content="log", **asked) if row["details"] != "Export Logging (API)"]
    assert len(rows) == count


def test_own_calls_are_logged_too(frozen):
    ask = asker_for(frozen, classic({"id": "1"}))
    ask(content="record", format="csv")
    newest = ask.json(content="log")
    assert (newest[1]["action"], newest[1]["details"]) == ("Data export (API) ", "export_format: CSV, rawOrLabel: raw")


def test_a_calculated_field_follows_its_parts_and_says_so(frozen):
    ask = asker_for(frozen, classic({"id": "1"}))
    ask.project.save("1", {"kg": "80.5"})
    assert ask.csv(content="record")[0]["twice"] == "161"
    assert records_rows(ask)[0] == ("Update record (Auto calculation) 1", "twice = '161'", "1")


def test_wiping_an_instance_removes_its_row_and_logs_an_update(frozen):
    ask = asker_for(frozen, repeating())
    ask.project.wipe("1", instrument="visit", instance=2)
    rows = ask.csv(content="record", fields="id,seen")
    assert [row["redcap_repeat_instance"] for row in rows] == ["", "1", "1", ""]
    action, details, _ = records_rows(ask)[0]
    assert action.startswith("Update record 1 (") and details == "[instance = 2], seen = '', visit_complete = ''"


def test_a_survey_is_answered_in_its_own_words(frozen):
    ask = asker_for(frozen, repeating())
    ask.project.respond("2", "visit", {"seen": "1"}, "start_arm_1", 1, complete=False)
    ask.project.respond("2", "visit", {"note": "done"}, "start_arm_1", 1)
    newest, before = ask.json(content="log", logtype="record")[:2]
    assert newest["username"] == "[survey respondent]" and newest["action"].startswith("Update Response 2 (Start")
    assert newest["details"] == "note = 'done', visit_complete = '2'"
    assert before["details"] == "seen = '1', visit_complete = '0'"
    rows = ask.csv(content="record", records="2", exportSurveyFields="true")
    assert rows[1]["visit_timestamp"] == "2024-07-01 12:00:30"


def test_the_edges_of_a_log_request_can_be_left_out(frozen):
    ask = asker_for(frozen, classic({"id": "1"}))
    ask.project.save("1", {"age": "5"})
    minute = {"logtype": "record_edit", "beginTime": "2024-07-01 12:00", "endTime": "2024-07-01 12:00"}
    assert len(ask.json(content="log", **minute)) == 1
    for behaviour in (Behaviour(log_begin_inclusive=False), Behaviour(log_end_inclusive=False)):
        frozen.behaviour = behaviour
        assert ask.json(content="log", **minute) == []


def test_page_views_are_a_log_of_their_own(frozen):
    ask = asker_for(frozen, classic({"id": "1"}))
    ask.project.open_page("DataEntry/record_home.php?pid=1&id=1", user="kim")
    assert "Page View" not in {row["action"] for row in ask.json(content="log")}
    [view] = ask.json(content="log", logtype="page_view")
    assert view["details"].endswith("/DataEntry/record_home.php?pid=1&id=1") and view["username"] == "kim"


def test_a_user_in_a_group_sees_the_log_of_its_records_only(frozen):
    ask = asker_for(frozen, repeating())
    ask.project.set_rights(dag="site_a")
    assert {row["record"] for row in ask.json(content="log")} == {"1"}


def test_the_log_of_a_group_holds_the_rows_of_its_users_too(frozen):
    ask = asker_for(frozen, repeating())
    ask.project.add_user("kim", dag="site_a")
    ask.project.change_field("age", user="kim", field_label="Age in years")
    rows = ask.json(content="log", dag="site_a")
    assert {row["username"] for row in rows if not row["record"]} == {"kim"} and "1" in {row["record"] for row in rows}
    assert "kim" not in {row["username"] for row in ask.json(content="log", dag="site_b")}


def test_edits_of_the_setup_at_the_screen_are_logged_in_redcap_s_words(frozen):
    handle = frozen.add_project(repeating(), name="setup")
    form, event = handle.project.dictionary.forms[0], handle.project.events[0].unique_name

    def logged(edit, *given, **named):
        before = len(handle.project.log.rows)
        edit(*given, **named)
        return [(row.kind, row.action, row.details) for row in handle.project.log.rows[before:]]

    def design(details):
        return [("manage", "Manage/Design", details)]

    assert logged(handle.relabel_instrument, form, "Another") == design("Rename data collection instrument")
    assert handle.project.dictionary.form_labels[form] == "Another"
    assert logged(handle.relabel_arm, 1, "Another") == design("Edit arm name/number")
    assert logged(handle.designate, event, [form]) == design("Perform instrument-event mappings")
    assert logged(handle.set_missing_codes, "-9, Unknown") == design("Make project customizations")
    assert logged(handle.set_survey, form) == design("Set up survey")
    assert logged(handle.set_survey, form, enabled=False) == design("Delete survey")
    assert logged(handle.change_settings, project_title="Another") == design("Modify project settings")
    assert logged(handle.add_dag, "north") == design("Create data access group group = 'north'")
    assert logged(handle.add_dag, "north") == []
    assert logged(handle.add_user, "jo") == [("user", "Add user jo", "user = 'jo'")]
    assert logged(handle.set_rights, "jo", design=0) == [("user", "Edit user jo", "user = 'jo'")]
    moved = "Assign user to data access group user = 'jo', group = 'north'"
    assert logged(handle.set_rights, "jo", dag="north") == design(moved)
    assert logged(handle.add_role, "Monitor") == [("user", "Create user role", "role = 'Monitor'")]
    (role,) = handle.project.roles
    assert logged(handle.change_role, role, "Auditor") == [("user", "Edit user role", "role = 'Auditor'")]
    assert logged(handle.assign_role, "jo", role) == [("user", f"User assigned to role {role}", "user = 'jo'")]
    assert logged(handle.change_profile, "jo", email="jo@example.org") == []
    assert logged(handle.remove_user, "jo") == [("user", "Delete user jo", "user = 'jo'")]
