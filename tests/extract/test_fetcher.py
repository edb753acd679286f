"""The record that was requested to learn the columns: not asked for again, unless its answer cannot be trusted."""

import json

import pytest

from pipelines.sync.fetch import fetch
from tests.support.fetching import prepared, records_of


def cut(path):
    text = path.read_text()
    path.write_text(text[: len(text) // 2])


def cut_after_a_row(path):
    # As a server leaves it that dies between two rows.
    path.write_text(path.read_text().partition("},{")[0] + "}")


def without_a_column(path):
    path.write_text(json.dumps([dict(list(row.items())[:-1]) for row in json.loads(path.read_text())]))


def of_another_record(path):
    path.write_text(path.read_text().replace('"record_id":"', '"record_id":"1'))


SPOILED = {
    "cut after a row": cut_after_a_row,
    "of another record": of_another_record,
}
FURTHER = {
    "blank": lambda path: path.write_text("[]"),
    "gone": lambda path: path.unlink(),
    "cut": cut,
    "without a column": without_a_column,
}


@pytest.mark.parametrize(
    "spoil",
    [*SPOILED.values(), *(pytest.param(spoil, marks=pytest.mark.fuzz) for spoil in FURTHER.values())],
    ids=[*SPOILED, *FURTHER],
)
def test_an_answer_at_hand_that_is_not_whole_is_asked_for_again(site, spoil):
    with prepared(site, records=30) as night:
        at_hand = night.task.at_hand
        assert at_hand.record == night.task.records[-1]
        spoil(at_hand.path)
        items = list(night.fetch(at_hand=at_hand))
        assert records_of(items) == sorted(night.task.records)
        [again] = [item for item in items if at_hand.record in item.records]
        assert again.number > 0
        assert "json" in night.client.sent


@pytest.mark.parametrize("kind", ["longitudinal", "classic"])
def test_a_record_at_hand_that_is_deleted_meanwhile_leaves_no_other_record_in_doubt(site, kind):
    with prepared(site, kind, records=200 if kind == "classic" else 30) as night:
        site.handles["study"].delete(night.task.at_hand.record)
        assert records_of(night.fetch(at_hand=night.task.at_hand)) == sorted(night.task.records)


def test_a_step_that_is_repeated_asks_for_the_record_whose_answer_it_has_used_up(site):
    with prepared(site, "classic", records=40) as night:

        def batch(number):
            parts = night.plan.batch(number, 2)
            items = list(fetch(night.run, night.client, night.verifier, night.plan, parts, prefix=f"b{number}"))
            return records_of(items), 0 in [item.number for item in items]

        first, last = sorted(night.task.records[:20]), sorted(night.task.records[20:])
        assert [batch(0), batch(1), batch(1)] == [(first, False), (last, True), (last, False)]
