# ruff: noqa: E501 - grids are wide
"""What proven chunks do to the mirror: rows by instrument, only what differs, and a trace of every change."""

import pytest

from pipelines.errors import VerificationFailed
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.tables.layout import make_layout, rows_now, rows_past
from tests.support.structures import columns_of, field, nothing_more, staged, stamp, structure

CLASSIC = [
    field("record_id", "base"),
    field("age", "base", validation="integer"),
    field("race", "base", "checkbox", choices="1, One | 2, Two"),
    field("note", "other", "notes"),
]
CLASSIC_STATUS = ("base_complete", "other_complete")


@pytest.fixture
def mirror(tmp_path):
    with open_mirror(tmp_path / "work" / "study.duckdb", "study", staging=tmp_path) as opened:
        yield opened


def load(mirror, tmp_path, described, number, text, *, recheck=False):
    layout = make_layout(described, columns_of(text))
    mirror.write_structure(described, layout, stamp(number))
    return mirror.apply(layout, [staged(tmp_path, text, f"chunk{number}")], [], stamp(number), recheck=recheck)


def whole_load(mirror, tmp_path, described, number, text, *, recheck=False):
    """The same to its end, so that no instrument has to be read again."""
    load(mirror, tmp_path, described, number, text, recheck=recheck)
    nothing_more(mirror, make_layout(described, columns_of(text)), number)


def rows(mirror, query):
    return mirror.connection.execute(query).fetchall()


FIRST = """
record_id | age | race___1 | race___2 | base_complete | note  | other_complete
1         | 40  | 1        | 0        | 2             | .     | .
2         | .   | 0        | 0        | .             | hello | 0
3         | .   | 0        | 0        | .             | .     | .
"""


def test_an_instrument_has_a_row_only_where_it_holds_data(mirror, tmp_path):
    touched = load(mirror, tmp_path, structure(CLASSIC), 1, FIRST)
    assert rows(mirror, f"SELECT * EXCLUDE (_valid_from, _run_id) FROM {rows_now('study', 'base')}") == [
        ("1", "", "", "40", "1", "0", "2")
    ]
    assert rows(mirror, f"SELECT * EXCLUDE (_valid_from, _run_id) FROM {rows_now('study', 'other')}") == [
        ("2", "", "", "hello", "0")
    ]
    assert touched.inserted == 2
    # Record 3 holds nothing but its id: it is known, and has no row in any instrument.
    assert rows(mirror, "SELECT record FROM redcap.records ORDER BY record") == [("1",), ("2",), ("3",)]


def test_incomplete_alone_is_no_data_since_older_servers_say_it_of_unopened_forms(mirror, tmp_path):
    incomplete = FIRST.replace("3         | .   | 0        | 0        | .", "3 | . | 0 | 0 | 0")
    load(mirror, tmp_path, structure(CLASSIC), 1, incomplete)
    assert rows(mirror, f"SELECT _record FROM {rows_now('study', 'base')}") == [("1",)]


def test_a_status_above_incomplete_is_data_by_itself(mirror, tmp_path):
    unverified = FIRST.replace("3         | .   | 0        | 0        | .", "3 | . | 0 | 0 | 1")
    load(mirror, tmp_path, structure(CLASSIC), 1, unverified)
    assert rows(mirror, f"SELECT _record FROM {rows_now('study', 'base')} ORDER BY ALL") == [("1",), ("3",)]


def test_the_same_answer_again_writes_nothing(mirror, tmp_path):
    load(mirror, tmp_path, structure(CLASSIC), 1, FIRST)
    touched = load(mirror, tmp_path, structure(CLASSIC), 2, FIRST)
    assert (touched.inserted, touched.updated, touched.deleted, touched.unchanged) == (0, 0, 0, 2)
    assert rows(mirror, "SELECT DISTINCT run_id FROM redcap.record_changes") == [("run1",)]
    assert rows(mirror, "SELECT DISTINCT changed_run FROM state.instruments") == [("run1",)]


def test_every_changed_cell_leaves_a_trace(mirror, tmp_path):
    load(mirror, tmp_path, structure(CLASSIC), 1, FIRST)
    touched = load(
        mirror,
        tmp_path,
        structure(CLASSIC),
        2,
        """
        record_id | age | race___1 | race___2 | base_complete | note | other_complete
        1         | 41  | 1        | 1        | 2             | new  | 1
        2         | .   | 0        | 0        | .             | .    | .
        """,
    )
    assert (touched.inserted, touched.updated, touched.deleted) == (1, 1, 1)
    changes = rows(
        mirror,
        "SELECT record, instrument, field, old_value, new_value, change FROM redcap.record_changes "
        "WHERE run_id = 'run2' ORDER BY ALL",
    )
    assert changes == [
        ("1", "base", "age", "40", "41", "update"),
        ("1", "base", "race___2", "0", "1", "update"),
        ("1", "other", "note", None, "new", "insert"),
        ("1", "other", "other_complete", None, "1", "insert"),
        ("2", "other", "note", "hello", None, "delete"),
        ("2", "other", "other_complete", "0", None, "delete"),
    ]


MEASURED = [
    field("record_id", "base"),
    field("age", "base", validation="integer"),
    field("weight", "base", validation="number"),
    field("height", "base", validation="number"),
    field("born", "base", validation="date_ymd"),
]


def test_every_value_that_does_not_fit_is_listed_once_and_no_other(mirror, tmp_path):
    # DuckDB would take 1_000, nan and +-1 for numbers. The columns of a kind are judged together, row by row.
    touched = load(
        mirror,
        tmp_path,
        structure(MEASURED),
        1,
        """
        record_id | age                  | weight | height | born       | base_complete
        1         | 1_000                | 70.5   | 1e+2   | 2020-02-30 | 2
        2         | -3                   | nan    | -1.5   | 2020-02-29 | 2
        3         | 99999999999999999999 | +-1    | UNK    | .          | 2
        4         | +4                   | 7.     | .5     | 2018-8-1   | 2
        5         | 9223372036854775807  | 1e400  | 1e-400 | 0001-01-01 | 2
        6         | -99                  | 9007199254740993 | 123456789012345678.1 | 0000-01-01 | 2
        7         | 0                    | 0.1    | 9007199254740992     | 2000-02-29 | 2
        8         | 0                    | 0.30000000000000004 | 1.50000000000000000000 | 1900-02-29 | 2
        """,
    )
    listed = rows(mirror, "SELECT record, field, value, expected, reason FROM redcap.invalid_values ORDER BY ALL")
    assert listed == [
        ("1", "age", "1_000", "BIGINT", "not a BIGINT"),
        ("1", "born", "2020-02-30", "DATE", "not a DATE"),
        ("2", "weight", "nan", "DOUBLE", "not a DOUBLE"),
        ("3", "age", "99999999999999999999", "BIGINT", "a BIGINT cannot hold it exactly"),
        ("3", "height", "UNK", "DOUBLE", "not a DOUBLE"),
        ("3", "weight", "+-1", "DOUBLE", "not a DOUBLE"),
        ("4", "born", "2018-8-1", "DATE", "not a DATE"),
        ("5", "height", "1e-400", "DOUBLE", "a DOUBLE cannot hold it exactly"),
        ("5", "weight", "1e400", "DOUBLE", "a DOUBLE cannot hold it exactly"),
        ("6", "born", "0000-01-01", "DATE", "not a DATE"),
        ("6", "height", "123456789012345678.1", "DOUBLE", "a DOUBLE cannot hold it exactly"),
        ("6", "weight", "9007199254740993", "DOUBLE", "a DOUBLE cannot hold it exactly"),
        ("8", "born", "1900-02-29", "DATE", "not a DATE"),
    ]
    assert touched.invalid == len(listed)


REPEATING = [
    field("record_id", "base"),
    field("age", "base", validation="integer"),
    field("visit_note", "visit"),
    field("drug", "drugs"),
]
PAIRS = [("one", "base"), ("two", "visit"), ("two", "drugs"), ("one", "drugs")]
REPEATS = [("one", "drugs"), ("two", "")]
MIXED = """
record_id | redcap_event_name | redcap_repeat_instrument | redcap_repeat_instance | age | base_complete | visit_note | visit_complete | drug | drugs_complete
1         | one               | .                        | .                      | 40  | 2             | .          | .              | .    | .
1         | one               | drugs                    | 1                      | .   | .             | .          | .              | A    | 0
1         | one               | drugs                    | 2                      | .   | .             | .          | .              | B    | 0
1         | two               | .                        | 1                      | .   | .             | x          | 2              | C    | 1
1         | two               | .                        | 2                      | .   | .             | y          | 2              | .    | .
"""


def test_repeating_instruments_and_events_are_told_apart_by_instance(mirror, tmp_path):
    load(mirror, tmp_path, structure(REPEATING, pairs=PAIRS, repeating=REPEATS), 1, MIXED)
    assert rows(mirror, f"SELECT _event, _instance, drug FROM {rows_now('study', 'drugs')} ORDER BY ALL") == [
        ("one", "1", "A"),
        ("one", "2", "B"),
        ("two", "1", "C"),
    ]
    assert rows(mirror, f"SELECT _event, _instance, visit_note FROM {rows_now('study', 'visit')} ORDER BY ALL") == [
        ("two", "1", "x"),
        ("two", "2", "y"),
    ]
    assert rows(mirror, "SELECT count(*) FROM redcap.invalid_values") == [(0,)]


def test_an_empty_repeating_instance_is_kept_because_someone_made_it(mirror, tmp_path):
    described = structure(REPEATING, pairs=PAIRS, repeating=REPEATS)
    load(mirror, tmp_path, described, 1, MIXED.replace("| B    | 0", "| .    | 0"))
    assert rows(
        mirror, f"SELECT _instance, drug FROM {rows_now('study', 'drugs')} WHERE _event = 'one' ORDER BY ALL"
    ) == [
        ("1", "A"),
        ("2", None),
    ]


def test_a_vanished_instance_leaves_the_mirror(mirror, tmp_path):
    described = structure(REPEATING, pairs=PAIRS, repeating=REPEATS)
    load(mirror, tmp_path, described, 1, MIXED)
    without = "\n".join(line for line in MIXED.splitlines() if "| B " not in line)
    touched = load(mirror, tmp_path, described, 2, without)
    assert touched.deleted == 1
    assert rows(mirror, f"SELECT _instance FROM {rows_now('study', 'drugs')} WHERE _event = 'one'") == [("1",)]


def test_data_that_contradicts_the_setup_is_kept_and_reported(mirror, tmp_path):
    elsewhere = [("one", "base"), ("one", "drugs"), ("two", "drugs")]
    load(mirror, tmp_path, structure(REPEATING, pairs=elsewhere, repeating=[("one", "drugs")]), 1, MIXED)
    assert rows(mirror, f"SELECT count(*) FROM {rows_now('study', 'visit')}") == [(2,)]
    reported = rows(mirror, "SELECT instrument, field, value, reason FROM redcap.invalid_values ORDER BY ALL")
    assert reported == [
        ("visit", "redcap_event_name", "two", "contradicts the project's setup"),
        ("visit", "redcap_event_name", "two", "contradicts the project's setup"),
        ("visit", "redcap_repeat_instance", "1", "contradicts the project's setup"),
        ("visit", "redcap_repeat_instance", "2", "contradicts the project's setup"),
    ]


def test_cells_on_a_row_of_another_repeating_instrument_are_listed_verbatim(mirror, tmp_path):
    stray = MIXED.replace(
        "1         | one               | drugs                    | 2                      | .  ",
        "1 | one | drugs | 2 | 99",
    )
    load(mirror, tmp_path, structure(REPEATING, pairs=PAIRS, repeating=REPEATS), 1, stray)
    assert rows(mirror, "SELECT instrument, instance, field, value, reason FROM redcap.invalid_values") == [
        ("base", "2", "age", "99", "on a row of the repeating instrument drugs")
    ]


def test_values_that_do_not_fit_are_kept_and_reported(mirror, tmp_path):
    load(
        mirror,
        tmp_path,
        structure(CLASSIC, missing="UNK, Unknown"),
        1,
        """
        record_id | age  | race___1 | race___2 | base_complete | note | other_complete
        1         | UNK  | 1        | 0        | 2             | .    | .
        2         | 41.5 | x        | 0        | 2             | .    | .
        """,
    )
    assert rows(mirror, "SELECT record, field, value, expected, reason FROM redcap.invalid_values ORDER BY ALL") == [
        ("1", "age", "UNK", "BIGINT", "missing data code"),
        ("2", "age", "41.5", "BIGINT", "not a BIGINT"),
        ("2", "race___1", "x", "BOOLEAN", "not a BOOLEAN"),
    ]
    assert rows(mirror, f"SELECT age FROM {rows_now('study', 'base')} ORDER BY ALL") == [("41.5",), ("UNK",)]


def test_a_mended_value_leaves_the_list_of_invalid_ones(mirror, tmp_path):
    bad = "record_id | age | race___1 | race___2 | base_complete | note | other_complete\n1 | x | 0 | 0 | 2 | . | ."
    load(mirror, tmp_path, structure(CLASSIC), 1, bad)
    load(mirror, tmp_path, structure(CLASSIC), 2, bad.replace("| x |", "| 5 |"))
    assert rows(mirror, "SELECT count(*) FROM redcap.invalid_values") == [(0,)]


INVALID = "record_id | age | race___1 | race___2 | base_complete | note | other_complete\n1 | x | 0 | 0 | 2 | . | ."
LISTED = "SELECT instrument, field, value, run_id FROM redcap.invalid_values"


def test_what_is_listed_of_rows_that_did_not_change_stays_with_the_run_that_found_it(mirror, tmp_path):
    whole_load(mirror, tmp_path, structure(CLASSIC), 1, INVALID)
    whole_load(mirror, tmp_path, structure(CLASSIC), 2, INVALID)
    assert rows(mirror, LISTED) == [("base", "age", "x", "run1")]


def test_a_load_of_everything_examines_again_what_did_not_change(mirror, tmp_path):
    whole_load(mirror, tmp_path, structure(CLASSIC), 1, INVALID)
    # As another version of the warehouse may have left it.
    mirror.connection.execute("DELETE FROM redcap.invalid_values")
    whole_load(mirror, tmp_path, structure(CLASSIC), 2, INVALID, recheck=True)
    assert rows(mirror, LISTED) == [("base", "age", "x", "run2")]


def test_rows_that_did_not_change_are_listed_once_the_setup_allows_no_such_rows(mirror, tmp_path):
    whole_load(mirror, tmp_path, structure(REPEATING, pairs=PAIRS, repeating=REPEATS), 1, MIXED)
    elsewhere = [("one", "base"), ("one", "drugs"), ("two", "drugs")]
    whole_load(mirror, tmp_path, structure(REPEATING, pairs=elsewhere, repeating=[("one", "drugs")]), 2, MIXED)
    assert rows(mirror, "SELECT DISTINCT instrument, reason FROM redcap.invalid_values") == [
        ("visit", "contradicts the project's setup")
    ]


def test_cells_on_a_row_of_another_instrument_are_listed_while_they_are_there(mirror, tmp_path):
    described = structure(REPEATING, pairs=PAIRS, repeating=REPEATS)
    stray = MIXED.replace(
        "1         | one               | drugs                    | 2                      | .  ",
        "1 | one | drugs | 2 | 99",
    )
    for number, text, expected in ((1, MIXED, []), (2, stray, [("base", "age", "99", "run2")]), (3, MIXED, [])):
        whole_load(mirror, tmp_path, described, number, text)
        assert rows(mirror, LISTED) == expected


def test_deleted_records_leave_the_tables_and_keep_a_tombstone(mirror, tmp_path):
    described = structure(CLASSIC)
    load(mirror, tmp_path, described, 1, FIRST)
    layout = make_layout(described, columns_of(FIRST))
    assert mirror.remove_missing(["2"], layout, stamp(2)).rows == 1
    assert rows(mirror, f"SELECT count(*) FROM {rows_now('study', 'other')}") == [(0,)]
    assert rows(mirror, "SELECT record FROM redcap.records WHERE deleted_at IS NOT NULL") == [("2",)]
    assert rows(
        mirror,
        "SELECT field, old_value, new_value, change FROM redcap.record_changes WHERE run_id = 'run2' ORDER BY ALL",
    ) == [
        ("note", "hello", None, "delete"),
        ("other_complete", "0", None, "delete"),
    ]


def test_a_deleted_record_that_comes_back_is_alive_again(mirror, tmp_path):
    described = structure(CLASSIC)
    load(mirror, tmp_path, described, 1, FIRST)
    mirror.remove_missing(["2"], make_layout(described, columns_of(FIRST)), stamp(2))
    load(mirror, tmp_path, described, 3, FIRST)
    assert rows(mirror, "SELECT record FROM redcap.records WHERE deleted_at IS NOT NULL") == []
    assert rows(mirror, f"SELECT _record, note FROM {rows_now('study', 'other')}") == [("2", "hello")]


def test_new_columns_come_and_old_ones_go_with_the_dictionary(mirror, tmp_path):
    load(mirror, tmp_path, structure(CLASSIC), 1, FIRST)
    changed = [*CLASSIC[:1], field("weight", "base", validation="number"), *CLASSIC[2:]]
    load(mirror, tmp_path, structure(changed), 2, FIRST.replace("age", "weight"))
    assert [row[0] for row in rows(mirror, f"DESCRIBE {rows_now('study', 'base')}")][3:-2] == [
        "weight",
        "race___1",
        "race___2",
        "base_complete",
    ]
    # What stood in the column that went is noted as gone, and stays in the history.
    changes = (
        "SELECT record, old_value, new_value, change FROM redcap.record_changes WHERE field = 'age' AND run_id = 'run2'"
    )
    assert rows(mirror, changes) == [("1", "40", None, "delete")]
    assert rows(mirror, f"SELECT _record, age, _run_id, _closed_run FROM {rows_past('study', 'base')}") == [
        ("1", "40", "run1", "run2")
    ]
    drift = rows(mirror, "SELECT change, kind, name FROM redcap.dictionary_changes ORDER BY ALL")
    assert drift == [("added", "field", "weight"), ("removed", "field", "age")]


def test_a_failing_batch_leaves_nothing_behind(mirror, tmp_path):
    described = structure(CLASSIC)
    load(mirror, tmp_path, described, 1, FIRST)
    broken = staged(tmp_path, FIRST, "broken")
    broken.answers[0].path.write_text(broken.answers[0].path.read_text().replace("\n2,", "\n9,9\n2,"))
    good = staged(tmp_path, FIRST.replace("40", "77"), "good")
    with pytest.raises(VerificationFailed):
        mirror.apply(make_layout(described, columns_of(FIRST)), [good, broken], [], stamp(2))
    assert rows(mirror, f"SELECT age FROM {rows_now('study', 'base')}") == [("40",)]


def test_hashed_identifiers_never_reach_the_mirror(mirror, tmp_path):
    described = structure([*CLASSIC[:3], field("note", "other", "notes", identifier="y")])
    layout = make_layout(described, columns_of(FIRST), hash_identifiers=True)
    mirror.write_structure(described, layout, stamp(1))
    mirror.apply(layout, [staged(tmp_path, FIRST)], [], stamp(1))
    (hashed,) = rows(mirror, f"SELECT note FROM {rows_now('study', 'other')}")[0]
    assert len(hashed) == 64
    assert "hello" not in hashed
