"""The decision about a cell: every kind of field, by what was seen, what REDCap holds and what is wanted."""

from dataclasses import replace
from datetime import date

import pytest

from pipelines.warehouse.tables.writeback import Cell, Decision, Proposal
from pipelines.writeback.decide.cells import CurrentValues, RowKey, counts
from pipelines.writeback.decide.decide import decide, precheck, reconcile
from pipelines.writeback.decide.reasons import Reason
from tests.support.writable_study import classic, longitudinal

WRITE, THERE, CONFLICT, INVALID = Decision.WRITE, Decision.ALREADY_THERE, Decision.CONFLICT, Decision.INVALID
TODAY = date(2024, 6, 1)

# For each kind of field three different values: as seen, as wanted, as somebody else left it. Then other spellings of
# the first that REDCap may hold, or a file bring.
VALUES = {
    "plain": ("a", "b", "c", ()),
    "notes": ("one\ntwo", "b", "c", ("one\r\ntwo",)),
    "radio": ("1", "02", "-3", ()),
    "dropdown": ("a", "b", "UNK", ()),
    "sql": ("1", "2", "3", ()),
    "yesno": ("1", "0", "UNK", ()),
    "truefalse": ("0", "1", "UNK", ()),
    "slider": ("50", "60", "70", ()),
    "base_complete": ("0", "2", "1", ()),
    "ident": ("a", "b", "c", ()),
    "v_date_dmy": ("2024-01-05", "2024-01-06", "2024-01-07", ("2024-1-5",)),
    "v_datetime_mdy": ("2024-01-05 09:30", "2024-01-05 09:31", "2024-01-05 09:32", ("2024-1-5 9:30",)),
    "v_datetime_seconds_ymd": ("2024-01-05 09:30:01", "2024-01-05 09:30:02", "2024-01-05 09:30:03", ()),
    "v_time": ("09:30", "09:31", "09:32", ("9:30",)),
    "v_time_hh_mm_ss": ("09:30:00", "09:31:00", "09:32:00", ("9:30:00",)),
    "v_time_mm_ss": ("09:30", "09:31", "09:32", ()),
    "v_integer": ("7", "8", "9", ()),
    "v_number": ("7.5", "8", "9", ()),
    "v_number_1dp": ("22.0", "22.5", "23.0", ()),
    "v_number_2dp_comma_decimal": ("22,00", "22,50", "23,00", ()),
    "v_email": ("a@example.org", "b@example.org", "c@example.org", ()),
    "v_zipcode": ("37203", "37204", "37205", ()),
    "v_vmrn": ("000001234", "000001235", "000001236", ("1234",)),
}
# Which of the three values was seen, is held and is wanted (a dot is a blank), and what then has to be done.
TABLE = """
seen | held | new  | decision
s    | s    | n    | write
s    | n    | n    | already there
s    | o    | n    | conflict
s    | .    | n    | conflict
.    | .    | n    | write
.    | n    | n    | already there
.    | o    | n    | conflict
s    | s    | s    | already there
n    | s    | n    | conflict
s    | s    | .    | write
s    | .    | .    | already there
s    | o    | .    | conflict
.    | .    | .    | already there
.    | o    | .    | conflict
"""
ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()[1:]]


def decided(book, proposals, rows=(), records=None, **options):
    """The decisions about proposals, given the rows REDCap holds."""
    sifted, invalid = precheck(book, proposals)
    found = {RowKey(*keys): cells for keys, cells in rows}
    live = CurrentValues(found, frozenset(records or {place.record for place in found}), **options.pop("live", {}))
    done = [*decide(book, sifted, live, today=TODAY, **options), *invalid]
    return sorted(done, key=lambda item: item.proposal.number)


def proposal(field, seen, new, number=1, record="1", event="", instance="", batch="b"):
    return Proposal(number, batch, Cell(record, event, "", instance, field), seen, new)


@pytest.mark.parametrize("row", ROWS, ids=" ".join)
@pytest.mark.parametrize("field", VALUES)
def test_every_kind_of_field_by_what_was_seen_held_and_wanted(field, row):
    seen, new, other, _ = VALUES[field]
    values = {"s": seen, "n": new, "o": other, ".": ""}
    looked_at, held, wanted, expected = values[row[0]], values[row[1]], values[row[2]], row[3]
    (item,) = decided(classic(), [proposal(field, looked_at, wanted)], [(("1", "", "", ""), {field: held})])
    if field == "base_complete" and wanted == "":
        assert (item.decision, item.reason) == (INVALID, Reason.STATUS_BLANK)
    elif field == "base_complete" and held == "" and expected == "write":
        assert (item.decision, item.reason) == (INVALID, Reason.GRAY_STATUS)
    else:
        assert item.decision == expected
        assert item.reason is (Reason.CHANGED if expected == "conflict" else None)
        assert item.current == held


@pytest.mark.parametrize(
    ("seen", "held", "new", "expected"),
    [
        ("1", "1", "0", WRITE),
        ("0", "0", "1", WRITE),
        ("", "0", "1", WRITE),  # nobody had opened the form
        ("0", "", "1", WRITE),
        ("1", "0", "0", THERE),
        ("1", "", "0", THERE),
        ("1", "", "", THERE),
        ("1", "1", "", WRITE),
        ("0", "1", "0", CONFLICT),
        ("0", "1", "1", THERE),
    ],
)
def test_an_option_is_ticked_or_not_and_blank_is_not(seen, held, new, expected):
    (item,) = decided(classic(), [proposal("checkbox___1", seen, new)], [(("1", "", "", ""), {"checkbox___1": held})])
    assert item.decision is expected


@pytest.mark.parametrize(("field", "spelling"), [(f, s) for f, (*_, others) in VALUES.items() for s in others])
def test_another_spelling_of_the_value_seen_is_no_change(field, spelling):
    seen, new, _, _ = VALUES[field]
    rule = classic().rules[field]
    assert reconcile(rule, seen, spelling, new) is WRITE
    assert reconcile(rule, spelling, seen, new) is WRITE
    assert reconcile(rule, new, seen, spelling) is THERE


@pytest.mark.parametrize(("held", "new"), [("22", "22.0"), ("22.0", "22.00"), ("a ", "a"), ("A", "a")])
def test_what_only_looks_alike_is_another_value(held, new):
    field = "v_number" if held[0].isdigit() else "plain"
    rule = classic().rules[field]
    assert reconcile(rule, held, held, new) is WRITE
    assert reconcile(rule, new, held, "x") is CONFLICT


@pytest.mark.parametrize("field", ["calc", "calctext", "file", "signature", "descriptive", "readonly", "checkbox"])
def test_what_cannot_be_written_is_invalid_whatever_is_held(field):
    (item,) = decided(classic(), [proposal(field, "", "1")], [(("1", "", "", ""), {field: ""})])
    assert item.decision is INVALID


def test_a_record_that_redcap_lacks_is_refused_unless_new_ones_are_allowed():
    proposed = [proposal("plain", "", "x", record="9")]
    (refused,) = decided(classic(), proposed)
    assert (refused.decision, refused.reason) == (INVALID, Reason.UNKNOWN_RECORD)
    (allowed,) = decided(classic(), proposed, new_records=True)
    assert allowed.decision is WRITE
    (seen,) = decided(classic(), [proposal("plain", "old", "x", record="9")], new_records=True)
    assert seen.decision is CONFLICT


def test_an_instance_that_is_gone_is_not_made_again():
    rows = [(("1", "start_arm_1", "ae", "1"), {"ae_term": "cough"})]
    (item,) = decided(longitudinal(), [proposal("ae_term", "", "x", event="start_arm_1", instance="2")], rows)
    assert (item.decision, item.reason) == (INVALID, Reason.UNKNOWN_INSTANCE)


def test_new_instances_get_the_next_numbers_each_by_its_own_name():
    rows = [(("1", "start_arm_1", "ae", "3"), {"ae_term": "cough"})]
    where = {"event": "start_arm_1"}
    proposed = [
        proposal("ae_term", "", "a", 1, instance="new", **where),
        proposal("ae_tick___1", "", "1", 2, instance="new", **where),
        proposal("ae_term", "", "b", 3, instance="new-2", **where),
        proposal("ae_term", "", "c", 4, instance="new", batch="other", **where),
        proposal("ae_term", "", "d", 5, instance="new", record="2", **where),
        proposal("visit_note", "", "e", 6, instance="new", event="round_arm_1"),
    ]
    items = decided(longitudinal(), proposed, rows, records={"1", "2"})
    assert [item.key.instance for item in items] == ["4", "4", "5", "6", "1", "1"]
    assert {item.decision for item in items} == {WRITE}
    assert [item.key.repeat_instrument for item in items] == ["ae"] * 5 + [""]
    assert items[0].cell.instance == "4"


def test_a_field_the_token_may_not_see_cannot_be_compared():
    rows = [(("1", "", "", ""), {})]
    (item,) = decided(classic(), [proposal("plain", "", "x")], rows, live={"hidden": frozenset({"plain"})})
    assert (item.decision, item.reason) == (INVALID, Reason.HIDDEN)


def test_the_status_of_a_form_nobody_opened_is_written_only_beside_its_data():
    rows = [(("1", "", "", ""), {"base_complete": "", "plain": ""})]
    status, data = proposal("base_complete", "", "2", 1), proposal("plain", "", "x", 2)
    assert [item.reason for item in decided(classic(), [status], rows)] == [Reason.GRAY_STATUS]
    assert [item.decision for item in decided(classic(), [status, data], rows)] == [WRITE, WRITE]
    refused = replace(data, cell=replace(data.cell, field="readonly"))
    assert decided(classic(), [status, refused], rows)[0].reason is Reason.GRAY_STATUS
    opened = [(("1", "", "", ""), {"base_complete": "0"})]
    assert decided(classic(), [replace(status, seen="0")], opened)[0].decision is WRITE


def test_the_secondary_unique_value_of_another_record_is_not_taken():
    book = replace(classic(), secondary_unique="plain")
    rows = [
        (("1", "", "", ""), {"plain": "a"}),
        (("2", "", "", ""), {"plain": "b"}),
        (("3", "", "", ""), {"plain": ""}),
    ]
    taken = {"taken": {"b": frozenset({"2"})}}
    proposed = [
        proposal("plain", "a", "b", 1, record="1"),  # record 2 has it
        proposal("plain", "b", "c", 2, record="2"),  # two want it
        proposal("plain", "", "c", 3, record="3"),
    ]
    assert [item.reason for item in decided(book, proposed, rows, live=taken)] == [Reason.TAKEN] * 3
    (own,) = decided(book, [proposal("plain", "a", "z", record="1")], rows, live=taken)
    assert own.decision is WRITE


def test_of_proposals_for_the_same_cell_the_first_counts_and_contradictions_do_not():
    rows = [(("1", "", "", ""), {"plain": "a", "notes": "a"})]
    same = [proposal("plain", "a", "x", 1), proposal("plain", "a", "x", 2)]
    assert [item.reason for item in decided(classic(), same, rows)] == [None, Reason.TWICE]
    unlike = [proposal("notes", "a", "x", 1), proposal("notes", "a", "y", 2)]
    assert [item.reason for item in decided(classic(), unlike, rows)] == [Reason.CONTRADICTION] * 2


def test_what_is_kept_of_a_decision_is_its_reason_and_its_warning():
    rows = [(("1", "", "", ""), {"plain": "a", "v_integer": "5"})]
    book = classic()
    integer = replace(book.rules["v_integer"].field, text_validation_max="10")
    book = replace(book, rules={**book.rules, "v_integer": replace(book.rules["v_integer"], field=integer)})
    items = decided(
        book,
        [proposal("plain", "b", "c", 1), proposal("calc", "", "1", 2), proposal("v_integer", "5", "11", 3)],
        rows,
    )
    assert [(item.decision_row.number, item.decision_row.reason, item.decision_row.warning) for item in items] == [
        (1, "REDCap holds another value than was seen", ""),
        (2, "calculated by REDCap", ""),
        (3, "", "above the field's maximum"),
    ]


def test_counts_tell_reasons_and_no_values():
    rows = [(("1", "", "", ""), {"plain": "secret-held", "v_integer": "5"})]
    items = decided(
        classic(), [proposal("plain", "secret-seen", "secret-new", 1), proposal("calc", "", "secret-calc", 2)], rows
    )
    told = counts(items)
    assert (told.write, told.conflict, told.invalid, told.total) == (0, 1, 1, 2)
    assert told.reasons == {"REDCap holds another value than was seen": 1, "calculated by REDCap": 1}
    assert "secret" not in f"{told} {items}"
