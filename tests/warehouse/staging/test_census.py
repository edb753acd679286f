"""The census: one narrow answer, what is read out of it, and what is made of it when it is not as it should be."""

import json
from collections.abc import Iterator

import pytest

from pipelines.errors import VerificationFailed
from pipelines.warehouse.staging.census import Census, merge_censuses, read_census, records_named, scope_masks
from pipelines.warehouse.staging.verify import open_verifier


@pytest.fixture
def verifier(tmp_path) -> Iterator:
    with open_verifier(tmp_path) as connection:
        yield connection


def answer(folder, rows, name="census.json"):
    """An answer of (record, event) rows as JSON."""
    path = folder / name
    path.write_text(json.dumps([{"id": record, "redcap_event_name": event} for record, event in rows]))
    return path


# Three records have rows in `first`, two in `second`, one in `third`.
ROWS = [
    *[(record, "first") for record in ("1", "2", "3")],
    *[(record, "second") for record in ("3", "4")],
    *[("1", "third")] * 7,
]


def test_the_few_events_in_which_every_record_has_a_row_are_found(verifier, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.warehouse.staging.census.MANY_ROWS", 1)
    census = read_census(verifier, answer(tmp_path, ROWS), "id", longitudinal=True)
    assert census.covering_events == ("first", "second")
    assert census.rows == {"first": 3, "second": 2, "third": 7}
    assert census.records == ("1", "2", "3", "4")
    # In how many rows it stands in an event does not matter; of the sets of events, `1` is in both.
    assert scope_masks(verifier, [{"first"}, {"third"}]) == (3, 1, 1, 0)


def test_where_no_few_events_hold_every_record_all_are_asked_for(verifier, tmp_path, monkeypatch):
    monkeypatch.setattr("pipelines.warehouse.staging.census.MANY_ROWS", 1)
    monkeypatch.setattr("pipelines.warehouse.staging.census.MAX_EVENTS", 2)
    rows = [(str(record), f"event {record}") for record in range(5) for _ in range(3)]
    assert read_census(verifier, answer(tmp_path, rows), "id", longitudinal=True).covering_events == ()


def test_a_small_census_is_not_worth_narrowing(verifier, tmp_path):
    assert read_census(verifier, answer(tmp_path, ROWS), "id", longitudinal=True).covering_events == ()


def test_a_record_that_stands_elsewhere_is_otherwise_seen_whatever_the_order(verifier, tmp_path):
    def seen(rows):
        census = read_census(verifier, answer(tmp_path, rows), "id", longitudinal=True)
        return dict(zip(census.records, census.seen, strict=True))

    before = seen([("1", "a"), ("1", "b"), ("2", "a")])
    assert seen([("2", "a"), ("1", "b"), ("1", "a")]) == before
    after = seen([("1", "a"), ("2", "a")])
    assert (after["1"] == before["1"], after["2"] == before["2"]) == (False, True)


def test_records_of_either_of_two_counts_are_there_and_the_last_whole_one_tells_where():
    whole, brief = Census(("1", "2"), ("a", "b"), {}), Census(("2", "3"), ("c", "d"), {}, whole=False)
    assert merge_censuses(whole, brief) == Census(("1", "2", "3"), ("a", "b", ""), {})
    assert merge_censuses(whole, Census(("3", "1"), ("e", "f"), {})) == Census(("3", "1", "2"), ("e", "f", ""), {})


@pytest.mark.parametrize("text", ['[{"id":"1"', "", "PHP Warning: x", '{"error":"x"}'])
@pytest.mark.parametrize("read", [lambda c, path: read_census(c, path, "id", longitudinal=False), records_named])
def test_an_answer_that_is_no_whole_list_is_not_believed(verifier, tmp_path, text, read):
    path = tmp_path / "census.json"
    path.write_text(text)
    with pytest.raises(VerificationFailed):
        read(verifier, path)


@pytest.mark.parametrize("text", ['[{"id":"1"},{"id":""}]', '[{"id":"1"},{"other":"2"}]'])
def test_a_row_without_its_record_is_not_believed(verifier, tmp_path, text):
    path = tmp_path / "census.json"
    path.write_text(text)
    with pytest.raises(VerificationFailed, match="a row has no id"):
        read_census(verifier, path, "id", longitudinal=False)


def test_values_name_their_records_or_are_not_believed(verifier, tmp_path):
    path = tmp_path / "elsewhere.json"
    path.write_text('[{"record":"1","value":"x"},{"record":"1","value":"y"},{"record":"7","value":""}]')
    assert records_named(verifier, path) == {"1", "7"}
    path.write_text('[{"record":"1","value":"x"},{"value":"y"}]')
    with pytest.raises(VerificationFailed, match="has no record id"):
        records_named(verifier, path)
