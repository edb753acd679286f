"""What is listed as not fitting, and what the typed and labelled tables show of it."""

from dataclasses import replace

import pytest

from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.schema.view_definitions import invalid_columns
from pipelines.warehouse.tables.casts import create_macros
from pipelines.warehouse.tables.labels import create_label_macros
from pipelines.warehouse.tables.layout import make_layout, rows_now
from pipelines.warehouse.tables.views import TYPED, publication
from redcap_source.model import ExportFieldName
from tests.support.structures import columns_of, field, nothing_more, staged, stamp, structure

CODES = "-99, Refused | UNK, Unknown | 1900-01-01, No date | 2, Two"
FIELDS = [
    field("record_id", "base"),
    field("age", "base", validation="integer"),
    field("weight", "base", validation="number"),
    field("pain", "base", "slider"),
    field("bmi", "base", "calc"),
    field("seen", "base", validation="date_ymd"),
    field("at", "base", validation="datetime_ymd"),
    field("clock", "base", validation="time"),
    field("smokes", "base", "yesno"),
    field("owns", "base", "truefalse"),
    field("tags", "base", "checkbox", choices="7, Seven"),
    field("race", "base", "radio", choices="1, One | 2, Two of these"),
    field("note", "base", "notes"),
    field("floor", "base", validation="integer", annotation="@NOMISSING"),
]
HEAD = (
    "record_id | age | weight | pain | bmi | seen | at | clock | smokes | owns | tags___7 | race | note | floor "
    "| base_complete"
)
COLUMNS = [name.strip() for name in HEAD.split("|")]
ROWS = f"""
{HEAD}
1 | -99 | -99 | -99 | -99  | 1900-01-01 | UNK              | -99  | -99 | UNK | -99 | -99 | UNK  | -99 | 2
2 | 50  | 2   | 50  | 24.5 | 2020-02-29 | 2020-01-01 10:00 | 9:05 | 1   | 0   | 1   | 2   | fine | 3   | 2
3 | x   | .   | .   | .    | .          | .                | .    | 2   | 5   | .   | 1.0 | .    | .   | 7
"""


@pytest.fixture
def mirror(tmp_path):
    with open_mirror(tmp_path / "work" / "study.duckdb", "study", staging=tmp_path) as opened:
        yield opened


def load(mirror, tmp_path, described, number, text):
    layout = make_layout(described, columns_of(text))
    mirror.write_structure(described, layout, stamp(number))
    return mirror.apply(layout, [staged(tmp_path, text, f"chunk{number}")], [], stamp(number))


def rows(mirror, query):
    return mirror.connection.execute(query).fetchall()


def make_macros(mirror):
    """The macros that the published file has."""
    mirror.connection.execute("CREATE SCHEMA IF NOT EXISTS _publish")
    mirror.connection.execute(create_macros())
    mirror.connection.execute(create_label_macros())


def shown(mirror, described, face):
    """The rows readers find, by record and column."""
    layout = make_layout(described, columns_of(ROWS))
    table = layout.instruments[0]
    invalid = invalid_columns(mirror.connection).get(table.name, ())
    found = publication(layout, table, instances=False, invalid=invalid)
    make_macros(mirror)
    source = rows_now("study", "base")
    if face == "label_select" and found.labels_from == TYPED:
        source = f"({found.typed_select} FROM {source})"
    cursor = mirror.connection.execute(f"{getattr(found, face)} FROM {source} ORDER BY 1")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def listed(mirror):
    found = rows(mirror, "SELECT record, field, value, reason FROM redcap.invalid_values")
    return {(record, name, value): reason for record, name, value, reason in found}


def test_a_missing_data_code_is_null_in_every_typed_column_and_listed_and_has_its_label(mirror, tmp_path):
    described = structure(FIELDS, missing=CODES)
    load(mirror, tmp_path, described, 1, ROWS)
    raw, typed, labels = (shown(mirror, described, f"{face}_select") for face in ("raw", "typed", "label"))
    coded = [name for name in COLUMNS[1:-1] if name not in ("race", "note", "floor")]
    assert {typed[0][name] for name in coded} == {None}
    assert [raw[0][name] for name in ("age", "seen", "at", "tags___7")] == ["-99", "1900-01-01", "UNK", "-99"]
    assert {name: labels[0][name] for name in (*coded, "note", "race")} == {
        **dict.fromkeys((*coded, "race"), "Refused"),
        "seen": "No date",
        **dict.fromkeys(("at", "owns", "note"), "Unknown"),
    }
    # `2` stands for missing data, and is no weight; but it is a choice of the race, and of no yes or no.
    assert [typed[1][name] for name in ("age", "weight", "race", "smokes", "tags___7")] == [50, None, "2", True, True]
    assert [labels[1][name] for name in ("age", "weight", "race", "smokes", "seen", "tags___7")] == [
        *("50", "Two", "Two of these", "Yes", "2020-02-29", "Checked"),
    ]
    assert typed[0]["floor"] == labels[0]["floor"] == -99
    found = listed(mirror)
    expected = {("1", name, raw[0][name]): "missing data code" for name in (*coded, "race")}
    assert {cell: reason for cell, reason in found.items() if cell[0] == "1"} == expected
    assert {cell: reason for cell, reason in found.items() if cell[0] == "2"} == {
        ("2", "weight", "2"): "missing data code"
    }
    # Numeric codes are not averaged.
    layout = make_layout(described, columns_of(ROWS))
    select = publication(layout, layout.instruments[0], instances=False).typed_select
    assert rows(mirror, f"SELECT avg(age) FROM ({select} FROM {rows_now('study', 'base')})") == [(50.0,)]


def test_a_code_that_is_not_among_the_choices_is_listed_and_its_text_kept(mirror, tmp_path):
    described = structure(FIELDS)
    load(mirror, tmp_path, described, 1, ROWS)
    found = {cell: reason for cell, reason in listed(mirror).items() if cell[0] == "3"}
    assert found == {
        ("3", "age", "x"): "not a BIGINT",
        ("3", "race", "1.0"): "not among the choices",
        ("3", "smokes", "2"): "not among the choices",
        ("3", "owns", "5"): "not among the choices",
        ("3", "base_complete", "7"): "not among the choices",
    }
    for face in ("typed_select", "label_select"):
        row = shown(mirror, described, face)[2]
        assert (row["race"], row["base_complete"]) == ("1.0", "7")


def test_a_field_whose_choices_only_the_server_knows_is_not_judged(mirror, tmp_path):
    fields = [field("record_id", "base"), field("site", "base", "sql", choices="SELECT a FROM b")]
    load(mirror, tmp_path, structure(fields), 1, "record_id | site | base_complete\n1 | 17 | 2")
    assert listed(mirror) == {}


@pytest.mark.parametrize("known", [False, True])
def test_a_choice_that_came_or_went_lists_the_stored_values_anew(mirror, tmp_path, known):
    before, after = "1, One | 2, Two", "1, One | 1.0, Legacy"
    fields = [field("record_id", "base"), field("race", "base", "radio", choices=before if known else after)]
    text = "record_id | race | base_complete\n1 | 1.0 | 2\n2 | 2 | 2"
    load(mirror, tmp_path, structure(fields), 1, text)
    mirror.connection.execute("UPDATE state.instruments SET stale = false")
    fields = [fields[0], field("race", "base", "radio", choices=after if known else before)]
    described = structure(fields)
    mirror.write_structure(described, make_layout(described, columns_of(text)), stamp(2))
    assert listed(mirror) == {(("2", "race", "2") if known else ("1", "race", "1.0")): "not among the choices"}
    # No record has to be read again for that.
    assert mirror.tables.stale_instruments() == ()


def test_codes_for_missing_data_that_changed_list_the_stored_values_anew_and_nothing_else(mirror, tmp_path):
    fields = [field("record_id", "base"), field("age", "base", validation="integer"), field("drug", "drugs")]
    text = """
    record_id | redcap_event_name | redcap_repeat_instrument | redcap_repeat_instance | age | base_complete | drug | drugs_complete
    1         | one               | .                        | .                      | -99 | 2             | .    | .
    2         | two               | .                        | .                      | 5   | 2             | .    | .
    2         | one               | drugs                    | 1                      | 6   | .             | A    | 0
    """  # noqa: E501 - grids are wide
    places = {"pairs": [("one", "base"), ("one", "drugs"), ("two", "drugs")], "repeating": [("one", "drugs")]}
    load(mirror, tmp_path, structure(fields, **places), 1, text)
    mirror.connection.execute("UPDATE state.instruments SET stale = false")
    before = listed(mirror)
    assert set(before.values()) == {"contradicts the project's setup", "on a row of the repeating instrument drugs"}
    described = structure(fields, missing="-99, Refused", **places)
    mirror.write_structure(described, make_layout(described, columns_of(text)), stamp(2))
    assert listed(mirror) == before | {("1", "age", "-99"): "missing data code"}
    assert mirror.tables.stale_instruments() == ()


def test_choices_that_contradict_the_export_field_names_are_listed_once_and_only_while_they_do(mirror, tmp_path):
    fields = [
        field("record_id", "base"),
        field("cb", "base", "checkbox", choices="1, Red | 2, Blue |or| teal"),
        field("other", "base", "checkbox", choices="1, A | -2, B"),
    ]
    agreeing = structure(fields, missing="-9, Refused")
    names = (*agreeing.export_field_names, ExportFieldName("cb", "cb____9", "-9"))
    split = (names[0], *names[2:], ExportFieldName("cb", "cb___or", "or"), ExportFieldName("cb", "cb___teal", "teal"))
    text = "record_id | cb___1 | cb___2 | other___1 | other____2 | base_complete\n1 | 1 | 0 | 0 | 1 | 2"
    for number, (exported, expected) in enumerate(
        [
            (names, set()),
            (split, {("1", "a column of the export"), ("or", "one of its choices"), ("teal", "one of its choices")}),
            (split, {("1", "a column of the export"), ("or", "one of its choices"), ("teal", "one of its choices")}),
            (names, set()),
            # A server that names no columns of the field says nothing of its choices.
            ((names[0], *names[3:5]), set()),
        ],
        start=1,
    ):
        load(mirror, tmp_path, replace(agreeing, export_field_names=exported), number, text)
        found = rows(mirror, "SELECT record, instrument, field, value, expected, reason FROM redcap.invalid_values")
        assert sorted(found) == sorted(
            (None, "base", "cb", code, what, "contradicts the export field names") for code, what in expected
        )
    labels = rows(
        mirror, "SELECT code, label, column_name FROM redcap.field_choices WHERE field_name = 'cb' ORDER BY code"
    )
    assert labels == [("1", "Red", "cb___1"), ("2", "Blue |or| teal", "cb___2")]


def test_a_typed_table_shows_no_number_that_its_type_would_change(mirror, tmp_path):
    fields = [field("record_id", "base"), field("weight", "base", validation="number"), field("bmi", "base", "calc")]
    described = structure(fields)
    head = "record_id | weight | bmi | base_complete\n"

    def typed():
        make_macros(mirror)
        select = rows(mirror, "SELECT typed_select FROM state.publication")[0][0]
        return rows(
            mirror, f"SELECT weight, bmi FROM ({select} FROM {rows_now('study', 'base')}) ORDER BY 1 NULLS LAST"
        )

    load(mirror, tmp_path, described, 1, f"{head}1 | 70.50 | 0.9033457249070632 | 2\n2 | 9007199254740993 | 1e400 | 2")
    layout = make_layout(described, columns_of(head))
    nothing_more(mirror, layout, 1)
    assert typed() == [(70.5, 0.9033457249070632), (None, None)]
    load(mirror, tmp_path, described, 2, f"{head}1 | 70.50 | 0.9033457249070632 | 2\n2 | 1 | 2 | 2")
    nothing_more(mirror, layout, 2)
    assert typed() == [(1.0, 2.0), (70.5, 0.9033457249070632)]
    # What a write-back wrote comes without a load's end.
    load(mirror, tmp_path, described, 3, f"{head}1 | 1e400 | 1 | 2\n2 | 1 | 2 | 2")
    assert typed() == [(1.0, 2.0), (None, 1.0)]
