"""Readers find a description of every table, view and column."""

import re
from dataclasses import replace

import duckdb
import pytest

from pipelines.warehouse.database.compaction import compact
from pipelines.warehouse.database.connection import connect
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.new_file import prepare
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import make_layout
from pipelines.warehouse.tables.views import publication
from redcap_source.simulator import Simulator
from tests.support.load_site import Site
from tests.support.published import repeating
from tests.support.structures import field, structure

COLUMNS_WITHOUT = """
    SELECT schema_name, table_name, column_name FROM duckdb_columns()
    WHERE coalesce(comment, '') = '' AND (schema_name IN ('redcap', 'writeback', 'study', 'study_labels')
        OR schema_name IN ('study_history', 'study_history_raw')
           AND column_name IN ('_valid_from', '_valid_to', '_run_id'))
"""
TABLES_WITHOUT = """
    SELECT schema_name, table_name FROM (
        SELECT schema_name, table_name, comment FROM duckdb_tables()
        UNION ALL SELECT schema_name, view_name, comment FROM duckdb_views()
    )
    WHERE coalesce(comment, '') = '' AND schema_name IN ('redcap', 'writeback', 'study', 'study_labels', 'study_raw')
"""


@pytest.fixture(scope="module")
def published(tmp_path_factory) -> Site:
    """A study that is published, as a copy of its mirror."""
    with Simulator() as simulator, pytest.MonkeyPatch.context() as environment:
        site = Site(simulator, tmp_path_factory.mktemp("published"), environment)
        small = site.add("study", repeating())
        for record in range(1, 13):
            small.save(str(record), {"town": "Altland", "age": "40", "sex": "1"})
            small.save(str(record), {"came_on": "2024-02-01", "tags___1": "1"}, instance=1)
        site.night()
        yield site


def undescribed(site: Site) -> list[tuple]:
    assert site.rows("SELECT count(*) > 0 FROM duckdb_columns() WHERE schema_name = 'study'") == [(True,)]
    return site.rows(COLUMNS_WITHOUT) + site.rows(TABLES_WITHOUT)


def test_every_shared_table_and_column_has_one_description():
    with connect() as connection:
        prepare(connection, copied=False)
        define_changes(connection)
        found = connection.execute(
            "SELECT schema_name || '.' || table_name, column_name FROM duckdb_columns() "
            "WHERE schema_name IN ('redcap', 'writeback')"
        ).fetchall()
    texts = statements("descriptions")
    described = re.findall(r"^COMMENT ON \w+ (\S+) IS", "\n".join(texts.values()), re.MULTILINE)
    there = {table for table, _ in found} | {f"{table}.{column}" for table, column in found}
    assert len(found) > 200
    assert sorted(described) == sorted(there)


def test_a_copied_mirror_a_continued_file_and_one_made_anew_describe_everything(published):
    assert undescribed(published) == []
    study = published.handles["study"]
    study.change_field("age", field_label="Age today")
    study.add_field({"field_name": "extra", "form_name": "base", "field_type": "text", "field_label": ""})
    study.save("1", {"age": "41"})
    published.night()
    assert undescribed(published) == []
    labels = published.rows(
        "SELECT column_name, comment FROM duckdb_columns() "
        "WHERE schema_name = 'study' AND table_name = 'base' AND column_name IN ('age', 'extra')"
    )
    assert dict(labels) == {"age": "Age today", "extra": "extra"}
    published.publish(rebuild=True)
    assert undescribed(published) == []


def test_a_compacted_file_keeps_its_descriptions_and_its_changes(published, tmp_path):
    [changes] = published.rows("SELECT count(*) FROM redcap.record_changes")
    assert changes[0] > 50
    compact(published.warehouse.database, tmp_path / "compacted.duckdb", memory_limit=None)
    with duckdb.connect(str(tmp_path / "compacted.duckdb"), read_only=True) as connection:
        assert connection.execute(COLUMNS_WITHOUT).fetchall() == []
        assert connection.execute(TABLES_WITHOUT).fetchall() == []
        assert connection.execute("SELECT count(*) FROM redcap.record_changes").fetchone() == changes


def test_the_view_of_changes_of_an_earlier_version_is_replaced_and_described():
    with connect() as connection:
        prepare(connection, copied=False)
        earlier = "CREATE OR REPLACE VIEW redcap.record_changes AS SELECT * FROM _publish.cell_changes"
        connection.execute(earlier)
        connection.execute("INSERT INTO _publish.changes VALUES ($1)", [earlier])
        define_changes(connection)
        assert connection.execute(COLUMNS_WITHOUT).fetchall() == []
        connection.execute("CREATE OR REPLACE VIEW _publish.all_changes AS SELECT * FROM _publish.cell_changes LIMIT 0")
        assert connection.execute("SELECT * FROM redcap.record_changes").fetchall() == []


def test_an_instrument_and_a_field_without_a_label_are_described_by_their_names():
    described = structure(
        (replace(field("record_id", "base"), field_label=""), replace(field("age", "base"), field_label=""))
    )
    [instrument] = described.instruments
    layout = make_layout(replace(described, instruments=(replace(instrument, instrument_label=""),)))
    found = publication(layout, layout.instruments[0], instances=False)
    assert found.table_comment == instrument.instrument_name
    assert found.column_comments["record_id"] == "record_id"
    assert found.column_comments["age"] == "age"
