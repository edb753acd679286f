"""propose, writeback and revert as a person or a cron job types them: output, exit code, and what readers see then."""

import json
import logging

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.errors import WarehouseError
from pipelines.writeback import WritebackRefused
from tests.support.writeback_site import row, write_csv


@pytest.fixture
def command(site, study):
    """One command, its exit code and its output."""

    def command(*words: object):
        return CliRunner().invoke(app, [*map(str, words), "--config", str(site.path)])

    return command


@pytest.mark.parametrize(("typed", "meant"), [("rever", "revert"), ("synk", "sync"), ("propos", "propose")])
def test_a_mistyped_command_is_told_once_what_was_meant(typed, meant):
    output = " ".join(CliRunner().invoke(app, [typed]).output.replace("│", " ").split())
    assert output.count(f"Did you mean '{meant}'?") == 1


# tests/test_documented_commands.py types these commands in every run.
@pytest.mark.fuzz
def test_from_a_file_to_redcap_and_back(site, study, command, tmp_path):
    path = write_csv(tmp_path / "weights.csv", [row("1", "weight", "60.5"), row("2", "weight", "61.5")])
    proposed = command("propose", "study", path, "--batch", "weights", "--reason", "typo", "--author", "rw")
    assert proposed.exit_code == 0
    assert "2 cells proposed from 2 rows." in proposed.output
    assert 'redcap-warehouse writeback study --batch "weights"' in proposed.output
    planned = command("writeback", "study")
    assert planned.exit_code == 0
    assert "2 would be written, 0 already there, 0 in conflict, 0 invalid" in planned.output
    assert "Nothing was sent" in planned.output
    assert site.imports() == 0
    assert site.kept("proposals", "decision, status") == [("write", "open")] * 2
    applied = command("writeback", "study", "--apply")
    assert applied.exit_code == 0
    assert "2 cells sent, 2 confirmed" in applied.output
    # Readers see it at once, with who did it and why.
    told = site.rows(
        "SELECT j.record, j.before_value, j.after_value, c.reason, c.origin, c.changed_by FROM writeback.journal j "
        "JOIN redcap.record_changes c ON (c.project, c.run_id, c.record, c.field) = "
        "(j.project, j.run_id, j.record, j.field) WHERE j.project = 'study' AND j.status = 'confirmed' ORDER BY 1"
    )
    assert told == [("1", "80.0", "60.5", "typo", "writeback", "rw"), ("2", "81.0", "61.5", "typo", "writeback", "rw")]
    life = json.loads(command("history", "study", "1", "--json").stdout)
    updates = [change for change in life["changes"] if (change["field"], change["change"]) == ("weight", "update")]
    assert [(c["origin"], c["changed_by"], c["reason"]) for c in updates] == [("writeback", "rw", "typo")]
    assert "typo" in command("history", "study", "1").output
    assert site.rows("SELECT weight FROM study.examination WHERE record_id = '1'") == [(60.5,)]
    assert command("revert", "study", "weights").exit_code == 0
    assert study.value("1", "weight") == "60.5"
    reverted = command("revert", "study", "weights", "--apply")
    assert (reverted.exit_code, study.value("1", "weight")) == (0, "80.0")
    assert site.rows("SELECT weight FROM study.examination WHERE record_id = '1'") == [(80.0,)]


def test_conflicts_and_refusals_are_told_with_an_exit_code_and_without_values(site, study, command, tmp_path):
    rows = [row("1", "weight", "60.5"), row("2", "weight", "canary-new"), row("", "weight", "canary-new")]
    rows += [row("3", "weight", "62.5"), row("4", "weight", "63.5")]
    proposed = command("propose", "study", write_csv(tmp_path / "c.csv", rows), "--batch", "b", "--json")
    assert proposed.exit_code == 1
    document = json.loads(proposed.stdout)
    assert (document["accepted"], document["refused"]) == (4, [{"row": 3, "why": "it names no record"}])
    study.save("4", {"weight": "99.9"})
    # A refusal is an expected error with what to do.
    planned = command("writeback", "study", "--max-cells", 1)
    assert planned.exit_code == 0
    assert "--apply would be refused." in planned.output
    refused = command("writeback", "study", "--max-cells", 1, "--apply")
    assert refused.exit_code == 1
    assert isinstance(refused.exception, WritebackRefused)
    assert isinstance(command("writeback", "study", "--batch", "no").exception, WarehouseError)
    planned = json.loads(command("writeback", "study", "--json").stdout)
    assert (planned["applied"], planned["published"], planned["counts"]["write"]) == (False, True, 2)
    applied = command("writeback", "study", "--apply", "--json")
    assert applied.exit_code == 1
    document = json.loads(applied.stdout)
    assert (document["confirmed"], document["counts"]["invalid"], document["counts"]["conflict"]) == (2, 1, 1)
    assert document["counts"]["reasons"]["does not follow the field's validation"] == 1
    # The conflict stays one; a cron job notices the exit code.
    again = command("writeback", "study", "--apply")
    assert again.exit_code == 1
    assert "1 conflict" in again.output
    assert "REDCap holds another value than was seen" in again.output
    assert "canary" not in proposed.output + applied.output + again.output


def test_a_load_that_is_held_back_is_not_published_by_a_write_back(site, study, command, tmp_path):
    site.load()
    site.warehouse.unmark("study")
    command("propose", "study", write_csv(tmp_path / "c.csv", [row("1", "weight", "60.5")]))
    applied = command("writeback", "study", "--apply", "--json")
    assert (applied.exit_code, json.loads(applied.stdout)["published"]) == (0, False)
    assert site.kept("journal", "status") == []
    site.night()
    assert ("weight", "confirmed") in site.kept("journal", "field, status")


def test_values_and_token_are_nowhere_but_in_the_tables(site, study, command, tmp_path, caplog, monkeypatch):
    """Canaries as record, values, reason and token; then everything that was printed, logged, raised or left behind."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr("pipelines.writeback.send.sender.FIRST_WAIT", 0.01)
    study.save("canary-record", {"remarks": "canary-seen", "weight": "80.0"})
    rows = [
        row("canary-record", "remarks", "canary-new", seen_value="canary-seen", reason="canary-reason"),
        row("canary-record", "weight", "canary-bad", seen_value="canary-seen", reason="canary-reason"),
        row("canary-other", "remarks", "canary-new", seen_value="canary-seen", reason="canary-reason"),
        row("", "remarks", "canary-new", seen_value="canary-seen", reason="canary-reason"),
        row("1", "phone_au", "canary-refused", seen_value=study.value("1", "phone_au"), reason="canary-reason"),
    ]
    path = write_csv(tmp_path / "c.csv", rows)
    # Its order makes the client read an error of each kind, and the shell stop, look and go on.
    outputs = [command("propose", "study", path, "--batch", "b")]
    site.simulator.faults.add("502", content="record", action="import", times=None)
    outputs += [command("writeback", "study"), command("writeback", "study", "--apply")]
    site.simulator.faults.clear()
    outputs += [command("writeback", "study", "--apply"), command("revert", "study", "b", "--apply", "--json")]
    told = caplog.text + "".join(output.output + repr(output.exception) for output in outputs)
    problem = outputs[2].exception
    while problem is not None:
        told += f"{problem!r} {problem} {problem.__context__!r}"
        problem = problem.__cause__
    told += repr(site.plan()) + repr(site.apply())
    assert "canary" not in told
    assert study.token not in told
    assert study.value("canary-record", "remarks") == "canary-seen"
    allowed = {"warehouse.duckdb", "study.duckdb", "c.csv"}
    holders = {
        file.name
        for file in tmp_path.rglob("*")
        if file.is_file() and (b"canary" in file.read_bytes() or study.token.encode() in file.read_bytes())
    }
    assert holders <= allowed
    staging = site.warehouse.work / "staging"
    assert not [file for file in staging.rglob("*") if file.is_file()]
    messages = site.work("SELECT coalesce(message, '') FROM redcap.sync_runs")
    assert "canary" not in str(messages)
