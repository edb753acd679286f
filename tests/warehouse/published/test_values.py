"""From REDCap's text to what a reader finds: values at the edges, through a real load and publish."""

from collections.abc import Iterable, Iterator

import duckdb
import pytest

from redcap_source.simulator import Project, Simulator
from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.records import Record
from tests.support.load_site import Site

FIELDS = (
    ("record_id", "text", "", ""),
    ("age", "text", "integer", ""),
    ("score", "text", "number", ""),
    ("day", "text", "date_ymd", ""),
    ("side", "radio", "", "1, Left | right | 2, Up"),
    ("hostile", "radio", "", "1, Yes | 0, No"),
)
RECORDS = (
    {"age": "-99", "score": "1e400", "day": "2018-8-1", "side": "1", "hostile": "1.0"},
    {"age": "50", "score": "9007199254740993", "day": "2018-08-01", "side": "2", "hostile": "1"},
    {"age": "UNK", "score": "123456789012345678.1"},
)


def study(records: Iterable[dict[str, str]]) -> Project:
    """A study with one instrument, and records numbered from 1."""
    project = Project(
        Dictionary(
            [
                Field(
                    name,
                    "base",
                    field_type=kind,
                    field_label=name,
                    select_choices_or_calculations=choices,
                    text_validation_type_or_show_slider_number=validation,
                )
                for name, kind, validation, choices in FIELDS
            ]
        )
    )
    for number, values in enumerate(records, 1):
        project.records.put(record_of(project, str(number), values))
    return project


def record_of(project: Project, name: str, values: dict[str, str]) -> Record:
    """A record as it may have been stored before its fields were as they are: nothing is validated."""
    (event,) = project.events
    return Record(name, {(event.event_id, "", 0): {"record_id": name, "base_complete": "0", **values}})


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> Iterator[Site]:
    with Simulator() as simulator, pytest.MonkeyPatch.context() as environment:
        site = Site(simulator, tmp_path_factory.mktemp("values"), environment)
        project = study(RECORDS)
        project.set_missing_codes("-99, Refused | UNK, Unknown")
        site.add("study", project)
        assert site.night().invalid_values == 7
        yield site


def test_values_at_the_edges_are_null_or_right_in_typed_tables_verbatim_in_raw_and_listed(loaded):
    typed, labels, raw = (
        loaded.rows(f"SELECT age::VARCHAR, score::VARCHAR, day::VARCHAR FROM {schema}.base ORDER BY record_id")
        for schema in ("study", "study_labels", "study_raw")
    )
    assert typed == [(None, None, None), ("50", None, "2018-08-01"), (None, None, None)]
    assert [age for age, *_ in labels] == ["Refused", "50", "Unknown"]
    assert raw == [
        (values["age"], values["score"], values.get("day")) for values in RECORDS
    ]  # fmt: skip
    assert loaded.rows("SELECT avg(age) FROM study.base") == [(50.0,)]
    listed = loaded.rows("SELECT record, field, value, reason FROM redcap.invalid_values ORDER BY ALL")
    assert {(record, field) for record, field, _, _ in listed} == {
        ("1", "age"), ("1", "day"), ("1", "hostile"), ("1", "score"), ("2", "score"), ("3", "age"), ("3", "score"),
    }  # fmt: skip
    assert {reason for _, field, _, reason in listed if field == "age"} == {"missing data code"}
    assert [reason for _, field, _, reason in listed if field == "hostile"] == ["not among the choices"]
    assert all(value == RECORDS[int(record) - 1][field] for record, field, value, _ in listed)


def test_a_bar_inside_a_choices_label_makes_no_choice(loaded):
    choices = loaded.rows("SELECT code, label FROM redcap.field_choices WHERE field_name = 'side' ORDER BY code")
    assert choices == [("1", "Left | right"), ("2", "Up")]
    assert loaded.rows("SELECT side FROM study_labels.base WHERE record_id = '1'") == [("Left | right",)]


def test_as_of_now_shows_every_row_in_any_time_zone(loaded):
    for zone in ("UTC", "America/Chicago", "Pacific/Auckland"):
        with duckdb.connect(str(loaded.warehouse.database), read_only=True) as connection:
            connection.execute(f"SET TimeZone = '{zone}'")
            counted = connection.execute("SELECT count(*) FROM study_history.as_of('base', now())").fetchone()
        assert counted == (len(RECORDS),)


# The other tests here have values that come later.
@pytest.mark.fuzz
def test_values_that_do_not_fit_are_null_in_the_history_as_well_when_they_are_the_first(site):
    handle = site.add("study", study([{"age": "50"}]))
    history = "SELECT record_id, age, _valid_to IS NULL FROM study_history.base ORDER BY ALL"
    site.night()
    assert site.rows(history) == [("1", 50, True)]
    handle.save("2", {"age": "15"})
    # DuckDB's cast would make 2 of it.
    handle.project.records.put(record_of(handle.project, "2", {"age": "1.5"}))
    assert site.night().invalid_values == 1
    assert site.rows(history) == [("1", 50, True), ("2", None, True)]
    handle.save("2", {"age": "51"})
    assert site.night().invalid_values == 0
    assert site.rows(history) == [("1", 50, True), ("2", 51, True), ("2", None, False)]
