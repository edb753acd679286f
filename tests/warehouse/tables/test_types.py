"""A value is typed only where its text has the right shape; anything else is left for invalid_values."""

import datetime as dt
import itertools

import duckdb
import pytest

from pipelines.warehouse.tables.layout import Column, InstrumentTable, Layout
from pipelines.warehouse.tables.types import sql_type, type_name
from pipelines.warehouse.tables.value_checks import ColumnCheck, column_checks, groups, listed, maybe_invalid
from redcap_source.dictionary import Choice, ValueKind

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
    (ValueKind.NUMBER,            "0.1",                  0.1),
    (ValueKind.NUMBER,            "0.30000000000000004",  0.1 + 0.2),
    (ValueKind.NUMBER,            "1.5000000000000000000000", 1.5),
    (ValueKind.NUMBER,            "9007199254740992",     2.0**53),
    (ValueKind.NUMBER,            "9007199254740993",     NOTHING),   # a DOUBLE would be one less
    (ValueKind.NUMBER,            "123456789012345678.1", NOTHING),
    (ValueKind.NUMBER,            "1e23",                 1e23),
    (ValueKind.NUMBER,            "1e400",                NOTHING),   # DuckDB would make it infinity
    (ValueKind.NUMBER,            "-1e400",               NOTHING),
    (ValueKind.NUMBER,            "1e-400",               NOTHING),   # and this nought
    (ValueKind.NUMBER,            "0e400",                0.0),
    (ValueKind.NUMBER,            "5e-324",               5e-324),
    (ValueKind.NUMBER_COMMA,      "123456789012345678,1", NOTHING),
    (ValueKind.INTEGER,           "9007199254740993",     2**53 + 1),
    (ValueKind.INTEGER,           "-9223372036854775808", -(2**63)),
    (ValueKind.INTEGER,           "9223372036854775808",  NOTHING),
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
    (ValueKind.DATE,              "2018-8-1",             NOTHING),   # REDCap writes every digit
    (ValueKind.DATE,              "0001-01-01",           dt.date(1, 1, 1)),
    (ValueKind.DATE,              "0000-01-01",           NOTHING),   # DuckDB would make it 1 BC
    (ValueKind.DATE,              "1900-02-29",           NOTHING),
    (ValueKind.DATETIME,          "2018-8-1 10:00",       NOTHING),
    (ValueKind.DATETIME,          "2018-08-01 9:05",      dt.datetime(2018, 8, 1, 9, 5)),
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


def check(kind, column="v"):
    """How a column of the kind is judged."""
    shown = sql_type(kind)
    return ColumnCheck(column, column, shown.name, shown.invalid(f'"{column}"'), "'no'", usual=shown.usual)


@pytest.mark.parametrize(("kind", "text", "value"), TABLE)
def test_the_cheap_test_lets_nothing_through_that_the_exact_one_refuses(kind, text, value):
    judged = check(kind)
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT {maybe_invalid([judged])}, {judged.invalid} FROM (SELECT $text AS v)", {"text": text}
        ).fetchone()
    may_be_invalid, invalid = row or (None, None)
    assert invalid is (value is NOTHING)
    assert may_be_invalid or not invalid


ODD = [
    *("", " ", "1 ", " 1", "\t1", "1\n", "\u00a01", "1_0", "+", "-", ".", "..", "1.2.3", "1e5", "0x1", "NaN"),
    *("\u0661", "\uff11", "1", "001", "9" * 18, "9" * 19, "infinity", "-infinity", "true", "t", "TRUE"),
    *("2020-1-1", "20-01-01", "2020/01/01", "2020-01-01 ", "12020-01-01", "0001-01-01", "-2020-01-01"),
    *("2020-01-01 (BC)", "2020-01-01T10:00", "2020-01-01 10:00:00.5", "2020-01-01 10:00Z", "99999-01-01 10:00"),
    *("10:00:00", "1:00", "epoch", "today"),
]
TYPED = list(dict.fromkeys(kind for kind, _, _ in TABLE))


@pytest.mark.parametrize("kind", TYPED, ids=lambda kind: kind.name)
def test_odd_text_may_be_invalid_wherever_it_does_not_fit(kind):
    judged = check(kind)
    with duckdb.connect() as connection:
        let_through = connection.execute(
            f"SELECT v FROM (SELECT unnest($odd) AS v) WHERE {judged.invalid} AND NOT {maybe_invalid([judged])}",
            # A blank cell is NULL in the mirror, so no text is empty.
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
    judged = check(kind)
    texts = ["".join(some) for length in range(1, 6) for some in itertools.product(letters, repeat=length)]
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT count(*), list(v) FILTER ({judged.invalid}) FROM (SELECT unnest($texts) AS v) "
            f"WHERE NOT {maybe_invalid([judged])}",
            {"texts": texts},
        ).fetchone()
    assert found is not None
    taken, invalid = found
    assert taken >= 2
    assert invalid is None


def test_every_day_of_the_calendar_is_usual_and_no_other_is():
    years = (1000, 1600, 1700, 1896, 1900, 1904, 2000, 2023, 2024, 9999)
    texts = [f"{y:04d}-{m:02d}-{d:02d}" for y in years for m in range(14) for d in range(33)]
    real = [t for t in texts if _is_day(t)]
    with duckdb.connect() as connection:
        found = connection.execute(
            f"SELECT v FROM (SELECT unnest($texts) AS v) WHERE NOT {maybe_invalid([check(ValueKind.DATE)])}",
            {"texts": texts},
        ).fetchall()
    assert [v for (v,) in found] == real


def _is_day(text):
    try:
        return bool(dt.date.fromisoformat(text))
    except ValueError:
        return False


@pytest.mark.parametrize(
    ("values", "may_be_invalid"),
    [
        (["1", "0", None], False),
        ([None, None, None], False),
        (["1", "2", None], True),
        ([None, None, "1\x1f0"], True),  # what stands between values may not make two of one
        ([None, "1\x1f", "0"], True),
        (["12", None, None], True),
    ],
)
def test_values_looked_at_together_are_told_apart(values, may_be_invalid):
    checks = [check(ValueKind.CHECKBOX, name) for name in "abc"]
    with duckdb.connect() as connection:
        row = connection.execute(
            f"SELECT {maybe_invalid(checks)} FROM (SELECT $a::VARCHAR AS a, $b::VARCHAR AS b, $c::VARCHAR AS c)",
            dict(zip("abc", values, strict=True)),
        ).fetchone()
    assert row == (may_be_invalid,)


# Columns of every kind, in a project whose codes for missing data look like values of most.
CODES = ("-99", "1900-01-01", "UNK", "1", "2")
KINDS = [
    (ValueKind.INTEGER, ()),
    (ValueKind.NUMBER, ()),
    (ValueKind.DATE, ()),
    (ValueKind.BOOLEAN_YESNO, ("1", "0")),
    (ValueKind.CHECKBOX, ("1", "0")),
    (ValueKind.CHOICE, ("1", "a.b", "x|y")),
    (ValueKind.CHOICE, tuple(str(n) for n in range(600))),
    (ValueKind.STATUS, ("0", "1", "2")),
    (ValueKind.TEXT, ()),
]
CELLS = [
    None,
    "-99",
    "99",
    "1900-01-01",
    "2020-02-29",
    "UNK",
    "0",
    "1",
    "2",
    "1.5",
    "1e400",
    "a.b",
    "aXb",
    "x|y",
    "x",
    "601",
]


def expected_reason(kind, choices, text, missing):
    """Why a value is listed, told plainly; None where it is not."""
    numbers = {"-99", "99", "0", "1", "2", "601", *(("1.5",) if kind is ValueKind.NUMBER else ())}
    if text is None or kind is ValueKind.TEXT:
        return None
    if text in missing:
        return "missing data code"
    if choices:
        other = "not a BOOLEAN" if kind is ValueKind.CHECKBOX else "not among the choices"
        return None if text in choices else other
    if kind is ValueKind.DATE:
        return None if text in ("1900-01-01", "2020-02-29") else "not a DATE"
    if text in numbers:
        return None
    if text == "1e400" and kind is ValueKind.NUMBER:
        return "a DOUBLE cannot hold it exactly"
    return f"not a {type_name(kind)}"


@pytest.mark.parametrize("codes", [(), CODES], ids=["without codes", "with codes"])
def test_every_kind_lists_what_an_obvious_reading_lists(codes):
    columns = [
        Column(f"c{n}", f"c{n}", kind, "", tuple(Choice(c, c) for c in choices),
               missing=tuple(Choice(c, c) for c in codes if c not in choices and kind is not ValueKind.STATUS))
        for n, (kind, choices) in enumerate(KINDS)
    ]  # fmt: skip
    wanted = {
        (text, c.name, reason)
        for text in CELLS
        for c, (kind, choices) in zip(columns, KINDS, strict=True)
        if (reason := expected_reason(kind, choices, text, {choice.code for choice in c.missing}))
    }
    table = InstrumentTable("base", "Base", tuple(columns), repeats=False, survey=False, events=None)
    layout = Layout("id", "", False, False, False, (table,), ("id", *(c.name for c in columns)), ())
    checks = column_checks(layout, table)
    found = set()
    with duckdb.connect() as connection:
        cells = ", ".join(f"v AS {c.name}" for c in columns)
        # Each text in all columns at once, and in each by itself.
        alone = ", ".join(f"CASE WHEN k = {n} THEN v END AS {c.name}" for n, c in enumerate(columns))
        connection.execute("CREATE TABLE texts AS SELECT unnest($texts::VARCHAR[]) AS v", {"texts": CELLS})
        connection.execute(f"CREATE TABLE rows AS SELECT v, {cells} FROM texts")
        connection.execute(f"INSERT INTO rows SELECT v, {alone} FROM texts, range({len(columns)}) r(k)")
        for group in groups(checks):
            found |= set(
                connection.execute(
                    f"SELECT v, cell.field, cell.reason FROM (SELECT v, unnest({listed(group)}) AS cell FROM rows "
                    f"WHERE {maybe_invalid(group)}) WHERE cell IS NOT NULL"
                ).fetchall()
            )
    assert found == wanted


@pytest.mark.parametrize(
    "kind", [ValueKind.TEXT, ValueKind.CHOICE, ValueKind.STATUS, ValueKind.FILE], ids=lambda kind: kind.name
)
def test_text_codes_and_file_names_stay_text(kind):
    assert sql_type(kind) is None
    assert type_name(kind) == "VARCHAR"
