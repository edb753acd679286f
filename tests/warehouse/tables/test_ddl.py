"""The statements that make and alter an instrument's tables, as text."""

from pipelines.warehouse.tables import ddl


def test_a_table_of_present_rows_has_its_columns_as_text_and_a_version():
    assert ddl.create_rows("study", "visit", ["_record", "wei ght"]) == (
        'CREATE TABLE "study:now"."visit" ("_record" VARCHAR, "wei ght" VARCHAR, '
        "_valid_from TIMESTAMP, _run_id VARCHAR)"
    )


def test_a_table_of_versions_also_has_their_end():
    assert ddl.create_versions("study", "visit", ["_record"]) == (
        'CREATE TABLE "study:past"."visit" ("_record" VARCHAR, '
        "_valid_from TIMESTAMP, _valid_to TIMESTAMP, _run_id VARCHAR, _closed_run VARCHAR)"
    )


def test_a_rebuilt_table_keeps_the_columns_it_had_in_the_new_order():
    assert ddl.rebuild_rows("study", "visit", ["_record", "new", "old"], ["_record", "old", "gone"]) == (
        'CREATE OR REPLACE TABLE "study:now"."visit" AS SELECT "_record", NULL::VARCHAR AS "new", "old", '
        '_valid_from, _run_id FROM "study:now"."visit"'
    )


def test_names_are_quoted():
    assert ddl.add_column('"s"."t"', 'a"b') == 'ALTER TABLE "s"."t" ADD COLUMN "a""b" VARCHAR'
    assert ddl.rename_table('"s"."t"', "u") == 'ALTER TABLE "s"."t" RENAME TO "u"'
    assert ddl.rename_column('"s"."t"', "a", "b") == 'ALTER TABLE "s"."t" RENAME COLUMN "a" TO "b"'
    assert ddl.drop_table('"s"."t"') == 'DROP TABLE "s"."t"'
    assert ddl.create_schema("s:now") == 'CREATE SCHEMA IF NOT EXISTS "s:now"'
