"""A warehouse that an earlier version wrote is taken over by the next load, with its history and its journal.

`data/before-the-rooms.tar.xz` was written by the code before the modules were sorted into folders: a made-up asthma
registry of twelve records, loaded twice with edits, a deletion and a rename between, one batch of two cells written to
REDCap and one proposed and not sent; and the state of the simulated REDCap, in which a person has typed since.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from redcap_source.simulator import Simulator

BEFORE = Path(__file__).parent / "data" / "before-the-rooms.tar.xz"
KEPT = (
    "redcap.record_changes",
    "redcap.sync_runs",
    "redcap.dictionary_changes",
    "writeback.proposals",
    "writeback.journal",
)


LOG = "redcap.audit_log"


def rows_of(file: Path, *tables: str) -> dict[str, set[tuple[object, ...]]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return {table: set(connection.execute(f"SELECT * FROM {table}").fetchall()) for table in tables}


def answer(file: Path, sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(file), read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.fixture
def taken(tmp_path, monkeypatch):
    with tarfile.open(BEFORE) as archive:
        archive.extractall(tmp_path, filter="data")
    with Simulator() as simulator:
        simulator.load_state(tmp_path / "state.json")
        study = simulator.projects["asthma"]
        monkeypatch.setenv("ASTHMA_TOKEN", study.token)
        settings = tmp_path / "projects.yaml"
        settings.write_text(
            f"servers: {{here: {{url: {simulator.url}}}}}\n"
            "projects:\n"
            "  asthma:\n"
            "    token: {env: ASTHMA_TOKEN}\n"
            # However long ago it was written, its next load is an incremental one.
            "    full_refresh_every: 5000 weeks\n"
            "    writeback: {fields: [height, severity], max_record_share: 1.0}\n"
        )

        def run(*words: str) -> str:
            result = CliRunner().invoke(app, [*words, "--config", str(settings)])
            assert result.exit_code == 0, result.output
            return result.output

        yield study, tmp_path / "warehouse" / "warehouse.duckdb", run


def test_the_next_load_goes_on_from_it_and_what_it_wrote_is_undone_and_what_it_proposed_is_sent(taken):
    study, file, run = taken
    before = rows_of(file, *KEPT)
    # Without the order of rows of one minute, which are read again where two loads meet.
    log_before = {row[1:5] for row in rows_of(file, LOG)[LOG]}
    run("sync", "asthma")
    after = rows_of(file, *KEPT)
    assert log_before <= {row[1:5] for row in rows_of(file, LOG)[LOG]}
    assert {table: before[table] - after[table] for table in KEPT} == {table: set() for table in KEPT}
    assert answer(file, "SELECT mode, outcome FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1") == [
        ("incremental", "ok")
    ]
    event = study.project.events[0].unique_name
    (record,) = [record for record in study.records() if study.value(record, "height", event=event) == "158.0"]
    new = f"SELECT new_value FROM redcap.record_changes WHERE record = '{record}' AND field = 'height'"
    assert ("158.0",) in answer(file, new)
    now = "SELECT study_id, height FROM asthma_raw.intake"
    assert dict(answer(file, now)) == {id: study.value(id, "height", event=event) or None for id in study.records()}
    # What was proposed before is sent, and what was written before is undone.
    written = answer(file, "SELECT record, before_value, new_value FROM writeback.journal ORDER BY record")
    assert len(written) == 2
    run("writeback", "asthma", "--batch", "waiting", "--apply")
    (proposed,) = answer(file, "SELECT record FROM writeback.proposals WHERE batch = 'waiting'")
    assert study.value(str(proposed[0]), "height", event=event) == "160.0"
    assert [study.value(str(record), "height", event=event) for record, _, _ in written] == [new for *_, new in written]
    run("revert", "asthma", "heights", "--apply")
    assert [study.value(str(record), "height", event=event) for record, _, _ in written] == [
        old for _, old, _ in written
    ]


def test_its_history_comes_from_the_mirror_where_its_published_file_is_spoiled(taken, caplog):
    study, file, run = taken
    before = rows_of(file, *KEPT)
    os.truncate(file, file.stat().st_size // 2)
    run("sync", "asthma")
    assert "made again from the projects' mirrors: there is no record of what was published last." in caplog.text
    after = rows_of(file, *KEPT)
    assert {table: before[table] - after[table] for table in KEPT} == {table: set() for table in KEPT}
    assert answer(file, "SELECT count(*) FROM asthma_raw.intake") == [(len(study.records()),)]
