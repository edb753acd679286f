"""Statements over any table, as text; and every fixed statement of the .sql files has a name and a sentence."""

import re
from importlib import resources

import pytest

from pipelines.warehouse.database import table_sql
from pipelines.warehouse.sql import statements

FILES = sorted(
    path.name.removesuffix(".sql")
    for path in resources.files("pipelines.warehouse.sql").iterdir()
    if path.name.endswith(".sql")
)


def test_rows_are_inserted_as_one_json_document():
    assert table_sql.insert_from_json("s", "t", [("a", "VARCHAR"), ("b", "VARCHAR[]"), ("c", "JSON")]) == (
        'INSERT INTO "s"."t" BY NAME SELECT r.* FROM (SELECT unnest(from_json($rows::JSON, '
        '\'[{"a": "VARCHAR", "b": ["VARCHAR"], "c": "VARCHAR"}]\')) AS r)'
    )


def test_numbers_of_single_precision_keep_their_digits():
    assert table_sql.widened_rows("f", []) == "SELECT * FROM f"
    assert table_sql.widened_rows("f", ['"a"']) == (
        'SELECT * REPLACE (CAST(CAST("a" AS VARCHAR) AS DOUBLE) AS "a") FROM f'
    )


@pytest.mark.parametrize("file", FILES)
def test_every_fixed_statement_has_a_sentence(file):
    text = resources.files("pipelines.warehouse.sql").joinpath(f"{file}.sql").read_text(encoding="utf-8")
    assert text.startswith("-- ")
    for name, statement in statements(file).items():
        assert re.match(r"-- \S", statement), f"{file}.sql: {name} has no sentence"
