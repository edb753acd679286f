"""What REDCap does by itself because of what was written is told as write-back's; what anybody else does is not."""

from datetime import datetime

import pytest

from pipelines.warehouse.mirror.journal import Journal
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.proposals import Proposals
from pipelines.warehouse.mirror.rows.followed import record_followed
from pipelines.warehouse.tables.writeback import Cell, FormRow, JournalEntry, Proposal
from tests.support.writeback_site import row

NOW = datetime(2024, 6, 1)


def told(site, *records) -> list[tuple]:
    """The changes of some records: field, new value, origin, by whom, why."""
    return site.work(
        "SELECT record, field, new_value, origin, changed_by, reason FROM redcap.record_changes "
        f"WHERE record IN {(*records, '')} ORDER BY record, field"
    )


def test_a_form_that_was_opened_and_a_calculated_field_that_moved_are_told_as_the_batchs(site, study):
    site.propose([row("1", "weight", "60.5", reason="typo"), row("77", "town", "Vienna")], author="rw")
    site.propose([row("77", "weight", "70.0")], batch="c", author="xy")
    site.apply(new_records=True)
    # The record is made, in REDCap and in the warehouse.
    assert study.value("77", "town") == "Vienna"
    assert ("77",) in site.work("SELECT record FROM redcap.records")
    found = told(site, "1", "77")
    assert {change[3] for change in found} == {"writeback"}
    assert ("1", "bmi", "20.9", "writeback", "rw", "followed from batch b") in found
    assert ("77", "enrolment_complete", "0", "writeback", "rw", "followed from batch b") in found
    assert ("77", "examination_complete", "0", "writeback", "xy", "followed from batch c") in found
    # The options nobody ticked were blank as long as the form did not exist.
    assert ("77", "complaints___1", "0", "writeback", "xy", "followed from batch c") in found
    followed = dict(site.work("SELECT batch, followed FROM writeback.batches"))
    assert followed["b"] == 2 < followed["c"]
    site.revert()
    assert ("1", "bmi", "20.9", "writeback", "rw", "followed from batch b") in told(site, "1")
    assert ("1", "bmi", "27.7", "writeback", "reverter", "followed from batch revert b") in told(site, "1")
    known = len(site.changes())
    site.load()
    assert len(site.changes()) == known


def test_what_others_did_in_the_same_record_meanwhile_stays_theirs(site, study):
    study.save("9", {"town": "Rome"})
    site.propose([row(record, "weight", "60.5") for record in ("1", "2", "77", "78")], author="rw")

    def step(name):
        if name == "look":
            study.save("1", {"height": "171.0"})
            study.save("2", {"remarks": "a person's"})
            # Opened by a person, another form of a record and the very form that is written to.
            study.save("77", {"town": "Vienna"})
            study.save("78", {"remarks": "a person's"})
        if name == "fetch":
            study.save("77", {"remarks": "a person's"})

    site.apply(new_records=True, step=step)
    origins = {change[:2]: change[3] for change in told(site, "1", "2", "77", "78")}
    # Both had a hand in it, so it is nobody's.
    assert (origins["1", "height"], origins["1", "bmi"], origins["1", "weight"]) == ("redcap", "redcap", "writeback")
    assert (origins["2", "remarks"], origins["2", "bmi"]) == ("redcap", "writeback")
    assert (origins["77", "enrolment_complete"], origins["77", "examination_complete"]) == ("redcap", "writeback")
    assert (origins["77", "remarks"], origins["77", "complaints___1"]) == ("redcap", "writeback")
    assert (origins["78", "examination_complete"], origins["78", "weight"]) == ("redcap", "writeback")


def test_the_night_after_a_run_that_died_tells_what_followed_as_well(site, study):
    site.propose([row(record, "weight", "60.5") for record in ("1", "77", "78")], author="rw")

    def step(name):
        if name == "read back":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        site.apply(new_records=True, step=step)
    study.save("78", {"remarks": "a person's"})
    site.load()
    origins = {change[:2]: change[3:] for change in told(site, "1", "77", "78")}
    ours = ("writeback", "rw", "followed from batch b")
    assert origins["1", "bmi"] == origins["77", "examination_complete"] == origins["77", "complaints___1"] == ours
    # Who opened it nobody knows any more.
    assert origins["78", "examination_complete"][0] == "redcap"
    assert site.work("SELECT followed FROM writeback.batches")[0][0] > 2


# --- The rule itself, over rows of the tables ---

FIELDS = (
    ("record_id", "text", "", ""),
    ("weight", "text", "", ""),
    ("height", "text", "", ""),
    ("tick", "checkbox", "", ""),
    ("bmi", "calc", "round([weight] / ([start_arm_1][height] ^ 2))", ""),
    ("class", "text", "", "@CALCTEXT(if([bmi] > 25, 'a', 'b'))"),
    ("due", "text", "", "@HIDDEN @CALCDATE([Weight], 1, 'd')"),
    ("ticks", "calc", "sum([tick(1)], [exam_complete])", ""),
    ("age", "calc", "datediff([dob], 'today')", ""),
    ("circle", "calc", "[circle] + [height]", ""),
    ("note", "text", "", "mentions [weight] only"),
)


@pytest.fixture(scope="module")
def told_of(tmp_path_factory):
    """A mirror with the fields above; asked with changes and written cells it tells what followed."""
    path = tmp_path_factory.mktemp("followed") / "study.duckdb"
    with open_mirror(path, "study") as mirror:
        journal, proposals = Journal(mirror.connection, "study"), Proposals(mirror.connection, "study")
        mirror.connection.executemany(
            "INSERT INTO redcap.data_dictionary (project, position, field_name, form_name, field_type, "
            "select_choices_or_calculations, field_annotation) VALUES ('study', 1, $1, 'exam', $2, $3, $4)",
            FIELDS,
        )

        def ask(written, changes, unopened=None):
            """`written`: batch and cell; `changes`: cell, old, new. A cell is record, event, instance, field."""
            mirror.connection.execute("BEGIN")
            try:
                for number, (batch, (record, event, instance, field)) in enumerate(written, start=1):
                    cell = Cell(record, event, "exam", instance, field)
                    proposal = Proposal(number, batch, cell, "", "x")
                    proposals.add([proposal], batch=batch, author=f"author of {batch}", source="s", now=NOW)
                    entry = JournalEntry(number, batch, "run", 1, cell, "", "", "x")
                    journal.record_intended([entry], "run", 1, NOW)
                mirror.connection.execute("UPDATE writeback.journal SET status = 'confirmed', accounted_run = 'run'")
                ours = {cell for _, cell in written}
                for cell, old, new in changes:
                    record, event, instance, field = cell
                    mirror.connection.execute(
                        "INSERT INTO redcap.record_changes (project, record, event, instrument, instance, field, "
                        "old_value, new_value, run_id, origin) VALUES ('study', $1, nullif($2, ''), 'exam', "
                        "nullif($3, ''), $4, $5, $6, 'run', $7)",
                        [record, event, instance, field, old, new, "writeback" if cell in ours else "redcap"],
                    )
                count = record_followed(mirror.connection, "study", "run", NOW, unopened)
                found = mirror.connection.execute(
                    "SELECT record, coalesce(instance, ''), field, changed_by FROM redcap.record_changes "
                    "WHERE origin = 'writeback' AND reason LIKE 'followed from batch%' ORDER BY ALL"
                ).fetchall()
                assert count == len(found)
                return found
            finally:
                mirror.connection.execute("ROLLBACK")

        yield ask


def cell(field, record="1", event="", instance=""):
    return record, event, instance, field


WEIGHT = ("b", cell("weight"))
MOVED = (cell("weight"), "80", "60")


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ([MOVED, (cell("bmi"), "1", "2")], ["bmi"]),
        ([MOVED, (cell("class"), "a", "b"), (cell("due"), "1", "2")], ["class", "due"]),
        ([MOVED, (cell("age"), "1", "2")], []),  # nothing of it was written
        ([MOVED, (cell("note"), "1", "2")], []),  # not calculated
        ([MOVED, (cell("bmi"), "1", "2"), (cell("height"), "1", "2")], []),  # somebody had a hand in it
        ([MOVED, (cell("bmi"), "1", "2"), (cell("tick___1"), "1", "0")], ["bmi"]),  # somebody did something else
        ([MOVED, (cell("bmi", record="2"), "1", "2")], []),  # another record
        ([MOVED, (cell("bmi"), "1", "2"), (cell("height", record="2"), "1", "2")], ["bmi"]),
        ([(cell("bmi"), "1", "2")], []),  # what was written changed nothing
    ],
)
def test_a_calculated_field_follows_what_it_is_worked_out_from(told_of, changes, fields):
    assert [change[2] for change in told_of([WEIGHT], changes)] == fields


def test_calculations_rest_on_options_and_on_forms_that_were_opened(told_of):
    changes = [MOVED, (cell("exam_complete"), None, "0"), (cell("ticks"), "1", "2")]
    assert [change[2] for change in told_of([WEIGHT], changes)] == ["exam_complete", "ticks"]
    ticked = [("b", cell("tick___1"))], [(cell("tick___1"), "0", "1"), (cell("ticks"), "1", "2")]
    assert [change[2] for change in told_of(*ticked)] == ["ticks"]
    circle = [("b", cell("height"))], [(cell("height"), "0", "1"), (cell("circle"), "1", "2")]
    assert [change[2] for change in told_of(*circle)] == ["circle"]


def test_a_form_is_opened_in_the_row_that_was_written_and_by_its_own_batch(told_of):
    where = {"event": "e", "instance": "2"}
    written = [("b", cell("weight", **where)), ("c", cell("height", **where)), ("c", cell("weight", record="2"))]
    changes = [(at, "1", "2") for _, at in written] + [
        (cell("exam_complete", **where), None, "0"),
        (cell("tick___1", **where), None, "0"),
        (cell("exam_complete", event="e", instance="1"), None, "0"),
        (cell("exam_complete", event="f", instance="2"), None, "0"),
        (cell("exam_complete", record="2"), None, "2"),  # a person completed it
        (cell("exam_complete", record="3"), None, "0"),
    ]
    by_b = [("1", "2", "exam_complete", "author of b"), ("1", "2", "tick___1", "author of b")]
    assert told_of(written, changes) == by_b
    assert told_of(written, changes, [FormRow("1", "e", "exam", "2")]) == by_b
    # Somebody had opened it before we looked.
    assert told_of(written, changes, [FormRow("1", "e", "exam", "1"), FormRow("2", "", "exam", "")]) == []


def test_without_a_look_a_form_is_opened_by_whoever_else_changed_something_in_its_row(told_of):
    opened = (cell("exam_complete"), None, "0")
    assert told_of([WEIGHT], [MOVED, opened, (cell("note"), "1", "2")]) == []
    assert len(told_of([WEIGHT], [MOVED, opened, (cell("note", record="2"), "1", "2")])) == 1
    assert len(told_of([WEIGHT], [MOVED, opened, (cell("note"), "1", "2")], [FormRow("1", "", "exam", "")])) == 1


def test_the_repr_of_a_row_has_no_record():
    assert "canary" not in repr(FormRow("canary", "e", "exam", "1"))
