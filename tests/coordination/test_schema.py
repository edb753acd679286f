"""Making the schema, once, and refusing one that a newer version made."""

from __future__ import annotations

import threading

import pytest

from pipelines.coordination import Coordination, schema
from pipelines.errors import ConfigError
from tests.support.postgres import ask


def test_machines_that_start_at_once_make_the_schema_once(machine, database):
    machines, problems = [machine(str(number)) for number in range(6)], []
    together = threading.Barrier(len(machines))

    def start(coordination):
        together.wait(30)
        try:
            coordination.mark_loaded("alpha", "run-1")
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=start, args=[coordination]) for coordination in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert problems == []
    assert ask(database, "SELECT version FROM redcap_warehouse.format") == [(schema.FORMAT,)]
    assert ask(database, "SELECT count(*) FROM redcap_warehouse.projects") == [(1,)]


def test_a_schema_of_a_newer_version_is_refused_and_kept(machine, database):
    machine().unpublished()
    ask(database, "UPDATE redcap_warehouse.format SET version = version + 1")
    with pytest.raises(ConfigError, match="a newer version of redcap-warehouse made; this one knows formats up to"):
        machine().unpublished()
    assert ask(database, "SELECT version FROM redcap_warehouse.format") == [(schema.FORMAT + 1,)]


def test_a_step_that_fails_leaves_nothing_and_is_repeated(machine, database, monkeypatch):
    wrong = dict(schema.statements("schema"), set_format="SELECT 1 / 0")
    monkeypatch.setattr(schema, "statements", lambda file: wrong)
    with pytest.raises(Exception, match="DivisionByZero"):
        machine().unpublished()
    assert ask(database, "SELECT to_regclass('redcap_warehouse.format')") == [(None,)]
    monkeypatch.undo()
    assert machine().unpublished() == {}


def test_a_user_without_the_right_to_create_is_told_what_to_grant(postgres, database):
    ask(database, "CREATE ROLE reader LOGIN")
    try:
        with (
            Coordination(database.replace("//dagster@", "//reader@")) as limited,
            pytest.raises(ConfigError, match="GRANT CREATE ON DATABASE"),
        ):
            limited.unpublished()
    finally:
        ask(database, "DROP ROLE reader")
