"""What is published into a DuckLake is what the same mirrors give in a file."""

import pytest

from tests.support.lake import everything_in, rows_in
from tests.support.published import PROJECTS, everything

pytestmark = pytest.mark.lake

AS_OF = "SELECT town FROM study_history.as_of('base', TIMESTAMP '{}') WHERE record_id = '1'"


def holdable(found):
    """What a lake can hold of it: columns of views have no comments there."""
    return {
        name: ([(column, kind, comment if is_table(name) else None) for column, kind, comment in columns], rows)
        for name, (columns, rows) in found.items()
    }


def is_table(name):
    schema = name.partition(".")[0]
    return schema in PROJECTS or (schema in ("redcap", "writeback") and name != "redcap.record_changes")


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert found[name] == wanted[name], name


def test_a_lake_has_the_same_schemas_tables_columns_types_comments_and_rows_as_a_file(published_once, publishing):
    folder = published_once.warehouse
    into = publishing(**{project: folder.mirror(project) for project in PROJECTS})
    outcome = into.publish()
    assert not outcome.failed and set(outcome.written) == set(PROJECTS)
    assert_same(everything_in(into.lake), holdable(everything(folder.database)))
    started = published_once.rows("SELECT max(started_at) FROM redcap.sync_runs")[0][0]
    assert rows_in(into.lake, AS_OF.format(started)) == published_once.rows(AS_OF.format(started)) == [("Neuland",)]


def test_a_night_brings_a_lake_to_the_same_as_a_file(site, publishing, tmp_path):
    study = site.study(records=6)
    site.load()
    into = publishing(study=site.warehouse.mirror("study"))
    into.publish()
    into.publisher.close()
    field = study.project.dictionary.fields[1]
    study.save("1", {field.field_name: "changed"})
    study.delete("2")
    site.night()
    assert set(into.publish().written) == {"study"}
    assert_same(everything_in(into.lake), holdable(everything(site.warehouse.database)))


def test_what_changed_nothing_is_noted_and_written_nowhere(site, publishing):
    site.study(records=3)
    site.load()
    into = publishing(study=site.warehouse.mirror("study"))
    [first] = into.publish().written.values()
    site.load()
    outcome = into.publish()
    assert not outcome.written and not outcome.failed
    [noted] = outcome.unchanged.values()
    assert noted.run != first.run and noted.content == first.content
    assert into.publisher.entries() == {"study": noted}
    assert into.publish().unchanged == {"study": noted}
