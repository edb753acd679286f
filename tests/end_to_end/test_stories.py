"""Stories the machine found, or would need long to find: a good night, something, another good night."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.errors import LoadRefused
from pipelines.warehouse.published import quality as audit
from redcap_source.simulator.rules.saving import By
from tests.support import warehouse_oracle as oracle
from tests.support.begun_place import begun_place
from tests.support.place import NAME, check_renames

pytestmark = pytest.mark.both_stores


def first_night(place):
    """Ten records, all but one in a group, loaded; then a day goes by."""
    for number in map(str, range(1, 11)):
        place.handle.save(number, {"word": f"word {number}", "age": number})
        place.handle.assign_dag(number, "north" if number == "10" else "south")
        place.people.known(number)
    # So long that the first night's overlap is not what makes the second read a record again.
    place.clocks.moment += timedelta(days=1)
    place.good_night(place.people.now_known)
    place.clocks.moment += timedelta(days=1)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    with begun_place(tmp_path_factory.mktemp("begun"), "classic", first_night) as begun:
        yield begun


@pytest.fixture
def place(begun, tmp_path, store_settings):
    """A study after its first night."""
    return begun.again(tmp_path, store_settings)


# The renames of a day, and of how many of them the data does not show which record it was.
STORIES = {
    "a new id": ([("3", "30")], 0),
    "an id that was free by way of another": ([("3", "x"), ("x", "30")], 0),
    "two exchange their ids, which only the log tells of": ([("1", "x"), ("2", "1"), ("x", "2")], 2),
    "there and back": ([("1", "x"), ("x", "1")], 0),
    "all move on by one, the last to a new id": ([("3", "x"), ("2", "3"), ("1", "2")], 3),
}


# Those that the data explains are parts of the others, or the machine draws them.
@pytest.mark.parametrize(
    ("renames", "unexplained"),
    [pytest.param(*story, id=name, marks=[] if story[1] else [pytest.mark.fuzz]) for name, story in STORIES.items()],
)
def test_records_that_change_their_ids(place, renames, unexplained):
    for old, new in renames:
        place.people._rename(old, new)
    report = place.good_night(place.people.now_known)
    with place.shown() as shown:
        check_renames(shown, *place.nights)
    check_told_of_ids(place, report, unexplained)


def check_told_of_ids(place, report, unexplained):
    """The ledger and the check in Dagster tell of so many new ids, once, and of no record by its name."""
    assert audit.unexplained_ids(place.store, NAME) == unexplained
    assert (report.message or "").split(" another id")[0] == {0: "", 1: "1 record has"}.get(
        unexplained, f"{unexplained} records have"
    )
    [[told]] = place.read("SELECT message FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1")
    assert told == report.message
    # The log of the last hour is read again.
    place.clocks.moment += timedelta(minutes=5)
    assert place.night().message is None
    assert audit.unexplained_ids(place.store, NAME) == 0


def test_a_record_takes_over_the_id_of_a_deleted_one(place):
    place.handle.delete("2")
    place.people.now_known.pop("2")
    place.people._rename("1", "2")
    check_told_of_ids(place, place.good_night(place.people.now_known), 1)


def test_a_save_that_changed_nothing_beside_one_that_did_is_no_new_id(place):
    """REDCap logs it as it logs a new id."""
    place.handle.save("1", {"word": "another"})
    by = By("nurse1", place.simulator.clock)
    place.handle.project.log.add(by.row("record_edit", "Update record 1", "record_id = '1'", "1", "data"))
    check_told_of_ids(place, place.good_night(place.people.now_known), 0)


# Every manieth record is missing from the answer with this number: census, columns, changes, records.
@pytest.mark.parametrize(
    ("every", "nth"), [(9, 1), *(pytest.param(1, nth, marks=pytest.mark.fuzz) for nth in (1, 2, 3)), (3, 4)]
)
def test_no_answer_that_lost_records_deletes_any(place, every, nth):
    for number in "56789":
        place.handle.save(number, {"word": "another"})
    before = place.fresh().state
    place.simulator.faults.add("drop_records", content="record", every=every, nth=nth)
    problem = place.failed_night()
    assert problem is None or isinstance(problem, LoadRefused)
    with place.shown() as shown:
        oracle.between("published", shown.raw(), place.nights[0].state, before)
    place.simulator.faults.clear()
    place.good_night(place.people.now_known)


@pytest.mark.parametrize("group", [pytest.param("north", marks=pytest.mark.fuzz), "south"])
def test_a_token_put_into_a_group_deletes_nothing(place, group):
    place.handle.set_rights(dag=group)
    assert isinstance(place.failed_night(), LoadRefused)
    place.handle.set_rights(dag="")
    place.good_night(place.people.now_known)


# tests/extract/test_server_time.py sets a clock back in every run.
@pytest.mark.fuzz
def test_a_clock_that_is_set_back_leaves_every_night_where_it_was(place):
    for hours in (-40, 7):
        place.clocks.client_off = timedelta(hours=hours)
        place.handle.save("1", {"word": f"at {hours}"})
        place.good_night(place.people.now_known)


# What a killed publisher of a lake leaves is another folder's: tests/warehouse/lake/test_interrupted.py.
@pytest.mark.both_stores("files only")
def test_what_a_killed_publish_left_does_not_stop_the_next(place):
    left = place.warehouse.path / ".publishing-1.duckdb.spill"
    left.mkdir()
    (left / "block").touch()
    place.handle.save("1", {"word": "another"})
    place.good_night(place.people.now_known)
    assert not left.exists()


@pytest.mark.parametrize("form", [pytest.param("visit", marks=pytest.mark.fuzz), "moved"])
def test_a_record_changes_its_id_in_the_night_in_which_a_field_moves(place, form):
    fields = [
        replace(field, form_name=form) if field.field_name == "age" else field
        for field in place.handle.project.dictionary.fields
    ]
    place.people._upload(fields)
    place.people._rename("3", "30")
    place.good_night(place.people.now_known, allow_narrower=True)
    with place.shown() as shown:
        check_renames(shown, *place.nights)


# The test above moves the field.
@pytest.mark.fuzz
def test_a_record_changes_its_id_in_the_night_in_which_a_field_goes(place):
    place.handle.remove_field("age")
    place.people._rename("3", "30")
    place.good_night(place.people.now_known)
