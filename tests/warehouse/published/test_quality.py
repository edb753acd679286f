"""What an auditor is told of one project, in a warehouse that holds two, with runs and records that do not count."""

import duckdb
import pytest

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Manifest, Publication, PublishedProject, fingerprint, save_manifest
from pipelines.warehouse.published import quality as audit
from pipelines.warehouse.published.quality import PublishedProof, Reconciliation
from pipelines.warehouse.sql import statements
from pipelines.warehouse.store.file_store import FileStore

RUNS = """
project | run | mode        | outcome    | started    | in_redcap | quarantined
heart   | h1  | full        | ok         | 2026-01-01 | 5         | 0
heart   | h2  | incremental | incomplete | 2026-01-02 | 4         | 1
heart   | h3  | writeback   | ok         | 2026-01-03 | NULL      | NULL
asthma  | a1  | full        | ok         | 2026-01-01 | 7         | 0
asthma  | a2  | writeback   | ok         | 2026-01-04 | NULL      | NULL
asthma  | a3  | incremental | failed     | 2026-01-05 | NULL      | NULL
asthma  | a4  | incremental | ok         | 2026-01-06 | 9         | 0
"""
# A load that failed and changed nothing is published as far as there is anything of it; the last load is not yet.
PUBLISHED = {"heart": "h2", "asthma": "a3"}
RECORDS = """
project | record | deleted
heart   | 1      | NULL
heart   | 2      | NULL
heart   | 3      | NULL
heart   | 4      | 2026-01-02
asthma  | 1      | NULL
asthma  | 9      | 2026-01-01
"""
CHANGES = """
run | instrument | record | field | change
h1  | base       | 1      | age   | update
h2  | base       | 1      | age   | update
h2  | base       | 1      | sex   | update
h2  | base       | 2      | age   | update
h2  | base       | 2      | sex   | delete
h2  | NULL       | 3      | id    | rename
h3  | base       | 1      | age   | update
"""
INVALID = """
instrument | record | field | reason
base       | 1      | age   | not a BIGINT
base       | 2      | age   | not a BIGINT
base       | 2      | age   | missing data code
visit      | 1      | day   | not a DATE
"""


def rows_of(text):
    """The cells of a grid, NULL as None."""
    lines = [line.split("|") for line in text.strip().splitlines()[1:]]
    return [[None if cell.strip() == "NULL" else cell.strip() for cell in line] for line in lines]


def insert(connection, table, columns, text):
    for row in rows_of(text):
        places = ", ".join("?" for _ in row)
        connection.execute(f"INSERT INTO redcap.{table} ({columns}) VALUES ({places})", row)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A published file of two projects without the last runs, and the mirrors of both."""
    made = WarehouseFolder(tmp_path_factory.mktemp("audit") / "warehouse")
    made.make()
    run = "project, run_id, mode, outcome, started_at, records_in_redcap, records_quarantined"
    with duckdb.connect(str(made.database)) as connection:
        connection.execute(statements("catalog")["create_catalog"])
        connection.execute(statements("publish")["create_bookkeeping"])
        insert(connection, "records", "project, record, deleted_at", RECORDS)
    for project in PUBLISHED:
        with duckdb.connect(str(made.mirror(project))) as connection:
            connection.execute(statements("catalog")["create_catalog"])
            connection.execute(statements("catalog")["create_record_changes"])
            insert(connection, "sync_runs", run, RUNS)
            connection.execute("DELETE FROM redcap.sync_runs WHERE project <> $project", {"project": project})
    with duckdb.connect(str(made.mirror("heart"))) as connection:
        change = "run_id, instrument, record, field, change"
        connection.execute("ALTER TABLE redcap.record_changes ALTER project SET DEFAULT 'heart'")
        insert(connection, "record_changes", change, CHANGES)
        connection.execute("ALTER TABLE redcap.invalid_values ALTER project SET DEFAULT 'heart'")
        insert(connection, "invalid_values", "instrument, record, field, reason", INVALID)
    entries = {project: PublishedProject("", run, "", 2, 30, 1) for project, run in PUBLISHED.items()}
    save_manifest(made, Manifest((Publication(fingerprint(made.database), entries),)))
    return made


@pytest.mark.parametrize(
    ("project", "found"), [("heart", Reconciliation(4, 3, 1)), ("asthma", Reconciliation(7, 1, 0))]
)
def test_a_project_is_reconciled_by_its_own_records_and_its_own_published_load(folder, project, found):
    assert audit.reconciliation(FileStore(folder), project) == found
    assert not found.whole


@pytest.mark.parametrize(
    ("proof", "said"),
    [
        (
            PublishedProof(2, 30, 2, whole=True, problem=None),
            "All 30 rows of 2 instruments were compared with the mirror, ",
        ),
        (
            PublishedProof(2, 30, 1, problem=None),
            "those that had changed, in 1 instrument, were compared value by value.",
        ),
        (PublishedProof(2, 30, 0, problem=None), "were counted against the mirror; none had changed."),
        (
            PublishedProof(2, 30, 2, problem="it was empty"),
            "Readers may find other rows than those that were published: it was empty. Run ",
        ),
    ],
)
def test_how_far_the_published_rows_were_compared_is_one_sentence(proof, said):
    assert said in str(proof)
    assert proof.holds == (proof.problem is None)


def test_what_was_proven_holds_as_long_as_the_file_is_the_one_that_was_compared(folder):
    assert audit.published_proof(FileStore(folder), "heart") == PublishedProof(2, 30, 1, problem=None)
    assert audit.published_proof(FileStore(folder), "unknown") == PublishedProof(problem="the project is not published")
    content = folder.database.read_bytes()
    try:
        folder.database.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert not audit.published_proof(FileStore(folder), "heart").holds
    finally:
        folder.database.write_bytes(content)
    # The same bytes at another time: as from a backup.
    assert audit.published_proof(FileStore(folder), "heart").holds


def test_changes_of_the_last_load_are_counted_by_record_and_by_cell(folder):
    assert audit.last_changes(FileStore(folder), "heart") == [
        ("base", "update", 2, 3),
        ("base", "delete", 1, 1),
        ("the record itself", "rename", 1, 1),
    ]


def test_values_that_do_not_fit_are_counted_by_field_and_reason(folder):
    assert audit.invalid_by_field(FileStore(folder), "heart") == [
        ("base", "age", "not a BIGINT", 2),
        ("base", "age", "missing data code", 1),
        ("visit", "day", "not a DATE", 1),
    ]
