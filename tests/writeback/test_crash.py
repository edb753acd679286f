"""Killed for good: the command is ended with SIGKILL at requests and at random times, and run again."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.support.writeback_site import row, values

PROGRAM = """
import sys
from pipelines.config import load_config
from pipelines.writeback import apply_writeback
config = load_config(sys.argv[1])
print("began", flush=True)
outcome = apply_writeback(config, config.project("study"))
print(outcome.sent, outcome.confirmed, flush=True)
"""


def start(site) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(site.path)],
        env={**os.environ, "TOKEN_STUDY": site.handles["study"].token},
        stdout=subprocess.PIPE,
        text=True,
    )


def end(process: subprocess.Popen) -> None:
    process.wait(30)
    process.stdout.close()


def propose_many(site, study):
    """Changes, erasures and new instances over several records; what REDCap must hold in the end."""
    rows = [row(record, "remarks", f"clean {record}") for record in study.records()]
    rows += [row(record, "town", None, clear=True) for record in study.records()]
    site.propose(rows)
    return {(record, "remarks"): f"clean {record}" for record in study.records()} | {
        (record, "town"): "" for record in study.records()
    }


def check(site, study, expected, before):
    assert {key: study.value(*key) for key in expected} == expected
    journal = site.journal("record, field, before_value, after_value, status")
    assert {entry[4] for entry in journal} <= {"confirmed", "failed"}
    confirmed = [entry[:2] for entry in journal if entry[4] == "confirmed"]
    assert len(confirmed) == len(set(confirmed))
    changed = {key for key, value in expected.items() if before.get(key, "") != value}
    assert set(confirmed) == changed
    ours = site.work("SELECT record, field FROM redcap.record_changes WHERE origin = 'writeback' AND reason IS NULL")
    assert sorted(ours) == sorted(changed)
    assert site.apply().sent == 0


@pytest.mark.parametrize("request_number", [pytest.param(n, marks=pytest.mark.fuzz) for n in range(1, 9)])
def test_killed_at_a_request_the_next_run_finishes_what_was_begun(site, study, request_number):
    before = {(r, f): study.value(r, f) for r in study.records() for f in ("remarks", "town")}
    expected = propose_many(site, study)
    process = start(site)
    # Record requests: plan, look, import, import of what is erased, read back, fetch.
    site.simulator.before_request(lambda: os.kill(process.pid, signal.SIGKILL), nth=request_number, content="record")
    end(process)
    assert process.returncode == -signal.SIGKILL
    assert site.apply().complete
    check(site, study, expected, before)


def test_killed_after_an_import_was_carried_out_nothing_is_sent_twice(site, study):
    before = {(r, f): study.value(r, f) for r in study.records() for f in ("remarks", "town")}
    expected = propose_many(site, study)
    process = start(site)
    site.simulator.before_request(lambda: os.kill(process.pid, signal.SIGKILL), nth=4, content="record")
    end(process)
    # The first import came through; of the second the server had the request when the process died.
    outcome = site.apply()
    assert outcome.settled > 0
    assert outcome.complete
    check(site, study, expected, before)


@pytest.mark.fuzz
def test_killed_at_random_times_again_and_again(site, study, classic):
    chance = random.Random(int(os.environ.get("FUZZ_SEED", "1")))
    for _ in range(int(os.environ.get("FUZZ_EXAMPLES", "20")) // 10 + 1):
        before = {(r, f): study.value(r, f) for r in study.records() for f in ("remarks", "town")}
        batch = f"b{chance.random()}"
        rows = [row(r, f, f"{chance.random()}", seen_value=seen) for (r, f), seen in before.items()]
        site.propose(rows, batch=batch)
        for _ in range(4):
            process = start(site)
            process.stdout.readline()
            killer = threading.Timer(chance.uniform(0.0, 0.6), process.kill)
            killer.start()
            end(process)
            killer.cancel()
            time.sleep(0.05)
        outcome = site.apply()
        assert not (outcome.failed or outcome.not_confirmed or outcome.counts.conflict)
        assert {(e["record"], e["field"]): study.value(e["record"], e["field"]) for e in rows} == {
            (e["record"], e["field"]): e["new_value"] for e in rows
        }
        journal = site.journal("batch, record, field, before_value, status")
        mine = {(r, f): old or "" for b, r, f, old, status in journal if b == batch and status == "confirmed"}
        assert mine == before
    assert values(study)
