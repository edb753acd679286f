"""Date range, log and census agree: whatever is done to a project, each fits what exports then hold.

Every step happens in a minute of its own, so that the minutes of the log separate the steps. After each:

- A record whose exported cells differ, or that is new, is in the date range of that minute; no other record is.
- The log of that minute has rows for exactly the records that changed, appeared, vanished, moved or were renamed.
- A record that a delete row names is not in the census; one that a rename row names is.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from redcap_source.simulator import Behaviour, Simulator, SimulatorError
from redcap_source.simulator.api import router
from redcap_source.simulator.wire.parameters import Parameters, Upload
from tests.simulator.grids import classic, repeating

IDS = ["1", "2", "3", "b 4"]
PLACES = [("start_arm_1", "basics", 1), *[("start_arm_1", "visit", n) for n in (1, 2, 3)],
          *[("later_arm_1", "visit", n) for n in (1, 2)]]  # fmt: skip
CELLS = {
    "basics": {"name": ["", "Ada", "Bo"], "age": ["", "5", "6"], "race___1": ["0", "1"], "kg": ["", "2.0", "3.5"]},
    "visit": {"seen": ["", "0", "1"], "note": ["", "x", "it's\ntwo"], "visit_complete": ["0", "1", "2"]},
}


@dataclass
class Story:
    """A project, and what can be asked of it in the present minute."""

    longitudinal: bool
    behaviour: Behaviour = field(default_factory=Behaviour)

    def __post_init__(self) -> None:
        self.simulator = Simulator(clock=lambda: datetime(2024, 7, 1, tzinfo=UTC), behaviour=self.behaviour)
        project = repeating() if self.longitudinal else classic({"id": "1", "name": "Ada"}, {"id": "2"})
        project.surveys = {"visit"}
        project.settings["is_longitudinal"] = int(self.longitudinal)
        self.handle = self.simulator.add_project(project, name="p")
        self.handle.add_dag("site_a")
        self.handle.add_randomization(1, "sex", ["1", "2"] * 50)

    def ask(self, *pairs: tuple[str, str], file: bytes | None = None) -> str:
        uploads = {"file": Upload("a.txt", file)} if file is not None else {}
        answer = router.answer(self.simulator._site, Parameters([("token", self.handle.token), *pairs], uploads))
        return (answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)).decode()

    def exported(self, *pairs: tuple[str, str]) -> dict[str, list[tuple[str, ...]]]:
        """Each record's rows: flat for what people see, EAV because there a file is its number, not its name."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for kind in ("flat", "eav"):
            asked = (("content", "record"), ("format", "csv"), ("type", kind), ("exportSurveyFields", "true"))
            for row in list(csv.reader(io.StringIO(self.ask(*asked, *pairs).strip("\n"), newline="")))[1:]:
                found.setdefault(row[0], []).append(tuple(row))
        return found

    def in_range(self) -> set[str]:
        now = self.simulator.clock.local()
        return set(self.exported(("dateRangeBegin", now), ("dateRangeEnd", f"{now[:-2]}59")))

    def log(self, logtype: str = "record") -> list[dict[str, str]]:
        minute = self.simulator.clock.local()[:16]
        pairs = [
            ("content", "log"),
            ("format", "json"),
            ("logtype", logtype),
            ("beginTime", minute),
            ("endTime", minute),
        ]
        return json.loads(self.ask(*pairs))

    def groups(self) -> dict[str, str]:
        return {record.id: record.group for record in self.handle.project.records}


Step = tuple[str, Callable[[Story], object]]


@st.composite
def steps(draw, longitudinal: bool) -> Step:
    record, other = draw(st.sampled_from(IDS)), draw(st.sampled_from(IDS))
    event, form, instance = draw(st.sampled_from(PLACES))
    chosen = draw(st.sets(st.sampled_from(sorted(CELLS[form])), min_size=1))
    values = {name: draw(st.sampled_from(CELLS[form][name])) for name in sorted(chosen)}
    place = {"event": event, "instance": instance} if longitudinal else {}
    row = {"id": record, **values}
    if longitudinal:
        row["redcap_event_name"] = event
        if form == "visit":
            row |= {"redcap_repeat_instrument": "" if event == "later_arm_1" else form}
            row |= {"redcap_repeat_instance": str(instance)}
    mode = draw(st.sampled_from(["normal", "overwrite"]))
    pairs = [("record", record), ("field", "scan"), ("event", "start_arm_1")]
    kinds: dict[str, Callable[[Story], object]] = {
        "save": lambda s: s.handle.save(record, values, instrument=form, **place),
        "respond": lambda s: s.handle.respond(record, "visit", {"seen": "1"}, **(place if form == "visit" else {})),
        "import": lambda s: s.ask(("content", "record"), ("format", "json"), ("overwriteBehavior", mode),
                                  ("data", json.dumps([row]))),
        "import as it is": lambda s: s.ask(("content", "record"), ("format", "csv"), ("overwriteBehavior", mode),
                                           ("data", s.ask(("content", "record"), ("format", "csv"),
                                                          ("exportBlankForGrayFormStatus", "true")))),
        "delete": lambda s: s.handle.delete(record),
        "delete by request": lambda s: s.ask(("content", "record"), ("action", "delete"), ("records[0]", record)),
        "rename": lambda s: s.handle.rename(record, other),
        "wipe form": lambda s: s.handle.wipe(record, form, **place),
        "wipe event": lambda s: s.handle.wipe(record, None, **({"event": event} if longitudinal else {})),
        "move": lambda s: s.handle.assign_dag(record, draw_group),
        "upload": lambda s: s.ask(("content", "file"), ("action", "import"), *pairs, file=b"x"),
        "remove file": lambda s: s.ask(("content", "file"), ("action", "delete"), *pairs),
        "randomize": lambda s: s.ask(("content", "record"), ("action", "randomize"), ("record", record),
                                     ("randomization_id", "1")),
        "lock": lambda s: s.handle.lock_record(record),
        "unlock": lambda s: s.handle.unlock_record(record),
    }  # fmt: skip
    draw_group = draw(st.sampled_from(["", "site_a"]))
    kind = draw(st.sampled_from(sorted(kinds)))
    return f"{kind} {row}", kinds[kind]


def exported_changes(story: Story, step: Step) -> tuple[set[str], set[str], set[str], set[str]]:
    """What a step did, by the exports alone: records changed or new, removed, moved; and the census after it."""
    before, groups = story.exported(), story.groups()
    # A step without a record to act on does nothing.
    with contextlib.suppress(SimulatorError):
        step[1](story)
    after = story.exported()
    changed = {record for record, rows in after.items() if before.get(record) != rows}
    moved = {record for record, group in story.groups().items() if groups.get(record, "") != group}
    return changed, set(before) - set(after), moved, set(after)


def check(story: Story, step: Step) -> None:
    story.simulator.clock.advance(minutes=1)
    changed, gone, moved, census = exported_changes(story, step)
    rows = [row for row in story.log() if not row["action"].startswith("Randomize")]
    renamed = {row["record"] for row in rows if row["details"] == f"id = '{row['record']}'"
               and row["action"].startswith("Update record") and gone}  # fmt: skip
    assert census == set(story.handle.records())
    assert {row["record"] for row in rows} == (changed | gone | moved) - (gone if renamed else set())
    assert story.in_range() == changed - renamed
    for row in story.log("record_delete"):
        assert row["record"] in gone
    assert renamed <= census
    for record in changed - renamed:
        details = " ".join(row["details"] for row in rows if row["record"] == record)
        assert "=" in details


def look(examples: int) -> settings:
    """Hypothesis's settings for so many stories."""
    return settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@look(35)
@given(st.data())
def test_the_three_views_agree_after_every_step(data):
    story = Story(data.draw(st.booleans(), label="longitudinal"))
    for _ in range(data.draw(st.integers(1, 12))):
        check(story, data.draw(steps(story.longitudinal)))


@pytest.mark.fuzz
@look(int(os.environ.get("FUZZ_EXAMPLES", "80")))
@given(st.data())
def test_the_three_views_agree_at_length(data):
    test_the_three_views_agree_after_every_step.hypothesis.inner_test(data)


@pytest.mark.parametrize("longitudinal", [True, False])
def test_sending_back_what_was_exported_is_no_event_at_all(longitudinal):
    story = Story(longitudinal)
    exported = story.ask(("content", "record"), ("format", "csv"), ("exportBlankForGrayFormStatus", "true"))
    story.simulator.clock.advance(minutes=1)
    answer = story.ask(("content", "record"), ("format", "csv"), ("returnFormat", "json"), ("data", exported),
                       ("overwriteBehavior", "overwrite"))  # fmt: skip
    assert (answer, story.log(), story.in_range()) == ('{"count":2}', [], set())


@pytest.mark.parametrize(("switch", "found"), [(False, set()), (True, {"1"})])
def test_renames_and_moves_are_in_the_date_range_only_where_a_server_has_them(switch, found):
    story = Story(True, Behaviour(date_range_sees_renames=switch, date_range_sees_dag_moves=switch))
    story.simulator.clock.advance(minutes=1)
    story.handle.assign_dag("1", "")
    assert story.in_range() == found
    story.simulator.clock.advance(minutes=1)
    story.handle.rename("2", "9")
    assert story.in_range() == ({"9"} if switch else set())


def test_a_rename_in_one_arm_leaves_the_log_of_the_other_behind():
    story = Story(True)
    project = story.handle.project
    project.arms, project.events[1] = {1: "Arm 1", 2: "Arm 2"}, type(project.events[1])(2, "Later", 2, "later_arm_2")
    story.simulator.clock.advance(minutes=1)
    story.handle.save("1", {"name": "Eve"}, event="start_arm_1")
    story.handle.save("1", {"note": "y"}, event="later_arm_2", instance=1)
    pairs = [("record", "1"), ("new_record_name", "9"), ("arm", "2")]
    assert story.ask(("content", "record"), ("action", "rename"), *pairs) == "1"
    assert set(story.exported()) == {"1", "2", "9"}
    assert story.in_range() == {"1", "9"}
    assert {row["record"] for row in story.log()} == {"1", "9"}
