"""The log, read: no changed record is missed, whatever the version's wording and whatever the values contain."""

import csv
from datetime import datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from redcap_source import RedcapClient, Token
from redcap_source.log import changes
from redcap_source.log.changes import ChangeKind, RecordChange
from redcap_source.model import LogRow
from redcap_source.simulator import Behaviour, Simulator, make_study

LATE = "2024-03-05 10:44"


def row(action, details="", record=None, *, at=LATE, username="nurse"):
    return LogRow(timestamp=at, username=username, action=action, details=details, record=record)


def read(*entries, known=None) -> tuple[RecordChange, ...]:
    return changes.record_changes(entries, record_id_field="record_id", known=known)


def ids(*entries) -> set[str]:
    return set(changes.changed_records(read(*entries)))


# --- What happened --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "details", "what"),
    [
        ("Create record (API) 7", "record_id = '7', age = '5'", ChangeKind.SAVED),
        ("Create record 7", "record_id = '7'", ChangeKind.SAVED),
        ("Update record 7", "age = ''", ChangeKind.SAVED),
        ("Update record (import)(Auto calculation) 7", "bmi = '22'", ChangeKind.SAVED),
        ("UPDATE RECORD (api) (AUTO CALCULATION) 7", "bmi = '22'", ChangeKind.SAVED),
        ("Update Response 7", "mood = '2'", ChangeKind.SAVED),
        ("Create Response [7]", "mood = '2'", ChangeKind.SAVED),
        ("Created Record 7", "record_id = '7'", ChangeKind.SAVED),
        ("Updated Record (API) 7", "age = '6'", ChangeKind.SAVED),
        ("Uploaded Document 7", "scan = '12'", ChangeKind.SAVED),
        ("Deleted Document 7", "scan = ''", ChangeKind.SAVED),
        ("Delete record 7", "record_id = '7'", ChangeKind.DELETED),
        ("Deleted Record (API) 7", "record_id = '7'", ChangeKind.DELETED),
        ("Update record 7", "record_id = '7'", ChangeKind.RENAMED),
        ("Update record (API) 7", "record_id = '7'", ChangeKind.RENAMED),
        ("Update record 7", "record_id = '7', age = '5'", ChangeKind.SAVED),
        ("Update record 7", "record_id = '7', cb(1) = checked", ChangeKind.SAVED),
        (
            "Update record (import) 7",
            "Assign record to Data Access Group (redcap_data_access_group = 'north')",
            ChangeKind.GROUP,
        ),
        (
            "Update record 7",
            "Remove record from Data Access Group (redcap_data_access_group = '')",
            ChangeKind.GROUP,
        ),
        (
            "Update record 7",
            "note = 'Assign record to Data Access Group (redcap_data_access_group = '",
            ChangeKind.SAVED,
        ),
        ("Randomize Record 7", "Randomize record", ChangeKind.RANDOMIZED),
    ],
)
def test_what_happened_to_a_record_with_and_without_the_records_column(action, details, what):
    for record in ("7", "", None):
        [change] = [change for change in read(row(action, details, record)) if change.record == "7"]
        assert change.kind is what
        assert changes.changed_records([change]) == {"7"}
        assert changes.is_understood(row(action))


@pytest.mark.parametrize(
    ("action", "details", "what"),
    [
        ("Lock/Unlock Record 7", "Action: Lock instrument Record: 7 Form: Visit", ChangeKind.LOCKED),
        ("E-signature 7", "Action: Save e-signature Record: 7", ChangeKind.LOCKED),
        ("Save PDF Snapshot 7", "Save PDF snapshot to the file repository", ChangeKind.SNAPSHOT),
        ("e-Consent Certification 7", "a certification", ChangeKind.SNAPSHOT),
    ],
)
def test_rows_about_a_record_that_leave_its_data_alone(action, details, what):
    [change] = read(row(action, details, "7"))
    assert (change.record, change.kind) == ("7", what)
    assert ids(row(action, details, "7")) == set()


def test_a_snapshot_written_into_a_field_is_data():
    assert ids(row("Save PDF Snapshot 7", "consent_pdf = '12'", "7")) == {"7"}


@pytest.mark.parametrize(
    "action",
    [
        "Data Export",
        "Data export (API) ",
        "Manage/Design ",
        "Page View",
        "Download uploaded document (API) ",
        "Add user x",
        "Edit user role",
        "Edit user x",
        "Delete user x",
        "Created User x",
        "Updated User x",
        "Deleted User x",
        "Created Role",
        "Edited Role",
        "Deleted Role ",
    ],
)
def test_rows_that_change_no_record_even_if_they_name_one(action):
    for record in ("7", "", None):
        assert read(row(action, "record_id = '7'", record)) == ()
        assert changes.unparsed([row(action, "", record)], record_id_field="record_id") == 0
    assert changes.is_understood(row(action))


def test_unknown_words_about_a_record_count_as_a_change():
    entry = row("Datensatz aktualisieren 7", "age = '5'", "7")
    assert not changes.is_understood(entry)
    assert [change.kind for change in read(entry)] == [ChangeKind.SAVED]
    assert ids(entry) == {"7"}


def test_rows_that_cannot_be_read_are_counted():
    def count(entry):
        return changes.unparsed([entry], record_id_field="record_id")

    assert count(row("Datensatz aktualisieren 7", "age = '5'", None)) == 1
    assert count(row("Datensatz aktualisieren 7", "age = '5'", "7")) == 0
    assert count(row("Datenexport (API)", "", "")) == 0
    assert count(row("Create Response", "mood = '1'", "")) == 1
    assert count(row("Create Response", "record_id = '7', mood = '1'", "")) == 0
    assert count(row("Update record 7", "age = '5'", None)) == 0
    assert ids(row("Create Response", "record_id = '7', mood = '1'", "")) == {"7"}


# --- Which record ---------------------------------------------------------------------------------------------


def test_the_records_column_gives_the_id_and_so_the_event():
    entry = row("Update record (API) Ann (2) (Week (2) (Arm 1: Drug A))", "age = '5'", "Ann (2)")
    [change] = read(entry)
    assert (change.record, change.event_label, change.guessed) == ("Ann (2)", "Week (2) (Arm 1: Drug A)", False)
    [classic] = read(row("Update record Ann (2)", "age = '5'", "Ann (2)"))
    assert classic.event_label is None


def test_without_that_column_every_reading_of_the_action_is_a_candidate():
    found = read(row("Updated Record Ann (2) (Week 2 (Arm 1: Drug A))", "age = '5'"))
    assert {"Ann (2)", "Ann", "Ann (2) (Week 2 (Arm 1: Drug A))"} <= {change.record for change in found}
    assert all(change.guessed for change in found)
    [plain] = read(row("Updated Record 100-12 b", "age = '5'"))
    assert (plain.record, plain.guessed) == ("100-12 b", False)


def test_details_that_name_the_id_settle_it():
    [change] = read(row("Created Record Ann (2) (Week 2 (Arm 1: Drug A))", "record_id = 'Ann (2)', age = '5'"))
    assert (change.record, change.event_label, change.guessed) == ("Ann (2)", "Week 2 (Arm 1: Drug A)", False)


def test_an_unknown_way_of_changing_a_record_hides_no_id():
    assert "12" in ids(row("Update record (CDP) 12", "age = '5'"))
    assert "12" in ids(row("Update record (CDP) 12 (Week 2)", "age = '5'"))
    assert ids(row("Update record (CDP) 12", "age = '5'", "12")) == {"12"}


# --- When, who, which fields ----------------------------------------------------------------------------------


def test_when_and_who():
    [change] = read(row("Update record 7", "age = '5'", "7", at="2024-10-11 10:06:41", username="ann"))
    assert (change.at, change.username) == (datetime(2024, 10, 11, 10, 6), "ann")
    [change] = read(row("Update record 7", "age = '5'", "7", at="soon"))
    assert change.at is None


@pytest.mark.parametrize(
    ("details", "columns", "instance"),
    [
        ("age = '5', cb(1) = checked, cb(-9) = unchecked", ("age", "cb___1", "cb____9"), None),
        ("[instance = 2], sbp = '120', dbp = ''", ("sbp", "dbp"), 2),
        ("[instance = 11]", (), 11),
        ("note = 'it's, well, 'fine'', age = '5'", ("note", "age"), None),
        ("age = '5', age = '6'", ("age",), None),
        ("note = 'see, 1x = '5', Age = '5'", ("note",), None),
        ("note = 'a'   , box(a) = maybe, cb(Ab.c) = checked", ("note", "cb___ab_c"), None),
        ("note = '[instance = 2], age'", ("note",), None),
        ("", (), None),
        ("Assign record to Data Access Group (redcap_data_access_group = 'a')", ("redcap_data_access_group",), None),
    ],
)
def test_the_columns_named(details, columns, instance):
    [change] = read(row("Update record 7", details, "7"))
    assert (change.columns, change.instance, change.columns_cut) == (columns, instance, False)


def test_the_projects_own_columns_sort_out_what_only_looks_like_one():
    details = "note = 'then, dose = '5', cb(1) = checked"
    assert read(row("Update record 7", details, "7"))[0].columns == ("note", "dose", "cb___1")
    [change] = read(row("Update record 7", details, "7"), known={"note", "cb___1"})
    assert change.columns == ("note", "cb___1")


def test_details_that_are_cut_or_removed_say_so():
    long = ", ".join(f"field_{number} = 'ä'" for number in range(4_000)).encode()[:65_535].decode("utf-8", "ignore")
    [change] = read(row("Update record 7", long, "7"))
    assert change.columns_cut
    assert change.columns[:2] == ("field_0", "field_1")
    assert read(row("Update record 7", "[*DATA REMOVED*]", "7"))[0].columns_cut


def test_nothing_of_a_participant_is_in_the_repr():
    [change] = read(row("Update record Ann-Canary", "note = 'secret-canary'", "Ann-Canary"))
    assert "canary" not in repr(change).lower()


# --- Whatever the values and ids ------------------------------------------------------------------------------


ANYTHING = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "', record_id = '9",
            "it's, a = 'b'",
            "a\nb, c = 'd'",
            "), cb(1) = checked",
            "[instance = 3], x = '",
            "Assign record to Data Access Group (redcap_data_access_group = 'a')",
            "Manage/Design",
            "(API)",
        ]
    ),
)
ACTIONS = st.tuples(
    st.sampled_from(["Create record", "Update record", "Delete record", "Created Record", "Updated Record",
                     "Deleted Record", "Create Response", "Update Response"]),
    st.lists(st.sampled_from([" (API)", " (import)", "(Auto calculation)", " (Auto calculation)"]), max_size=2),
)  # fmt: skip
DETAILS = st.tuples(
    st.sampled_from(["", "[instance = 2], "]),
    st.dictionaries(st.sampled_from(["record_id", "age", "note", "visit_complete"]), ANYTHING, max_size=4),
)
EVENTS = st.sampled_from(["", " (Event 1 (Arm 1: Arm 1))", " (Week (2) :) (Arm 2: b))"])


def details_of(prefix_and_values):
    prefix, values = prefix_and_values
    return prefix + ", ".join(f"{name} = '{value}'" for name, value in values.items())


@settings(deadline=None, database=None)
@given(st.text(min_size=1, max_size=30), ACTIONS, EVENTS, DETAILS)
def test_no_id_and_no_value_hides_the_record_of_a_row(record, words, event, values):
    action = f"{words[0]}{''.join(words[1])} {record}{event}"
    assert ids(row(action, details_of(values), record)) == {record}


@settings(deadline=None, database=None)
@given(st.text(min_size=1, max_size=30), st.text(max_size=40), DETAILS)
def test_nor_do_words_nobody_has_seen_before(record, action, values):
    entry = row(f"Ändere {action}", details_of(values), record)
    assert ids(entry) == {record}


@settings(deadline=None, database=None)
@given(st.text(min_size=1, max_size=30), ACTIONS, EVENTS, DETAILS)
def test_without_the_records_column_the_right_id_is_among_the_candidates(record, words, event, values):
    # REDCap trims ids; one that is itself spelt like `(API)` cannot be told.
    assume(record == record.strip() and not record.startswith("(") and not record.startswith("["))
    details = details_of(values)
    # Details that name another id than their own row are nothing REDCap writes.
    assume("record_id" not in details)
    action = f"{words[0]}{''.join(words[1])} {record}{event}"
    assert record in ids(row(action, details))
    assert record in ids(row(action, f"record_id = '{record}', {details}"))


@settings(deadline=None, database=None)
@given(st.text(max_size=200), st.text(max_size=200), st.one_of(st.none(), st.text(max_size=10)), st.text(max_size=20))
def test_every_log_can_be_read(action, details, record, at):
    entry = row(action, details, record, at=at)
    for change in read(entry):
        assert change.record
    changes.unparsed([entry], record_id_field="record_id")


# --- Against the simulator ------------------------------------------------------------------------------------


@pytest.fixture(params=[True, False], ids=["record column", "no record column"])
def study(request):
    with Simulator(behaviour=Behaviour(log_has_record=request.param)) as simulator:
        project = simulator.add_project(make_study("longitudinal", records=6), name="trial")
        simulator.clock.advance(minutes=5)
        with RedcapClient(simulator.url, Token(project.token), project="trial") as client:
            yield simulator, project, client


def test_the_log_of_a_server_names_exactly_the_records_that_changed(study):
    simulator, project, client = study
    fields = client.data_dictionary()
    id_field = fields[0].field_name
    begin = simulator.clock.local()[:16]
    edited, gone, renamed, moved, locked, not_applied = client.record_ids(id_field)
    text = next(f for f in fields[1:] if f.field_type == "text" and not f.text_validation_type_or_show_slider_number)
    project.save(edited, {text.field_name: "it's (new), age = 'x'"})
    project.rename(renamed, "Ann (2)")
    project.delete(gone)
    project.assign_dag(moved, "a_new_site")
    project.lock_record(locked)
    client.record_ids(id_field)

    entries = client.log(begin=begin)
    found = changes.record_changes(entries, record_id_field=id_field)
    assert {
        (edited, ChangeKind.SAVED),
        (gone, ChangeKind.DELETED),
        ("Ann (2)", ChangeKind.RENAMED),
        (moved, ChangeKind.GROUP),
        (locked, ChangeKind.LOCKED),
    } <= {(change.record, change.kind) for change in found}
    assert any(text.field_name in change.columns for change in found)
    changed = changes.changed_records(found)
    assert {edited, gone, "Ann (2)", moved} <= changed
    assert not {locked, not_applied} & changed
    if entries[0].record is not None:
        assert changed == {edited, gone, "Ann (2)", moved}
        assert {change.event_label for change in found if change.kind is ChangeKind.SAVED} == {
            project.project.event_label(project.project.events_in_order()[0])
        }
    assert all(changes.is_understood(entry) for entry in entries)
    assert changes.unparsed(entries, record_id_field=id_field) == 0


# --- What real servers have logged ----------------------------------------------------------------------------


def logged(path) -> list[LogRow]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [LogRow.from_row(values) for values in csv.DictReader(file)]


@pytest.mark.recorded
def test_a_log_of_reading_only_yields_no_record(recorded):
    entries = logged(recorded / "redcapsync-test-redcapr-simple" / "log.csv")
    assert len(entries) == 2_601
    assert read(*entries) == ()
    assert changes.unparsed(entries, record_id_field="record_id") == 0


@pytest.mark.recorded
def test_a_log_with_five_imports_yields_five_records(recorded):
    entries = logged(recorded / "redcapr-simple" / "responses" / "log-read__2024-10-11.csv")
    found = read(*entries)
    assert changes.changed_records(found) == {"1", "2", "3", "4", "5"}
    assert {change.columns for change in found} == {("mugshot",), ("comments", "mugshot")}
    assert {change.at for change in found} == {datetime(2024, 10, 11, 10, 6)}
    without = [LogRow(timestamp=entry.timestamp, action=entry.action, details=entry.details) for entry in entries]
    assert changes.changed_records(read(*without)) == {"1", "2", "3", "4", "5"}


@pytest.mark.recorded
def test_every_recorded_action_is_understood(recorded):
    paths = sorted({*recorded.rglob("log.csv"), *recorded.rglob("log-read*.csv")})
    entries = [entry for path in paths for entry in logged(path)]
    assert len(entries) > 2_600
    assert [entry.action for entry in entries if not changes.is_understood(entry)] == []
