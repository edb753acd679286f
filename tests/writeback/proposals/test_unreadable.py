"""Offers that cannot be read, or only with care: one clear outcome each, and never what stands in them."""

import traceback

import duckdb
import pytest

from pipelines.errors import QueryRefused
from pipelines.warehouse.database.parquet import open_parquet
from pipelines.warehouse.database.plain_csv import NotTheSameRows, PlainCsv, csv_source, read_csv
from pipelines.writeback import NotProposed, ProposalOptions, propose_file
from redcap_source.simulator import Simulator
from tests.support.writeback_site import WritebackSite, write_csv

CANARY = "Zaphod Canary"
# What the warehouse has of record 1.
REMARKS = "remark 1"


@pytest.fixture(scope="module")
def standing(classic, tmp_path_factory):
    """A loaded study that no test changes."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, tmp_path_factory.mktemp("standing"), monkeypatch)
        classic.put_into(site)
        yield site


def told(caught) -> str:
    """All that anybody could see of an error."""
    return "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("wide", [False, True])
def test_a_note_longer_than_duckdb_reads_in_a_row_is_proposed(site, study, tmp_path, wide):
    note = "ab" * 1_050_000
    cell = {"record_id": "1", "remarks": note} if wide else {"record": "1", "field": "remarks", "new_value": note}
    proposed = propose_file(
        site.config, site.project(), write_csv(tmp_path / "cells.csv", [cell]), ProposalOptions(batch="b")
    )
    assert (proposed.accepted, proposed.refused) == (1, ())
    assert site.work("SELECT new_value = $$" + note + "$$ FROM writeback.proposals") == [(True,)]


def test_a_file_that_duckdb_cannot_read_after_all_is_told_without_its_line(tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text(f"a,b\n{CANARY},{'x' * 2_100_000}\n")
    query = f"FROM {csv_source(PlainCsv(path, ',', 2, 1))}"
    with pytest.raises(NotTheSameRows) as caught:
        read_csv(lambda: duckdb.connect().execute(query).fetchall())
    assert CANARY not in told(caught)


@pytest.mark.parametrize(
    "new_value",
    [
        "remarks::INT",
        "error(remarks)",
        "strptime(remarks, '%Y')",
        "regexp_matches('a', '[' || remarks)",
        "json_extract(remarks, '$.a')",
        "timezone(remarks, now())",
        "date_part(remarks, now())",
        "from_base64(remarks)",
    ],
)
def test_an_error_in_a_row_of_a_query_is_told_without_what_stands_in_it(standing, tmp_path, new_value):
    path = tmp_path / "cells.sql"
    path.write_text(
        f"SELECT record_id AS record, 'weight' AS field, {new_value} AS new_value "
        "FROM study.examination WHERE record_id = '1'"
    )
    assert standing.rows("SELECT remarks FROM study.examination WHERE record_id = '1'") == [(REMARKS,)]
    with pytest.raises(QueryRefused, match=r"Nothing was proposed\. Use TRY_CAST") as caught:
        propose_file(standing.config, standing.project(), path)
    assert REMARKS not in told(caught)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("SELECT nothing FROM nowhere", "nowhere does not exist"),
        ("SELECT nothing FROM study.examination", '"nothing" not found'),
        ("SELEKT 1", "syntax error"),
        ("DELETE FROM redcap.records", "Cannot execute statement of type"),
    ],
)
def test_what_is_wrong_with_the_text_of_a_query_is_told_in_duckdbs_words(standing, tmp_path, query, why):
    path = tmp_path / "cells.sql"
    path.write_text(query)
    with pytest.raises(QueryRefused, match=why) as caught:
        propose_file(standing.config, standing.project(), path)
    assert "Nothing was proposed." in str(caught.value)


def test_a_query_that_is_not_utf8_text_is_refused(standing, tmp_path):
    path = tmp_path / "cells.sql"
    path.write_bytes(f"SELECT '{CANARY} Zürich'".encode("latin-1"))
    with pytest.raises(NotProposed, match=r"cells\.sql is not UTF-8 text\. Save it as UTF-8\.") as caught:
        propose_file(standing.config, standing.project(), path)
    assert CANARY not in told(caught)


def test_an_export_of_labels_is_refused_once_by_what_it_is(standing, tmp_path):
    dictionary = standing.handles["study"].project.dictionary
    names = ["record_id", "town", "weight", "remarks"]
    header = [dictionary.by_name[name].field_label for name in names] + ["Complete?", "Complete?"]
    path = tmp_path / "cells.csv"
    path.write_text(",".join(f'"{name}"' for name in header) + "\n" + f"1,{CANARY},80.0,x,Complete,Complete\n" * 3)
    with pytest.raises(NotProposed, match=r"looks like an export of labels.*Export raw values") as caught:
        propose_file(standing.config, standing.project(), path)
    assert CANARY not in told(caught)


@pytest.mark.parametrize(
    ("blank", "line_end"),
    [(",,", "\n"), ('"",,""', "\r\n")]
    + [pytest.param(blank, end, marks=pytest.mark.fuzz) for blank in (",", ",,,,") for end in ("\n", "\r\n")]
    + [pytest.param(",,", "\r\n", marks=pytest.mark.fuzz), pytest.param('"",,""', "\n", marks=pytest.mark.fuzz)],
)
def test_rows_of_delimiters_only_are_no_rows(site, study, tmp_path, blank, line_end):
    path = tmp_path / "cells.csv"
    lines = ["record,field,new_value", "1,weight,60.5", blank, "2,weight,61.5", blank, blank]
    path.write_bytes((line_end.join(lines) + line_end).encode())
    proposed = propose_file(site.config, site.project(), path, ProposalOptions(batch="b"))
    assert (proposed.rows, proposed.accepted, proposed.refused) == (2, 2, ())


def test_a_cell_that_holds_a_quote_only_is_no_blank_row(site, study, tmp_path):
    path = tmp_path / "cells.csv"
    path.write_text('record,field,new_value\n1,weight,60.5\n"""",,""\n')
    proposed = propose_file(site.config, site.project(), path, ProposalOptions(batch="b"))
    assert (proposed.accepted, [refused.row for refused in proposed.refused]) == (1, [2])


# --- Parquet ---


def parquet(path, query: str):
    duckdb.connect().execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)").close()
    return path


def test_what_is_no_parquet_file_is_refused_with_what_to_do(tmp_path):
    path = tmp_path / "cells.parquet"
    path.write_bytes(CANARY.encode() * 100)
    with (
        pytest.raises(QueryRefused, match=r"Nothing was proposed\. Save it again as Parquet or CSV\.") as caught,
        open_parquet(path, memory_limit=None),
    ):
        pass
    assert CANARY not in told(caught)


def test_a_parquet_file_that_takes_more_memory_than_allowed_says_so(tmp_path):
    path = parquet(tmp_path / "cells.parquet", f"SELECT repeat('{CANARY}', 1000000) AS v")
    with (
        pytest.raises(QueryRefused, match=r"more than the 4 MB of memory.*memory_limit in projects\.yaml") as caught,
        open_parquet(path, memory_limit="4MB") as (_, rows),
    ):
        list(rows)
    assert CANARY not in told(caught)


def test_numbers_of_single_precision_keep_their_digits_and_what_is_no_number(tmp_path):
    query = """SELECT unnest([160.1, 'nan', 'inf', '-inf', NULL, 3e38, 1e-40]::FLOAT[]) AS "a ""b" """
    with open_parquet(parquet(tmp_path / "cells.parquet", query), memory_limit=None) as (columns, rows):
        read = [value for (value,) in rows]
    assert columns == ['a "b']
    assert (str(read[0]), str(read[1]), read[2:5], read[5]) == (
        "160.1", "nan", [float("inf"), float("-inf"), None], 3e38,
    )  # fmt: skip
    assert str(read[6]) == "1e-40"
