"""Nights after the first: what is read again, what is remembered, and what may not go wrong."""

from itertools import pairwise

import pytest

from pipelines.errors import LoadRefused, NotAllPublished
from redcap_source.errors import RedcapError
from redcap_source.simulator import Simulator
from tests.support.edits import small_study
from tests.support.export_oracle import expected
from tests.support.load_site import Site
from tests.sync.test_load import published

pytestmark = pytest.mark.both_stores


def next_day(site, hours=24):
    """Let a day pass on the server, so that yesterday's log rows are out of reach."""
    site.simulator.clock.advance(hours=hours)


def changes(site, report):
    return site.rows(
        "SELECT record, field, old_value, new_value, change FROM redcap.record_changes "
        f"WHERE run_id = '{report.run_id}' ORDER BY ALL"
    )


def whole(site, name="study"):
    """Whether readers find what a fresh export holds."""
    return published(site, name) == expected(site.simulator.url, site.handles[name].token)


def test_a_night_reads_only_what_changed_and_tells_of_each_change(site):
    handle = site.loaded_study("classic", 12)
    assert site.rows("SELECT mode FROM redcap.sync_runs") == [("full",)]
    next_day(site)
    first, second, third, old, *_ = handle.records()
    handle.save(first, {"town": "Neuland"})
    handle.delete(second)
    handle.save("new-1", {"town": "Erstort"})
    # A rename keeps the history.
    handle.rename(old, "moved-1")
    handle.save("moved-1", {"town": "Neuland"})
    report = site.night()
    assert report.mode == "incremental"
    assert (report.records_added, report.records_renamed, report.records_deleted) == (1, 1, 1)
    assert (report.records_loaded, report.records_changed) == (3, 2)
    assert whole(site)
    assert third in handle.records()
    told = changes(site, report)
    assert [(field, new, how) for record, field, _, new, how in told if record == first] == [
        ("town", "Neuland", "update")
    ]
    assert ("new-1", "town", None, "Erstort", "insert") in told
    assert ("moved-1", "record_id", old, "moved-1", "rename") in told
    assert [field for record, field, _, _, how in told if record == "moved-1" and how != "rename"] == ["town"]
    assert site.rows(f"SELECT renamed_to FROM redcap.records WHERE record = '{old}'") == [("moved-1",)]
    assert site.rows("SELECT record FROM redcap.records WHERE deleted_at IS NOT NULL AND renamed_to IS NULL") == [
        (second,)
    ]
    # Changes say who made them where the log does.
    made = site.rows(
        f"SELECT field, changed_by, changed_at FROM redcap.record_changes WHERE run_id = '{report.run_id}' "
        f"AND record = '{first}'"
    )
    assert [(field, bool(by), bool(at)) for field, by, at in made] == [("town", True, True)]
    assert site.rows(f"SELECT count(*) > 0 FROM redcap.audit_log WHERE record = '{first}'") == [(True,)]


def test_a_night_without_changes_asks_little_and_writes_nothing(site):
    site.loaded_study("classic", 12)
    next_day(site)
    report = site.night()
    assert report.mode == "incremental"
    assert report.requests <= 8
    assert (report.records_loaded, report.rows_inserted, report.rows_updated, report.rows_deleted) == (0, 0, 0, 0)
    assert changes(site, report) == []
    assert whole(site)


def test_what_is_entered_while_a_load_runs_comes_the_next_night(site):
    handle = site.study("classic", 12)
    record = handle.records()[2]
    site.simulator.before_request(lambda: handle.save(record, {"town": "Unterwegs"}), content="record", nth=4)
    site.load()
    report = site.night()
    assert report.mode == "incremental"
    assert whole(site)


# tests/extract/test_server_time.py has the rule.
@pytest.mark.fuzz
@pytest.mark.parametrize(
    "zone",
    [
        pytest.param("UTC", marks=pytest.mark.fuzz),
        pytest.param("America/Chicago", marks=pytest.mark.fuzz),
        pytest.param("Asia/Kolkata", marks=pytest.mark.fuzz),
        "Pacific/Kiritimati",
    ],
)
def test_the_servers_wall_clock_is_learned(tmp_path, monkeypatch, zone):
    with Simulator(time_zone=zone) as simulator:
        check_the_wall_clock_is_learned(Site(simulator, tmp_path, monkeypatch))


def check_the_wall_clock_is_learned(site):
    handle = site.study("classic", 12)
    site.load()
    next_day(site)
    site.load()
    next_day(site)
    handle.save(handle.records()[4], {"town": "Neuland"})
    report = site.night()
    assert (report.mode, report.records_loaded) == ("incremental", 1)
    assert whole(site)


def test_without_the_log_the_dates_the_census_and_the_data_find_what_changed(site):
    handle = site.study("classic", 12)
    handle.set_rights(logging=0)
    site.load()
    next_day(site, 48)
    first, second, third, *_ = handle.records()
    handle.save(first, {"town": "Neuland"})
    handle.delete(second)
    handle.rename(third, "moved-1")
    report = site.night()
    assert (report.mode, report.records_changed) == ("incremental", 2)
    assert (report.records_renamed, report.records_deleted) == (1, 1)
    assert whole(site)
    assert "log" in site.rows("SELECT not_readable FROM redcap.projects")[0][0]


def test_history_shows_any_night_and_the_weekly_refresh_reads_everything(site):
    handle = site.loaded_study("classic", 12)
    record = handle.records()[0]
    [(town, run)] = site.rows(
        f"SELECT town, run_id FROM study_raw.enrolment, redcap.sync_runs WHERE record_id = '{record}'"
    )
    assert town
    towns = [(town, run)]
    # Weekly, everything is read.
    for town, days, mode in (("Zweitort", 7, "full"), ("Drittort", 1, "incremental")):
        next_day(site, days * 24)
        handle.save(record, {"town": town})
        report = site.night()
        assert report.mode == mode
        towns.append((town, report.run_id))
    instrument = site.rows("SELECT form_name FROM redcap.data_dictionary WHERE field_name = 'town'")[0][0]
    id_field = site.rows("SELECT record_id_field FROM redcap.projects")[0][0]
    for town, run in towns:
        ended = site.rows(f"SELECT finished_at FROM redcap.sync_runs WHERE run_id = '{run}'")[0][0]
        found = site.rows(
            f"SELECT town FROM study_history.as_of('{instrument}', TIMESTAMP '{ended}') WHERE {id_field} = '{record}'"
        )
        assert found == [(town,)]


def test_a_new_field_is_read_and_what_a_removed_one_held_stays_in_the_history(site):
    handle = site.loaded_study("classic", 12)
    record = handle.records()[0]
    [(town,)] = site.rows(f"SELECT town FROM study_raw.enrolment WHERE record_id = '{record}'")
    assert town
    next_day(site)
    new = {"field_name": "brand_new", "form_name": "enrolment", "field_type": "text", "field_label": "New"}
    handle.add_field(new)
    handle.save(handle.records()[3], {"brand_new": "here"})
    handle.remove_field("town")
    report = site.night()
    assert report.mode == "incremental"
    # It is read for every record, and nothing else is.
    assert report.records_loaded == 1
    assert report.requests < 30
    assert whole(site)
    assert (record, "town", town, None, "delete") in changes(site, report)
    assert (town,) in site.rows("SELECT town FROM study_history.enrolment WHERE _valid_to IS NOT NULL")
    drift = site.rows("SELECT change, kind, name FROM redcap.dictionary_changes ORDER BY ALL")
    assert drift == [("added", "field", "brand_new"), ("removed", "field", "town")]
    columns = {name for (name,) in site.rows("SELECT column_name FROM duckdb_columns() WHERE schema_name = 'study'")}
    assert "brand_new" in columns
    assert "town" not in columns


def test_a_row_that_held_only_a_removed_field_goes_with_it(site):
    handle = site.loaded_study("classic", 12)
    handle.save("99", {"town": "Altort"})
    # Until the record is not looked at any more.
    for _ in range(2):
        site.load()
        next_day(site)
    [(instrument,)] = site.rows("SELECT form_name FROM redcap.data_dictionary WHERE field_name = 'town'")
    handle.remove_field("town")
    report = site.night()
    assert report.records_loaded == 0
    assert whole(site)
    assert site.rows(f"SELECT * FROM study_raw.{instrument} WHERE record_id = '99'") == []
    assert ("99", "town", "Altort", None, "delete") in changes(site, report)
    assert ("Altort",) in site.rows(f"SELECT town FROM study_history.{instrument} WHERE _valid_to IS NOT NULL")


def test_a_load_that_died_goes_on_where_it_stopped(site, monkeypatch):
    handle = site.study("classic", 60)
    monkeypatch.setattr("pipelines.sync.apply.BATCH_BYTES", 1)
    monkeypatch.setattr("pipelines.extract.speed.answer_sizes.FIRST_CHUNK_CELLS", 500)
    site.simulator.faults.add("reset", content="record", nth=5, times=50)
    with pytest.raises(RedcapError):
        site.night()
    site.simulator.faults.clear()
    report = site.night()
    assert 0 < report.records_loaded < len(handle.records())
    assert whole(site)


def test_a_mirror_that_has_grown_is_compacted(site, monkeypatch):
    monkeypatch.setattr("pipelines.warehouse.database.compaction.EVERY_LOAD", 0)
    monkeypatch.setattr("pipelines.warehouse.database.compaction.GROWN", 1.05)
    handle = site.loaded_study("classic", 12)
    files = []
    for turn in range(2):
        for record in handle.records()[turn::2]:
            handle.save(record, {"town": f"Ort {turn} " + "x" * 2000})
        site.night()
        files.append(site.warehouse.mirror("study").stat().st_ino)
        assert whole(site)
        next_day(site)
    assert any(later != earlier for earlier, later in pairwise(files))
    assert not list(site.warehouse.work.glob(".*fresh*"))
    assert site.warehouse.mirror("study").stat().st_mode & 0o077 == 0


# The test above compacts one that has grown.
@pytest.mark.fuzz
def test_quiet_nights_of_a_small_project_do_not_compact_its_mirror(site):
    site.study("classic", 4)
    files = []
    for _ in range(4):
        site.load()
        files.append(site.warehouse.mirror("study").stat())
    assert len({file.st_ino for file in files}) == 1
    assert files[-1].st_size < 2 * files[0].st_size


def test_a_large_longitudinal_project_is_counted_by_a_few_events(site, monkeypatch):
    monkeypatch.setattr("pipelines.warehouse.staging.census.MANY_ROWS", 10)
    monkeypatch.setattr("pipelines.warehouse.staging.census.ROWS_PER_RECORD", 2)
    handle = site.add("study", small_study("longitudinal"))
    for number in map(str, range(1, 13)):
        handle.save(number, {"word": f"word {number}"}, "start_arm_1")
        handle.save(number, {"note": f"note of {number}"}, "later_arm_1")
    handle.add_dag("elsewhere")
    # Long after what was entered, so that it is not read again.
    next_day(site)
    site.load()
    next_day(site)
    first, second, third, *_ = handle.records()
    handle.delete(first)
    # It has rows in no event that the short census asks for.
    handle.save("only-late", {"note": "the first"}, event="later_arm_1")
    handle.assign_dag(second, "elsewhere")
    handle.rename(third, "moved-1")
    report = site.night()
    assert report.mode == "incremental"
    assert (report.records_in_redcap, report.records_deleted) == (len(handle.records()), 1)
    assert (report.records_loaded, report.records_renamed) == (3, 1)
    assert whole(site)


def test_a_census_that_lost_records_deletes_none(site):
    handle = site.loaded_study("classic", 12)
    site.simulator.faults.add("drop_records", content="record", nth=1, times=1, every=5)
    report = site.night()
    assert (report.records_deleted, report.records_in_redcap) == (0, 12)
    assert len(handle.records()) == 12
    assert whole(site)


# tests/end_to_end/test_stories.py loses records in the answers of a whole load.
@pytest.mark.fuzz
@pytest.mark.parametrize(
    ("study", "lost"),
    [
        ("classic", 1),
        pytest.param("classic", 2, marks=pytest.mark.fuzz),
        pytest.param("longitudinal", 1, marks=pytest.mark.fuzz),
        pytest.param("longitudinal", 2, marks=pytest.mark.fuzz),
    ],
)
def test_one_of_the_first_two_censuses_that_lost_records_is_made_up_for(site, monkeypatch, study, lost):
    # From so many rows on the second is asked of a few events only.
    monkeypatch.setattr("pipelines.warehouse.staging.census.MANY_ROWS", 10)
    site.study(study, 12)
    site.simulator.faults.add("drop_records", content="record", nth=lost, times=1, every=5)
    assert site.night().records_loaded == 12
    assert whole(site)


def test_a_token_put_into_a_group_deletes_nothing(site):
    handle = site.loaded_study("classic", 12)
    handle.add_dag("south")
    for record in handle.records()[:-1]:
        handle.assign_dag(record, "south")
    site.load()
    handle.set_rights(dag="south")
    with pytest.raises(LoadRefused, match="data access group"):
        site.night()
    assert site.rows("SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL") == [(12,)]
    assert site.night(allow_narrower=True).records_deleted == 1
    assert whole(site)


# The file of the mirror is spoiled where it is; of a lake, tests/warehouse/lake/test_interrupted.py promises the same.
# tests/cli/test_publish.py has it by the command.
@pytest.mark.fuzz
@pytest.mark.both_stores("files only")
def test_a_project_that_cannot_be_published_does_not_hold_the_others_back(site):
    for name in ("good", "bad"):
        site.add(name, small_study("classic")).save("1", {"word": "old"})
        site.load(name)
    site.publish()
    before = site.rows("SELECT count(*) FROM bad_raw.base")
    site.handles["good"].save("1", {"word": "new"})
    site.load("good")
    site.load("bad")
    site.warehouse.mirror("bad").write_bytes(b"no database at all" * 1000)
    with pytest.raises(NotAllPublished, match=r"bad: .*The others are published: good"):
        site.publish()
    assert whole(site, "good")
    assert site.rows("SELECT count(*) FROM bad_raw.base") == before
    assert site.warehouse.unpublished().keys() == {"bad"}


def test_a_server_that_keeps_losing_records_deletes_none(site):
    site.loaded_study("classic", 12)
    next_day(site)
    site.simulator.faults.add("drop_records", content="record", times=None, every=3)
    report = site.night()
    assert (report.records_deleted, report.records_in_redcap) == (0, 12)
    site.simulator.faults.clear()
    assert whole(site)


def test_a_server_whose_clock_was_set_back_is_read_whole(site):
    handle = site.loaded_study("classic", 12)
    next_day(site)
    site.load()
    next_day(site, -24)
    handle.save(handle.records()[0], {"town": "Neuland"})
    assert site.night().mode == "full"
    assert whole(site)


def test_an_instrument_that_the_token_may_not_export_at_all_is_read_again_like_others(site):
    handle = site.study("classic", 4)
    handle.set_rights(forms_export=1)
    user = handle.project.users[handle.project.api_user]
    user.forms_export[handle.project.dictionary.forms[1]] = 0
    site.load()
    next_day(site)
    handle.save(handle.records()[0], {"town": "Neuland"})
    assert site.night(full=True).records_changed == 1
    assert whole(site)
