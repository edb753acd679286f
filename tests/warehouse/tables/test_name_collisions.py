"""Names that SQL or a flat answer cannot tell apart are refused by name; any other name of REDCap's is a name."""

import pytest

from pipelines.errors import LoadRefused
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.rows.deletions import rename
from pipelines.warehouse.tables.layout import make_layout, rows_now
from pipelines.warehouse.tables.name_collisions import OURS, REDCAPS, collisions
from redcap_source.simulator import Project
from redcap_source.simulator.studies.grid import dictionary_from
from tests.support.structures import columns_of, field, staged, stamp, structure

# Words that statements of the warehouse use for columns, aliases and tables of their own.
WORDS = (
    "rowid", "row", "rows", "record", "event", "instrument", "instance", "field", "fields", "cells", "cell", "value",
    "old", "new", "change", "project", "run_id", "n", "p", "d", "now", "table", "detected_at", "other", "origin",
    "reason", "expected", "name", "names", "key", "keys", "batch", "incoming", "present", "differing", "holds", "ts",
    "select", "from", "group", "order_1", "filename", "file_row_number", "was", "stays",
)  # fmt: skip


def of(*fields, **more):
    return collisions(make_layout(structure([field("record_id", "base"), *fields], **more)))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ([field("Age", "base"), field("age", "base")], "in base, the field Age and the field age"),
        ([field("Record_ID", "base")], "in base, the record-id field record_id and the field Record_ID"),
        (
            [field("cb", "base", "checkbox", choices="1, A"), field("cb___1", "base")],
            "in base, the option 1 of cb (cb___1) and the field cb___1",
        ),
        (
            [field("cb", "base", "checkbox", choices="1, A"), field("cb___1", "other")],
            "in base, the option 1 of cb (cb___1) and, in other, the field cb___1",
        ),
        (
            [field("cb", "base", "checkbox", choices="A, One | a, Two")],
            "in base, the option A of cb (cb___a) and the option a of cb (cb___a)",
        ),
        (
            [field("cb", "base", "checkbox", choices="-1, One | _1, Two")],
            "in base, the option -1 of cb (cb____1) and the option _1 of cb (cb____1)",
        ),
        ([field("base_complete", "base")], "in base, the field base_complete and the form status base_complete"),
        ([field("a", "Base")], "the instruments base and Base"),
        *(([field(name, "base")], f"in base, the warehouse's own column {name} and the field {name}") for name in OURS),
        *(([field(name, "base")], f"in base, REDCap's own column {name} and the field {name}") for name in REDCAPS),
    ],
)
def test_what_cannot_be_told_apart_is_named(fields, told):
    assert told in of(*fields)


def test_names_that_differ_by_case_in_two_instruments_are_two_names():
    assert of(field("Age", "base"), field("age", "other"), *(field(word, "other") for word in WORDS)) == []


def test_a_survey_s_timestamp_is_no_name_for_a_field():
    fields = [field("record_id", "base"), field("a", "base"), field("base_timestamp", "other")]
    described = structure(fields)
    layout = make_layout(described, ("record_id", "base_timestamp", "a", "base_complete", "other_complete"))
    assert collisions(layout) == ["in other, REDCap's own column base_timestamp and the field base_timestamp"]


def test_a_load_is_refused_by_the_names_and_nothing_is_changed(site):
    grid = "# base ~ Base\nrecord_id ~ text ~ ~ Id\ncb ~ checkbox ~ ~ Tags ~ 1, One | 2, Two\ncb___1 ~ text ~ ~ Odd"
    handle = site.add("study", Project(dictionary=dictionary_from(grid)))
    handle.save("1", {"cb___2": "1"})
    with pytest.raises(LoadRefused) as caught:
        site.load()
    assert "in base, the option 1 of cb (cb___1) and the field cb___1" in str(caught.value)
    assert "Nothing was changed." in str(caught.value)


@pytest.fixture
def mirror(tmp_path):
    with open_mirror(tmp_path / "work" / "study.duckdb", "study", staging=tmp_path) as opened:
        yield opened


def load(mirror, tmp_path, number, rows, names=WORDS):
    described = structure([field("record_id", "base"), *(field(name, "base") for name in names)])
    text = "\n".join(" | ".join(row) for row in [["record_id", *names, "base_complete"], *rows])
    layout = make_layout(described, columns_of(text))
    mirror.write_structure(described, layout, stamp(number))
    mirror.apply(layout, [staged(tmp_path, text, f"chunk{number}")], [], stamp(number))
    return layout


def rows(mirror, query):
    return mirror.connection.execute(query).fetchall()


def test_fields_may_have_the_names_that_statements_use_themselves(mirror, tmp_path):
    """A field called rowid is what SQL takes that word for: rows were replaced by its values, and lost."""
    load(mirror, tmp_path, 1, [[record, *(["5"] * len(WORDS)), "2"] for record in "123"])
    changed = [["1", *(["5"] * len(WORDS)), "2"], ["2", *(["6"] * len(WORDS)), "2"], ["3", *(["."] * len(WORDS)), "1"]]
    layout = load(mirror, tmp_path, 2, changed)
    cells = ", ".join(f'"{name}"' for name in WORDS)
    found = rows(mirror, f"SELECT _record, {cells}, base_complete FROM {rows_now('study', 'base')} ORDER BY 1")
    assert found == [tuple(None if cell == "." else cell for cell in row) for row in changed]
    noted = rows(mirror, "SELECT record, field, old_value, new_value FROM redcap.record_changes WHERE run_id = 'run2'")
    assert sorted(noted, key=str) == sorted(
        [("2", name, "5", "6") for name in WORDS]
        + [("3", name, "5", None) for name in WORDS]
        + [("3", "base_complete", "2", "1")],
        key=str,
    )
    # Under a new id the same cells are no changes.
    load(mirror, tmp_path, 3, [["4", *(["6"] * len(WORDS)), "2"]])
    with mirror.transaction():
        rename(mirror.connection, layout, {"2": "4"}, stamp(3))
    told = "SELECT record, field, change FROM redcap.record_changes WHERE run_id = 'run3' AND change <> 'insert'"
    assert rows(mirror, told) == [("4", "record_id", "rename")]
    assert rows(mirror, f"SELECT _record FROM {rows_now('study', 'base')} ORDER BY 1") == [("1",), ("3",), ("4",)]
