"""Two machines and one lake: what readers find is what a warehouse in files has, whichever machine loaded it."""

import duckdb
import pytest

from pipelines.errors import NotLoadedYet, ProjectHeld, UnknownRecord
from pipelines.run import ProjectRun
from pipelines.warehouse.database.connection import DatabaseError, open_reader, reading_published
from pipelines.warehouse.published.record_history import record_history
from tests.support.lake import everything_in
from tests.support.lake_machines import machines_of
from tests.support.load_site import site
from tests.support.postgres import RunningPostgres
from tests.support.published import everything

__all__ = ["site"]

pytestmark = pytest.mark.lake
OF_TODAY = ("study.", "study_raw.", "study_labels.")


@pytest.fixture
def machines(site, postgres: RunningPostgres, tmp_path):
    with machines_of(site, postgres.new_database(f"store_{tmp_path.name}"), tmp_path / "shared") as machines:
        yield machines


def holds(folder, word: str) -> bool:
    """Whether a word is in any file of a folder; in Parquet files, values are compressed."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    with duckdb.connect() as connection:
        rows = [connection.read_parquet(str(path)).fetchall() for path in found if path.suffix == ".parquet"]
    return word in repr(rows) or any(word.encode() in path.read_bytes() for path in found)


def of_today(found):
    return {
        name: ([column[:2] for column in columns], rows)
        for name, (columns, rows) in found.items()
        if name.startswith(OF_TODAY)
    }


@pytest.mark.fuzz
def test_two_nights_on_two_machines_give_what_a_new_warehouse_in_files_gives(machines, site):
    study = site.study("repeating", records=3)
    one, two = machines.store("one"), machines.store("two")
    with pytest.raises(NotLoadedYet):
        one.statuses(["study"])
    assert machines.night("one").complete
    assert not one.marks.waiting() and one.published.projects() == {"study"}
    record, *others = dict.fromkeys(row[study.project.dictionary.record_id] for row in site.exported())
    field = next(f.field_name for f in study.project.dictionary.fields[1:] if f.field_type == "notes")
    study.save(record, {field: "canary-of-a-participant"})
    study.delete(others[0])
    report = machines.night("two")
    assert report.complete and report.mode == "incremental", "it continues what the other machine loaded"
    site.night()
    assert of_today(everything_in(machines.lake)) == of_today(everything(site.warehouse.database))
    [status] = one.statuses(["study"])
    assert (status.last_outcome, status.records) == ("ok", len(others)) and not status.waiting and not status.loading
    assert [change.change for change in record_history(two, "study", others[0]).changes][-1] == "delete"
    with pytest.raises(UnknownRecord):
        record_history(one, "study", "nobody")

    with one.mirrors.working("study", "other"), pytest.raises(ProjectHeld):
        machines.load("two")

    two.published.publish(rebuild=True)
    assert of_today(everything_in(machines.lake)) == of_today(everything(site.warehouse.database))
    places = [machines.site.folder / name for name in ("one", "two", "shared")]
    assert all(holds(folder, "canary-of-a-participant") for folder in places)
    traces = two.forget("study")
    assert traces.schemas and traces.rows["redcap.records"] and traces.files
    assert [folder.name for folder in places if holds(folder, "canary-of-a-participant")] == ["one"]
    assert one.remove_forgotten() == ["Removed from this machine what `forget` removed from the store: study."]
    assert not any(holds(folder, "canary-of-a-participant") for folder in places)
    assert not one.find_traces("study") and not one.published.exists()
    assert list((machines.site.folder / "shared" / "mirrors").rglob("*.duckdb")) == []
    assert machines.night("one").mode == "full", "it can be loaded again"
    assert one.published.projects() == {"study"}


def test_a_mirror_is_open_beside_what_is_published_and_is_kept_while_it_is_open(machines, site):
    site.study(records=2)
    machines.night("one")
    config, store = site.config, machines.store("one")
    [before] = [row.version for row in machines.store("two").mirrors._coordination.all_working().values()]
    with (
        ProjectRun(config, config.project("study"), run_id="write-back", store=store) as run,
        run.mirror(with_published=True) as mirror,
    ):
        with reading_published(mirror.connection):
            query = "SELECT count(*) FROM redcap.records"
            assert mirror.connection.execute(query).fetchone() == (2,)
            with pytest.raises(DatabaseError):
                mirror.connection.execute("DELETE FROM redcap.records")
        for refused in ("FROM read_csv('/etc/passwd')", "CREATE TABLE main.x AS FROM read_blob('/etc/hostname')"):
            with pytest.raises(DatabaseError):
                mirror.connection.execute(refused)
        mirror.connection.execute("CREATE TABLE main.intended AS SELECT 1 AS one")
        store.mirrors.keep("study", mirror.connection)
        with machines.store("two").mirrors.to_read("study") as path, open_reader(path) as other:
            assert other.execute("SELECT one FROM main.intended").fetchall() == [(1,)], "safe while it is open"
    assert machines.store("two").mirrors._coordination.all_working()["study"].version > before
