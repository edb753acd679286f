"""The statements of a comparison over a project's own columns, as text."""

from datetime import datetime
from pathlib import Path

import pytest

from pipelines.warehouse.comparison import comparison_sql
from pipelines.warehouse.database.connection import connect
from pipelines.warehouse.database.plain_csv import PlainCsv
from pipelines.warehouse.mirror import journal_sql
from pipelines.warehouse.published import snapshot_sql

REPEATING = ("record_id", "redcap_event_name", "redcap_repeat_instance", "weight")


def test_a_row_has_the_keys_that_its_table_has():
    assert (
        comparison_sql.same_row(["record_id", "weight"])
        == "t.\"record_id\" = o.record AND '' = o.event AND '' = o.instance"
    )
    assert comparison_sql.same_row(REPEATING) == (
        't."record_id" = o.record AND coalesce(t."redcap_event_name", \'\') = o.event '
        "AND coalesce(t.\"redcap_repeat_instance\", '') = o.instance"
    )


def test_cells_are_joined_only_if_one_of_their_fields_is_published():
    joined = comparison_sql.cells_with_published("s.exam", ["record_id", "weight"], ["weight", "gone"], "true")
    assert "CASE o.field WHEN 'weight' THEN t.\"weight\" END" in joined
    assert 'LEFT JOIN s.exam t ON t."record_id" = o.record' in joined
    assert "gone" not in joined
    alone = comparison_sql.cells_with_published("s.exam", ["record_id"], ["gone"], "o.clears")
    assert "JOIN" not in alone
    assert "'' AS published" in alone
    assert "AND o.clears AND" in alone


def test_a_checkbox_lists_its_published_options():
    statement = comparison_sql.find_ticked("s.exam", ["record_id", "race___1"], ["race___1", "race___2"])
    assert "[CASE WHEN t.\"race___1\" = '1' THEN 'race___1' END]::VARCHAR[]" in statement


def test_rows_differ_in_any_of_their_columns_and_a_column_that_is_not_published_is_blank():
    statement = comparison_sql.differing_rows("s.exam", ["record_id", "weight"], {"weight": "v0", "new": "v1"})
    assert "[o.v0, o.v1], [coalesce(t.\"weight\", ''), '']" in statement
    assert statement.endswith("AND (o.v0 <> coalesce(t.\"weight\", '') OR o.v1 <> ''))"[:-1])


def test_a_zero_is_no_value_where_an_export_shows_it_of_blanks():
    statement = comparison_sql.refuse_foreign({"weight": "v0", "exam_complete": "v1"}, {"exam_complete"})
    assert "CASE WHEN v0 <> '' THEN 'weight' WHEN v1 NOT IN ('', '0') THEN 'exam_complete' END" in statement
    assert statement.endswith("(v0 <> '' OR v1 NOT IN ('', '0'))")


def test_a_file_is_read_by_the_positions_of_its_columns():
    file = PlainCsv(Path("/staging/f.csv"), ",", 2, 1)
    statement = comparison_sql.source_of_csv(file, {"record": 1, "event": -1}, seen_given=True)
    assert "coalesce(c1, '') AS record, '' AS event, true AS seen_given, NULL::VARCHAR AS problem" in statement
    assert "seen_given" not in comparison_sql.source_of_csv(file, {"record": 1})


@pytest.mark.parametrize("name", ['a"b', "weight; DROP TABLE found"])
def test_names_and_values_are_quoted(name):
    quoted = '"' + name.replace('"', '""') + '"'
    statements = (
        comparison_sql.differing_rows("s.exam", ["record_id", name], {name: "v0"}),
        comparison_sql.cells_with_published("s.exam", ["record_id", name], [name], "true"),
        journal_sql.changed_after_write("study", "exam", name),
    )
    for statement in statements:
        assert quoted in statement
    assert "'it''s'" in comparison_sql.refuse_foreign({"it's": "v0"}, ())


def test_every_generated_statement_is_sql():
    """DuckDB parses each, whatever its tables are."""
    cells = comparison_sql.cells_with_published("s.exam", REPEATING, ["weight"], "true")
    statements = (
        comparison_sql.source_of_json(1, {"record": "c0", "event": None}),
        comparison_sql.insert_json("found", ["VARCHAR", "BIGINT"]),
        comparison_sql.create_page(cells),
        cells,
        comparison_sql.find_cells(cells),
        comparison_sql.seen_and_published(cells),
        comparison_sql.differing_cells(cells),
        comparison_sql.find_ticked("s.exam", REPEATING, ["race___1"]),
        comparison_sql.create_submitted_rows(["v0"]),
        comparison_sql.take_rows(["v0"], "SELECT 1", "NULL"),
        comparison_sql.refuse_foreign({"weight": "v0"}, ()),
        comparison_sql.differing_rows("s.exam", REPEATING, {"weight": "v0"}),
        journal_sql.changed_after_write("study", "exam", "weight"),
        snapshot_sql.create_rows_as_of("exam as of", "study", "exam", datetime(2024, 6, 1, 12)),
    )
    with connect() as connection:
        for statement in statements:
            assert len(connection.extract_statements(statement)) == 1


def test_earlier_rows_are_those_of_the_moment():
    statement = snapshot_sql.create_rows_as_of("exam as of", "study", "exam", datetime(2024, 6, 1, 12))
    assert statement.endswith("SELECT * FROM \"study_history_raw\".\"as_of\"('exam', TIMESTAMP '2024-06-01 12:00:00')")
