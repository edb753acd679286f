"""A published row that is lost, doubled or altered is found before anybody can read it, and the project written again.

The published file is altered and the manifest made to fit, as if a publish before had written it so: then nothing but
the proof can find it.
"""

import duckdb
import pytest

from pipelines.warehouse.manifest import last_published
from pipelines.warehouse.tables.layout import rows_now, rows_past
from tests.support.load_site import Site
from tests.support.published import adopt, everything, shown_anew

VERBATIM, TYPED, EARLIER = rows_now("study", "base"), "study.base", rows_past("study", "base")


def alter(site: Site, statement: str) -> None:
    """Change the published file, and let the manifest take it for what was published."""
    with duckdb.connect(str(site.warehouse.database)) as connection:
        connection.execute(statement)
    adopt(site.warehouse)


def change(site: Site, value: str, *, full: bool = False) -> None:
    """Change one record, the third, and load it."""
    site.handles["study"].save("3", {"town": value})
    site.load(full=full)


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
def test_after_a_small_change_every_row_is_counted(published, tmp_path, statement):
    alter(published, statement)
    change(published, f"Zahlstadt {len(statement)}")
    done = published.publish()
    assert (done.projects, done.rebuilt) == (("study",), None)
    entry = last_published(published.warehouse).projects["study"]
    # It was written again as a whole, and compared so.
    assert (entry.whole, entry.instruments, entry.rows, entry.compared) == (True, 1, 2, 1)
    assert everything(published.warehouse.database) == shown_anew(published.warehouse, tmp_path, "study", "small")


ALTERED = {
    "a typed value": f"UPDATE {TYPED} SET age = age + 1",
    "a verbatim value": f"UPDATE {VERBATIM} SET sex = '1'",
}


@pytest.mark.parametrize("how", ALTERED)
def test_after_a_full_refresh_every_value_is_compared(published, tmp_path, how):
    alter(published, ALTERED[how])
    change(published, f"Vollstadt {len(how)}", full=True)
    assert published.publish().projects == ("study",)
    assert last_published(published.warehouse).projects["study"].whole
    assert everything(published.warehouse.database) == shown_anew(published.warehouse, tmp_path, "study", "small")


def test_after_a_small_change_what_did_not_change_is_not_compared(published):
    change(published, "Kleinstadt")
    published.publish()
    entry = last_published(published.warehouse).projects["study"]
    assert (entry.whole, entry.instruments, entry.rows, entry.compared) == (False, 1, 2, 1)
    small = last_published(published.warehouse).projects["small"]
    assert (small.instruments, small.rows) == (2, 6)
