"""What a night fetches where a source fails it: the log, the dates, the census."""

import json
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from pipelines.extract.change_detection import LONGEST, Since, as_utc, detect_changes
from pipelines.extract.log_reading import LogTerms
from pipelines.extract.planner import Planner, only_in
from pipelines.extract.selection import narrow
from pipelines.extract.structure import read_structure
from pipelines.run import open_client
from pipelines.warehouse.staging.census import Census
from pipelines.warehouse.staging.verify import open_verifier
from pipelines.warehouse.tables.layout import make_layout
from redcap_source import errors
from redcap_source.simulator import Behaviour
from redcap_source.simulator.state.log import LogRow
from tests.support.export_oracle import expected, published
from tests.support.fetching import Watched
from tests.support.load_site import still

CHICAGO = timedelta(hours=-6)
FURTHER_EAST = timedelta(hours=-2)


def whole(site):
    return published(site, "study") == expected(site.simulator.url, site.handles["study"].token)


@contextmanager
def planner_of(site):
    """A planner in the middle of a night."""
    site.warehouse.make()
    staging = site.warehouse.staging("study", "run")
    staging.mkdir(parents=True)
    project = site.config.project("study")
    with (
        open_client(project, site.store, sleep=lambda _: None, stopwatch=still) as client,
        open_verifier(staging) as verifier,
    ):
        structure = narrow(read_structure(client, client.version()), project)
        yield Planner(client, verifier, staging, project, structure)


def layout_of(planner, census):
    columns, _ = planner.answer_columns(census.records)
    return make_layout(planner.structure, columns)


# -- what changed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["log", "record"])
def test_where_a_source_of_changes_fails_in_passing_every_record_is_read(site, content):
    handle = site.loaded_study("classic", 12)
    site.simulator.clock.advance(hours=24)
    handle.save(handle.records()[3], {"town": "Neuland"})
    # Of records the census and the columns are asked for first, then what changed.
    site.simulator.faults.add("500", content=content, nth=3 if content == "record" else None, times=5)
    report = site.night()
    assert (report.mode, report.outcome, report.records_loaded) == ("full", "ok", 12)
    why = {
        "log": "REDCap could not deliver its log, so every record was read.",
        "record": "REDCap could not list what changed since the last load, so every record was read.",
    }
    assert report.message == why[content]
    assert whole(site)
    assert site.rows("SELECT list_contains(not_readable, 'log') FROM redcap.projects") == [(False,)]


def ask(site, since, *, everything=False):
    """What REDCap says changed, asked now."""
    project = site.config.project("study")
    with open_client(project, site.store, sleep=lambda _: None, stopwatch=still) as client:
        client.version()
        upto = as_utc(client.server_date)
        return detect_changes(
            client,
            terms=LogTerms("record_id", frozenset({"town"}), whole=True),
            folder=site.folder,
            since=since(upto),
            upto=upto,
            elapsed=lambda: timedelta(0),
            zone=None,
            everything=everything,
        )


def test_a_clock_that_is_further_back_than_was_thought_has_the_log_asked_again(site):
    handle = site.study("classic", 6)
    record = handle.records()[2]
    handle.save(record, {"town": "Neuland"})
    site.simulator.clock.advance(hours=5)
    found = ask(site, lambda upto: Since(upto - timedelta(hours=6), None, FURTHER_EAST))
    assert [request.content for request in site.simulator.requests] == ["version", "log", "log", "record"]
    assert found.clock.offset_now in (CHICAGO, CHICAGO + timedelta(hours=1))
    assert found.changed == found.log.changed_since(found.begin) == {record}


def test_the_logs_own_clock_alone_has_it_asked_from_early_enough(site):
    handle = site.study("classic", 6)
    record = handle.records()[2]
    wall = site.now() + CHICAGO
    handle.save(record, {"town": "Neuland"})
    site.simulator.clock.advance(hours=24)
    # By the time that was taken for REDCap's, 13 hours too late, it would lie before the window.
    found = ask(site, lambda upto: Since(upto - timedelta(hours=11), wall, CHICAGO))
    assert record in found.changed
    assert ask(site, lambda upto: Since(upto - timedelta(hours=11), None, CHICAGO)).changed == frozenset()


def test_after_a_long_pause_everything_is_read_and_the_log_only_of_late(site):
    site.study("classic", 6)
    found = ask(site, lambda upto: Since(upto - LONGEST - timedelta(days=1), None, CHICAGO))
    assert found.changed is None
    assert found.begin > site.now() + CHICAGO - timedelta(hours=3)


def test_a_row_of_the_log_that_could_be_about_any_record_has_everything_read(site):
    handle = site.study("classic", 6)
    site.simulator.behaviour = Behaviour(log_has_record=False)
    since = lambda upto: Since(upto - timedelta(hours=1), None, CHICAGO)  # noqa: E731
    assert ask(site, since).changed is not None
    at = site.simulator.clock.local()
    handle.project.log.add(LogRow(at, "nurse1", "record_edit", "Datensatz bearbeitet", "town = 'x'", effect="data"))
    found = ask(site, since)
    assert found.changed is None
    assert "1 row of REDCap's log may concern any record, so every record was read." in found.remark


# -- the census ----------------------------------------------------------------------------------------------


def test_a_census_of_some_events_is_made_whole_where_only_reading_everything_can_tell(site):
    site.study("longitudinal", 6)
    with planner_of(site) as planner:
        brief = planner.census([planner.structure.events[0].unique_event_name])
        assert not brief.whole
        site.simulator.requests.clear()
        assert planner.completed(brief, [], None).whole
        assert [request.content for request in site.simulator.requests] == ["record"]


def test_where_a_census_of_some_events_lacks_many_it_is_asked_of_all_before_any_is_asked_for_by_name(site, monkeypatch):
    handle = site.study("longitudinal", 6)
    monkeypatch.setattr("pipelines.extract.planner.MOST_BY_NAME", 2)
    with planner_of(site) as planner:
        brief = Census(tuple(handle.records()[:2]), ("", ""), {}, whole=False)
        found = planner.completed(brief, handle.records(), frozenset())
        assert found.whole
        assert set(found.records) == set(handle.records())


def test_a_record_that_the_census_lacks_and_redcap_has_is_added_and_one_that_is_gone_is_not(site):
    handle = site.study("classic", 6)
    first, *others = handle.records()
    with planner_of(site) as planner:
        census = planner.census()
        lacking = replace(census, records=census.records[1:], seen=census.seen[1:])
        assert planner.completed(lacking, [first, "gone"], frozenset()).records == (*others, first)


# -- the requests --------------------------------------------------------------------------------------------


def test_where_the_census_lists_some_events_only_a_record_still_has_the_cells_of_all(site):
    handle = site.study("longitudinal", 30)
    with planner_of(site) as planner:
        brief = planner.census([planner.structure.events[0].unique_event_name])
        layout = layout_of(planner, brief)
        [task] = planner.fetch_tasks(layout, brief, brief.records[:1], ())
    rows = len(handle.project.records.get(brief.records[0]).slots)
    assert task.fetch.cells_a_record(None) == rows * len(layout.answer_columns)


def test_so_many_changed_records_that_it_pays_have_the_census_asked_of_all_events(site, monkeypatch):
    monkeypatch.setattr("pipelines.extract.speed.schedule.OWN_SECONDS_A_CELL", 1.0)
    handle = site.study("longitudinal", 8)
    with planner_of(site) as planner:
        brief = planner.census([planner.structure.events[0].unique_event_name])
        backwards = tuple(reversed(handle.records()))
        [task] = planner.fetch_tasks(layout_of(planner, brief), brief, backwards, ())
        assert task.records == planner.census().records
        assert task.fetch.narrow
        assert all(task.scope_masks)


@contextmanager
def costly_cells(site, monkeypatch, records=60):
    """A planner for a server that takes so long for a cell that three records are better asked for scope by scope."""
    monkeypatch.setattr("pipelines.extract.speed.schedule.OWN_SECONDS_A_CELL", 1.0)
    handle = site.study("longitudinal", records)
    with planner_of(site) as planner:
        yield planner, handle.records()


def test_a_few_changed_records_are_located_by_a_census_of_them_alone(site, monkeypatch):
    with costly_cells(site, monkeypatch) as (planner, records):
        brief = planner.census([planner.structure.events[0].unique_event_name])
        layout = layout_of(planner, brief)
        planner = replace(planner, client=Watched(planner.client))
        few = (records[7], records[2], records[4])
        [task] = planner.fetch_tasks(layout, brief, few, ())
        assert planner.client.named == [few]
        assert (task.records, task.fetch.search_in) == ((records[2], records[4], records[7]), few)
        assert task.fetch.narrow
        assert all(task.scope_masks)
        # The scopes have the cells of these three, not of all.
        whole = planner.census()
        [every] = planner.fetch_tasks(layout, whole, records, ())
        assert sum(scope.cells for scope in task.fetch.narrow) < every.fetch.whole.cells / 5


def test_where_the_census_lists_all_events_a_few_changed_records_are_located_in_it(site, monkeypatch):
    with costly_cells(site, monkeypatch) as (planner, records):
        census = planner.census()
        layout = layout_of(planner, census)
        site.simulator.requests.clear()
        [task] = planner.fetch_tasks(layout, census, records[2:5], ())
        assert not site.simulator.requests
        assert (task.records, task.fetch.search_in) == (tuple(records[2:5]), tuple(records[2:5]))
        brief = planner.census([planner.structure.events[0].unique_event_name])
        [same] = planner.fetch_tasks(layout, brief, records[2:5], ())
        assert [scope.cells for scope in task.fetch.narrow] == [scope.cells for scope in same.fetch.narrow]
        assert task.scope_masks == same.scope_masks


def test_a_changed_record_that_its_census_does_not_show_is_asked_for_whole(site, monkeypatch):
    with costly_cells(site, monkeypatch) as (planner, records):
        brief = planner.census([planner.structure.events[0].unique_event_name])
        layout = layout_of(planner, brief)
        site.handles["study"].delete(records[3])
        [task] = planner.fetch_tasks(layout, brief, records[2:5], ())
        masks = dict(zip(task.records, task.scope_masks, strict=True))
        assert sorted(masks) == sorted(records[2:5])
        assert [record for record, mask in masks.items() if not mask] == [records[3]]


def test_a_few_changed_records_of_a_fast_server_are_asked_for_whole_at_once(site):
    handle = site.study("longitudinal", 60)
    with planner_of(site) as planner:
        brief = planner.census([planner.structure.events[0].unique_event_name])
        layout = layout_of(planner, brief)
        site.simulator.requests.clear()
        [task] = planner.fetch_tasks(layout, brief, handle.records()[:3], ())
        assert not site.simulator.requests
        assert (task.fetch.narrow, task.scope_masks, task.fetch.search_in) == ((), (0, 0, 0), ())


def test_the_columns_are_learned_from_the_next_record_where_one_is_gone(site):
    handle = site.study("classic", 6)
    with planner_of(site) as planner:
        assert planner.answer_columns(()) == (None, None)
        columns, at_hand = planner.answer_columns(("gone", handle.records()[0]))
        assert (columns[0], at_hand) == ("record_id", None)


def test_a_load_of_everything_learns_the_columns_from_the_last_record_and_keeps_it(site):
    handle = site.study("classic", 6)
    with planner_of(site) as planner:
        usual, _ = planner.answer_columns(handle.records())
        columns, at_hand = planner.answer_columns((*handle.records(), "gone"), keep=True)
        assert (columns, at_hand.record) == (usual, handle.records()[-1])
        assert json.loads(at_hand.path.read_text())[0]["record_id"] == at_hand.record


def test_where_the_last_record_has_gone_a_load_of_everything_keeps_the_one_before(site):
    handle = site.study("classic", 6)
    with planner_of(site) as planner:
        site.simulator.faults.add("answer", content="record", body=b"[]", content_type="application/json", times=1)
        _, at_hand = planner.answer_columns(handle.records(), keep=True)
        assert at_hand.record == handle.records()[-2]


def test_columns_that_the_dictionary_does_not_explain_end_the_load(site):
    site.study("classic", 6)
    with planner_of(site) as planner:
        for body, detail in ((b"other\n1\n", "it lacks record_id"), (b"record_id,strange\n1,2\n", "explains strange")):
            site.simulator.faults.add("answer", content="record", body=body, content_type="text/csv", times=1)
            with pytest.raises(errors.UnexpectedAnswer, match=detail):
                planner.answer_columns(("1",))


def test_what_is_in_one_and_not_in_the_other_keeps_its_order():
    assert only_in(["3", "1", "2"], {"1"}) == ["3", "2"]
