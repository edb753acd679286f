"""REDCap's log on its way through files: what is noted of it, what is kept, and that nothing else is."""

import json
import stat
from datetime import datetime, timedelta

import pytest

from pipelines.extract.log_reading import LogTerms, _Answer, ranges
from pipelines.warehouse.mirror.open import open_mirror
from redcap_source import model
from redcap_source.log.clock import ServerClock

NOON = datetime(2026, 3, 10, 12, 0)
WHOLE = LogTerms("record_id", frozenset({"record_id", "town", "age"}), whole=True)
IN_PART = LogTerms("record_id", frozenset({"record_id", "age"}), whole=False)


def row(time, action, details="", record="", user="nurse"):
    return model.LogRow(f"2026-03-10 {time}", user, action, details, record)


# Newest first, as REDCap sends them.
ROWS = (
    row("11:59", "Manage/Design ", "Export Logging (API)", user="api_user"),
    row("11:40", "Create record 3", "record_id = '3', town = 'Genua'", "3"),
    row("11:30", "Delete record 3", "record_id = '3'", "3"),
    row("11:20", "Delete record 2", "record_id = '2'", "2"),
    row("11:10", "Update record 9", "record_id = '9'", "9"),
    row("11:05", "Lock/Unlock Record 4", "Action: Lock entire record", "4"),
    row("11:00", "Update record 1", "town = 'Ulm, smith = 'x', age = '7'", "1"),
    row("09:00", "Delete record 8", "record_id = '8'", "8"),
)


def read(folder, terms, rows=ROWS, start=NOON - timedelta(hours=6), end=None):
    answer = _Answer(folder / "log-000.json", start, end, terms)
    for each in rows:
        answer.add(each)
    answer.file.close()
    return answer.read


def test_what_the_log_says_of_records_is_noted_while_it_passes(tmp_path):
    found = read(tmp_path, WHOLE)
    ten = NOON - timedelta(hours=2)
    assert found.changed_since(ten) == {"1", "2", "3", "9"}
    assert found.gone_since(ten) == {"2"}
    assert found.deleted_since(ten) == {"2", "3"}
    assert found.renames_since(ten) == 1
    assert found.changed_since(NOON) == found.gone_since(NOON) == found.deleted_since(NOON) == set()
    assert (found.renames_since(NOON), found.unparsed) == (0, 0)
    assert found.newest_call == datetime(2026, 3, 10, 11, 59)


def test_an_older_answer_never_overrules_a_newer_one(tmp_path):
    newer = read(tmp_path, WHOLE, ROWS[:3])
    older = read(tmp_path, WHOLE, [row("08:00", "Delete record 3", "record_id = '3'", "3"), *ROWS[3:]])
    newer.add_older(older)
    assert newer.gone_since(NOON - timedelta(hours=6)) == {"2", "8"}
    assert newer.changed["3"] == datetime(2026, 3, 10, 11, 40)


def test_a_change_at_a_time_nobody_can_read_counts_as_new(tmp_path):
    found = read(tmp_path, WHOLE, [model.LogRow("yesterday", "nurse", "Update record 5", "town = 'x'", "5")])
    assert found.changed_since(NOON) == {"5"}
    assert found.stamps == set()


def test_a_row_outside_its_range_is_left_to_the_range_it_belongs_to(tmp_path):
    eleven = datetime(2026, 3, 10, 11, 0)
    assert read(tmp_path, WHOLE, start=eleven).changed.keys() == {"2", "3", "9"}
    assert read(tmp_path, WHOLE, end=eleven).changed.keys() == {"1", "8"}


def test_ranges_leave_no_gap_and_the_last_is_open():
    found = list(ranges(NOON - timedelta(days=15), NOON))
    assert [start for start, _ in found] == [NOON - timedelta(days=days) for days in (15, 8, 1)]
    assert [end for _, end in found] == [*(start for start, _ in found[1:]), None]


def test_of_a_warehouse_that_leaves_out_values_the_log_keeps_only_names_of_columns(tmp_path):
    read(tmp_path, IN_PART)
    lines = [json.loads(line) for line in (tmp_path / "log-000.json").read_text().splitlines()]
    assert [line["details"] for line in lines] == [
        None, "record_id", "record_id", "record_id", "record_id", None, "age", "record_id",
    ]  # fmt: skip
    written = (tmp_path / "log-000.json").read_text()
    assert not any(word in written for word in ("Ulm", "Genua", "smith", "town"))
    assert stat.S_IMODE((tmp_path / "log-000.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("details", ["cut at \ud83d", "a\u0000b", 'quoted "x", \\back', "two\nlines \u2028 here", ""])
def test_any_text_comes_through_the_files_into_the_mirror(tmp_path, details):
    found = read(tmp_path, WHOLE, [row("11:00", "Update record 1", f"town = '{details}'", "1"), *ROWS[-1:]])
    with open_mirror(tmp_path / "study.duckdb", "study", staging=tmp_path) as mirror:
        mirror.audit_log.save(
            found.files, found.stamps, NOON - timedelta(hours=2), ServerClock(zone="America/Chicago"), "run1"
        )
        kept = mirror.connection.execute("SELECT timestamp, details, record, run_id FROM redcap.audit_log").fetchall()
        logged = mirror.connection.execute(
            "SELECT record, what, columns, username, changed_at FROM state.logged"
        ).fetchall()
    shown = f"town = '{details.encode('utf-8', 'replace').decode()}'"
    assert kept == [(datetime(2026, 3, 10, 11, 0), shown, "1", "run1")]
    assert logged == [("1", "saved", ["town"], "nurse", datetime(2026, 3, 10, 16, 0))]


def test_what_is_read_again_takes_the_place_of_what_was_kept(tmp_path):
    with open_mirror(tmp_path / "study.duckdb", "study", staging=tmp_path) as mirror:
        for run, minutes, rows in (("run1", 120, ROWS[:4]), ("run2", 35, ROWS[:3])):
            found = read(tmp_path, WHOLE, rows)
            mirror.audit_log.save(found.files, found.stamps, NOON - timedelta(minutes=minutes), ServerClock(), run)
        kept = mirror.connection.execute("SELECT strftime(timestamp, '%H:%M'), run_id FROM redcap.audit_log ORDER BY 1")
        assert kept.fetchall() == [("11:20", "run1"), ("11:30", "run2"), ("11:40", "run2"), ("11:59", "run2")]
        assert mirror.connection.execute("SELECT DISTINCT record FROM state.logged").fetchall() == [("3",)]


def test_a_column_that_has_another_name_now_is_told_under_it(tmp_path):
    terms = LogTerms("record_id", frozenset({"old_complete"}), whole=False, renamed={"old_complete": "new_complete"})
    read(tmp_path, terms, [row("11:00", "Update record 1", "old_complete = '2'", "1")])
    [line] = map(json.loads, (tmp_path / "log-000.json").read_text().splitlines())
    assert [change["columns"] for change in line["changes"]] == [["new_complete"]]
    assert line["details"] == "old_complete"
