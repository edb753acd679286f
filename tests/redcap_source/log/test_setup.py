"""Which rows of the log may be about the project's setup: all that are not known to be about something else."""

import pytest

from redcap_source.log.setup import is_setup_read, may_change_setup
from redcap_source.model import LogRow

# Texts of the public test suite redcap_rsvc, of PHPCap's and PyCap's suites, and of the public R packages that list
# the log's texts; `REDCAP_API.md` has those that were observed over the API.
CHANGES = [
    ("Manage/Design", "Create project field field_name = 'x'"),
    ("Manage/Design ", "Edit project field"),
    ("Manage/Design", "Delete project field"),
    ("Manage/Design", "Reorder project fields"),
    ("Manage/Design", "Upload data dictionary"),
    ("Manage/Design ", "Upload data dictionary (API)"),
    ("Manage/Design", "Download instrument from Shared Library"),
    ("Manage/Design", "Rename data collection instrument"),
    ("Manage/Design", "Perform instrument-event mappings"),
    ("Manage/Design ", "Import instrument-event mappings (API)"),
    ("Manage/Design", "Set up repeating instruments/events"),
    ("Manage/Design", "Edit arm name/number"),
    ("Manage/Design", "Create event"),
    ("Manage/Design", "Delete event"),
    ("Manage/Design", "Make project customizations"),
    ("Manage/Design", "Modify project settings"),
    ("Manage/Design", "Set up survey"),
    ("Manage/Design", "Approve production project modifications (automatic)"),
    ("Manage/Design", "Move project to Production status"),
    ("Manage/Design", "Erase all data"),
    ("Manage/Design", "Create data access group"),
    ("Manage/Design", "Assign user to data access group"),
    ("Manage/Design ", "Switch DAG (API)"),
    ("Manage/Design ", "Import User-DAG assignments (API)"),
    ("Manage/Design ", "Delete arms (API)"),
    ("Manage/Design", "Upload users (CSV)"),
    ("Manage/Design", "Something of a later version"),
    ("Manage/Design", ""),
    ("Manage/Design", "Create project field Export fields (API)"),
    ("Manage/Design", "Export settings = 'x' (API)"),
    ("Manage/Design", "Edit report\nExport reports (API)"),
    ("Add user jo", "user = 'jo'"),
    ("Edit user jo", "user = 'jo'"),
    ("Delete user jo", "user = 'jo'"),
    ("Update user", "test_user3"),
    ("Edit user role", "role = 'api'"),
    ("User assigned to role", "user = 'jo'"),
    ("Create user role", "role = 'api'"),
    ("Updated User jo", "user = 'jo'"),
    ("Edited Role", "role = 'api'"),
    ('Enable external module "x_v1" for project', ""),
    ("Beheer/Ontwerp", "Export users (API)"),
    ("Enregistrement modifié 7", "age = '5'"),
    ("", ""),
]
HARMLESS = [
    ("Manage/Design", "Export Logging (API)"),
    ("Manage/Design ", "Export instruments (API) "),
    ("Manage/Design ", "Export instrument-event mappings (API)"),
    ("Manage/Design ", "Export User-DAG assignments (API)"),
    ("Manage/Design ", "Export REDCap version (API)"),
    ("Manage/Design", "Export users (API)\nproject_id = 16"),
    ("Manage/Design ", "Download data dictionary (API)"),
    ("Manage/Design", 'Add field comment (Record: 1, Event: Event 1 (Arm 1: Arm 1), Field: x, Comment: "New")'),
    ("Manage/Design", 'Open data query (Record: 1, Event: Event 1 (Arm 1: Arm 1), Field: x, Comment: "Why")'),
    ("Data Export (API) ", "export_format: CSV"),
    ("Data Export", ""),
    ("Download uploaded document (API) ", "scan"),
    ("Page View", "https://redcap.example.edu/Design/online_designer.php"),
    ("Create record (API) 7", "record_id = '7'"),
    ("Update record 7 (Event 1 (Arm 1: Arm 1))", "age = '5'"),
    ("Update record (import)(Auto calculation) 7", "bmi = '22'"),
    ("Update Response 7", "mood = '2'"),
    ("Delete record 7", "record_id = '7'"),
    ("Updated Record 7", "age = '5'"),
    ("Update record 7", "Manage/Design Create project field"),
    ("Lock/Unlock Record 7", "Action: Lock entire record"),
    ("E-signature 7", "Action: Save e-signature"),
    ("Randomize Record 7", "Randomize record"),
    ("Save PDF Snapshot 7", ""),
]


def row(action, details="", record=None):
    return LogRow(timestamp="2024-03-05 10:44", username="nurse", action=action, details=details, record=record)


@pytest.mark.parametrize(("action", "details"), CHANGES)
def test_whatever_is_not_known_to_be_harmless_may_be_a_change_of_the_setup(action, details):
    assert may_change_setup(row(action, details))
    # An action on a record names it in another column, where the server has one; that alone makes nothing harmless.
    assert may_change_setup(row(action, details, record="7"))


@pytest.mark.parametrize(("action", "details"), HARMLESS)
def test_data_entry_exports_and_requests_that_read_are_no_change_of_the_setup(action, details):
    assert not may_change_setup(row(action, details))


def test_requests_of_loads_that_read_the_setup_are_recognised():
    assert is_setup_read(row("Manage/Design ", "Export project information (API)"))
    assert not is_setup_read(row("Manage/Design ", "Import project settings (API)"))
    assert not is_setup_read(row("Manage/Design", "Export something"))
    assert not is_setup_read(row("Data Export (API) ", "Export project information (API)"))
