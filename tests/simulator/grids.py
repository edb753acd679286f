"""Small projects written as grids, for tests that show their data."""

from redcap_source.simulator.state.design import Event
from redcap_source.simulator.state.project import Group, Project
from redcap_source.simulator.state.records import Record, RecordStore
from redcap_source.simulator.studies.grid import dictionary_from

GRID = """
# basics ~ Basics
id ~ text ~ ~ Study ID
name ~ text ~ ~ Name ~ ~ id
age ~ text ~ integer ~ Age
born ~ text ~ date_dmy ~ Born
sex ~ radio ~ ~ Sex ~ 1, Female | 2, Male
race ~ checkbox ~ ~ Race ~ 1, One | -4, Minus four | Aa, Letters
kg ~ text ~ number_1dp ~ Weight
twice ~ calc ~ ~ Twice the weight ~ [kg] * 2
scan ~ file ~ ~ Scan

# visit ~ Visit
seen ~ yesno ~ ~ Seen
note ~ notes ~ ~ Note
"""


def classic(*rows: dict[str, str]) -> Project:
    """A classic project; each row is a record."""
    project = Project(dictionary=dictionary_from(GRID))
    slot = (project.events[0].event_id, "", 0)
    project.records = RecordStore(
        Record(row["id"], {slot: {k: v for k, v in row.items() if k != "id"}}) for row in rows
    )
    return project


def repeating() -> Project:
    """Two events; visits repeat at the first, the second event repeats as a whole."""
    project = Project(dictionary=dictionary_from(GRID))
    project.settings["is_longitudinal"] = 1
    project.events = [Event(1, "Start", 1, "start_arm_1"), Event(2, "Later", 1, "later_arm_1")]
    project.mapping = {1: ("basics", "visit"), 2: ("visit",)}
    project.repeating_forms = {(1, "visit"): ""}
    project.repeating_events = {2}
    project.groups = {"site_a": Group(7, "Site A", "site_a")}
    project.records = RecordStore(
        [
            Record(
                "1",
                {
                    (1, "", 0): {"name": "Ada", "sex": "1", "basics_complete": "2"},
                    (1, "visit", 1): {"seen": "1", "visit_complete": "0"},
                    (1, "visit", 2): {"seen": "0", "visit_complete": "2"},
                    (2, "", 1): {"note": "x", "visit_complete": "0"},
                },
                "site_a",
            ),
            Record("2", {(1, "", 0): {"name": "Bram", "basics_complete": "0"}}),
        ]
    )
    return project
