"""Questions about an instrument's rows, as text."""

from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.tables import row_sql
from pipelines.warehouse.tables.layout import make_layout
from tests.support.structures import field, structure

LAYOUT = make_layout(
    structure([field("id", "base"), field("weight", "base"), field("race", "base", "checkbox", choices="1, A")])
)
[BASE] = LAYOUT.instruments


def test_a_row_holds_data_where_an_option_is_ticked_or_a_value_is_there():
    assert row_sql.holds_data(BASE, identifier) == (
        '(coalesce("race___1" <> \'0\', false) OR coalesce("base_complete" <> \'0\', false) OR "weight" IS NOT NULL)'
    )


def test_an_instrument_without_columns_holds_nothing():
    [empty] = make_layout(structure([field("id", "base")]), ["id"]).instruments
    assert row_sql.holds_data(empty, identifier) == "(false)"


def test_rows_are_counted_instrument_by_instrument():
    assert row_sql.count_rows("study", ["base", "visit"]) == [
        'SELECT count(*) AS n FROM "study:now"."base"',
        'SELECT count(*) AS n FROM "study:now"."visit"',
    ]


def test_instances_are_looked_for_among_present_rows_and_versions():
    assert row_sql.any_instances("study", ["base"]) == [
        "(SELECT 'base' AS name FROM \"study:now\".\"base\" WHERE _instance <> '' LIMIT 1)",
        "(SELECT 'base' AS name FROM \"study:past\".\"base\" WHERE _instance <> '' LIMIT 1)",
    ]


def test_rows_with_a_value_in_columns_that_are_removed():
    test = row_sql.any_value(["a", "b"])
    assert test == 'coalesce("a", "b") IS NOT NULL'
    assert row_sql.rows_where("study", "base", test) == f'SELECT * FROM "study:now"."base" WHERE {test}'
    assert row_sql.restamp_rows("study", "base", test) == (
        f'UPDATE "study:now"."base" SET _valid_from = $now, _run_id = $run_id WHERE {test}'
    )


def test_duplicate_keys_are_counted():
    assert row_sql.count_duplicate_keys("study", "base") == (
        'SELECT count(*) FROM (SELECT 1 FROM "study:now"."base" '
        "GROUP BY _record, _event, _instance HAVING count(*) > 1)"
    )


def test_events_are_looked_for_in_all_places_at_once():
    assert row_sql.events_used(["a", "b"]) == (
        "SELECT _event FROM a WHERE list_contains($names::VARCHAR[], _event) UNION "
        "SELECT _event FROM b WHERE list_contains($names::VARCHAR[], _event)"
    )
