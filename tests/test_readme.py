"""The README's examples run: its queries against a warehouse of the demo's studies, its projects.yaml, its commands.

Every query of README and docs/howto is asked in sessions of three time zones, and gives its answer in each.
"""

import re
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from pipelines.cli.app import app
from pipelines.config.load import load_config
from pipelines.demo.studies import studies, work_a_day
from pipelines.demo.tour import NEXT_DAY, TOUR
from pipelines.sync.load import load_project
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publishing.publish import publish
from pipelines.writeback import ProposalOptions, plan_writeback, propose_rows, publish_results
from tests.support import export_oracle as oracle

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOW_TO = "".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "howto").glob("*.md")))
QUERIES = re.findall(r"```sql\n(.*?)```", README + HOW_TO, re.DOTALL)
QUERIES += re.findall(r'redcap-warehouse sql "(SELECT [^"]+)"', README + HOW_TO)
ZONES = ("UTC", "America/Chicago", "Pacific/Auckland")
PROPOSED = [
    {"record": "4", "field": "town", "new_value": "Shelbyville", "seen_value": "Somewhere else"},
    {"record": "nobody", "field": "town", "new_value": "Springfield", "seen_value": ""},
    {"record": "6", "field": "town", "new_value": "Ogdenville"},
]


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The demo's studies, published after two nights and a plan of what to write back; and what REDCap holds."""
    folder = tmp_path_factory.mktemp("readme") / "demo"
    with studies(folder, 12) as demo:
        config = demo.config
        heart, warehouse = config.project("heart_study"), WarehouseFolder(config.warehouse)
        for night in (1, 2):
            if night == 2:
                work_a_day(demo)
            for project in config.projects.values():
                load_project(config, project)
            publish(warehouse)
        propose_rows(config, heart, PROPOSED, ProposalOptions(batch="towns", author="me"))
        publish_results(config, heart, plan_writeback(config, heart))
        trial = demo.handles["vaccine_trial"]
        labels = {"0": "Incomplete", "1": "Unverified", "2": "Complete"}
        forms = Counter(
            (row["redcap_event_name"], labels[row["vital_signs_complete"]])
            for row in oracle.flat(demo.simulator.url, trial.token)
            if row["vital_signs_complete"]
        )
        exam = demo.handles["heart_study"]
        weights = oracle.flat(demo.simulator.url, exam.token)
    yield warehouse.database, forms, weights


@pytest.fixture(scope="module")
def warehouse(published):
    """A reader's connection."""
    with duckdb.connect(str(published[0]), read_only=True) as connection:
        yield connection


@pytest.fixture(params=ZONES)
def ask(request, warehouse):
    """A query's answer in a session of some time zone."""
    warehouse.execute(f"SET TimeZone = '{request.param}'")
    return lambda query: warehouse.execute(query).fetchall()


def documented(words: str) -> str:
    """The one documented query that holds these words."""
    (query,) = (query for query in QUERIES if words in query)
    return query


def test_every_documented_query_is_one_of_those_tested_here():
    tested = [
        *(
            "records_quarantined",
            "vital_signs_complete",
            "FROM redcap.invalid_values",
            "detected_at",
            "field_choices",
        ),
        *("0.4536", "decision_reason", "FROM redcap.projects", "heart_study_raw.examination", "as_of("),
        *("loaded_until", "duckdb_columns()"),
    ]
    assert sorted(QUERIES) == sorted(documented(words) for words in tested)


def test_last_nights_query_has_a_row_for_each_project(ask):
    rows = ask(documented("records_quarantined"))
    assert sorted((row[0], row[1], row[2], *row[4:]) for row in rows) == [
        ("asthma_registry", "incremental", "ok", 12, 0, 1, 0, 0, None),
        ("heart_study", "incremental", "ok", 12, 1, 4, 1, 0, None),
        ("vaccine_trial", "incremental", "ok", 12, 0, 1, 0, 0, None),
    ]
    now = datetime.now(UTC).replace(tzinfo=None)
    assert all(0 <= (now - row[3]).total_seconds() < 1800 for row in rows)


def test_the_query_of_the_night_that_a_connection_sees_names_the_last_load_of_each_project(ask):
    loads = {row[0]: row[3] for row in ask(documented("records_quarantined"))}
    assert ask(documented("loaded_until")) == sorted(loads.items())


def test_the_query_of_what_a_column_means_describes_every_column(ask):
    found = ask(documented("duckdb_columns()"))
    assert [name for name, _, _ in found][:3] == ["project", "record", "event"]
    assert len(found) == 15
    assert all(text for _, _, text in found)


def test_the_query_of_visits_counts_what_redcap_holds(ask, published):
    assert {(event, status): forms for event, status, forms in ask(documented("vital_signs_complete"))} == published[1]


def test_the_query_of_values_names_field_and_reason(ask):
    assert sorted(row[:5] for row in ask(documented("FROM redcap.invalid_values"))) == [
        ("asthma_registry", "exacerbations", "exac_admitted", "missing data code", 2),
        ("asthma_registry", "intake", "height", "missing data code", 2),
        ("heart_study", "examination", "diastolic", "missing data code", 1),
    ]


def test_the_query_of_changes_tells_who_changed_what(ask):
    rows = ask(documented("detected_at"))
    assert rows[0] == ("heart_study", "nurse1", "enrolment", "town", "update", 3)
    assert {
        ("asthma_registry", "nurse1", "intake", "height", "update", 1),
        ("heart_study", "nurse1", "enrolment", "zip", "update", 1),
        ("heart_study", "nurse1", None, "record_id", "rename", 1),
    } < set(rows)


@pytest.mark.parametrize("zone", ZONES)
def test_last_week_begins_at_the_same_moment_in_every_time_zone(published, tmp_path, zone):
    copy = tmp_path / "copy.duckdb"
    shutil.copyfile(published[0], copy)
    with duckdb.connect(str(copy)) as connection:
        connection.execute(f"SET TimeZone = '{zone}'")
        for project, hours in (("heart_study", 7 * 24 + 1), ("asthma_registry", 7 * 24 - 1)):
            connection.execute(
                "UPDATE _publish.cell_changes SET detected_at = $now::TIMESTAMP - to_hours($hours) "
                "WHERE project = $project",
                {"now": datetime.now(UTC).replace(tzinfo=None), "hours": hours, "project": project},
            )
        found = connection.execute(documented("detected_at")).fetchall()
    assert {row[0] for row in found} == {"asthma_registry"}


def test_the_query_of_a_field_gives_its_codes(ask):
    assert ask(documented("field_choices")) == [
        ("Sex", "radio", "VARCHAR", "1", "Female"),
        ("Sex", "radio", "VARCHAR", "2", "Male"),
        ("Sex", "radio", "VARCHAR", "3", "Other, or rather not say"),
    ]


def test_the_query_of_yesterday_shows_the_rows_of_then(ask):
    assert ask(documented("as_of(")) == [(12,)]


def test_the_query_that_cleans_weights_proposes_those_above_120(ask, published):
    wanted = [
        (row["record_id"], "weight", round(float(row["weight"]) * 0.4536, 1), "pounds, not kilograms")
        for row in published[2]
        if row["weight"] not in ("", "UNK", "NASK", "-999") and float(row["weight"]) > 120
    ]
    assert sorted(ask(documented("0.4536"))) == sorted(wanted)


def test_the_query_of_refused_proposals_says_why(ask):
    assert sorted(ask(documented("decision_reason"))) == [
        ("4", "town", "Somewhere else", "Shelbyville", "REDCap holds another value than was seen"),
        ("nobody", "town", None, "Springfield", "REDCap has no such record"),
    ]


def test_the_query_of_projects_has_a_row_for_each(ask):
    assert {row[0] for row in ask(documented("FROM redcap.projects"))} == {
        "heart_study",
        "vaccine_trial",
        "asthma_registry",
    }


def test_the_query_for_a_spreadsheet_gives_text_as_redcap_sent_it(ask, published):
    wanted = [(row["record_id"], row["weight"] or None, row["remarks"] or None) for row in published[2]]
    found = ask(documented("heart_study_raw.examination"))
    assert found
    assert set(found) <= set(wanted)


def test_as_of_answers_the_same_in_every_time_zone(ask):
    (first, last) = ask(
        "SELECT min(finished_at)::VARCHAR, max(finished_at)::VARCHAR FROM redcap.sync_runs "
        "WHERE project = 'heart_study'"
    )[0]
    town = "SELECT town FROM heart_study_history.as_of('enrolment', {}) WHERE record_id = '3'"
    (before,), (after,) = (ask(town.format(f"TIMESTAMP '{moment}'"))[0] for moment in (first, last))
    assert before != after == "Springfield"
    for moment, wanted in ((first, before), (last, after)):
        for written in (f"TIMESTAMPTZ '{moment} UTC'", f"'{moment}'", f"(SELECT TIMESTAMP '{moment}')"):
            assert ask(town.format(written)) == [(wanted,)], written
    assert ask(town.format("now()")) == [(after,)]
    assert ask("SELECT count(*) FROM heart_study_history.as_of('enrolment', now())") == [(12,)]
    assert ask("SELECT count(*) FROM heart_study_history.as_of('enrolment', DATE '2001-01-01')") == [(0,)]


def test_every_time_column_says_which_clock_it_is(warehouse):
    found = warehouse.execute(
        "SELECT schema_name || '.' || table_name || '.' || column_name, comment FROM duckdb_columns() "
        "WHERE data_type LIKE 'TIMESTAMP%' "
        "AND (schema_name IN ('redcap', 'writeback') OR column_name IN ('_valid_from', '_valid_to') "
        "AND regexp_full_match(schema_name, '.*_history(_raw)?'))"
    ).fetchall()
    assert len(found) > 30
    servers = {name for name, comment in found if comment and "server's local time" in comment}
    assert servers == {"redcap.audit_log.timestamp"}
    assert [name for name, comment in found if name not in servers and "(UTC)" not in (comment or "")] == []


@pytest.mark.parametrize("stop", [*TOUR, *NEXT_DAY], ids=range(len(TOUR) + len(NEXT_DAY)))
def test_every_stop_of_the_demos_tour_shows_something(warehouse, stop):
    assert warehouse.execute(stop.sql).fetchall()


def test_there_are_five_queries():
    assert len(re.findall("```sql", README.partition("## Five queries")[2].partition("\n## ")[0])) == 5


def test_the_readmes_projects_yaml_is_one(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "projects.yaml"
    path.write_text(text)
    assert list(load_config(path).projects) == ["heart_study"]


def test_the_readme_names_every_table_of_schema_redcap(warehouse):
    tables = warehouse.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'redcap'").fetchall()
    assert [name for (name,) in tables if f"`{name}`" not in README] == []


def test_the_readme_names_every_command():
    names = {command.name or command.callback.__name__.replace("_", "-") for command in app.registered_commands}
    assert [name for name in names if f"`redcap-warehouse {name}" not in README] == []


def test_the_files_the_readme_links_to_are_there():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    missing = [link for link in links if not (ROOT / link).exists()]
    assert missing == []
