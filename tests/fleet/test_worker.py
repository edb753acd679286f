"""A process that loads projects, seen from the process that started it."""

import multiprocessing
import os

import duckdb

from pipelines.fleet.load_one import Ended
from pipelines.fleet.worker import Step, work
from pipelines.sync.reports import LoadOptions
from tests.fleet.conftest import explained


def started(site):
    """The process, and the way to it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=work, args=(theirs, site.config, LoadOptions(), explained), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def received(connection):
    """What it sends until a load has ended."""
    told = [connection.recv()]
    while not isinstance(told[-1], Ended):
        told.append(connection.recv())
    return told


def test_it_loads_a_project_telling_its_steps_and_ends_when_there_is_no_other(several):
    process, connection = started(several)
    connection.send(several.config.project("bella"))
    *steps, ended = received(connection)
    assert (ended.project, ended.report.outcome) == ("bella", "ok")
    assert Step("step", ("structure",)) in steps
    # Ctrl-C of a terminal reaches the group of the command, and not this process.
    assert os.getpgid(process.pid) != os.getpgid(0)
    connection.send(None)
    process.join(30)
    assert process.exitcode == 0


def test_it_finishes_its_load_when_the_process_that_started_it_has_gone(several):
    process, connection = started(several)
    connection.send(several.config.project("anna"))
    connection.close()
    process.join(60)
    assert process.exitcode == 1
    with duckdb.connect(str(several.warehouse.mirror("anna")), read_only=True) as mirror:
        assert mirror.execute("SELECT outcome FROM redcap.sync_runs").fetchall() == [("ok",)]
