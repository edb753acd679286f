"""Which requests a load makes: apart where blanks would cost more than requests do, and never losing a value."""

import pytest

from pipelines.extract.chunks import Chunk, Quarantined
from pipelines.extract.scopes import MOST_SCOPES, Group, cheapest, narrow_scopes
from pipelines.extract.selection import Selection
from pipelines.extract.speed.schedule import Capacity
from pipelines.extract.speed.server_speed import ServerSpeed
from pipelines.run import ProjectRun
from pipelines.sync.apply import apply
from pipelines.sync.fetch import fetch
from pipelines.sync.prepare import prepare
from pipelines.sync.reports import LoadOptions
from pipelines.warehouse.tables.layout import key_columns, make_layout
from tests.support.export_oracle import ask, expected, published
from tests.support.load_site import still
from tests.support.structures import field, structure

# A request takes as long as 50,000 cells, and hardly anything is done at the same time.
USUAL = Capacity(ServerSpeed(1.0, 20e-6), concurrency=1)


def group(events, width, instances=0):
    return Group(frozenset(events.split()), width, instances=instances)


@pytest.mark.parametrize(
    ("groups", "rows", "chosen"),
    [
        # Two halves that never meet: a million blank cells are worth two requests.
        ([group("a", 500), group("b", 500)], {"a": 1000, "b": 1000}, [{"a"}, {"b"}]),
        # The same with few rows: one request is cheaper than four.
        ([group("a", 500), group("b", 500)], {"a": 10, "b": 10}, [{"a", "b"}]),
        # A small form beside a large one in the same events is no reason for a request of its own.
        ([group("a b", 500), group("a", 5), group("c", 400)], {"a": 900, "b": 900, "c": 900}, [{"a", "b"}, {"c"}]),
        # The instances of a repeating form are long rows of blanks beside a large one.
        ([group("a", 500), group("a", 5, instances=2000)], {"a": 900}, [{"a"}, {"a"}]),
        ([group("a", 500), group("a", 5, instances=20)], {"a": 900}, [{"a"}]),
        ([group("a", 500)], {"a": 100_000}, [{"a"}]),
        ([], {"a": 1}, []),
    ],
)
def test_groups_are_kept_apart_where_blanks_cost_more_than_requests(groups, rows, chosen):
    found = cheapest(groups, rows, keys=4, capacity=USUAL)
    assert sorted(sorted(g.events) for g in found) == sorted(map(sorted, chosen))


def test_a_group_that_was_merged_early_moves_to_where_it_fits_better():
    groups = [group("c e", 5), group("a c d", 20), group("a b", 40), group("a b d", 20), group("a", 40)]
    found = cheapest(groups, dict.fromkeys("abcde", 100), keys=4, capacity=Capacity(ServerSpeed(1.0, 1e-4)))
    assert {(*sorted(g.events), g.width) for g in found} == {("a", "b", 80), ("a", "b", "c", "d", "e", 45)}


@pytest.mark.parametrize(
    ("capacity", "scopes"),
    [
        # Where cells are slow, every blank one is avoided; where requests are, one is enough.
        (Capacity(ServerSpeed(0.001, 1e-3)), 30),
        (Capacity(ServerSpeed(20.0, 1e-6)), 1),
        # Each scope costs two requests, of which the server takes one in five seconds.
        (Capacity(ServerSpeed(0.01, 100e-6), interval=5.0), 4),
        # On a fast one, what counts is this computer's own time: a request takes as long as 125,000 blank cells.
        (Capacity(ServerSpeed(0.001, 1e-9)), 2),
    ],
)
def test_there_are_as_many_scopes_as_the_server_makes_worthwhile(capacity, scopes):
    groups = [group(f"e{i}", 30) for i in range(30)]
    found = cheapest(groups, {f"e{i}": 50 for i in range(30)}, keys=4, capacity=capacity)
    assert len(found) == scopes
    assert sum(g.width for g in found) == 30 * 30


def test_there_are_no_more_scopes_than_a_record_has_bits_for():
    groups = [group(f"e{i}", 30) for i in range(100)]
    found = cheapest(groups, {f"e{i}": 500 for i in range(100)}, keys=4, capacity=Capacity(ServerSpeed(0, 1e-3)))
    assert len(found) == MOST_SCOPES


FIELDS = [field("id", "base"), field("age", "base"), field("note", "visit"), field("lost", "attic")]
PAIRS = [("one", "base"), ("two", "visit"), ("three", "visit")]
MANY = {"one": 100_000, "two": 100_000, "three": 100_000}


def scopes(selection=Selection(), rows=MANY):  # noqa: B008 - frozen
    return narrow_scopes(make_layout(structure(FIELDS, pairs=PAIRS)), selection, rows, USUAL)


def test_a_scope_names_its_instruments_its_events_and_what_it_will_not_see():
    base, visit = sorted(scopes(), key=lambda scope: len(scope.events))
    assert (base.fields, base.events) == (("id",), ("one",))
    assert (visit.forms, visit.events) == (("visit",), ("two", "three"))
    assert visit.columns == ("id", "redcap_event_name", "note", "visit_complete")
    assert (visit.undesignated.fields, visit.undesignated.events) == (("note", "visit_complete"), ("one",))


def test_an_instrument_designated_for_no_event_is_looked_for_in_all_of_them():
    holding = [scope for scope in scopes() if "attic" in scope.forms]
    assert len(holding) == 1
    assert set(holding[0].events) | set(holding[0].undesignated.events) == set(MANY)


def test_where_fields_are_named_one_by_one_they_stay_so():
    named = Selection(fields=("id", "age", "note", "base_complete", "visit_complete", "attic_complete"))
    assert all(not scope.forms and scope.fields[0] == "id" for scope in scopes(named))


def test_few_rows_and_classic_projects_are_asked_in_one():
    assert scopes(rows={"one": 10, "two": 10, "three": 10}) == ()
    assert narrow_scopes(make_layout(structure(FIELDS)), Selection(), {}, USUAL, records=100_000) == ()


def test_a_repeating_instrument_of_a_classic_project_has_a_scope_of_its_own():
    layout = make_layout(structure(FIELDS))
    found = narrow_scopes(layout, Selection(), {}, USUAL, {"visit": 500_000}, records=100_000)
    assert [(scope.forms, scope.events, scope.undesignated) for scope in found] == [
        (("base", "attic"), (), None),
        (("visit",), (), None),
    ]
    assert found[1].cells == 600_000 * (2 + len(key_columns(layout)))


# -- against the simulator ------------------------------------------------------------------------------------

RECORDS = 60


def fetched(site):
    """What a load's plan and fetch make of the study, without touching the mirror's records."""
    sparing(site)
    config = site.config
    run = ProjectRun(config, config.project("study"), run_id="run", sleep=lambda seconds: None, stopwatch=still)
    with run.mirror() as mirror, run.client() as client, run.verifier() as verifier:
        plan, _ = prepare(run, client, mirror, verifier, LoadOptions())
        return plan, list(fetch(run, client, verifier, plan))


def sparing(site):
    """Let cells cost so much that what is requested does not depend on how fast this computer is."""
    site.monkeypatch.setattr("pipelines.extract.speed.schedule.OWN_SECONDS_A_CELL", 1e-5)


def narrowly(items):
    return [item for item in items if isinstance(item, Chunk) and item.parts[0].scope is not None]


def undesignated(url, handle):
    """A record, one of its events, and a text field whose instrument is not designated for that event."""
    project = handle.project
    record = project.records.get(handle.records()[3])
    event_id = next(slot[0] for slot in record.slots)
    unique = next(event.unique_name for event in project.events if event.event_id == event_id)
    mapping = ask(url, handle.token, "formEventMapping")
    designated = {row["form"] for row in mapping if row["unique_event_name"] == unique}
    column = next(c for c in project.dictionary.columns if c.form not in designated and c.kind == "value")
    return record, event_id, column.name


def test_narrow_requests_bring_all_and_a_value_where_the_setup_has_no_place_for_it_is_loaded_and_reported(site):
    handle = site.study("longitudinal", RECORDS)
    record, event_id, name = undesignated(site.simulator.url, handle)
    record.slots[event_id, "", 0][name] = "7"
    plan, items = fetched(site)
    assert len(plan.tasks[0].fetch.narrow) > 1
    assert sum(len(chunk.records) for chunk in narrowly(items)) > RECORDS * 0.8
    assert sorted(r for chunk in items for r in chunk.records) == sorted(handle.records())
    [whole] = [item for item in items if record.id in item.records]
    assert len(whole.records) < 5
    site.night()
    assert published(site, "study") == expected(site.simulator.url, handle.token)
    assert (record.id, "contradicts the project's setup") in site.rows(
        "SELECT record, reason FROM redcap.invalid_values"
    )


@pytest.mark.parametrize(
    ("kind", "nth"),
    [
        *((kind, 20) for kind in ("drop_records", "truncate_line")),
        *(pytest.param(kind, 20, marks=pytest.mark.fuzz) for kind in ("500", "empty", "truncate", "html")),
        *(pytest.param(kind, 28, marks=pytest.mark.fuzz) for kind in ("drop_records", "truncate_line", "empty", "500")),
    ],
)
def test_no_fault_of_a_narrow_answer_loses_a_record(site, kind, nth):
    handle = site.study("longitudinal", RECORDS)
    site.simulator.faults.add(kind, content="record", nth=nth - 11, times=2)
    plan, items = fetched(site)
    assert plan.tasks[0].fetch.narrow
    assert not [item for item in items if isinstance(item, Quarantined)]
    assert sorted(r for chunk in items for r in chunk.records) == sorted(handle.records())


def test_a_record_deleted_between_the_census_and_the_fetch_has_vanished(site):
    handle = site.study("longitudinal", RECORDS)
    config = site.config
    run = ProjectRun(config, config.project("study"), run_id="run", sleep=lambda seconds: None, stopwatch=still)
    gone = handle.records()[5]
    with run.mirror() as mirror, run.client() as client, run.verifier() as verifier:
        plan, _ = prepare(run, client, mirror, verifier, LoadOptions())
        handle.delete(gone)
        tally = apply(run, mirror, plan, fetch(run, client, verifier, plan))
    assert tally.vanished == [gone]
    assert tally.loaded == RECORDS - 1
