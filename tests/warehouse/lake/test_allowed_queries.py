"""What a person may ask of a lake: every way to write, or to read around the published tables, is closed."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines.coordination import Coordination
from pipelines.errors import QueryRefused
from pipelines.warehouse.database.connection import private_files
from pipelines.warehouse.lake.allowed_queries import check_allowed
from pipelines.warehouse.lake.attach import attach_to_publish, reading
from pipelines.warehouse.published.query import ask
from pipelines.warehouse.publishing.copy_sql import define_as_of

pytestmark = pytest.mark.lake
CATALOG = "__ducklake_metadata_warehouse"
AROUND = f"FROM postgres_query('{CATALOG}', 'SELECT key FROM redcap_warehouse.hash_key')"
ANSWERED = (
    "FROM redcap.arms",
    "SELECT 1; SELECT arm_num FROM warehouse.redcap.arms",
    "WITH a AS (FROM redcap.arms) SELECT *, (SELECT count(*) FROM a) FROM a, generate_series(1, 2)",
    "DESCRIBE redcap.arms",
    "SUMMARIZE redcap.arms",
    "SHOW TABLES",
    "SHOW ALL TABLES",
    "EXPLAIN ANALYZE SELECT * FROM redcap.arms",
    "PIVOT redcap.arms ON arm_num IN (1) USING count(*)",
    "FROM p_history.as_of('base', TIMESTAMP '2026-01-01')",
    "FROM p_history.as_of(instrument := 'base', ts := now())",
    "FROM redcap.arms AT (VERSION => 3)",
    "SELECT snapshot_id FROM ducklake_snapshots('warehouse')",
    "FROM duckdb_databases()",
)
REFUSED = (
    "COPY redcap.arms TO '{data}/stolen.csv'",
    "EXPLAIN ANALYZE COPY redcap.arms TO '{data}/stolen.csv'",
    "EXPLAIN (ANALYZE) COPY redcap.arms TO '{data}/stolen.csv'",
    "SELECT 1; EXPORT DATABASE '{data}/stolen'",
    "ATTACH '{data}/stolen.duckdb' AS stolen",
    "FROM read_blob('{data}/mirrors/**')",
    "SELECT (SELECT max(content) FROM READ_TEXT('{data}/mirrors/study/1.duckdb'))",
    "SELECT 1 UNION ALL SELECT file FROM system.main.glob('{data}/**')",
    "WITH a AS MATERIALIZED (FROM read_parquet('{data}/mirrors/study/1.parquet')) SELECT 1",
    "DESCRIBE SELECT * FROM '{data}/mirrors/study/1.parquet'",
    "FROM '{data}/mirrors/study/1.parquet'",
    "FROM query('SELECT 1')",
    "FROM query_table('redcap.arms')",
    "FROM p_history.as_of('x\" UNION ALL FROM read_blob(''{data}/mirrors/**'') --', now())",
    "FROM p_history.as_of(ts := now(), instrument := 'x' || chr(34))",
    "FROM p_history.as_of(chr(34), now())",
    AROUND,
    f"EXPLAIN ANALYZE {AROUND}",
    f"SELECT * FROM redcap.arms, LATERAL ({AROUND})",
    f"CALL postgres_execute('{CATALOG}', 'DROP SCHEMA redcap_warehouse CASCADE')",
    f"FROM {CATALOG}.redcap_lake.ducklake_table_column_stats",
    f"SUMMARIZE {CATALOG.upper()}.ducklake_table_column_stats",
    f"USE {CATALOG}.redcap_lake",
    "FROM postgres_scan('', 'redcap_warehouse', 'hash_key')",
    "CALL ducklake_cleanup_old_files('warehouse', cleanup_all => true)",
    "FROM ducklake_expire_snapshots('warehouse', older_than => now())",
    "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    "SET threads = 1",
    "PRAGMA database_list",
    "PRAGMA import_database('{data}/mirrors')",
    "CREATE TEMP TABLE mine AS SELECT 1",
    "INSERT INTO redcap.arms VALUES ('p', 2, 'Arm 2')",
    "PIVOT redcap.arms ON arm_num USING count(*)",
    "PIVOT (FROM read_blob('{data}/mirrors/**')) ON filename USING count(*)",
)


@pytest.fixture
def published(lake, tmp_path):
    """A lake with a history, a mirror beside its data, and the key for hashes in its PostgreSQL."""
    with private_files(), attach_to_publish(lake, readable=(), spill=tmp_path / "spill") as connection:
        connection.execute("INSERT INTO redcap.arms VALUES ('p', 1, 'Arm 1')")
        connection.execute("CREATE SCHEMA p_history")
        connection.execute("CREATE TABLE p_history.base (x INTEGER, _valid_from TIMESTAMP, _valid_to TIMESTAMP)")
        connection.execute(define_as_of("p_history"))
    mirrors = Path(lake.data) / "mirrors" / "study"
    mirrors.mkdir(parents=True)
    for name in ("1.duckdb", "1.parquet"):
        (mirrors / name).write_bytes(next(Path(lake.data).rglob("ducklake-*.parquet")).read_bytes())
    with Coordination(lake.catalog) as coordination:
        coordination.make_hash_key("canary-key")
    return lake


def test_queries_of_what_is_published_are_answered_and_nothing_else_is(published):
    what = SimpleNamespace(check_query=check_allowed)
    before = sorted(Path(published.data).rglob("*"))
    with reading(published) as connection:
        for text in ANSWERED:
            ask(what, connection, text)
        assert ask(what, connection, ANSWERED[0]).rows == [("p", 1, "Arm 1")]
        for text in REFUSED:
            with pytest.raises(QueryRefused) as problem:
                ask(what, connection, text.replace("{data}", published.data))
                pytest.fail(text)
            assert "canary" not in str(problem.value)
        with pytest.raises(QueryRefused, match="syntax error"):
            ask(what, connection, "SELEC 1")
    assert sorted(Path(published.data).rglob("*")) == before
