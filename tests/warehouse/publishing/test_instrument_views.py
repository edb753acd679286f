"""An instrument's views, and what they say of their columns."""

from datetime import date

import pytest

from pipelines.warehouse.database.connection import DatabaseError, attach_to_read, connect
from pipelines.warehouse.publishing.instrument_views import InstrumentViews
from pipelines.warehouse.publishing.source import InstrumentSource, MirrorSource
from tests.support.edits import small_study


def test_after_a_comment_that_failed_the_connection_can_write_what_remains():
    item = InstrumentSource("base", "", "", "", "", comments={"": "Base", "no_column": "x"}, keys={}, changed_run="r")
    views = InstrumentViews(connection := connect(), MirrorSource("study", "i", 1))
    with connection:
        connection.execute("CREATE SCHEMA study; CREATE TABLE study.base (age INT)")
        views.describe(item, table=True)
        with pytest.raises(DatabaseError, match="no_column"):
            views.write_comments()
        connection.execute("INSERT INTO study.base VALUES (1)")
        plan = connection.execute("EXPLAIN SELECT age FROM study.base WHERE false").fetchall()[0][1]
        assert "filter" not in plan.lower(), "the optimizer is still off"


def test_views_read_their_own_file_under_whatever_name_and_beside_whatever_it_is_attached(published):
    site, form = published, "base"
    expected = {}
    for schema in ("study_raw", "study_labels", "study_history", "study_history_raw"):
        expected[schema] = site.rows(f"SELECT * FROM {schema}.{form} ORDER BY ALL")
        assert expected[schema]
    with connect() as connection:
        attach_to_read(connection, site.warehouse.database, "of another name")
        # What a view reads by these names is in its own file, not in what the session has.
        connection.execute(f"CREATE SCHEMA study; CREATE TABLE study.{form} AS SELECT 1 AS other")
        connection.execute(f'CREATE SCHEMA "study:now"; CREATE TABLE "study:now".{form} AS SELECT 1 AS other')
        for schema, rows in expected.items():
            found = connection.execute(f'SELECT * FROM "of another name".{schema}.{form} ORDER BY ALL')
            assert found.fetchall() == rows


# test_incremental.py has the history of a field that was removed.
@pytest.mark.fuzz
def test_the_history_of_a_date_stays_a_date_when_the_token_no_longer_sees_the_field(site):
    handle = site.add("study", small_study("classic"))
    handle.save("1", {"came_on": "2024-01-03"})
    site.night()
    handle.set_rights(forms_export=2)
    site.night(allow_narrower=True)
    columns = "SELECT table_schema, data_type FROM information_schema.columns WHERE column_name = 'came_on'"
    assert dict(site.rows(columns)) == {
        "study:past": "VARCHAR",
        "study_history": "DATE",
        "study_history_raw": "VARCHAR",
    }
    assert (date(2024, 1, 3),) in site.rows("SELECT came_on FROM study_history.visit")
