"""The statements that bring a mirror into the published file, as text."""

from pipelines.warehouse.publishing import copy_sql
from pipelines.warehouse.tables.layout import NOW, PAST

SOURCE = '"work:study"'


def test_only_rows_of_new_runs_are_copied():
    assert copy_sql.copy_new_rows(SOURCE, '"study:now"."base"', "_run_id") == (
        'INSERT INTO "study:now"."base" BY NAME FROM "work:study"."study:now"."base" '
        "WHERE _run_id IN (SELECT run_id FROM new_runs)"
    )
    assert copy_sql.copy_new_entries(SOURCE, "redcap", "sync_chunks") == (
        'INSERT INTO "redcap"."sync_chunks" BY NAME SELECT * FROM "work:study"."redcap"."sync_chunks" '
        "WHERE run_id IN (SELECT run_id FROM new_runs)"
    )


def test_rows_that_new_runs_ended_are_deleted_by_key_and_version():
    assert copy_sql.delete_ended(SOURCE, "study", "base") == (
        'DELETE FROM "study:now"."base" AS p USING "work:study"."study:past"."base" AS h '
        "WHERE p._record = h._record AND p._event = h._event AND p._instance = h._instance AND p._run_id = h._run_id "
        "AND h._closed_run IN (SELECT run_id FROM new_runs) AND h._run_id NOT IN (SELECT run_id FROM new_runs)"
    )


def test_the_log_is_replaced_from_the_first_row_that_was_read_again():
    since = '(SELECT min(timestamp) FROM "work:study".redcap.audit_log WHERE run_id IN (SELECT run_id FROM new_runs))'
    assert copy_sql.delete_log(SOURCE) == (
        f"DELETE FROM redcap.audit_log WHERE project = $project AND timestamp >= {since}"
    )
    assert copy_sql.copy_log(SOURCE).endswith(f'FROM "work:study"."redcap"."audit_log" WHERE timestamp >= {since}')


def test_versions_and_present_rows_are_one_history():
    present = {NOW: {"_record", "a"}, PAST: {"_record", "a", "gone"}}
    assert copy_sql.history_rows("study", "base", [("_record", "id"), ("gone", "gone")], present) == (
        'SELECT "_record" AS "id", NULL::VARCHAR AS "gone", _valid_from, NULL::TIMESTAMP AS _valid_to, _run_id '
        'FROM "study:now"."base" UNION ALL '
        'SELECT "_record" AS "id", "gone" AS "gone", _valid_from, _valid_to AS _valid_to, _run_id '
        'FROM "study:past"."base"'
    )


def test_a_table_that_does_not_exist_is_no_part_of_the_history():
    assert " UNION ALL " not in copy_sql.history_rows("study", "base", [("a", "a")], {NOW: set(), PAST: {"a"}})


def test_comments_are_on_tables_views_and_their_columns():
    assert copy_sql.comment("VIEW", '"s"."v"', "", "it's") == "COMMENT ON VIEW \"s\".\"v\" IS 'it''s'"
    assert copy_sql.comment("TABLE", '"s"."t"', "", "x") == 'COMMENT ON TABLE "s"."t" IS \'x\''
    assert copy_sql.comment("VIEW", '"s"."v"', "a", "x") == 'COMMENT ON COLUMN "s"."v"."a" IS \'x\''


def test_the_first_load_is_read_with_lists_of_fields_and_cells():
    rows = copy_sql.first_load_rows("study", "base", [("a", "a"), ("b", "b")], [("t", {"a"})], ["r1", "r2"])
    assert rows == (
        "SELECT 'study' AS project, _record AS record, nullif(_event, '') AS event, 'base' AS instrument, "
        "nullif(_instance, '') AS instance, ['a', 'b'] AS fields, [\"a\", NULL]::VARCHAR[] AS cells, "
        "_valid_from AS detected_at, _run_id AS run_id FROM t WHERE _run_id IN ('r1', 'r2')"
    )
    assert copy_sql.any_row_of("t", ["r1"]) == "SELECT 1 FROM t WHERE _run_id IN ('r1') LIMIT 1"
