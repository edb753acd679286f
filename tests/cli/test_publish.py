"""`redcap-warehouse publish`: what was loaded and is not published yet, without a request to REDCap."""

import json
import stat

import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app


@pytest.fixture
def publish(site):
    """The command over the site's warehouse: its exit code, its output, and what it complained about."""

    def publish(*words):
        done = CliRunner().invoke(app, ["publish", *words, "--config", str(site.path)])
        return done.exit_code, done.stdout, done.stderr

    return publish


def test_what_was_loaded_is_published_without_a_request_and_the_second_time_nothing(site, publish):
    site.study("classic", 4)
    site.load()
    site.simulator.requests.clear()
    code, printed, complaint = publish()
    assert (code, complaint) == (0, "")
    assert printed == f"Published: {site.warehouse.database} (study)\n"
    assert site.rows("SELECT count(*) FROM study_raw.enrolment") == [(4,)]
    assert list(site.simulator.requests) == []

    before = site.warehouse.database.stat()
    assert publish() == (0, f"{site.warehouse.database} is up to date.\n", "")
    code, printed, _ = publish("--json")
    assert (code, json.loads(printed)) == (0, {"published": [], "failures": {}})
    assert site.warehouse.database.stat() == before


def test_a_project_that_cannot_be_published_is_named_and_the_others_are_published(site, publish):
    site.study("classic", 4)
    site.study("classic", 3, "other")
    site.load("study")
    site.load("other")
    site.warehouse.mirror("other").write_bytes(b"no database" * 1000)
    code, printed, complaint = publish("--json")
    assert code == 1
    answer = json.loads(printed)
    assert answer["published"] == ["study"]
    assert "other: it is damaged" in answer["failures"]["publish"]
    assert complaint.startswith("redcap-warehouse: some projects could not be published; their previous published data")
    # What was published stays, and what failed is tried again.
    code, printed, _ = publish()
    assert (code, printed) == (1, "")


def test_before_the_first_load_there_is_nothing_to_publish(site):
    site.study("classic", 1)
    done = CliRunner().invoke(app, ["publish", "--config", str(site.path)])
    assert str(done.exception) == f"{site.warehouse.database} does not exist yet. Run `redcap-warehouse sync` first."
    assert not site.warehouse.path.exists()


def test_a_change_of_who_may_read_takes_effect_at_once(site, publish):
    site.study("classic", 2)
    site.night()
    site.settings = 'published: {mode: "0640"}'
    assert publish() == (0, f"{site.warehouse.database} is up to date.\n", "")
    assert stat.S_IMODE(site.warehouse.database.stat().st_mode) == 0o640
