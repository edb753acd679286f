"""The statements that merge a batch into an instrument's table, as text."""

from pipelines.warehouse.mirror.rows import merge_sql
from pipelines.warehouse.staging.answers import Answer
from pipelines.warehouse.staging.column_groups import WIDEST, Source
from pipelines.warehouse.tables.layout import make_layout
from tests.support.structures import field, structure

CLASSIC = make_layout(structure([field("id", "base"), field("weight", "base")]))
REPEATING = make_layout(
    structure(
        [field("id", "base"), field("name", "base", identifier="y")],
        pairs=[("first", "base")],
        repeating=[("first", "base")],
    ),
    hash_identifiers=True,
)


def test_the_rows_of_a_classic_instrument_have_blank_keys():
    [base] = CLASSIC.instruments
    places = {"id": "c0", "weight": "c1", "base_complete": "c2"}
    assert merge_sql.make_incoming(CLASSIC, base, places, "", compared=False) == (
        "CREATE OR REPLACE TEMP VIEW incoming AS SELECT c0 AS _record, '' AS _event, '' AS _instance, "
        'c1 AS "weight", c2 AS "base_complete" FROM batch WHERE "holds base"'
    )


def test_a_repeating_instance_is_a_row_whatever_it_holds_and_identifiers_are_hashed():
    [base] = REPEATING.instruments
    places = {name: f"c{at}" for at, name in enumerate(REPEATING.answer_columns)}
    assert merge_sql.make_incoming(REPEATING, base, places, "key", compared=True) == (
        "CREATE OR REPLACE TEMP TABLE incoming AS SELECT c0 AS _record, coalesce(c1, '') AS _event, "
        "coalesce(c3, '') AS _instance, sha256('key' || c4) AS \"name\", c5 AS \"base_complete\" FROM batch "
        "WHERE (c2 = 'base' OR (c2 IS NULL AND \"holds base\"))"
    )


def test_a_column_that_the_answer_lacks_is_empty():
    [base] = CLASSIC.instruments
    statement = merge_sql.make_incoming(CLASSIC, base, {"id": "c0", "base_complete": "c1"}, "", compared=False)
    assert 'NULL AS "weight"' in statement


def test_records_that_are_not_whole_are_left_out_by_parameter(tmp_path):
    path = tmp_path / "chunk.csv"
    path.write_text("id,weight\n1,2\n")
    source = Source(Answer(path, "csv", ("id", "weight")), ("7",))
    query, values = merge_sql.answer_rows(source, {"weight": "c5"}, 3)
    assert query.startswith("SELECT c1 AS c5 FROM read_csv(")
    assert query.endswith("WHERE NOT list_contains($excluded3::VARCHAR[], c0)")
    assert values == {"excluded3": ["7"]}


def test_a_batch_is_made_once_and_filled_further():
    [base] = CLASSIC.instruments
    places = {"weight": "c1", "base_complete": "c2"}
    flags = "(coalesce(c2 <> '0', false) OR c1 IS NOT NULL) AS \"holds base\""
    assert merge_sql.fill_batch("q", [base], places, further=False) == (
        f"CREATE OR REPLACE TEMP TABLE batch AS SELECT *, {flags} FROM (q)"
    )
    assert merge_sql.fill_batch("q", [base], places, further=True) == f"INSERT INTO batch SELECT *, {flags} FROM (q)"
    assert merge_sql.no_rows({"id": "c0", "b": "c1"}) == "SELECT NULL::VARCHAR AS c0, NULL::VARCHAR AS c1 WHERE false"


def test_wide_rows_are_compared_some_columns_at_a_time():
    columns = [f"x{n}" for n in range(WIDEST + 1)]
    first, second = merge_sql.find_differing(columns)
    assert first.startswith("CREATE OR REPLACE TEMP TABLE differing AS SELECT coalesce(n._record, p._record)")
    assert f'p."x{WIDEST - 1}") IS DISTINCT FROM row(' in first
    assert f'"x{WIDEST}"' not in first
    assert second.startswith("INSERT INTO differing SELECT ")
    assert second.endswith(
        f'WHERE row(p."x{WIDEST}") IS DISTINCT FROM row(n."x{WIDEST}") EXCEPT SELECT * FROM differing'
    )


def test_present_and_incoming_rows_are_compared_without_storing_either():
    query = merge_sql.count_differing("study", "base", "SELECT 1", ["age", "note"])
    assert query == (
        "SELECT count(n._record), count(*) FILTER (p._record IS NULL OR n._record IS NULL OR "
        'row(p."age", p."note") IS DISTINCT FROM row(n."age", n."note")) '
        'FROM (SELECT * FROM "study:now"."base" WHERE _record IN (SELECT record FROM batch_records)) p '
        f"FULL JOIN (SELECT 1) n ON {merge_sql.MATCH}"
    )


def test_rows_are_replaced_by_their_keys():
    assert merge_sql.insert_rows("study", "base", "SELECT 1") == (
        'INSERT INTO "study:now"."base" BY NAME SELECT *, $now AS _valid_from, $run_id AS _run_id FROM (SELECT 1)'
    )
    assert merge_sql.delete_replaced("study", "base") == (
        'DELETE FROM "study:now"."base" AS p USING differing n '
        "WHERE p._record = n._record AND p._event = n._event AND p._instance = n._instance"
    )
