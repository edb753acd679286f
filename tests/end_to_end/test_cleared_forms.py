"""The last form of a record in an event is cleared: REDCap drops the row, and a night that reads little finds it."""

from datetime import UTC, datetime, timedelta

import pytest

from redcap_source.simulator import Simulator
from tests.support import warehouse_oracle as oracle
from tests.support.edits import People, small_study
from tests.support.place import NAME, Clocks, Place

pytestmark = pytest.mark.both_stores


@pytest.fixture
def place(tmp_path, store_settings):
    """Three records with two forms at the start and one form later, loaded; then a day goes by."""
    clocks = Clocks(datetime(2025, 6, 10, 3, tzinfo=UTC))
    with Simulator(clock=clocks.server) as simulator:
        handle = simulator.add_project(small_study("longitudinal"), name=NAME)
        place = Place(tmp_path, simulator, clocks, store_settings=store_settings)
        place.people = People(handle, simulator.url, handle.add_user("importer"))
        for number in "123":
            handle.save(number, {"word": f"word {number}", "base_complete": "2"}, "start_arm_1")
            handle.save(number, {"note": f"first note of {number}"}, "start_arm_1")
            handle.save(number, {"note": f"later note of {number}"}, "later_arm_1")
            place.people.known(number)
        # So long that the overlap is not what makes the next night read a record again.
        clocks.moment += timedelta(days=1)
        place.good_night(place.people.now_known)
        clocks.moment += timedelta(days=1)
        yield place


def rows(place):
    name = place.handle.project.dictionary.record_id
    found = oracle.ask(place.simulator.url, place.handle.token, "record")
    return [(row[name], row["redcap_event_name"]) for row in found if row["redcap_event_name"] == "later_arm_1"]


def test_a_night_that_reads_little_finds_the_rows_that_went_with_their_last_form(place):
    asked = {"records[0]": "1", "instrument": "visit", "event": "later_arm_1"}
    assert oracle.ask(place.simulator.url, place.handle.token, "record", action="delete", **asked) == 1
    place.handle.wipe("2", "visit", "later_arm_1")
    assert rows(place) == [("3", "later_arm_1")]
    report = place.good_night(place.people.now_known)
    assert (report.mode, report.records_loaded, report.records_changed, report.rows_deleted) == (
        "incremental", 2, 2, 2,
    )  # fmt: skip
    before, after = place.nights
    gone = {(number, "later_arm_1", "visit", "") for number in "12"}
    with place.shown() as shown:
        changes = [row for row in shown.redcap("record_changes") if row["run_id"] == report.run_id]
        assert {row["change"] for row in changes} == {"delete"}
        assert ("note", "later note of 1", None) in {(c["field"], c["old_value"], c["new_value"]) for c in changes}
        # The history still shows the rows to who asks for the night before, and no longer to who asks for this one.
        assert shown.as_of(before.finished) == before.state and gone <= set(before.state)
        assert shown.as_of(after.finished) == after.state
        assert after.state == {key: cells for key, cells in before.state.items() if key not in gone}
