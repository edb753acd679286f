"""What is found out about a PostgreSQL before loads rely on it."""

from __future__ import annotations

from pipelines.coordination import Coordination
from pipelines.coordination.checks import sessions_kept
from tests.support.postgres import ask


def test_a_server_is_described_and_nothing_is_made(machine, database):
    found = machine().checks()
    assert found.version.startswith(str(found.version_number // 10_000))
    assert abs(found.clock_difference) < 1 + found.round_trip
    assert found.sessions_kept
    assert not found.only_reads
    assert found.may_create
    assert not found.may_change
    assert ask(database, "SELECT to_regnamespace('redcap_warehouse')") == [(None,)]


def test_rights_that_are_missing_are_found(database):
    ask(database, "CREATE ROLE reader LOGIN")
    try:
        with Coordination(database.replace("//dagster@", "//reader@")) as limited:
            found = limited.checks()
        assert (found.may_create, found.may_change) == (False, False)
    finally:
        ask(database, "DROP ROLE reader")


def test_a_pooler_that_divides_sessions_is_recognised_by_the_servers_numbers():
    assert sessions_kept(first=11, other=12, again=11)
    assert not sessions_kept(first=11, other=11, again=11)
    assert not sessions_kept(first=11, other=12, again=13)
