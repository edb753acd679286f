"""What an instrument's tables and views say of their columns, where saying it fails."""

import pytest

from pipelines.warehouse.database.connection import DatabaseError, connect
from pipelines.warehouse.publishing.instrument_views import InstrumentViews
from pipelines.warehouse.publishing.source import InstrumentSource, MirrorSource


def test_after_a_comment_that_failed_the_connection_can_write_what_remains():
    item = InstrumentSource("base", "", "", "", "", comments={"": "Base", "no_column": "x"}, keys={}, changed_run="r")
    views = InstrumentViews(connection := connect(), MirrorSource("study", "i", 1))
    with connection:
        connection.execute("CREATE SCHEMA study; CREATE TABLE study.base (age INT)")
        views.describe(item, table=True)
        with pytest.raises(DatabaseError, match="no_column"):
            views.write_comments()
        connection.execute("INSERT INTO study.base VALUES (1)")
        assert connection.execute("SELECT current_setting('enable_optimizer')").fetchone() == (True,)
