"""A published row that is lost, doubled or altered is found before anybody can read it, and the project written again.

The published file is altered and the manifest made to fit, as if a publish before had written it so: then nothing but
the proof can find it.
"""

import duckdb
import pytest

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import last_published
from pipelines.warehouse.publishing.publish import publish
from pipelines.warehouse.tables.layout import rows_now, rows_past
from tests.support.published import Waiting, adopt, everything

VERBATIM, TYPED, EARLIER = rows_now("study", "base"), "study.base", rows_past("study", "base")


@pytest.fixture(scope="module")
def changed(published_once, tmp_path_factory) -> Waiting:
    """One record has changed and was loaded."""
    return Waiting.after(published_once, tmp_path_factory.mktemp("changed"), "Zahlstadt")


@pytest.fixture(scope="module")
def refreshed(published_once, tmp_path_factory) -> Waiting:
    """The same by a full refresh."""
    return Waiting.after(published_once, tmp_path_factory.mktemp("refreshed"), "Vollstadt", full=True)


@pytest.fixture
def folder(tmp_path) -> WarehouseFolder:
    return WarehouseFolder(tmp_path / "warehouse")


def alter(folder: WarehouseFolder, statement: str) -> None:
    """Change the published file, and let the manifest take it for what was published."""
    with duckdb.connect(str(folder.database)) as connection:
        connection.execute(statement)
    adopt(folder)


@pytest.mark.parametrize(
    "statement",
    [
        f"DELETE FROM {TYPED} WHERE record_id = '1'",
        f"INSERT INTO {EARLIER} FROM {EARLIER}",
        pytest.param(f"DELETE FROM {VERBATIM} WHERE _record = '1'", marks=pytest.mark.fuzz),
        pytest.param(f"INSERT INTO {VERBATIM} FROM {VERBATIM} WHERE _record = '1'", marks=pytest.mark.fuzz),
        "DELETE FROM _publish.cell_changes WHERE project = 'study'",
    ],
)
def test_after_a_small_change_every_row_is_counted(changed, folder, statement):
    changed.put_into(folder)
    alter(folder, statement)
    done = publish(folder)
    assert (done.projects, done.rebuilt) == (("study",), None)
    entry = last_published(folder).projects["study"]
    # It was written again as a whole, and compared so.
    assert (entry.whole, entry.instruments, entry.rows, entry.compared) == (True, 1, 2, 1)
    assert everything(folder.database) == changed.new


ALTERED = {
    "a typed value": f"UPDATE {TYPED} SET age = age + 1",
    "a verbatim value": f"UPDATE {VERBATIM} SET sex = '1'",
}


@pytest.mark.parametrize("how", ALTERED)
def test_after_a_full_refresh_every_value_is_compared(refreshed, folder, how):
    refreshed.put_into(folder)
    alter(folder, ALTERED[how])
    assert publish(folder).projects == ("study",)
    assert last_published(folder).projects["study"].whole
    assert everything(folder.database) == refreshed.new


def test_after_a_small_change_what_did_not_change_is_not_compared(changed, folder):
    changed.put_into(folder)
    publish(folder)
    entry = last_published(folder).projects["study"]
    assert (entry.whole, entry.instruments, entry.rows, entry.compared) == (False, 1, 2, 1)
    small = last_published(folder).projects["small"]
    assert (small.instruments, small.rows) == (2, 6)
