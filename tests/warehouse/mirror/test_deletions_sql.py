"""The statements that compare, rename and remove the rows of whole records, as text."""

from pipelines.warehouse.mirror.rows import deletions_sql
from pipelines.warehouse.tables.layout import make_layout
from tests.support.structures import field, structure

LAYOUT = make_layout(structure([field("id", "base"), field("weight", "base")]))
[BASE] = LAYOUT.instruments


def test_the_values_of_records_are_candidates():
    assert deletions_sql.fill_candidate_cells("study", LAYOUT, BASE, "missing") == (
        "INSERT INTO candidate_cells SELECT 'missing', _record, 'base', _event, _instance, field, value FROM "
        "(SELECT _record, _event, _instance, unnest(['weight', 'base_complete']) AS field, "
        'unnest(["weight", "base_complete"]) AS value FROM "study:now"."base" '
        "WHERE _record IN (SELECT record FROM missing)) WHERE value IS NOT NULL"
    )


def test_rows_are_chosen_by_a_query_of_records():
    assert deletions_sql.rows_of("study", "base", "SELECT 1") == (
        'SELECT * FROM "study:now"."base" WHERE _record IN (SELECT 1)'
    )
    assert deletions_sql.delete_rows("study", "base", "SELECT 1") == (
        'DELETE FROM "study:now"."base" WHERE _record IN (SELECT 1)'
    )


def test_rows_of_renamed_records_are_joined_by_the_new_id():
    text = deletions_sql.renamed_rows("study", "base")
    assert 'FULL JOIN (SELECT _record, _event, _instance FROM "study:now"."base" WHERE _record IN' in text
    assert "ON n._record = r.new AND n._event = p._event AND n._instance = p._instance) d LEFT JOIN" in text
    assert text.endswith("ne ON ne._record = d._n AND ne._event = d._event AND ne._instance = d._instance")
