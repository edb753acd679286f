"""Sessions with PostgreSQL: opened again after a loss, patient for a while, and silent about the password."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
import traceback

import pytest

from pipelines.coordination import Coordination
from pipelines.coordination.address import Address
from pipelines.coordination.connection import Session
from pipelines.errors import ConfigError, CoordinationUnavailable, WarehouseError
from tests.support.postgres import GUARDED, ask

SECRET = "Zebulon1867"


def everything_said(error: BaseException) -> str:
    """The error as logs and consoles show it, with what hangs on it and the local variables of its frames."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename != __file__]
    assert frames
    hanging = [error.__cause__, error.__context__, error.args, [frame.f_locals for frame in frames]]
    return "\n".join([str(error), repr(error), "".join(traceback.format_exception(error)), repr(hanging)])


def refused(url: str, caplog: pytest.LogCaptureFixture, patience: float = 0.0) -> str:
    """What a machine says that cannot use this URL; its password is nowhere."""
    caplog.set_level(logging.DEBUG)
    coordination = Coordination(url, patience=patience)
    with pytest.raises(WarehouseError) as problem:
        coordination.unpublished()
    assert SECRET not in everything_said(problem.value) + repr(coordination) + caplog.text
    return str(problem.value)


@pytest.fixture
def with_password(postgres, database):
    """The URL of the database for a user of whom the server asks a password."""
    ask(database, f"CREATE ROLE {GUARDED} LOGIN PASSWORD '{SECRET}'")
    yield database.replace("//dagster@", f"//{GUARDED}:{SECRET}@")
    ask(database, f"DROP OWNED BY {GUARDED}; DROP ROLE {GUARDED}")


def test_a_wrong_password_is_told_at_once(with_password, caplog):
    wrong = with_password.replace(SECRET, f"{SECRET}x")
    begun = time.monotonic()
    assert 'password authentication failed for user "guarded"' in refused(wrong, caplog, patience=30)
    assert time.monotonic() - begun < 10


def test_the_right_password_is_taken_and_said_nowhere(with_password, database, caplog):
    ask(database, "GRANT CREATE ON DATABASE " + database.rpartition("/")[2] + " TO guarded")
    caplog.set_level(logging.DEBUG)
    with Coordination(with_password) as coordination, coordination.hold_project("alpha", "run-1") as held:
        held.check()
        assert SECRET not in repr([coordination, held, vars(coordination), vars(held), vars(held._session)])
    assert SECRET not in caplog.text


def test_a_refused_connection_is_told_when_the_patience_ends(caplog):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"postgresql://user:{SECRET}@127.0.0.1:{unused.getsockname()[1]}/db"
        said = refused(url, caplog, patience=0.2)
    assert "Connection refused" in said
    assert "tried for 0.2 s" in said


def test_an_unknown_host_a_missing_database_and_tls_where_there_is_none_are_told(postgres, database, caplog):
    port = postgres.port
    assert "host.invalid" in refused(f"postgresql://user:{SECRET}@host.invalid/db", caplog)
    missing = f"postgresql://dagster:{SECRET}@127.0.0.1:{port}/missing"
    assert 'database "missing" does not exist' in refused(missing, caplog, patience=30)
    assert "does not support SSL" in refused(f"{missing}?sslmode=require", caplog, patience=30)
    assert "cannot be read" in refused(f"{missing}?nonsense={SECRET}", caplog, patience=30)


def test_a_server_that_quotes_the_password_is_not_quoted(postgres, caplog):
    url = f"postgresql://dagster:{SECRET}@127.0.0.1:{postgres.port}/{SECRET}"
    assert "PostgreSQL's message is left out" in refused(url, caplog)


def test_a_database_that_is_dropped_meanwhile_is_told(postgres, database, caplog):
    url = database.replace("//dagster@", f"//dagster:{SECRET}@")
    with Coordination(url, patience=0.0) as coordination:
        coordination.unpublished()
        ask(postgres.url, f"DROP DATABASE {database.rpartition('/')[2]} WITH (FORCE)")
        with pytest.raises(CoordinationUnavailable) as problem:
            coordination.unpublished()
        with pytest.raises(CoordinationUnavailable, match="does not exist"):
            coordination.unpublished()
    assert SECRET not in everything_said(problem.value)


def test_a_session_that_was_ended_is_opened_again(machine, database):
    one = machine()
    one.mark_loaded("alpha", "run-1")
    for _ in range(3):
        ask(database, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                      "WHERE application_name = 'redcap-warehouse' AND datname = current_database()")  # fmt: skip
        assert one.unpublished() == {"alpha": "run-1"}


def test_a_question_waits_while_postgresql_restarts(machine, postgres):
    one = machine()
    one.mark_loaded("alpha", "run-1")
    postgres.stop()
    with pytest.raises(CoordinationUnavailable):
        machine(patience=0.0).unpublished()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(one.unpublished()))
    asking.start()
    postgres.start()
    asking.join(30)
    assert answers == [{"alpha": "run-1"}]


def test_both_sides_notice_a_machine_that_vanished_within_seconds(machine, database):
    one = machine()
    one.unpublished()
    session = one._session
    asked = "SELECT string_agg(setting, ' ' ORDER BY name) FROM pg_settings WHERE name LIKE 'tcp_keepalives%'"
    assert session.run(asked) == [("3 5 5",)]
    wire = socket.socket(fileno=os.dup(session._connection.fileno()))
    with wire:
        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
        assert wire.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 15_000


def test_what_the_url_asks_of_the_server_is_kept(database):
    with Coordination(f"{database}?options=-c%20work_mem%3D123kB&application_name=mine") as coordination:
        coordination.unpublished()
        assert coordination._session.run("SHOW work_mem") == [("123kB",)]
        assert coordination._session.run("SHOW application_name") == [("redcap-warehouse",)]


def test_the_databases_own_defaults_neither_end_a_hold_nor_change_what_statements_see(database, postgres):
    name = database.rpartition("/")[2]
    ask(postgres.url, f"ALTER DATABASE {name} SET idle_session_timeout = '1h'")
    ask(postgres.url, f"ALTER DATABASE {name} SET default_transaction_isolation = 'serializable'")
    assert ask(database, "SHOW idle_session_timeout") == [("1h",)]
    with Coordination(database) as coordination, coordination.hold_project("alpha", "run-1") as held:
        assert held._session.once("SHOW idle_session_timeout") == [("0",)]
        assert held._session.once("SHOW transaction_isolation") == [("read committed",)]


def test_a_missing_library_is_told(monkeypatch, database):
    monkeypatch.setitem(sys.modules, "psycopg2", None)
    with pytest.raises(ConfigError, match="Install the extra `postgres`"):
        Coordination(database).unpublished()


def test_one_session_serves_many_threads(database):
    session, answers = Session(Address(database), 5.0), []

    def ask_often(number):
        answers.extend(session.run("SELECT %(n)s::int", {"n": number})[0][0] == number for _ in range(50))

    threads = [threading.Thread(target=ask_often, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    session.close()
    assert answers == [True] * 400
