"""`redcap-warehouse publish`: what was loaded and is not published yet, without a request to REDCap."""

import json
import stat
import subprocess
import sys
from contextlib import contextmanager

import duckdb
import pytest
from typer.testing import CliRunner

from pipelines.cli.app import app
from pipelines.warehouse.manifest import manifest_path
from redcap_source.simulator import Simulator
from tests.support.load_site import Site, Template

NOTHING = {"published": [], "written": False, "rebuilt": None, "failures": {}, "left_out": {}}


@pytest.fixture
def publish(site):
    """The command over the site's warehouse: its exit code, its output, and what it complained about."""

    def publish(*words):
        done = CliRunner().invoke(app, ["publish", *words, "--config", str(site.path)])
        return done.exit_code, done.stdout, done.stderr

    return publish


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two projects that were loaded and published, made once."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as environment:
        made = Site(simulator, tmp_path_factory.mktemp("two"), environment)
        for name, records in (("study", 4), ("other", 3)):
            made.study("classic", records, name)
            made.night(name)
        yield Template.of(made)


@pytest.fixture
def two(site, template):
    """The site with these two."""
    template.put_into(site)
    return site


@contextmanager
def being_loaded(site, project):
    """Another process has the project's mirror open to write, as a load does."""
    holding = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", holding, str(site.warehouse.mirror(project))]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as load:
        assert load.stdout.readline() == b"held\n"
        yield
        load.stdin.close()


def patients(site):
    return site.rows("SELECT count(*) FROM study_raw.enrolment")


def test_what_was_loaded_is_published_without_a_request_and_the_second_time_nothing(site, publish):
    site.study("classic", 4)
    site.load()
    site.simulator.requests.clear()
    code, printed, complaint = publish()
    assert (code, complaint) == (0, "")
    assert printed == f"Published: {site.warehouse.database} (study)\n"
    assert patients(site) == [(4,)]
    assert list(site.simulator.requests) == []

    before = site.warehouse.database.stat()
    assert publish() == (0, f"{site.warehouse.database} is up to date.\n", "")
    code, printed, _ = publish("--json")
    assert (code, json.loads(printed)) == (0, NOTHING)
    assert site.warehouse.database.stat() == before


def test_what_a_reader_did_to_the_file_is_undone_and_the_reason_is_told(site, publish, caplog):
    site.loaded_study("classic", 4)
    with duckdb.connect(str(site.warehouse.database)) as reader:
        reader.execute("CREATE TABLE study.mine AS SELECT 1")
    code, printed, _ = publish("--json")
    answer = json.loads(printed)
    assert (code, answer) == (0, {**NOTHING, "published": ["study"], "written": True, "rebuilt": answer["rebuilt"]})
    assert f"warehouse.duckdb was made again from the projects' mirrors: {answer['rebuilt']}." in caplog.text
    assert site.rows("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'mine'") == [(0,)]


def test_a_rebuild_on_request_makes_the_file_again_although_nothing_changed(site, publish):
    site.loaded_study("classic", 4)
    before = site.warehouse.database.stat()
    code, printed, _ = publish("--rebuild")
    assert (code, printed) == (0, f"Published: {site.warehouse.database} (study)\n")
    assert site.warehouse.database.stat().st_ino != before.st_ino
    assert patients(site) == [(4,)]


def test_a_rebuild_on_request_takes_every_mirror_where_nothing_is_left_but_these(two, publish):
    """As after the mirrors were restored from a backup."""
    site = two
    site.warehouse.database.unlink()
    manifest_path(site.warehouse).unlink()
    code, printed, _ = publish("--rebuild", "--json")
    assert (code, json.loads(printed)["published"]) == (0, ["other", "study"])
    assert patients(site) == [(4,)]


def test_a_project_that_cannot_be_published_is_named_and_the_others_are_published(site, publish):
    site.study("classic", 4)
    site.study("classic", 3, "other")
    site.load("study")
    site.load("other")
    site.warehouse.mirror("other").write_bytes(b"no database" * 1000)
    code, printed, complaint = publish("--json")
    assert code == 1
    answer = json.loads(printed)
    assert (answer["published"], answer["written"]) == (["study"], True)
    assert answer["failures"]["other"].startswith("it is damaged")
    assert complaint.startswith("redcap-warehouse: some projects could not be published; their previous published data")
    # What was published stays, and what failed is tried again.
    code, printed, _ = publish()
    assert (code, printed) == (1, "")


def test_a_project_that_the_new_file_lacks_because_it_is_being_loaded_is_named(two, publish):
    site = two
    with being_loaded(site, "other"):
        code, printed, complaint = publish("--rebuild")
    assert (code, printed) == (1, f"Published: {site.warehouse.database} (study)\n")
    assert "redcap-warehouse: other is not in warehouse.duckdb: it is being loaded; " in complaint
    # It comes back by itself.
    assert publish()[:2] == (0, f"Published: {site.warehouse.database} (other)\n")


def test_before_the_first_load_there_is_nothing_to_publish(site):
    site.study("classic", 1)
    done = CliRunner().invoke(app, ["publish", "--config", str(site.path)])
    assert str(done.exception) == f"{site.warehouse.database} does not exist yet. Run `redcap-warehouse sync` first."
    assert not site.warehouse.path.exists()


def test_a_change_of_who_may_read_takes_effect_at_once(site, publish):
    site.loaded_study("classic", 2)
    site.settings = 'published: {mode: "0640"}'
    assert publish() == (0, f"{site.warehouse.database} is up to date.\n", "")
    assert stat.S_IMODE(site.warehouse.database.stat().st_mode) == 0o640


def test_a_sync_that_makes_the_file_again_names_the_projects_that_it_lacks(two):
    site = two
    site.warehouse.database.unlink()
    with being_loaded(site, "other"):
        done = CliRunner().invoke(app, ["sync", "study", "--json", "--config", str(site.path)])
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert answer["published"] == ["study"]
    assert answer["failures"]["publish"].startswith("other is not in warehouse.duckdb: it is being loaded")
    assert f"redcap-warehouse: {answer['failures']['publish']}" in done.stderr
