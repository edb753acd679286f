"""What an auditor is told of one project, in a warehouse that holds two, with runs and records that do not count."""

import duckdb
import pytest

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published import quality as audit
from pipelines.warehouse.published.quality import Reconciliation
from pipelines.warehouse.sql import statements

RUNS = """
project | run | mode        | started    | in_redcap | quarantined
heart   | h1  | full        | 2026-01-01 | 5         | 0
heart   | h2  | incremental | 2026-01-02 | 4         | 1
heart   | h3  | writeback   | 2026-01-03 | NULL      | NULL
asthma  | a1  | full        | 2026-01-01 | 7         | 0
asthma  | a2  | writeback   | 2026-01-04 | NULL      | NULL
"""
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
    """A published file of two projects, and the mirror of one of them."""
    made = WarehouseFolder(tmp_path_factory.mktemp("audit") / "warehouse")
    made.make()
    for path in (made.database, made.mirror("heart")):
        with duckdb.connect(str(path)) as connection:
            connection.execute(statements("catalog")["create_catalog"])
            connection.execute(statements("catalog")["create_record_changes"])
            run = "project, run_id, mode, started_at, records_in_redcap, records_quarantined"
            insert(connection, "sync_runs", run, RUNS)
            if path == made.database:
                connection.execute(statements("publish")["create_bookkeeping"])
                insert(connection, "records", "project, record, deleted_at", RECORDS)
                continue
            connection.execute("DELETE FROM redcap.sync_runs WHERE project <> 'heart'")
            change = "run_id, instrument, record, field, change"
            connection.execute("ALTER TABLE redcap.record_changes ALTER project SET DEFAULT 'heart'")
            insert(connection, "record_changes", change, CHANGES)
            connection.execute("ALTER TABLE redcap.invalid_values ALTER project SET DEFAULT 'heart'")
            insert(connection, "invalid_values", "instrument, record, field, reason", INVALID)
    return made


@pytest.mark.parametrize(
    ("project", "found"), [("heart", Reconciliation(4, 3, 1)), ("asthma", Reconciliation(7, 1, 0))]
)
def test_a_project_is_reconciled_by_its_own_records_and_its_own_last_load(folder, project, found):
    assert audit.reconciliation(folder, project) == found
    assert not found.whole


def test_changes_of_the_last_load_are_counted_by_record_and_by_cell(folder):
    assert audit.last_changes(folder, "heart") == [
        ("base", "update", 2, 3),
        ("base", "delete", 1, 1),
        ("the record itself", "rename", 1, 1),
    ]


def test_values_that_do_not_fit_are_counted_by_field_and_reason(folder):
    assert audit.invalid_by_field(folder, "heart") == [
        ("base", "age", "not a BIGINT", 2),
        ("base", "age", "missing data code", 1),
        ("visit", "day", "not a DATE", 1),
    ]
