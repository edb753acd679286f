"""Public test projects of other REDCap clients, as real servers described them: our tables have their row counts."""

import csv
import json

import pytest

from redcap_source.simulator import load_project

pytestmark = pytest.mark.recorded

# Not among them: two that were recorded before a deletion their XML already has, and one whose only value is a
# calculated field's (we count that as data, the recording's reader does not).
PROJECTS = [
    "phpcap-longitudinal-data",
    "pycap-test-long",
    "redcapetl-multiple-root-instruments",
    "redcapetl-repeating-events-extended",
    "redcapetl-repeating-forms",
    "redcapr-clinical-trial-1",
    "redcapr-longitudinal",
    "redcapr-multilevel-model-1",
    "redcapr-potentially-problematic-values",
    "redcapr-repeating-instruments-sparse",
    "redcapr-survey",
    # Thousands of fields in one instrument, which takes as long as ten others do together.
    pytest.param("redcapr-super-wide-1", marks=pytest.mark.fuzz),
    # What these have, one of the others has, too.
    pytest.param("phpcap-basic-demography", marks=pytest.mark.fuzz),
    pytest.param("redcapetl-multiple-choice", marks=pytest.mark.fuzz),
    pytest.param("redcapetl-repeating-events", marks=pytest.mark.fuzz),
    pytest.param("redcapr-simple", marks=pytest.mark.fuzz),
    pytest.param("redcapr-vignette-repeating", marks=pytest.mark.fuzz),
]


@pytest.mark.parametrize("project", PROJECTS)
def test_every_instrument_has_as_many_rows_as_the_recording(site, recorded, project):
    expected = json.loads((recorded / project / "expected.json").read_text())
    site.add("study", load_project(recorded / project / "project.xml"))
    report = site.night()
    assert report.records_loaded == expected["records"]
    wanted = {
        form: counts["base_rows"] + counts["repeat_instance_rows"] + counts["repeat_event_rows"]
        for form, counts in expected["forms"].items()
    }
    counts = [f"SELECT '{form}', count(*) FROM study_raw.\"{form}\"" for form in wanted]
    assert dict(site.rows(" UNION ALL ".join(counts))) == wanted


def etl_table(path):
    """One of REDCap-ETL's own result tables."""
    with path.open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


ETL_TABLES = [
    # REDCap-ETL's table                                  the rows of ours that it holds
    ("cardiovascular", "redcap_event_name LIKE 'baseline%'"),
    ("deident_re_cardiovascular_repeating_events", "redcap_event_name LIKE 'visit%'"),
    ("deident_re_cardiovascular_repeating_instruments", "redcap_event_name LIKE 'home_visit%'"),
]


@pytest.mark.parametrize(("table", "rows"), ETL_TABLES, ids=[table for table, _ in ETL_TABLES])
def test_cells_equal_those_of_redcap_etls_own_tables(site, recorded, table, rows):
    project = recorded / "redcapetl-repeating-events"
    site.add("study", load_project(project / "project.xml"))
    site.night()
    theirs = etl_table(project / "expected" / f"{table}.csv")
    # Their de-identified tables leave the dates blank.
    names = [name for name in theirs[0] if name in columns_of(site, "cardiovascular") and not name.endswith("_date")]
    assert {"record_id", "redcap_event_name", "hdl_mg_dl", "systolic3"} <= set(names)
    ours = site.rows(f"SELECT {', '.join(names)} FROM study_raw.cardiovascular WHERE {rows}")
    assert sorted(tuple(plain(v) for v in row) for row in ours) == sorted(
        tuple(plain(row[name]) for name in names) for row in theirs
    )


def columns_of(site, table):
    found = site.rows(
        f"SELECT column_name FROM duckdb_columns() WHERE schema_name = 'study_raw' AND table_name = '{table}'"
    )
    return {name for (name,) in found}


def plain(value):
    """Blank is blank, and a number is the same number however many noughts end it."""
    text = "" if value is None else str(value)
    try:
        return f"{float(text):.6g}"
    except ValueError:
        return text
