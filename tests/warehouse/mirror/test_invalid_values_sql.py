"""The statements that list what does not fit, as text."""

from pipelines.warehouse.mirror.rows import invalid_values_sql
from pipelines.warehouse.mirror.rows.invalid_values_sql import TESTS_AT_ONCE, SetupRule
from pipelines.warehouse.tables.layout import make_layout
from tests.support.structures import field, structure

FIELDS = [field("id", "base"), field("weight", "base"), field("dose", "visit")]
REPEATING = make_layout(structure(FIELDS, pairs=[("first", "base"), ("then", "visit")], repeating=[("then", "visit")]))
BASE, VISIT = REPEATING.instruments


def test_an_instrument_has_rows_in_its_events_and_instances_only_where_it_repeats():
    event = SetupRule(
        "redcap_event_name", "_event", "NOT list_contains(['first']::VARCHAR[], _event)", "an event of the instrument"
    )
    instance = SetupRule("redcap_repeat_instance", "_instance", "_instance <> ''", "no instance")
    assert invalid_values_sql.setup_rules(REPEATING, BASE) == [event, instance]
    assert [rule.column for rule in invalid_values_sql.setup_rules(REPEATING, VISIT)] == ["_event"]


def test_a_classic_project_has_no_such_rules():
    layout = make_layout(structure(FIELDS))
    assert invalid_values_sql.setup_rules(layout, layout.instruments[0]) == []
    assert invalid_values_sql.stray_test(layout, layout.instruments[0], "true") is None


def test_tests_are_made_some_at_a_time():
    queries = invalid_values_sql.count_rows(["a"] * TESTS_AT_ONCE + ["b"], "batch")
    assert queries[0].count("FILTER (a)") == TESTS_AT_ONCE
    assert queries[1] == "SELECT count(*) FILTER (b) FROM batch"
    assert len(queries) == 2


def test_cells_on_a_row_of_another_instrument_are_strays():
    test = invalid_values_sql.stray_test(REPEATING, BASE, '"holds base"')
    assert test == "c2 IS NOT NULL AND c2 <> 'base' AND \"holds base\""
    text = " ".join(invalid_values_sql.insert_strays(REPEATING, BASE, test).split())
    assert "SELECT $project, c0, c1, $instrument, c3, cell.field, cell.value, 'a row of the instrument'," in text
    assert "unnest([{'field': 'weight', 'value': c4}, {'field': 'base_complete', 'value': c5}]) AS cell" in text
    assert text.endswith(f"FROM batch WHERE {test}) WHERE cell.value IS NOT NULL")


def test_a_contradiction_is_listed_with_the_key_it_is_about():
    rule = SetupRule("f", "_event", "broken", "an event")
    text = " ".join(invalid_values_sql.insert_contradictions(rule).split())
    assert text.endswith(
        "$field, _event, $expected, 'contradicts the project''s setup', $run_id FROM incoming WHERE broken"
    )
