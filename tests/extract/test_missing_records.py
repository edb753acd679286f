"""Records that answers lack: what REDCap only loses on the way is never taken for deleted."""

import pytest

from pipelines.errors import LoadRefused
from pipelines.extract import missing_records as missing
from pipelines.extract.missing_records import MOST_ALONE, found_by_name
from redcap_source import RedcapClient, Token
from tests.sync.test_incremental import next_day, whole


def change(handle, records, words):
    """Something to load of each record."""
    for record in records:
        handle.save(record, {"town": words})


def kept(site):
    """How many records readers find that nobody deleted."""
    return site.rows("SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL AND renamed_to IS NULL")[0][0]


def take_away(handle, records):
    """Records go as with an event that is deleted: no row of the log names them."""
    for record in records:
        handle.project.records.remove(record)


@pytest.mark.parametrize(
    ("nth", "every"), [(4, 2), *(pytest.param(*lost, marks=pytest.mark.fuzz) for lost in ((5, 7), (1, 3)))]
)
def test_a_server_that_goes_on_losing_records_deletes_none(site, nth, every):
    handle = site.loaded_study("classic", 60)
    next_day(site)
    change(handle, handle.records(), "Neuland")
    # From the census on, from the records on, and from the question after those that were left out.
    site.simulator.faults.add("drop_records", content="record", nth=nth, times=None, every=every)
    report = site.night()
    assert (report.outcome, report.records_deleted, report.records_loaded) == ("ok", 0, 60)
    site.simulator.faults.clear()
    assert whole(site)


def test_records_out_of_sight_in_the_middle_of_a_load_stay_as_they_were(site):
    handle = site.study("classic", 12)
    handle.add_dag("empty")
    site.load()
    next_day(site)
    changed = handle.records()[:3]
    change(handle, changed, "Neuland")
    before = site.exported()
    site.simulator.before_request(lambda: handle.set_rights(dag="empty"), content="record", nth=4)
    report = site.night()
    assert (report.outcome, report.records_deleted, report.records_quarantined) == ("incomplete", 0, 3)
    assert "not logged as deleted" in report.message
    assert kept(site) == len(before)
    handle.set_rights(dag="")
    assert site.night().outcome == "ok"
    assert whole(site)


# The test above has few, and that of many records gone has the limit.
@pytest.mark.fuzz
def test_many_records_out_of_sight_in_the_middle_of_a_load_end_it(site):
    handle = site.study("classic", MOST_ALONE + 5)
    handle.add_dag("empty")
    site.simulator.before_request(lambda: handle.set_rights(dag="empty"), content="record", nth=4)
    # The last one was there already.
    with pytest.raises(LoadRefused, match=f"{MOST_ALONE + 4} records .* are no longer in its answers"):
        site.night()
    handle.set_rights(dag="")
    assert site.night().outcome == "ok"
    assert whole(site)


@pytest.mark.parametrize(("logging", "outcome"), [(1, "ok"), pytest.param(0, "incomplete", marks=pytest.mark.fuzz)])
def test_a_record_deleted_in_the_middle_of_a_load_goes_where_the_log_says_so(site, logging, outcome):
    handle = site.study("classic", 12)
    handle.set_rights(logging=logging)
    site.load()
    next_day(site)
    gone = handle.records()[0]
    change(handle, [gone], "Neuland")
    site.simulator.before_request(lambda: handle.delete(gone), content="record", nth=4)
    report = site.night()
    assert (report.outcome, report.records_deleted) == (outcome, int(logging))
    assert kept(site) == 12 - logging
    assert site.night().outcome == "ok"
    assert kept(site) == 11
    assert whole(site)


# tests/end_to_end/test_stories.py has renames between loads.
@pytest.mark.fuzz
def test_a_record_renamed_in_the_middle_of_a_load_is_followed_the_next_night(site):
    handle = site.loaded_study("classic", 12)
    next_day(site)
    old = handle.records()[0]
    change(handle, [old], "Neuland")
    site.simulator.before_request(lambda: handle.rename(old, "renamed"), content="record", nth=4)
    assert site.night().outcome == "incomplete"
    report = site.night()
    assert (report.outcome, report.records_deleted) == ("ok", 0)
    assert whole(site)


def test_many_records_gone_without_a_word_of_the_log_are_refused(site):
    site.settings = "deletion_limit: 0.9"
    handle = site.loaded_study("classic", 60)
    next_day(site)
    take_away(handle, handle.records()[:MOST_ALONE])
    assert site.load().records_deleted == MOST_ALONE
    next_day(site)
    take_away(handle, handle.records()[: MOST_ALONE + 1])
    with pytest.raises(LoadRefused, match="shows no deletion"):
        site.night()
    assert kept(site) == 60
    assert site.night(allow_deletions=True).records_deleted == MOST_ALONE + 1
    assert whole(site)


def test_many_records_that_the_log_says_were_deleted_go(site):
    site.settings = "deletion_limit: 0.9"
    handle = site.loaded_study("classic", 60)
    next_day(site)
    for record in handle.records()[: 2 * MOST_ALONE]:
        handle.delete(record)
    assert site.night().records_deleted == 2 * MOST_ALONE
    assert whole(site)


def test_a_record_deleted_and_entered_anew_is_asked_for_alone(site):
    handle = site.loaded_study("classic", 12)
    next_day(site)
    record = handle.records()[-1]
    handle.delete(record)
    handle.save(record, {"town": "Neuland"})
    first = handle.records().index(record) + 1
    site.simulator.faults.add("drop_records", content="record", nth=1, times=1, every=first)
    # After it columns, what changed; then the question after what the census lacks.
    site.simulator.faults.add("answer", content="record", nth=3, body=b"[]", content_type="application/json")
    assert site.night().records_deleted == 0
    site.simulator.faults.clear()
    assert whole(site)


# --- asking by name ------------------------------------------------------------------------------------------------


def asked(site, records, **options):
    """What comes of asking a study for records by name, and how many requests it took."""
    handle = site.handles["study"]
    with RedcapClient(site.simulator.url, Token(handle.token)) as client:
        found = found_by_name(client, handle.project.dictionary.record_id, records, **options)
        return found, client.calls.requests


def test_what_is_there_is_found_in_one_request(site):
    handle = site.study("classic", 60)
    assert asked(site, handle.records()) == (handle.records(), 1)
    assert asked(site, []) == ([], 0)


def test_what_is_not_there_costs_few_requests_however_many_it_is(site):
    site.study("classic", 3)
    assert asked(site, [f"no-{n}" for n in range(MOST_ALONE)]) == ([], 1 + MOST_ALONE)
    assert asked(site, [f"no-{n}" for n in range(400)]) == ([], 1 + MOST_ALONE)
    assert asked(site, [f"no-{n}" for n in range(400)], deleted={f"no-{n}" for n in range(399)}) == ([], 2)


def test_many_fruitless_requests_end_the_search(site, monkeypatch):
    monkeypatch.setattr(missing, "ASKED_BY_NAME", 10)
    monkeypatch.setattr(missing, "FRUITLESS", 50)
    handle = site.study("classic", 3)
    strangers = [f"no-{n}" for n in range(200)]
    assert asked(site, strangers) == ([], 5 + MOST_ALONE)
    # One that comes is reason enough to ask for all.
    found, _ = asked(site, [*strangers, *handle.records(), *strangers[:1]])
    assert found == []
    found, _ = asked(site, [handle.records()[0], *strangers, *handle.records()[1:]])
    assert found == handle.records()


@pytest.mark.parametrize("every", [2, 5])
def test_a_lossy_server_gives_every_record_in_the_end(site, every):
    handle = site.study("classic", 150)
    site.simulator.faults.add("drop_records", content="record", times=None, every=every)
    found, requests = asked(site, [*handle.records(), *(f"no-{n}" for n in range(30))])
    assert sorted(found) == sorted(handle.records())
    assert requests < 120
