"""Wide dictionaries: every value arrives, and memory follows the widest group of columns."""

import csv

import duckdb
import pytest

from pipelines.errors import WarehouseUnreadable
from pipelines.warehouse.database.connection import connect, open_writer
from pipelines.warehouse.database.long_statements import LONG, execute
from pipelines.warehouse.database.memory import COSTS, SMALL_TABLES, Width, allow, enough, in_bytes, limit_of, needed
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.staging.answers import Answer
from pipelines.warehouse.staging.column_groups import WIDEST, StagedChunk
from pipelines.warehouse.staging.split_csv import split_csv
from pipelines.warehouse.staging.staging_sql import csv_source
from pipelines.warehouse.tables.layout import make_layout, rows_now
from redcap_source.simulator import make_study
from tests.support.structures import field, stamp, structure

# What a CSV may hold and a reader may stumble over.
ODD = ("", "plain", "a,b", 'say "so"', "two\nlines", "two\r\nlines", " blanks ", "'", "Ærø", "a|b", "\\", "\t")


def cells(record, columns, salt):
    """A record's cells: odd ones, each column with another turn of them."""
    return {name: ODD[(at * 5 + record * 7 + salt) % len(ODD)] for at, name in enumerate(columns)}


def wide(forms, fields):
    """A project of so many instruments with so many text fields each."""
    found = [field("record_id", "form1")]
    found += [field(f"f{form}_{n}", f"form{form}") for form in range(1, forms + 1) for n in range(fields)]
    return structure(found)


def write(path, columns, rows):
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([row[name] for name in columns] for row in rows)
    return Answer(path, "csv", tuple(columns))


def load(mirror, folder, described, number, records, salt):
    """The records with their cells as they are now, one more behind them that is not proven."""
    layout = make_layout(described)
    columns = layout.answer_columns
    rows = [{**cells(record, columns, salt), "record_id": str(record)} for record in (*records, 99)]
    rows = [{n: "2" if n.endswith("_complete") else v for n, v in row.items()} for row in rows]
    answer = write(folder / f"chunk{number}.csv", columns, rows)
    mirror.write_structure(described, layout, stamp(number))
    staged = StagedChunk((answer,), tuple(str(record) for record in records), ("99",))
    return rows[:-1], mirror.apply(layout, [staged], [], stamp(number))


def rows_of(mirror, instrument, columns):
    names = ", ".join(f'"{name}"' for name in columns)
    found = mirror.connection.execute(f"SELECT _record, {names} FROM {rows_now('study', instrument)}").fetchall()
    return {record: dict(zip(columns, row, strict=True)) for record, *row in found}


def test_more_than_1200_columns_in_several_instruments_arrive_and_change_value_by_value(tmp_path):
    fields = WIDEST // 3 + 1
    described = wide(forms=3, fields=fields)
    layout = make_layout(described)
    columns = layout.answer_columns
    with open_mirror(tmp_path / "work" / "study.duckdb", "study", staging=tmp_path) as mirror:
        load(mirror, tmp_path, described, 1, (1, 2, 3), salt=0)
        rows, touched = load(mirror, tmp_path, described, 2, (1, 3), salt=1)
        assert (touched.inserted, touched.updated) == (0, 6)
        untouched = {**cells(2, columns, 0), "record_id": "2"}
        for table in layout.instruments:
            names = [column.name for column in table.columns if column.name != f"{table.name}_complete"]
            expected = {row["record_id"]: {name: row[name] or None for name in names} for row in (*rows, untouched)}
            assert rows_of(mirror, table.name, names) == expected
        told = mirror.connection.execute(
            "SELECT count(*) FROM redcap.record_changes WHERE run_id = 'run2' AND change = 'update'"
        ).fetchone()
        assert told == (2 * 3 * fields,)
        # An answer that cannot be split is read as a whole.
        lines = [",".join(columns), ",".join(["4", '"x" ', *["y"] * (len(columns) - 2)])]
        (tmp_path / "chunk.csv").write_text("\n".join(lines) + "\n")
        mirror.apply(layout, [StagedChunk((Answer(tmp_path / "chunk.csv", "csv", columns),), ("4",))], [], stamp(3))
        assert rows_of(mirror, "form1", ["f1_0", "f1_1"])["4"] == {"f1_0": "x", "f1_1": "y"}
        assert rows_of(mirror, "form3", ["f3_1"])["4"] == {"f3_1": "y"}
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("parts-")] == []


# The test of 1,200 columns has several groups.
@pytest.mark.fuzz
def test_one_instrument_wider_than_a_group_is_compared_cell_by_cell(tmp_path):
    described = wide(forms=1, fields=WIDEST + 10)
    with open_mirror(tmp_path / "work" / "study.duckdb", "study", staging=tmp_path) as mirror:
        layout = make_layout(described)
        plain = dict.fromkeys(layout.answer_columns, "1")
        for number, last in enumerate(("old", "new"), 1):
            rows = [{**plain, "record_id": str(r), f"f1_{WIDEST + 9}": last if r == 1 else "1"} for r in (1, 2)]
            answer = write(tmp_path / f"chunk{number}.csv", layout.answer_columns, rows)
            mirror.write_structure(described, layout, stamp(number))
            touched = mirror.apply(layout, [StagedChunk((answer,), ("1", "2"))], [], stamp(number))
        assert (touched.updated, touched.unchanged) == (1, 1)
        assert mirror.connection.execute(
            "SELECT record, field, old_value, new_value, change FROM redcap.record_changes WHERE run_id = 'run2'"
        ).fetchall() == [("1", f"f1_{WIDEST + 9}", "old", "new", "update")]


@pytest.mark.parametrize(
    "text",
    [
        'a,b,c\n1,x,"y\nz"\n2,,\n',
        'a,b,c\n1,x"y,"say ""so"""\n',
        'a,b,c\r\n1,"x\ry",z\r\n2,p,q',
        "a,b,c\n\n1,x,y\n\n",
        # Cut inside a cell: that row was never proven.
        'a,b,c\n1,x,y\n2,p,"q\n3,r',
    ],
)
def test_parts_of_an_answer_hold_what_duckdb_reads_in_the_whole(tmp_path, text):
    whole = Answer(tmp_path / "whole.csv", "csv", ("a", "b", "c"))
    whole.path.write_bytes(text.encode())
    parts = [Answer(tmp_path / f"{n}.csv", "csv", names) for n, names in enumerate((("a", "b"), ("a", "c")))]
    assert split_csv(whole, parts)
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT c0, c1, c2 FROM {csv_source(whole)}").fetchall()
        first, second = (connection.execute(f"SELECT c0, c1 FROM {csv_source(part)}").fetchall() for part in parts)
    assert [(a, b, c) for (a, b), (_, c) in zip(first, second, strict=True)] == rows
    assert [a for a, _ in second] == [a for a, *_ in rows]


@pytest.mark.parametrize("text", ['a,b,c\n1,"x" ,y\n', "a,b,c\n1,x\n", b"a,b,c\n1,\xff,y\n"])
def test_an_answer_that_python_may_read_otherwise_is_not_split(tmp_path, text):
    whole = Answer(tmp_path / "whole.csv", "csv", ("a", "b", "c"))
    whole.path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert not split_csv(whole, [Answer(tmp_path / "part.csv", "csv", ("a", "b"))])


# -- memory ------------------------------------------------------------------------------------------------------


def test_an_instrument_of_1700_fields_loads_by_default(site):
    site.add("study", make_study("wide", records=3, seed=1, fields=1700, instruments=1))
    assert site.load().outcome == "ok"
    names = ["_record", *list(site.exported()[0])[1:]]
    verbatim = f"SELECT {', '.join(names)} FROM {rows_now('study', 'form_1')}"
    with duckdb.connect(str(site.warehouse.mirror("study")), read_only=True) as connection:
        assert sorted(connection.execute(verbatim).fetchall()) == exported(site)


@pytest.mark.fuzz
def test_an_instrument_of_1700_fields_is_published_by_default(site):
    site.add("study", make_study("wide", records=3, seed=1, fields=1700, instruments=1))
    assert site.night().outcome == "ok"
    assert sorted(site.rows("FROM study_raw.form_1")) == exported(site)
    assert site.rows("SELECT count(*) FROM study.form_1 WHERE field_1 = record_id::DOUBLE") == [(3,)]
    comments = "SELECT count(*) FROM duckdb_columns() WHERE table_name = 'form_1' AND comment LIKE 'Field %'"
    assert site.rows(f"{comments} AND schema_name = 'study'") == [(1699,)]
    assert site.rows(f"{comments} AND schema_name = 'study_labels'") == [(1699,)]


def exported(site):
    """What the server exports, as readers find it in verbatim tables."""
    return sorted(tuple(value or None for value in row.values()) for row in site.exported())


def test_where_memory_runs_out_the_ledger_and_the_message_name_the_key_and_a_value_that_would_do(site):
    site.add("study", make_study("wide", records=2, seed=1, fields=500, instruments=1))
    site.settings = "memory_limit: 20MB"
    with pytest.raises(WarehouseUnreadable, match=r"Set memory_limit in projects.yaml to (\S+) or more") as raised:
        site.load()
    with duckdb.connect(str(site.warehouse.mirror("study")), read_only=True) as connection:
        outcome, message = connection.execute("SELECT outcome, message FROM redcap.sync_runs").fetchone()
    told = str(raised.value)
    assert (outcome, message) == ("failed", told)
    site.settings = f"memory_limit: {told.split('projects.yaml to ')[1].split()[0]}"
    assert site.load().outcome == "ok"


def test_a_database_takes_what_its_widest_table_needs_and_a_configured_limit_stays(tmp_path):
    columns = ", ".join(f"c{n} VARCHAR" for n in range(2000))
    with open_writer(tmp_path / "study.duckdb") as connection:
        usual = limit_of(connection)
        assert usual == pytest.approx(in_bytes("256MB"), rel=0.01)
        allow(connection, None, Width(1999, 1999))
        # DuckDB shows one decimal place.
        assert limit_of(connection) == pytest.approx(needed(Width(1999, 1999)), rel=0.05)
        connection.execute(f"CREATE TABLE t ({columns})")
    with open_writer(tmp_path / "study.duckdb") as connection:
        assert limit_of(connection) == pytest.approx(needed(Width(2000, 2000)), rel=0.05)
        allow(connection, None, Width(10**9, 10**9))
        assert limit_of(connection) < needed(Width(10**9, 10**9))
    with open_writer(tmp_path / "study.duckdb", memory_limit="100MB") as connection:
        assert limit_of(connection) == pytest.approx(in_bytes("100MB"), rel=0.01)
        with pytest.raises(duckdb.InvalidInputException):
            connection.execute("SET memory_limit = '1GB'")
        assert in_bytes(enough(connection) or "") == pytest.approx(needed(Width(2000, 2000)), rel=0.02)


def test_many_narrow_instruments_need_more_than_a_few():
    usual = in_bytes("256MB")
    assert needed(Width(200, COSTS.few)) == usual
    assert needed(Width(50, COSTS.few), SMALL_TABLES) == in_bytes("128MB")
    assert needed(Width(50, 17_000)) > usual + 300_000_000


def test_a_long_statement_does_what_it_says_and_keeps_its_values():
    long = "y" * LONG
    with connect() as connection:
        made = execute(connection, f"CREATE TABLE t AS SELECT $kept AS a, '{long}' AS b", {"kept": "x"})
        assert made.execute("SELECT a, b FROM t").fetchall() == [("x", long)]
        assert execute(connection, f"SELECT a, '{long}' FROM t WHERE a = $kept", {"kept": "x"}).fetchone() == (
            "x",
            long,
        )
        # The limit of this connection is not the one that was set to give memory back.
        assert limit_of(connection) > in_bytes("100MB")
