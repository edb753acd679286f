"""A value is typed only where its text has the right shape; anything else is left for invalid_values."""

import datetime as dt
import itertools

import duckdb
import pytest

from pipelines.warehouse.types import sql_type, type_name, unusual
from redcap_source.dictionary import ValueKind

NOTHING = None

TABLE = [
    # kind                        text                    value
    (ValueKind.INTEGER,           "42",                   42),
    (ValueKind.INTEGER,           "-7",                   -7),
    (ValueKind.INTEGER,           "+7",                   7),
    (ValueKind.INTEGER,           "007",                  7),
    (ValueKind.INTEGER,           "1.5",                  NOTHING),   # DuckDB would round it to 2
    (ValueKind.INTEGER,           "1e3",                  NOTHING),
    (ValueKind.INTEGER,           "0x1F",                 NOTHING),
    (ValueKind.INTEGER,           "1_000",                NOTHING),
    (ValueKind.INTEGER,           " 12",                  NOTHING),
    (ValueKind.INTEGER,           "99999999999999999999", NOTHING),   # does not fit 64 bits
    (ValueKind.INTEGER,           "UNK",                  NOTHING),
    (ValueKind.NUMBER,            "22.0",                 22.0),
    (ValueKind.NUMBER,            ".5",                   0.5),
    (ValueKind.NUMBER,            "5.",                   5.0),
    (ValueKind.NUMBER,            "-3e-2",                -0.03),
    (ValueKind.NUMBER,            "1,5",                  NOTHING),
    (ValueKind.NUMBER,            "nan",                  NOTHING),
    (ValueKind.NUMBER,            "inf",                  NOTHING),
    (ValueKind.NUMBER_COMMA,      "1,54",                 1.54),
    (ValueKind.NUMBER_COMMA,      "1.54",                 1.54),
    (ValueKind.NUMBER_COMMA,      "1.234,5",              NOTHING),
    (ValueKind.CALC,              "0.9033457249070632",   0.9033457249070632),
    (ValueKind.CALC,              "2020-01-01",           NOTHING),
    (ValueKind.SLIDER,            "50",                   50),
    (ValueKind.DATE,              "2020-02-29",           dt.date(2020, 2, 29)),
    (ValueKind.DATE,              "2021-02-29",           NOTHING),
    (ValueKind.DATE,              "2020-01-01 10:00",     NOTHING),   # DuckDB would drop the time
    (ValueKind.DATE,              "infinity",             NOTHING),
    (ValueKind.DATE,              "before validation 1",  NOTHING),
    (ValueKind.DATETIME,          "2020-01-01 10:00",     dt.datetime(2020, 1, 1, 10)),
    (ValueKind.DATETIME,          "2020-01-01 10:00+02",  NOTHING),   # never through a zone
    (ValueKind.DATETIME,          "2020-01-01 24:00",     NOTHING),   # DuckDB would make it the next day
    (ValueKind.DATETIME,          "2020-01-01",           NOTHING),
    (ValueKind.DATETIME_SECONDS,  "2020-01-01 10:00:59",  dt.datetime(2020, 1, 1, 10, 0, 59)),
    (ValueKind.TIME,              "10:30",                dt.time(10, 30)),
    (ValueKind.TIME,              "9:05",                 dt.time(9, 5)),
    (ValueKind.TIME,              "55:02",                NOTHING),
    (ValueKind.TIME,              "24:00",                NOTHING),
    (ValueKind.TIME_SECONDS,      "10:30:01",             dt.time(10, 30, 1)),
    (ValueKind.MINUTES_SECONDS,   "55:02",                dt.time(0, 55, 2)),
    (ValueKind.BOOLEAN_YESNO,     "1",                    True),
    (ValueKind.BOOLEAN_YESNO,     "0",                    False),
    (ValueKind.BOOLEAN_TRUEFALSE, "2",                    NOTHING),
    (ValueKind.CHECKBOX,          "1",                    True),
    (ValueKind.CHECKBOX,          "Checked",              NOTHING),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value"), TABLE)
def test_text_becomes_a_value_of_its_kind_or_nothing(kind, text, value):
    shown = sql_type(kind)
    assert shown is not None
    with duckdb.connect() as connection:
        row = connection.execute(f"SELECT {shown.of('v')} FROM (SELECT $text AS v)", {"text": text}).fetchone()
    assert row == (value,)
    assert type(row[0]) is type(value)


@pytest.mark.parametrize(("kind", "text", "value"), TABLE)
def test_the_cheap_test_lets_nothing_through_that_the_exact_one_refuses(kind, text, value):
    shown = sql_type(kind)
    assert shown is not None
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT {suspected(shown)}, bool_or({shown.misfit('v')}) FROM (SELECT $text AS v)", {"text": text}
        ).fetchone()
    is_suspected, misfit = row or (None, None)
    assert misfit is (value is NOTHING)
    assert is_suspected or not misfit


def suspected(shown):
    """An aggregate: whether any text `v` may not fit, by the cheap test of its kind."""
    return f"bool_or({unusual(shown.usual, ['v'])})" if shown.usual else f"{shown.suspects('v')} > 0"


ODD = [
    *("", " ", "1 ", " 1", "\t1", "1\n", "\u00a01", "1_0", "+", "-", ".", "..", "1.2.3", "1e5", "0x1", "NaN"),
    *("\u0661", "\uff11", "1", "001", "9" * 18, "9" * 19, "infinity", "-infinity", "true", "t", "TRUE"),
    *("2020-1-1", "20-01-01", "2020/01/01", "2020-01-01 ", "12020-01-01", "0001-01-01", "-2020-01-01"),
    *("2020-01-01 (BC)", "2020-01-01T10:00", "2020-01-01 10:00:00.5", "2020-01-01 10:00Z", "99999-01-01 10:00"),
    *("10:00:00", "1:00", "epoch", "today"),
]
TYPED = list(dict.fromkeys(kind for kind, _, _ in TABLE))


@pytest.mark.parametrize("kind", TYPED, ids=lambda kind: kind.name)
def test_odd_text_is_suspect_wherever_it_does_not_fit(kind):
    shown = sql_type(kind)
    assert shown is not None
    with duckdb.connect() as connection:
        let_through = connection.execute(
            f"SELECT v FROM (SELECT unnest($odd) AS v) WHERE {shown.misfit('v')} "
            f"GROUP BY v HAVING NOT {suspected(shown)}",
            # A blank cell is NULL in the working file, so no text is empty.
            {"odd": [text for text in ODD if text]},
        ).fetchall()
    assert let_through == []


@pytest.mark.parametrize(
    ("kind", "letters"),
    [
        (ValueKind.INTEGER, "01-+_ "),
        (ValueKind.NUMBER, "01-.eE+"),
        (ValueKind.NUMBER_COMMA, "01-.,e+"),
        (ValueKind.TIME, "0259:"),
        (ValueKind.MINUTES_SECONDS, "0569:"),
        (ValueKind.CHECKBOX, "012 "),
    ],
    ids=lambda part: getattr(part, "name", ""),
)
def test_all_text_of_the_usual_shape_fits(kind, letters):
    shown = sql_type(kind)
    assert shown is not None
    texts = ["".join(some) for length in range(1, 6) for some in itertools.product(letters, repeat=length)]
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT count(*), list(v) FILTER ({shown.misfit('v')}) FROM (SELECT unnest($texts) AS v) "
            f"WHERE NOT {unusual(shown.usual, ['v'])}",
            {"texts": texts},
        ).fetchone()
    assert found is not None
    taken, misfits = found
    assert taken >= 2
    assert misfits is None


@pytest.mark.parametrize(
    ("values", "is_unusual"),
    [
        (["1", "0", None], False),
        ([None, None, None], False),
        (["1", "2", None], True),
        ([None, None, "1\x1f0"], True),  # what stands between values may not make two of one
        (["1", "", "0"], True),
    ],
)
def test_values_looked_at_together_are_told_apart(values, is_unusual):
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT {unusual('[01]', ['a', 'b', 'c'])} "
            "FROM (SELECT $a::VARCHAR AS a, $b::VARCHAR AS b, $c::VARCHAR AS c)",
            dict(zip("abc", values, strict=True)),
        ).fetchone()
    assert row == (is_unusual,)


@pytest.mark.parametrize(
    "kind", [ValueKind.TEXT, ValueKind.CHOICE, ValueKind.STATUS, ValueKind.FILE], ids=lambda kind: kind.name
)
def test_text_codes_and_file_names_stay_text(kind):
    assert sql_type(kind) is None
    assert type_name(kind) == "VARCHAR"
