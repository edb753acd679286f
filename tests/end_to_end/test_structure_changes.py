"""What becomes of a project whose instruments come and go, or whose records are named by another field."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.errors import LoadRefused
from tests.support.begun_place import begun_place
from tests.support.place import NAME

pytestmark = pytest.mark.both_stores


def first_night(place):
    """Two records with answers to a survey, one of which does not fit, and one without; loaded once."""
    handle = place.handle
    for number in "123":
        handle.save(number, {"word": f"word {number}"})
        place.people.known(number)
    handle.respond("1", "diary", {"told": "one", "mood": "1"})
    handle.respond("2", "diary", {"told": "two"}, complete=False)
    night(place)


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    with begun_place(tmp_path_factory.mktemp("begun"), "classic", first_night) as begun:
        yield begun


@pytest.fixture
def place(begun, tmp_path, store_settings):
    """A study after its first night."""
    return begun.again(tmp_path, store_settings)


def night(place):
    """A good night, after which everything is right; then a day goes by."""
    report = place.good_night(place.people.now_known)
    place.clocks.moment += timedelta(days=1)
    return report


def told(place, report):
    """What a night says of cells of the survey's instrument."""
    with place.shown() as shown:
        return {
            (c["record"], c["instrument"], c["field"], c["old_value"], c["new_value"], c["change"])
            for c in shown.redcap("record_changes")
            if c["run_id"] == report.run_id and not c["field"].endswith("_timestamp")
        }


ANSWERS = {
    ("1", "diary", "told", "one"),
    ("1", "diary", "mood", "1"),
    ("1", "diary", "diary_complete", "2"),
    ("2", "diary", "told", "two"),
    ("2", "diary", "diary_complete", "0"),
}


def test_an_instrument_that_is_removed_is_gone_for_readers_and_stays_in_the_history(place):
    project = place.handle.project
    fields, labels = project.dictionary.fields, dict(project.dictionary.form_labels)
    with place.shown() as shown:
        assert [row["instrument"] for row in shown.redcap("invalid_values")] == ["diary"]
    place.people._upload([field for field in fields if field.form_name != "diary"])
    report = night(place)
    assert told(place, report) == {(*cell, None, "delete") for cell in ANSWERS}
    assert report.records_deleted == 0
    then = f"SELECT count(*) FROM {NAME}_history.as_of('diary', ?)"
    with place.shown() as shown:
        for suffix in ("", "_labels", "_raw"):
            assert shown.tables(suffix) == ["base", "visit"]
        assert shown.tables("_history") == ["base", "diary", "visit"]
        assert {row["_valid_to"] is None for row in shown.rows(f"SELECT * FROM {NAME}_history.diary")} == {False}
        assert [row for row in shown.redcap("invalid_values") if row["instrument"] == "diary"] == []
        assert ("removed", "instrument", "diary") in {
            (d["change"], d["kind"], d["name"]) for d in shown.redcap("dictionary_changes")
        }
    assert place.read(then, [place.nights[0].finished]) == [(2,)]
    assert place.read(then, [place.nights[1].finished]) == [(0,)]
    # The night after has nothing to do, and nothing to say.
    after = night(place)
    assert (after.rows_inserted, after.rows_updated, after.rows_deleted) == (0, 0, 0)
    assert told(place, after) == set()
    # It comes back with what was entered before; what is published of the time between stays as it was.
    place.people._upload(list(fields))
    project.dictionary.form_labels.update(labels)
    again = night(place)
    assert told(place, again) == {(*cell[:3], None, cell[3], "insert") for cell in ANSWERS}
    with place.shown() as shown:
        for suffix in ("", "_labels", "_raw", "_history"):
            assert shown.tables(suffix) == ["base", "diary", "visit"]
        assert shown.count("", "diary") == 2
        assert shown.count("_history", "diary") == 4
    assert place.read(then, [place.nights[2].finished]) == [(0,)]
    assert place.read(then, [place.nights[3].finished]) == [(2,)]


def test_a_project_whose_record_id_field_changed_is_left_alone_until_that_is_meant_or_undone(place):
    fields = place.handle.project.dictionary.fields
    place.people._upload([replace(fields[0], field_name="subject"), *fields[1:]])
    place.handle.save("1", {"word": "entered meanwhile"})
    problem = place.failed_night()
    assert isinstance(problem, LoadRefused)
    assert "the record-id field is now subject, and was record_id" in str(problem)
    place.clocks.moment += timedelta(days=1)
    place.people._upload(list(fields))
    with place.shown() as shown:
        assert shown.raw() == place.nights[0].state
        assert shown.as_of(place.nights[0].finished) == place.nights[0].state
        assert [row["record_id_field"] for row in shown.redcap("projects")] == ["record_id"]
    report = night(place)
    assert told(place, report) == {("1", "base", "word", "word 1", "entered meanwhile", "update")}
    place.people._upload([replace(fields[0], field_name="subject"), *fields[1:]])
    place.nights.clear()
    place.good_night(place.people.now_known, start_over=True)
