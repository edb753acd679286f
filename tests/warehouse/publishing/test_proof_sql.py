"""The text of the queries that compare what is published with the mirror."""

import pytest

from pipelines.warehouse.database.connection import connect
from pipelines.warehouse.publishing import proof_sql


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_counts_of_two_tables():
    assert squeezed(proof_sql.compare_counts("base", "typed rows", "m.t", 'study."base"')) == (
        "SELECT 'base', 'typed rows', (SELECT count(*) FROM m.t)::HUGEINT, "
        '(SELECT count(*) FROM study."base")::HUGEINT'
    )


def test_rows_are_compared_by_the_sum_of_their_hashes_whatever_their_order():
    query = proof_sql.compare_rows("base", "verbatim rows", "m.t", "p.t", " WHERE x")
    assert squeezed(query) == (
        "SELECT 'base', 'verbatim rows', "
        "(SELECT coalesce(sum(hash(_row)), 0) FROM m.t _row WHERE x)::HUGEINT, "
        "(SELECT coalesce(sum(hash(_row)), 0) FROM p.t _row WHERE x)::HUGEINT"
    )


@pytest.mark.parametrize("field", ["t", "p", "s", "rows", "base"])
def test_every_column_is_compared_whatever_a_field_is_called(field):
    with connect() as connection:
        connection.execute('CREATE SCHEMA study; CREATE SCHEMA mirror; CREATE SCHEMA "study:now"')
        connection.execute(f"CREATE TABLE mirror.base AS SELECT '1' AS _record, '7' AS {field}, 'a' AS other")
        connection.execute(f"CREATE TABLE study.base AS SELECT '1' AS _record, '7' AS {field}, 'b' AS other")
        connection.execute('CREATE TABLE "study:now".base AS FROM mirror.base')
        query = proof_sql.compare_rows("base", "verbatim rows", "mirror.base", "study.base", "")
        _, _, mirror, published = connection.execute(query).fetchone()
        assert mirror != published
        query = proof_sql.compare_typed("study", "base", "memory", "SELECT *", "_record", whole=True)
        _, _, mirror, published = connection.execute(query).fetchone()
        assert mirror != published


def test_typed_rows_are_compared_with_the_mirror_under_the_same_select():
    whole = squeezed(proof_sql.compare_typed("p", "base", "m", 'SELECT "_record" AS "id"', "id", whole=True))
    assert whole.count("WHERE") == 0
    assert 'SELECT "_record" AS "id" FROM m."p:now"."base"' in whole
    some = squeezed(proof_sql.compare_typed("p", "base", "m", 'SELECT "_record" AS "id"', "id", whole=False))
    changed = "IN (SELECT record FROM changed WHERE instrument = 'base')"
    assert f'FROM m."p:now"."base" WHERE _record {changed}' in some
    assert f'FROM "p"."base" _row WHERE "id" {changed}' in some


def test_names_and_texts_are_quoted():
    assert "'it''s'" in proof_sql.compare_counts("it's", "rows", "a", "b")
    assert "project = 'it''s'" in proof_sql.compare_shared("it's", "records", "a", "b")
