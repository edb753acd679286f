"""Every command on a store of several machines whose data are in a bucket, as a person runs it."""

import json

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.cli.main import command  # noqa: F401 - it registers the commands
from tests.support.load_site import site
from tests.support.postgres import RunningPostgres
from tests.support.s3 import KEY_ID, SECRET

__all__ = ["site"]

pytestmark = pytest.mark.lake


@pytest.fixture
def bucket(s3, monkeypatch):
    """A bucket that this process has the keys of."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return s3.bucket("commands")


def test_sync_status_sql_record_publish_and_forget_work_on_a_lake_in_a_bucket(
    site, bucket, postgres: RunningPostgres, monkeypatch
):
    catalog = postgres.new_database("commands")
    monkeypatch.setenv("WAREHOUSE_CATALOG", catalog)
    site.settings = f"store: {{catalog: {{env: WAREHOUSE_CATALOG}}, data: '{bucket}/warehouse'}}"
    study = site.study(records=4)
    said = []

    def run(*words: str) -> str:
        done = CliRunner().invoke(app, [*words, "--config", str(site.path)])
        said.append(done.output)
        assert done.exit_code == 0, done.output
        return done.output

    run("sync")
    [status] = json.loads(run("status", "--json"))
    assert status["last_outcome"] == "ok" and status["records"] == 4 and not status["waiting"]
    assert "4" in run("sql", "SELECT count(*) FROM redcap.records")
    beside = CliRunner().invoke(
        app, ["sql", f"FROM read_blob('{bucket}/warehouse/mirrors/**')", "--config", str(site.path)]
    )
    assert beside.exit_code == 1 and "only the published tables" in str(beside.exception)
    first = next(iter(site.exported()))[study.project.dictionary.record_id]
    assert "insert" in run("history", "study", first)
    study.delete(first)
    run("sync")
    assert "delete" in run("history", "study", first)
    run("publish", "--rebuild")
    assert "3" in run("sql", "SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL")
    del site.handles["study"]
    site.add("other", study.project)
    folder = site.warehouse.work
    for name in ("study.duckdb", "study.checkout.json"):
        (folder / name).rename(folder / f"{name}.elsewhere")
    run("forget", "study", "--yes")
    assert "0" in run("sql", "SELECT count(*) FROM redcap.records")
    for name in ("study.duckdb", "study.checkout.json"):
        (folder / f"{name}.elsewhere").rename(folder / name)
    said.append(CliRunner().invoke(app, ["publish", "--config", str(site.path)]).output)
    assert "Removed from this machine what `forget` removed from the store: study." in said[-1]
    assert not list(folder.glob("study.*")), "as on any other machine that had a copy"
    assert duckdb.__version__ == "1.5.5"
    for secret in (KEY_ID, SECRET, catalog, "dagster@"):
        assert not any(secret in text for text in said)
