"""A structure that the mirror already has is not written again; one that differs in anything is."""

from dataclasses import replace

import pytest

from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.schema.digest import is_written, structure_digest
from pipelines.warehouse.tables.layout import make_layout
from redcap_source import model
from tests.support.structures import field, stamp, structure

FIELDS = [
    field("record_id", "base"),
    field("age", "base", validation="integer"),
    field("race", "base", "radio", choices="1, One | 2, Two"),
    field("note", "other", "notes"),
]
STUDY = structure(FIELDS, pairs=[("one", "base"), ("one", "other")])


def with_field(number, **values):
    fields = [replace(f, **values) if at == number else f for at, f in enumerate(STUDY.fields)]
    return replace(STUDY, fields=tuple(fields))


OTHERS = {
    "a label": with_field(1, field_label="Age at visit"),
    "a note": with_field(1, field_note="In years"),
    "a type": with_field(1, text_validation_type_or_show_slider_number="number"),
    "a choice's label": with_field(2, select_choices_or_calculations="1, One | 2, Too"),
    "branching logic": with_field(3, branching_logic="[age] > 3"),
    "a field that became an identifier": with_field(3, identifier="y"),
    "an instrument's label": replace(
        STUDY, instruments=(replace(STUDY.instruments[0], instrument_label="New"), *STUDY.instruments[1:])
    ),
    "an event's label": replace(STUDY, events=(replace(STUDY.events[0], event_name="First"),)),
    "another form-event pair": replace(STUDY, form_event_mapping=STUDY.form_event_mapping[:1]),
    "a form that repeats": replace(STUDY, repeating=(model.RepeatingForm("other", "one"),)),
    "a user": replace(STUDY, users=(model.User.from_row({"username": "ann"}),)),
    "the title": replace(STUDY, project=replace(STUDY.project, project_title="Other")),
    "codes for missing data": replace(STUDY, project=replace(STUDY.project, missing_data_codes="-9, Unknown")),
    "the version of REDCap": replace(STUDY, version="14.7.4"),
    "a part that the token may not read": replace(STUDY, not_readable=("log",)),
}


def test_the_same_structure_has_the_same_digest():
    assert structure_digest(STUDY, make_layout(STUDY)) == structure_digest(STUDY, make_layout(STUDY))


@pytest.mark.parametrize("changed", OTHERS)
def test_a_structure_that_differs_in_anything_that_is_stored_has_another_digest(changed):
    other = OTHERS[changed]
    assert structure_digest(other, make_layout(other)) != structure_digest(STUDY, make_layout(STUDY))


def test_other_columns_in_the_answers_have_another_digest():
    names = make_layout(STUDY).answer_columns
    seen = {
        structure_digest(STUDY, make_layout(STUDY, columns))
        for columns in (names, names[:-1], (*names, "redcap_data_access_group"))
    }
    hashed = make_layout(OTHERS["a field that became an identifier"], hash_identifiers=True)
    kept = make_layout(OTHERS["a field that became an identifier"])
    of_hashed = {structure_digest(OTHERS["a field that became an identifier"], layout) for layout in (hashed, kept)}
    assert (len(seen), len(of_hashed)) == (3, 2)


def test_a_structure_that_the_mirror_has_leaves_every_table_as_it_is(tmp_path):
    with open_mirror(tmp_path / "study.duckdb", "study") as mirror:
        layout = make_layout(STUDY)
        mirror.write_structure(STUDY, layout, stamp(1))
        # Were the rows written again, this one would be gone.
        mirror.connection.execute("INSERT INTO redcap.arms VALUES ('study', 9, 'Kept')")
        assert mirror.write_structure(STUDY, layout, stamp(2)) == ()
        assert mirror.connection.execute("SELECT name FROM redcap.arms").fetchall() == [("Kept",)]
        other = OTHERS["a label"]
        [drift] = mirror.write_structure(other, make_layout(other), stamp(3))
        assert (drift.change, drift.name, drift.new) == ("relabelled", "age", "Age at visit")
        assert mirror.connection.execute("SELECT name FROM redcap.arms").fetchall() == []


def test_a_structure_that_another_version_of_the_warehouse_wrote_since_is_not_the_one_of_the_digest(tmp_path):
    with open_mirror(tmp_path / "study.duckdb", "study") as mirror:
        mirror.write_structure(STUDY, make_layout(STUDY), stamp(1))
        digest = structure_digest(STUDY, make_layout(STUDY))
        assert is_written(mirror.connection, digest, STUDY)
        mirror.connection.execute("UPDATE state.structure SET described = '[]'")
        assert not is_written(mirror.connection, digest, STUDY)
