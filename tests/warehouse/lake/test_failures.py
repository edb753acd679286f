"""Errors of DuckLake, PostgreSQL and a bucket as a person is told of them."""

import duckdb
import pytest

from pipelines.errors import LakeUnusable, WarehouseUnreadable
from pipelines.warehouse.lake.failures import lake_unusable, may_pass, reason

INSERT = "Failed to execute query \"INSERT INTO ducklake_file_column_stats VALUES (1, 'canary', 'canary')\": "


@pytest.mark.parametrize(
    ("message", "told", "passes"),
    [
        (f"{INSERT}server closed the connection unexpectedly", "connection to PostgreSQL was lost", True),
        (f"{INSERT}FATAL: terminating connection due to administrator command", "connection to PostgreSQL", True),
        ('Failed to commit: Failed to execute query "ROLLBACK": ', "connection to PostgreSQL was lost", True),
        ('Transaction conflict - attempting to delete from "canary"', "another process wrote", True),
        ("HTTP GET error on 'http://h/b/canary.parquet' (HTTP 500)", "error of its own", True),
        ("HTTP GET error reading 's3://b/canary' (HTTP 403 Forbidden)", "refuses access", False),
        (f"{INSERT}ERROR: permission denied for table x", "refuses this user the right", False),
        ('Cannot open file "/data/canary/1.parquet": No such file or directory', "`redcap-warehouse publish`", False),
        ('Cannot open file "/data/canary/1.parquet": Permission denied', "refuses the rights", False),
        # A mirror, which no publish makes again.
        ('Cannot open file "/work/canary.duckdb": No such file or directory', "DuckDB reported", False),
        ('Cannot write "/data/canary": No space left on device', "no room left", False),
        ('at "host=canary": SSL error: certificate verify failed', "not one that sslrootcert", False),
        ('server certificate for "x" does not match host name "canary"', "not one that sslrootcert", False),
        ('root certificate file "/canary/root.crt" does not exist', "(sslrootcert) does not exist", False),
        ('at "host=canary": server does not support SSL, but SSL was required', "offers no encryption", False),
        (f"{INSERT}something nobody has seen", "DuckDB reported IOException", False),
    ],
)
def test_known_words_are_told_and_nothing_is_quoted(message, told, passes):
    problem = duckdb.IOException(message)
    assert told in reason(problem) and "canary" not in reason(problem)
    assert may_pass(problem) is passes


def test_any_error_becomes_one_of_ours_and_ours_stay_as_they_are():
    found = lake_unusable(duckdb.IOException(f"{INSERT}odd"), "attaching it")
    assert isinstance(found, LakeUnusable) and "attaching it failed" in str(found) and "canary" not in str(found)
    ours = WarehouseUnreadable(path=None, reason="r", remedy="m")
    assert lake_unusable(ours, "attaching it") is ours
