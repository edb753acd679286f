"""Queries over staged answers, as text."""

from pathlib import Path

import pytest

from pipelines.warehouse.staging import staging_sql
from pipelines.warehouse.staging.answers import Answer


@pytest.fixture
def path(tmp_path) -> Path:
    """An answer of ten bytes."""
    found = tmp_path / "it's.csv"
    found.write_bytes(b"x" * 10)
    return found


def test_every_column_of_a_csv_is_read_and_its_buffer_holds_the_file(path):
    quoted = str(path).replace("'", "''")
    assert staging_sql.source(Answer(path, "csv", ("id", "a")), ["a"]) == (
        f"read_csv('{quoted}', columns = {{'c0': 'VARCHAR', 'c1': 'VARCHAR'}}, header = true, auto_detect = false, "
        "delim = ',', quote = '\"', escape = '\"', nullstr = '', strict_mode = true, null_padding = false, "
        "max_line_size = 4106, buffer_size = 4106, parallel = false, encoding = 'utf-8')"
    )


def test_only_the_wanted_columns_of_a_json_are_read_under_the_same_names(path):
    quoted = str(path).replace("'", "''")
    assert staging_sql.source(Answer(path, "json", ("id", "a", 'b"c')), ["id", 'b"c']) == (
        '(SELECT nullif("id", \'\') AS c0, nullif("b""c", \'\') AS c2 '
        f"FROM read_json('{quoted}', columns = {{'id': 'VARCHAR', 'b\"c': 'VARCHAR'}}, "
        "format = 'array', records = true, maximum_object_size = 4106))"
    )


def test_keys_an_answer_lacks_are_null(path):
    text = " ".join(staging_sql.verified_rows(Answer(path, "csv", ("id", "redcap_event_name"))).split())
    assert "c0 AS record, c1 AS event, NULL AS instrument, NULL AS instance FROM read_csv(" in text


def test_a_classic_census_has_no_events():
    statement = staging_sql.make_census("census", Path("/a"), "id", longitudinal=False)
    assert '"id" AS record, NULL::VARCHAR AS event, "redcap_data_access_group" AS grouped' in statement
    assert "columns = {'id': 'VARCHAR', 'redcap_data_access_group': 'VARCHAR'}" in statement
    statement = staging_sql.make_census("brief_census", Path("/a"), "id", longitudinal=True)
    assert statement.startswith("CREATE OR REPLACE TEMP TABLE brief_census AS ")
    assert '"redcap_event_name" AS event' in statement
