"""The statements that keep what rows were, as text."""

from pipelines.warehouse.mirror.rows import history_sql


def test_versions_leave_out_what_the_run_itself_wrote():
    assert history_sql.insert_versions("study", "base", "SELECT 1") == (
        'INSERT INTO "study:past"."base" BY NAME '
        "SELECT *, $now AS _valid_to, $run_id AS _closed_run FROM (SELECT 1) WHERE _run_id <> $run_id"
    )


def test_a_side_without_a_row_is_null():
    [cell] = history_sql.cells_of([("_data_access_group", "redcap_data_access_group")], None, "n")
    assert (cell.field, cell.old, cell.new) == ("redcap_data_access_group", "NULL", 'n."_data_access_group"')


def test_each_cell_that_differs_is_a_row_of_record_changes():
    cells = history_sql.cells_of([("a", "a"), ("b", "b")], "p", "n")
    text = " ".join(history_sql.insert_cell_changes(cells, "rows r", change="'update'", keys="r.").split())
    assert text == (
        "INSERT INTO redcap.record_changes SELECT $project, _record, nullif(_event, ''), $instrument, "
        "nullif(_instance, ''), field, old, new, change, $now, $run_id, 'redcap', NULL, NULL, NULL FROM ( "
        "SELECT r._record, r._event, r._instance, 'update' AS change, unnest(['a', 'b']) AS field, "
        'unnest([p."a", p."b"]::VARCHAR[]) AS old, unnest([n."a", n."b"]::VARCHAR[]) AS new FROM rows r ) '
        "WHERE old IS DISTINCT FROM new"
    )
