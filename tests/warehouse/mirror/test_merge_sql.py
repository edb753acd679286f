"""The statements that merge a batch into an instrument's table."""

import pytest

from pipelines.warehouse.database.connection import connect
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


KEYS = "_record, _event, _instance"
INCOMING = {
    "as they are": ("('1','','',NULL,'x'), ('2','e','1','7','y')", (2, 0)),
    "a new row": ("('1','','',NULL,'x'), ('2','e','1','7','y'), ('2','e','2',NULL,NULL)", (3, 1)),
    "a row that is gone": ("('1','','',NULL,'x')", (1, 1)),
    "a cell that is gone": ("('1','','',NULL,NULL), ('2','e','1','7','y')", (2, 1)),
    "a cell that was blank": ("('1','','','0','x'), ('2','e','1','7','y')", (2, 1)),
    "values that changed places": ("('1','','','x',NULL), ('2','e','1','y','7')", (2, 2)),
}


@pytest.mark.parametrize(("rows", "counts"), INCOMING.values(), ids=INCOMING.keys())
def test_present_and_incoming_rows_are_compared_cell_by_cell(rows, counts):
    query = merge_sql.count_differing(
        "study", "base", f"SELECT * FROM (VALUES {rows}) t({KEYS}, age, note)", ["age", "note"]
    )
    with connect() as connection:
        # A column that was added later is the last one here, and REDCap may have it before others.
        connection.execute(f"""CREATE SCHEMA "study:now"; CREATE TABLE "study:now".base AS
            SELECT * FROM (VALUES ('1','','','x','r',NULL), ('2','e','1','y','r','7'), ('3','e','','z','r','8'))
            t({KEYS}, note, _run_id, age)""")
        connection.execute("CREATE TABLE batch_records AS SELECT unnest(['1', '2']) AS record")
        assert connection.execute(query).fetchone() == counts


def test_rows_of_fields_with_short_names_are_compared_as_any_others():
    incoming = f"SELECT * FROM (VALUES ('1', '', '', 'a', 'b', 'c', 'd')) t({KEYS}, p, n, t, x)"
    query = merge_sql.count_differing("study", "base", incoming, ["p", "n", "t", "x"])
    with connect() as connection:
        connection.execute(f"""CREATE SCHEMA "study:now"; CREATE TABLE "study:now".base AS
            SELECT * FROM (VALUES ('1', '', '', 'a', 'b', 'c', 'other')) t({KEYS}, p, n, t, x)""")
        connection.execute("CREATE TABLE batch_records AS SELECT '1' AS record")
        assert connection.execute(query).fetchone() == (1, 1)


def test_rows_are_replaced_by_their_keys():
    assert merge_sql.insert_rows("study", "base", "SELECT 1") == (
        'INSERT INTO "study:now"."base" BY NAME SELECT *, $now AS _valid_from, $run_id AS _run_id FROM (SELECT 1)'
    )
    assert merge_sql.delete_replaced("study", "base") == (
        'DELETE FROM "study:now"."base" AS p USING differing n '
        "WHERE p._record = n._record AND p._event = n._event AND p._instance = n._instance"
    )
