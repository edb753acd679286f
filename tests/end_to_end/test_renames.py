"""Events and instruments that get another name in REDCap: their data and history follow, and no record changes."""

from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.warehouse.mirror.schema.renames import Renames, renamed_events, renamed_instruments, without_clashes
from tests.support.begun_place import begun_place
from tests.support.place import NAME, check_names

pytestmark = pytest.mark.both_stores


def two_nights(place):
    """Three records, loaded twice, so that there is a past; then a day goes by."""
    handle = place.handle
    first = handle.project.events_in_order()[0].unique_name
    for number in "123":
        handle.save(number, {"word": f"word {number}", "age": number, "base_complete": "2"}, first)
        handle.save(number, {"note": f"first note of {number}", "visit_complete": "1"}, first)
        handle.respond(number, "diary", {"told": f"told by {number}"}, first)
        place.people.known(number)
    if handle.project.is_longitudinal:
        handle.save("1", {"came_on": "2024-01-01"}, "later_arm_1")
        handle.save("2", {"note": "of the other arm"}, "start_arm_2")
    night(place)
    handle.save("1", {"note": "second note", "visit_complete": "0"}, first)
    night(place)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """Each kind of study after two nights, made when it is first asked for."""
    made = {}
    with ExitStack() as running:

        def of(kind):
            if kind not in made:
                made[kind] = running.enter_context(begun_place(tmp_path_factory.mktemp("begun"), kind, two_nights))
            return made[kind]

        yield of


@pytest.fixture(params=["longitudinal"])
def place(begun, tmp_path, request, store_settings):
    """A study after two nights."""
    return begun(request.param).again(tmp_path, store_settings)


def night(place):
    """A good night, with a day behind it."""
    report = place.good_night(place.people.now_known)
    place.clocks.moment += timedelta(days=1)
    return report


def check_quiet(place, report):
    """Nothing of a record was written in a night."""
    assert report.rows_inserted == report.rows_updated == report.rows_deleted == 0
    assert report.records_added == report.records_changed == report.records_deleted == 0
    with place.shown() as shown:
        assert [c for c in shown.redcap("record_changes") if c["run_id"] == report.run_id] == []
        check_names(shown, place.nights)


def drift(place, report):
    with place.shown() as shown:
        return {
            (row["change"], row["kind"], row["name"], row["old_value"], row["new_value"])
            for row in shown.redcap("dictionary_changes")
            if row["run_id"] == report.run_id
        }


def renamed(place, report):
    return {(old, new) for change, _, name, old, new in drift(place, report) if change == "renamed" and name == new}


def test_data_and_history_follow_an_event_and_an_instrument_to_their_new_names(place):
    assert place.handle.rename_event("start_arm_1", "Baseline") == "baseline_arm_1"
    place.handle.rename_instrument("visit", "exam", "Examination")
    first = place.nights[0].finished
    report = night(place)
    assert drift(place, report) == {
        ("renamed", "event", "baseline_arm_1", "start_arm_1", "baseline_arm_1"),
        ("relabelled", "event", "baseline_arm_1", "Start", "Baseline"),
        ("renamed", "instrument", "exam", "visit", "exam"),
        ("relabelled", "instrument", "exam", "Visit", "Examination"),
    }
    check_quiet(place, report)
    then = f"SELECT note, exam_complete FROM {NAME}_history.as_of('exam', ?) WHERE redcap_event_name = ?"
    then += " AND record_id = '1'"
    assert place.read(then, [first, "baseline_arm_1"]) == [("first note of 1", "1")]
    assert place.read(then, [first, "start_arm_1"]) == []
    with place.shown() as shown:
        for suffix in ("", "_raw", "_labels", "_history"):
            assert shown.tables(suffix) == ["base", "diary", "exam"]
        told = shown.redcap("record_changes")
    names = {name for change in told for name in (change["event"], change["instrument"], change["field"])}
    assert names.isdisjoint({"start_arm_1", "visit", "visit_complete"})
    assert {"baseline_arm_1", "exam", "exam_complete"} <= names


@pytest.mark.parametrize(
    "place",
    ["longitudinal", *(pytest.param(kind, marks=pytest.mark.fuzz) for kind in ("repeating", "classic"))],
    indirect=True,
)
def test_the_instrument_with_the_record_id_and_a_survey_are_followed(place):
    place.handle.rename_instrument("base", "enrolment")
    place.handle.rename_instrument("diary", "daily")
    report = night(place)
    assert renamed(place, report) == {("base", "enrolment"), ("diary", "daily")}
    check_quiet(place, report)
    with place.shown() as shown:
        assert {"daily_timestamp", "daily_complete"} <= shown.rows(f"SELECT * FROM {NAME}.daily")[0].keys()


def test_events_can_exchange_names_and_leave_theirs_to_a_new_one(place):
    between = place.handle.rename_event("start_arm_1", "Between")
    place.handle.rename_event("later_arm_1", "Start")
    place.handle.rename_event(between, "Later")
    place.handle.rename_event("start_arm_2", "Baseline")
    place.people.call("event", action="import", data='[{"event_name": "Start", "arm_num": "2"}]')
    report = night(place)
    assert renamed(place, report) == {
        ("start_arm_1", "later_arm_1"),
        ("later_arm_1", "start_arm_1"),
        ("start_arm_2", "baseline_arm_2"),
    }
    assert ("added", "event", "start_arm_2", None, None) in drift(place, report)
    check_quiet(place, report)


def test_what_the_log_tells_of_an_event_by_a_label_that_is_another_s_now_signs_nothing(place):
    """The log keeps the label of the moment: one nurse's edit would stand under the other's name."""
    place.handle.save("1", {"note": "in the first"}, "start_arm_1", user="anna")
    place.handle.save("1", {"note": "in the second"}, "later_arm_1", user="bert")
    place.handle.save("2", {"note": "in the other arm"}, "start_arm_2", user="carl")
    between = place.handle.rename_event("start_arm_1", "Between")
    place.handle.rename_event("later_arm_1", "Start")
    place.handle.rename_event(between, "Later")
    report = night(place)
    with place.shown() as shown:
        made = {
            (c["new_value"], c["changed_by"])
            for c in shown.redcap("record_changes")
            if c["run_id"] == report.run_id and c["field"] == "note"
        }
    assert made == {("in the first", None), ("in the second", None), ("in the other arm", "carl")}


def test_a_name_that_something_else_had_is_not_followed(place):
    """The history of the two would be one: it reads as one that is gone and one that is new."""
    place.people.call("event", action="delete", **{"events[0]": "later_arm_1"})
    place.handle.rename_event("start_arm_1", "Later")
    report = night(place)
    assert renamed(place, report) == set()
    assert report.records_changed == 3
    check_quiet(place, night(place))


# The tests above follow names, and those of drift follow fields.
@pytest.mark.fuzz
def test_a_renamed_instrument_may_lose_and_gain_fields_the_same_night(place):
    place.handle.rename_instrument("visit", "exam")
    place.handle.add_field({"field_name": "pulse", "form_name": "exam", "field_type": "text", "field_label": "Pulse"})
    fields = place.handle.project.dictionary.fields
    place.people._upload([replace(f, form_name="base") if f.field_name == "tags" else f for f in fields])
    place.handle.save("1", {"pulse": "60"}, "start_arm_1", "exam")
    report = night(place)
    assert renamed(place, report) == {("visit", "exam")}
    with place.shown() as shown:
        changes = [c for c in shown.redcap("record_changes") if c["run_id"] == report.run_id]
    # Nobody had ticked anything, so nothing went with the field that moved.
    assert {c["field"] for c in changes} <= {"pulse", "tags___1", "tags___2", "tags____3"}
    assert [c["new_value"] for c in changes if c["field"] == "pulse"] == ["60"]


# test_known_structure.py has nights that fail after the structure was read.
@pytest.mark.fuzz
def test_a_night_that_got_no_record_has_followed_the_names_all_the_same(place):
    place.handle.rename_event("start_arm_1", "Baseline")
    place.handle.rename_instrument("visit", "exam")
    place.simulator.faults.add("500", content="record", nth=4, times=None)
    before = place.published()
    assert place.failed_night() is None
    assert place.last_outcome() == "incomplete"
    place.simulator.faults.clear()
    place.check_torn(place.fresh().state, before)
    place.clocks.moment += timedelta(days=1)
    check_quiet(place, night(place))


# --- which names are one ------------------------------------------------------------------------------------------


def test_an_event_is_known_by_its_id_where_the_server_gives_one():
    assert renamed_events([(1, "a"), (2, "b"), (3, "c")], [(1, "b"), (2, "a"), (3, "c"), (4, "d")]) == {
        "a": "b",
        "b": "a",
    }
    assert renamed_events([(None, "a")], [(None, "b")]) == {}
    assert renamed_events([(1, "a")], [(2, "b")]) == {}


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": "xyz"}, {"b": "xyz"}, {"a": "b"}),
        ({"a": "xyz"}, {"b": "xy"}, {"a": "b"}),
        ({"a": "xyz"}, {"b": "xyzvw"}, {"a": "b"}),
        # Halves are no more the one than the other, and half a newcomer is not the old one.
        ({"a": "wxyz"}, {"b": "wx", "c": "yz"}, {}),
        ({"a": "xy", "b": "vw"}, {"c": "vwxy"}, {}),
        ({"a": "xy"}, {"b": "xyvw"}, {}),
        # The name is still there, or was there already: fields have moved.
        ({"a": "xyz"}, {"a": "z", "b": "xy"}, {}),
        ({"a": "xyz", "b": "w"}, {"b": "xyzw"}, {}),
        ({"a": "xy", "b": "vw"}, {"a": "vw", "b": "xy"}, {}),
        ({"a": "x", "b": "y"}, {"c": "y", "d": "x"}, {"a": "d", "b": "c"}),
        ({"a": ""}, {"b": ""}, {}),
    ],
)
def test_an_instrument_is_known_by_more_than_half_of_its_fields(before, after, found):
    assert renamed_instruments(before, after) == found


def test_names_that_are_taken_are_not_given_and_nor_are_those_that_wait_for_them():
    assert without_clashes({"a": "b", "b": "a"}, {"a", "b"}) == {"a": "b", "b": "a"}
    assert without_clashes({"a": "b", "b": "c"}, {"a", "b"}) == {"a": "b", "b": "c"}
    assert without_clashes({"a": "b", "b": "c"}, {"a", "b", "c"}) == {}
    assert without_clashes({"a": "b", "c": "d"}, {"a", "b", "c"}) == {"c": "d"}


def test_what_decides_the_cells_of_an_instrument_is_the_same_under_new_names():
    renames = Renames({"a": "b", "b": "a"}, {"visit": "exam"}, {"visit_complete": "exam_complete"})
    before = {"note": "text ", "visit_complete": "status ", ":repeats": "False", ":events": "a,c", ":missing": ""}
    assert renames.definition(before) == {
        "note": "text ",
        "exam_complete": "status ",
        ":repeats": "False",
        ":events": "b,c",
        ":missing": "",
    }
    assert renames.definition({":events": "classic"}) == {":events": "classic"}
    assert renames.definition({":events": ""}) == {":events": ""}
