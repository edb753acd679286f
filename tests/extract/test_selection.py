"""What projects.yaml leaves out is nowhere: not asked for, not in a file, not in the log; and the rest is as ever."""

import duckdb
import pytest

from pipelines.errors import ConfigError
from redcap_source.simulator import make_study
from tests.support.export_oracle import expected, published

SECRET = "Zqxsecret"
IDENTIFIERS = (
    "first_name",
    "last_name",
    "street",
    "zip",
    "phone",
    "email",
    "dob",
    "ssn",
    "mrn",
    "mrn_other",
    "vmrn",
    "phone_au",
)


def places_of(path, word):
    """Every table and view of a DuckDB file that shows the word in any cell."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "SELECT schema_name, table_name FROM duckdb_tables() "
            "UNION SELECT schema_name, view_name FROM duckdb_views() WHERE NOT internal"
        ).fetchall()
        return [
            f"{schema}.{name}"
            for schema, name in names
            if connection.execute(
                f'SELECT count(*) FROM "{schema}"."{name}" t WHERE t::VARCHAR ILIKE $word',
                {"word": f"%{word}%"},
            ).fetchone()
            != (0,)
        ]


def files_with(folder, word):
    return [path.name for path in folder.rglob("*") if path.is_file() and word.encode() in path.read_bytes()]


def watch_staging(site, seen):
    """Look through the staging folder before each coming request."""
    for nth in range(1, 40):
        site.simulator.before_request(lambda: seen.extend(files_with(site.warehouse.work, SECRET)), nth=nth)


def assert_nowhere(site, word):
    assert places_of(site.warehouse.mirror("study"), word) == []
    assert places_of(site.warehouse.database, word) == []
    assert files_with(site.folder, word) == []


def left(tables, *, without=(), instruments=None):
    """What a fresh export holds, without some fields, and of some instruments only."""
    return {
        name: {(*key, tuple((f, v) for f, v in cells if f not in without)) for *key, cells in rows}
        for name, rows in tables.items()
        if instruments is None or name in instruments
    }


def test_dropped_identifiers_are_nowhere_and_the_rest_is_as_ever(site, caplog):
    site.keys = "identifiers: drop"
    handle = site.study("classic", 8)
    first, second, *_ = handle.records()
    handle.save(first, {"first_name": SECRET, "town": "Ulm"})
    in_staging = []
    watch_staging(site, in_staging)
    site.night()
    columns = {
        name for (name,) in site.rows("SELECT column_name FROM duckdb_columns() WHERE schema_name LIKE 'study%'")
    }
    assert columns.isdisjoint(IDENTIFIERS)
    assert published(site, "study") == left(expected(site.simulator.url, handle.token), without=IDENTIFIERS)
    # The next night the log quotes what was entered.
    site.simulator.clock.advance(hours=24)
    handle.save(second, {"last_name": f"{SECRET}, {SECRET.lower()} = '1'", "town": "Genua"})
    handle.save(first, {"email": f"{SECRET}@example.org"})
    report = site.night()
    assert (report.mode, report.records_loaded, report.rows_updated) == ("incremental", 2, 1)
    assert published(site, "study") == left(expected(site.simulator.url, handle.token), without=IDENTIFIERS)
    details = site.rows(
        "SELECT details FROM redcap.audit_log WHERE action LIKE 'Update record%' ORDER BY details NULLS LAST"
    )
    assert ("town",) in details
    changed = site.rows(f"SELECT DISTINCT field FROM redcap.record_changes WHERE run_id = '{report.run_id}'")
    assert changed == [("town",)]
    assert_nowhere(site, SECRET)
    assert in_staging == []
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("keys", "kept"),
    [
        ("include: {instruments: [intake, spirometry]}", {"intake", "spirometry"}),
        pytest.param(
            "exclude: {instruments: [control_survey, exacerbations, closing]}",
            {"intake", "spirometry"},
            marks=pytest.mark.fuzz,
        ),
        pytest.param(
            "include: {instruments: [intake, spirometry, closing]}, exclude: {instruments: [closing]}",
            {"intake", "spirometry"},
            marks=pytest.mark.fuzz,
        ),
    ],
)
def test_instruments_that_are_left_out_are_nowhere_and_the_rest_is_as_ever(site, keys, kept):
    site.keys = keys
    handle = site.study("repeating", 8)
    handle.add_field(
        {"field_name": "exac_note", "form_name": "exacerbations", "field_type": "text", "field_label": "Note"}
    )
    first = handle.records()[0]
    handle.save(first, {"exac_note": f"first {SECRET}"}, instrument="exacerbations", instance=1)
    site.load()
    site.simulator.clock.advance(hours=24)
    handle.save(first, {"exac_note": SECRET}, instrument="exacerbations", instance=7)
    handle.save(first, {"fev1": "3.10"}, instrument="spirometry", instance=9)
    report = site.night()
    assert report.mode == "incremental"
    assert published(site, "study") == left(expected(site.simulator.url, handle.token), instruments=kept)
    tables = {name for (name,) in site.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'study:now'")}
    assert tables == kept
    assert_nowhere(site, SECRET)


def test_what_is_left_out_later_leaves_the_tables_and_what_is_taken_in_later_comes_whole(site):
    handle = site.study("classic", 6)
    site.keys = "exclude: {instruments: [examination]}"
    site.load()
    site.simulator.clock.advance(hours=24)
    site.keys = "exclude: {instruments: [measures]}"
    report = site.night()
    assert report.mode == "incremental"
    both = set(handle.project.dictionary.forms) - {"measures"}
    assert published(site, "study") == left(expected(site.simulator.url, handle.token), instruments=both)
    drift = site.rows("SELECT change, kind, name FROM redcap.dictionary_changes WHERE kind = 'instrument' ORDER BY ALL")
    assert drift == [("added", "instrument", "examination"), ("removed", "instrument", "measures")]


@pytest.mark.parametrize("keys", ["include: {instruments: [nosuch]}", "exclude: {instruments: [nosuch]}"])
def test_an_instrument_that_redcap_does_not_know_is_refused_by_name(site, keys):
    site.keys = keys
    site.study("classic", 3)
    with pytest.raises(ConfigError, match=r"nosuch[\s\S]*It has: enrolment"):
        site.load()


def test_a_record_id_that_is_an_identifier_cannot_be_dropped(site):
    site.keys = "identifiers: drop"
    project = make_study("classic", records=3, seed=3)
    handle = site.add("study", project)
    handle.change_field("record_id", identifier="y")
    with pytest.raises(ConfigError, match="record_id is itself tagged as an identifier"):
        site.load()
    assert not site.warehouse.database.exists()
