"""The macros of the published file give what the expressions give that decide which values are invalid."""

import duckdb
import pytest

from pipelines.warehouse.tables.casts import cast, cast_instance, cast_survey_timestamp, create_macros
from pipelines.warehouse.tables.types import INSTANCE, SURVEY_TIMESTAMP, all_types, sql_type
from redcap_source.dictionary import ValueKind

# Texts that a cast of DuckDB would alter, or that are just valid, or just not, of one type or another.
TRICKY = (
    *(
        "",
        " ",
        "0",
        "1",
        "2",
        "-1",
        "+1",
        "007",
        "1.5",
        ".5",
        "5.",
        "1,5",
        "1.234,5",
        "1e3",
        "1E-3",
        "-0",
        "0x1F",
        "1_0",
    ),
    *("1_0", "nan", "inf", "true", "t", "yes", "NULL", "'", "''; DROP", "½", "１", "1 ", " 1", "1\n", "\n1"),
    *("9223372036854775807", "9223372036854775808", "99999999999999999999", "2147483647", "2147483648"),
    *("9007199254740993", "0.1", "0.30000000000000004", "1e23", "1e400", "1e-400", "5e-324", "1.50000000000000000000"),
    *(
        "2020-02-29",
        "2021-02-29",
        "1900-02-29",
        "0000-01-01",
        "0001-01-01",
        "9999-12-31",
        "2020-1-1",
        "2020-01-01T10:00",
    ),
    *("2020-01-01 10:00", "2020-01-01 24:00", "2020-01-01 9:05", "2020-01-01 10:00:59", "2020-01-01 10:00+02"),
    *("infinity", "epoch", "10:30", "9:05", "24:00", "23:59:59", "55:02", "60:00", "00:00"),
)
CODES = ("-1", "2020-02-29", "UNK", "1")
MISSING = {"no codes": (), "codes": CODES}


@pytest.fixture(scope="module")
def connection():
    """A connection with the macros and the tricky texts."""
    with duckdb.connect() as found:
        found.execute("CREATE SCHEMA _publish")
        found.execute(create_macros())
        found.execute("CREATE TABLE texts AS SELECT unnest(?::VARCHAR[]) AS v", [[*TRICKY, None]])
        yield found


@pytest.mark.parametrize("codes", MISSING)
@pytest.mark.parametrize("kind", [kind for kind in ValueKind if sql_type(kind) is not None])
def test_a_macro_gives_what_the_expression_gives(connection, kind, codes):
    called, written = cast(kind, "v", MISSING[codes]), sql_type(kind).of("v", MISSING[codes])
    differing = f"SELECT v FROM texts WHERE ({called}) IS DISTINCT FROM ({written})"
    assert connection.execute(differing).fetchall() == []
    types = connection.execute(f"SELECT DISTINCT typeof({called}), typeof({written}) FROM texts").fetchall()
    assert types == [(sql_type(kind).name, sql_type(kind).name)]
    valid = connection.execute(f"SELECT count({called}) FROM texts").fetchall()
    assert valid > [(0,)]


def test_an_instance_and_a_survey_s_time_are_read_alike(connection):
    for called, kind in ((cast_instance("v"), INSTANCE), (cast_survey_timestamp("v"), SURVEY_TIMESTAMP)):
        differing = f"SELECT v FROM texts WHERE ({called}) IS DISTINCT FROM ({kind.of('v')})"
        assert connection.execute(differing).fetchall() == []


def test_codes_for_missing_data_are_no_values_and_only_those_of_the_shape_are_tested(connection):
    called = cast(ValueKind.INTEGER, "v", CODES)
    assert called == "CASE WHEN v IN ('-1', '1') THEN NULL ELSE _publish.as_bigint(v) END"
    assert connection.execute(
        f"SELECT v FROM texts WHERE v IN ('-1', '1', '2') AND {called} IS NOT NULL"
    ).fetchall() == [("2",)]


@pytest.mark.parametrize("kind", [kind for kind in ValueKind if sql_type(kind) is None])
def test_text_needs_no_cast(kind):
    assert cast(kind, "v", CODES) is None


def test_every_type_has_a_macro_of_its_own():
    assert create_macros().count("CREATE OR REPLACE MACRO _publish.as_") == len(all_types())
