"""Values that narrow requests do not show are searched for beside them, and no record is used before that is done."""

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.extract.chunks import FetchPlan
from pipelines.extract.fetcher import AHEAD
from pipelines.extract.scopes import Scope, Undesignated
from pipelines.extract.undesignated import searches_of
from pipelines.sync.fetch import fetch, search_first
from tests.support.fetching import planned, prepared, records_of
from tests.support.stray_values import STRAY, put_stray_value


def test_searches_are_sent_once_after_the_records_and_the_last_record_is_not_asked_for_again(site):
    with prepared(site) as night:
        items = list(night.fetch(at_hand=night.plan.tasks[0].at_hand))
        answers = len(night.client.sent) - night.searches
        assert night.client.sent == ["csv"] * answers + ["search"] * night.searches
        assert answers == len(night.plan.tasks[0].fetch.narrow)
        assert records_of(items) == sorted(night.plan.tasks[0].records)


def test_without_a_record_at_hand_the_last_one_is_asked_for_where_its_size_puts_it(site):
    with prepared(site) as night:
        assert records_of(night.fetch()) == sorted(night.plan.tasks[0].records)
        assert night.client.sent.count("json") == 1
        assert night.client.sent.index("json") < night.client.sent.index("search")


def test_a_value_that_a_search_finds_after_the_records_have_come_is_not_lost(site):
    with prepared(site) as night:
        found = []
        night.client.before_search = lambda number: found.append(night.stray()) if number == 1 else None
        items = list(night.fetch())
        [whole] = [item for item in items if found[0] in item.records]
        assert not set(found) & {record for item in items if item is not whole for record in item.records}
        assert STRAY in "".join(part.path.read_text() for part in whole.parts)
        assert night.client.sent[-1] == "json"
        assert records_of(items) == sorted(night.plan.tasks[0].records)


ANSWER = {"times": 1, "content_type": "application/json"}
FAILURES = (
    ("500", {"times": 5}, 2),
    ("empty", {"times": 5}, 1),
    ("answer", {**ANSWER, "status": 400, "body": b'{"error":"no eav"}'}, 1),
    ("answer", {**ANSWER, "status": 200, "body": b"[{}]"}, 2),
)
# Those of the other search, and all the others.
FURTHER = [
    pytest.param(kind, options, at, marks=pytest.mark.fuzz)
    for kind, options, nth in FAILURES
    for at in (1, 2)
    if at != nth or kind == "empty" or options.get("status") == 400
]
USUAL = [failure for failure in FAILURES if failure[0] != "empty" and failure[1].get("status") != 400]


@pytest.mark.parametrize(("kind", "options", "nth"), [*USUAL, *FURTHER])
def test_where_a_search_fails_every_record_is_asked_for_whole(site, caplog, kind, options, nth):
    with prepared(site) as night:

        def strike(number):
            if number == nth:
                site.simulator.faults.add(kind, content="record", **options)
                night.stray()

        night.client.before_search = strike
        items = list(night.fetch())
        assert records_of(items) == sorted(night.plan.tasks[0].records)
        assert STRAY in "".join(part.path.read_text() for item in items for part in item.parts)
        # Those that waited for their turn are sent, too.
        assert night.client.sent.count("search") <= nth + AHEAD
        assert caplog.text.count("every record is requested whole, because") == 1
        assert not site.simulator.faults.unused()


def test_no_chunk_is_used_before_all_searches_are_answered(site):
    site.monkeypatch.setattr("pipelines.extract.speed.answer_sizes.FIRST_CHUNK_CELLS", 10_000)
    with prepared(site) as night:
        sent = night.client.sent
        at_results = [sent.count("search") for item in night.fetch() if len(item.records) > 3]
        assert len(at_results) > 1
        assert set(at_results) == {night.searches}
        # They are sent after the first chunk, and not after all.
        assert "csv" in sent[len(sent) - 1 - sent[::-1].index("search") :]


def test_what_several_steps_fetch_is_searched_for_once(site):
    with prepared(site) as night:
        stray = night.stray()
        plan = search_first(night.run, night.client, night.verifier, night.plan)
        assert night.client.sent == ["search"] * night.searches
        assert plan.calls.requests == night.plan.calls.requests + night.client.calls.requests
        assert (night.plan.searched, plan.searched) == (False, True)
        [task] = plan.tasks
        masks = dict(zip(task.records, task.scope_masks, strict=True))
        assert [record for record, mask in masks.items() if not mask] == [stray]
        assert search_first(night.run, night.client, night.verifier, plan).tasks == plan.tasks
        items = [
            item
            for batch in range(3)
            for item in fetch(night.run, night.client, night.verifier, plan, plan.batch(batch, 3), prefix=f"b{batch}")
        ]
        assert night.client.sent.count("search") == night.searches
        assert records_of(items) == sorted(task.records)
        assert STRAY in "".join(part.path.read_text() for item in items for part in item.parts)


def test_where_few_records_changed_only_these_are_searched_and_a_value_in_them_is_not_lost(site):
    handle = site.study("longitudinal", 60)
    site.load()
    site.simulator.clock.advance(hours=24)
    changed = handle.records()[3:11]
    for record in changed:
        handle.save(record, {"weight": "71"}, event=handle.project.events[0].unique_name)
    put_stray_value(handle.project, changed[2])
    with planned(site, cell=1.0) as night:
        assert sorted(night.task.records) == sorted(changed)
        items = list(night.fetch())
        searched = [
            named for sent, named in zip(night.client.sent, night.client.named, strict=True) if sent == "search"
        ]
        assert searched == [night.task.fetch.search_in] * night.searches
        assert night.searches
        assert sorted(searched[0]) == sorted(changed)
        assert records_of(items) == sorted(changed)
        [whole] = [item for item in items if changed[2] in item.records]
        assert STRAY in "".join(part.path.read_text() for part in whole.parts)


def test_no_search_names_more_than_a_server_is_sure_to_read(monkeypatch):
    monkeypatch.setattr("pipelines.extract.undesignated.MOST_VALUES", 6)
    monkeypatch.setattr("pipelines.extract.undesignated.MOST_RECORDS", 2)
    whole = Scope((), (), (), ())
    wide = replace(whole, undesignated=Undesignated(("a", "b", "c", "d", "e"), ("later", "last")))
    plan = FetchPlan("study", "record_id", whole, narrow=(wide, whole), search_in=("1", "2"))

    def searched(plan):
        searches = searches_of(plan, Path("staging"), "chunk")
        assert len({search.path for search in searches}) == len(searches)
        assert {search.place.events for search in searches} == {("later", "last")}
        return [(search.records, search.place.fields) for search in searches]

    some = ("1", "2")
    assert searched(plan) == [(some, ("a", "b")), (some, ("c", "d")), (some, ("e",))]
    # More records are not named at all, so the whole project is searched.
    more = replace(plan, search_in=("1", "2", "3"))
    assert searched(more) == [((), ("a", "b", "c", "d")), ((), ("e",))]


def test_where_a_search_before_several_steps_fails_every_record_is_asked_for_whole(site, caplog):
    with prepared(site) as night:
        site.simulator.faults.add("500", content="record", times=10)
        plan = search_first(night.run, night.client, night.verifier, night.plan)
        assert set(plan.tasks[0].scope_masks) == {0}
        assert plan.searched
        assert "every record is requested whole, because" in caplog.text
