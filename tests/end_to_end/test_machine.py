"""Whatever people, clocks, rights and faults do between nights: after a good night the warehouse tells the truth.

A machine draws edits of every kind, through the screen and the API, and nights among them: undisturbed ones, ones
with a fault at some request, ones with an edit in their middle. After each good night the published tables are
compared with a fresh export, `record_changes` is replayed from nothing, and the history is asked for every night
before. `make test` looks for a few seconds; `FUZZ_EXAMPLES=2000 pytest tests/end_to_end -m fuzz` looks for hours.
"""

import os
import tempfile
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pipelines.errors import LoadRefused
from redcap_source.simulator import Behaviour, Simulator
from tests.support.edits import KINDS, People, small_study
from tests.support.lake import new_store
from tests.support.place import NAME, Clocks, Place, check_names, check_renames
from tests.support.warehouse_oracle import Disagreement

ZONES = ("America/Chicago", "Europe/Amsterdam", "Asia/Kathmandu", "Pacific/Auckland", "UTC")
# A Tuesday, and the nights of 2025 in which Chicago, Amsterdam and Auckland set their clocks, an hour before.
MOMENTS = tuple(
    datetime.fromisoformat(f"{text}+00:00")
    for text in ("2025-06-10T03:00", "2025-11-02T06:00", "2025-03-09T07:00", "2025-10-26T00:00", "2025-04-05T13:00")
)
STEPS = (*(timedelta(seconds=s) for s in (1, 59, 600, 3000, 3600, 22_000)), *(timedelta(days=d) for d in (1, 3, 8, 61)))
# What goes wrong at some request; `answer` is text that no REDCap sends.
FAULTS = (
    "500", "502", "503", "504", "reset", "truncate", "truncate_line", "html", "empty", "slow", "drop_records", "hang",
    "memory", "drop_records", "drop_records", "php_warning", "answer",
)  # fmt: skip
CONTENTS = (
    None, "record", "record", "log", "version", "project", "metadata", "exportFieldNames", "instrument", "event", "arm",
    "formEventMapping", "repeatingFormsEvents", "user", "userRole", "dag",
)  # fmt: skip
BODIES = (b"null", b"{}", b'{"error":"no"}', b"ERROR: no", b"[", b"\xff\xfe", b"<br />Warning", b'[{"a":1}]')
# With these at the log a night reads every record instead.
AT_THE_LOG = (None, None, None, "500", "504", "memory", "truncate", "empty")
RIGHTS = (
    ("logging", 0), ("logging", 1), ("logging", 0), ("logging", 1), ("user_rights", 0), ("user_rights", 1),
    ("design", 0), ("design", 1), ("data_access_groups", 0), ("data_access_groups", 1), ("forms_export", 1),
    ("forms_export", 2), ("forms_export", 3), ("dag", ""), ("dag", "north"),
)  # fmt: skip
FULL_RIGHTS = {"logging": 1, "user_rights": 1, "design": 1, "data_access_groups": 1, "forms_export": 1, "dag": ""}

# With these, records are requested scope by scope even where there are few: cells cost much, and requests for one
# record alone and for a large share of a project are the same as any others.
NARROWLY = (
    ("speed.schedule.OWN_SECONDS_A_CELL", 1.0),
    ("speed.schedule.JSON_SECONDS_A_CELL", 1.0),
    ("speed.answer_sizes.JSON_RECORDS", 1),
    ("request_queue.JSON_RECORDS", 1),
    ("planner.MANY_SHARE", 0.9),
)

# Shrinks like any other value, and its draws are not printed one by one.
CHANCES = st.randoms(use_true_random=False)


class Nights(RuleBasedStateMachine):
    """One project over a few weeks."""

    @initialize(
        kind=st.sampled_from(KINDS),
        zone=st.sampled_from(ZONES),
        moment=st.sampled_from(MOMENTS),
        sees=st.booleans(),
        inclusive=st.booleans(),
        has_record=st.booleans(),
        instances=st.booleans(),
        narrowly=st.booleans(),
    )
    def begin(self, kind, zone, moment, sees, inclusive, has_record, instances, narrowly):
        """A new project on a new server, whose few records are perhaps requested like those of a large project."""
        self.open = ExitStack()
        if narrowly:
            patch = self.open.enter_context(pytest.MonkeyPatch.context())
            for name, value in NARROWLY:
                patch.setattr(f"pipelines.extract.{name}", value)
        folder = Path(self.open.enter_context(tempfile.TemporaryDirectory()))
        clocks = Clocks(moment)
        behaviour = Behaviour(
            date_range_begin_inclusive=inclusive,
            date_range_end_inclusive=inclusive,
            date_range_sees_renames=sees,
            date_range_sees_dag_moves=sees,
            log_has_record=has_record,
            id_only_instances=instances,
        )
        simulator = self.open.enter_context(Simulator(time_zone=zone, clock=clocks.server, behaviour=behaviour))
        handle = simulator.add_project(small_study(kind), name=NAME)
        self.place = Place(folder, simulator, clocks, store_settings=self.store_settings(folder))
        self.open.callback(self.place.store.close)
        self.people = People(handle, simulator.url, handle.add_user("importer"))
        self.rights = dict(FULL_RIGHTS)
        self.untouched = False
        self.calm = True
        note(f"{kind} in {zone}, {behaviour}" + ", narrowly" * narrowly)

    def store_settings(self, folder):
        """The key `store` of projects.yaml: none, for a warehouse in files."""
        return ""

    def teardown(self):
        """In the end nothing is in the way any more."""
        if not hasattr(self, "open"):
            return
        with self.open:
            self.change_rights(FULL_RIGHTS)
            self.quiet_night()
            before = len(self.place.read("FROM redcap.record_changes"))
            report = self.place.good_night(self.people.now_known, full=True)
            after = len(self.place.read("FROM redcap.record_changes"))
            if after != before or report.rows_inserted or report.rows_updated or report.rows_deleted:
                raise Disagreement(f"reading everything again found something new: {report}")

    # --- what people, clocks and administrators do -------------------------------------------------------------

    @rule(acts=st.integers(1, 4), chance=CHANCES, later=st.sampled_from(STEPS))
    def edit(self, acts, chance, later):
        """A day's work, some time after whatever was before."""
        self.place.clocks.moment += later
        for _ in range(acts):
            name, act = self.people.draw_act(chance)
            note(f"{self.place.simulator.clock.local()} {name}")
            act()
            self.untouched = False

    @rule(step=st.sampled_from(STEPS))
    def wait(self, step):
        """Time passes."""
        self.place.clocks.moment += step

    @rule(seconds=st.integers(1, 50), off=st.sampled_from((0, 3, -3, -30)))
    def step_clocks(self, seconds, off):
        """The server's clock is set back a little, this computer's to something else altogether."""
        self.place.clocks.moment -= timedelta(seconds=seconds)
        self.place.clocks.client_off = timedelta(hours=off)

    @rule(right=st.sampled_from(RIGHTS))
    def change_right(self, right):
        """The token's user gets other rights, or another data access group."""
        self.change_rights(dict([right]))

    def change_rights(self, rights):
        """Give the token's user these rights."""
        note(f"rights {rights}")
        self.rights |= rights
        if rights.get("dag"):
            self.place.handle.add_dag(rights["dag"])
        self.place.handle.set_rights(**rights)
        self.untouched = False

    # --- nights ------------------------------------------------------------------------------------------------

    def attempt(self):
        """What every load needs to know beforehand; whatever comes of it, it has seen the records of now."""
        self.people.last_night |= frozenset(self.people.handle.records())
        return {"full": True} if self.people.only_logged and not self.rights["logging"] else {}

    def good(self):
        """A load has come to its end undisturbed."""
        self.people.last_night = frozenset(self.people.handle.records())
        self.people.only_logged = False
        self.untouched = self.calm = True

    @rule()
    def quiet_night(self):
        """A night with nothing in its way; what looks like harm is refused once, and then allowed."""
        options = self.attempt()
        note(f"{self.place.simulator.clock.local()} night {options}")
        truth = self.place.fresh()
        problem = self.place.failed_night(**options) if self.must_refuse(truth) or self.may_refuse(truth) else None
        if self.must_refuse(truth) and not isinstance(problem, LoadRefused):
            raise Disagreement(f"records or fields went out of sight, and the load was not refused but {problem}")
        if problem is not None:
            note(f"refused: {problem}")
            if not isinstance(problem, LoadRefused):
                raise problem
            options |= {"allow_deletions": True, "allow_narrower": True}
        untouched = self.untouched
        report = self.place.good_night(self.people.now_known, **options)
        if untouched and (report.rows_inserted or report.rows_updated or report.rows_deleted):
            raise Disagreement(f"nothing had happened, and the night wrote something: {report}")
        if self.calm and len(self.place.nights) > 1:
            with self.place.shown() as shown:
                check_renames(shown, *self.place.nights[-2:])
                check_names(shown, self.place.nights)
        self.good()

    @rule(silent=st.sampled_from((None, "settings", "survey", "missing_codes", "colleague")), chance=CHANCES)
    def calm_nights(self, silent, chance):
        """Nights so long after any edit that the structure is known; perhaps one of which the log says nothing."""
        for _ in range(2):
            self.place.clocks.moment += timedelta(hours=2)
            self.quiet_night()
        if silent is not None:
            name, act = getattr(self.people, silent)(chance)
            note(f"{self.place.simulator.clock.local()} {name}")
            act()
            self.untouched = False
            self.quiet_night()

    def must_refuse(self, truth):
        """Whether going on would take away what may still be there."""
        known = self.place.known()
        if not known:
            return False
        gone = known - truth.ids
        out_of_sight = gone & frozenset(self.people.handle.records())
        share = len(gone) / len(known)
        return bool(not truth.ids or out_of_sight or (len(gone) > 2 and share > self.place.config.deletion_limit))

    def may_refuse(self, truth):
        """Whether something is less than it was."""
        narrowed = self.rights["forms_export"] != 1 or self.rights["dag"]
        return bool(narrowed or self.place.known() - truth.ids)

    @rule(
        kind=st.sampled_from(FAULTS),
        content=st.sampled_from(CONTENTS),
        nth=st.integers(1, 6),
        times=st.sampled_from((1, 1, 3, 8, None)),
        every=st.integers(1, 9),
        body=st.sampled_from(BODIES),
    )
    def faulty_night(self, kind, content, nth, times, every, body):
        """A night in which some requests go wrong."""
        if kind == "drop_records" and not self.rights["logging"]:
            # Without the log there is nothing beside the answer that lost records.
            return
        options, yesterday = self.attempt(), self.place.published()
        note(
            f"{self.place.simulator.clock.local()} night {options} with {kind} at {content} {nth} times {times} {body}"
        )
        self.place.simulator.faults.add(
            kind,
            content=content,
            nth=nth,
            times=times,
            seconds=0.001,
            body=body,
            every=every,
            content_type="application/json",
        )
        problem = self.place.failed_night(**options)
        self.place.simulator.faults.clear()
        note(f"failed: {problem}")
        self.untouched = self.calm = False
        if problem is None:
            self.after_trouble(yesterday)

    def after_trouble(self, yesterday):
        """The load came to an end all the same: then it tells the truth, or names what it lacks."""
        truth = self.place.fresh()
        if self.place.last_outcome() == "ok":
            self.place.check(truth, self.people.now_known)
            self.good()
        else:
            self.place.check_torn(yesterday, truth.state)

    @rule(act=st.sampled_from(("swap", "take_over", "swap_back")), chance=CHANCES, trouble=st.sampled_from(AT_THE_LOG))
    def told_by_the_log(self, act, chance, trouble):
        """Something of which dates and census say nothing; then a night, which may find the log hard to read."""
        if self.rights != FULL_RIGHTS:
            return
        one, other = self.people.alike(chance)
        self.untouched = False
        # Nothing else may be in reach of the overlap, so that nothing else makes the night look at these records.
        self.place.clocks.moment += timedelta(hours=2)
        self.quiet_night()
        self.place.clocks.moment += timedelta(days=1)
        note(f"{self.place.simulator.clock.local()} {act} {one} and {other}, {trouble} at the log")
        if not {one, other} <= set(self.people.handle.records()):
            return
        self.untouched = False
        if act == "take_over":
            self.people.inherit(one, other)
        else:
            self.people.exchange(one, other)
        if act == "swap_back":
            self.people.exchange(one, other)
        if trouble is None:
            self.quiet_night()
            return
        yesterday, options = self.place.published(), self.attempt()
        self.place.simulator.faults.add(trouble, content="log", times=None)
        problem = self.place.failed_night(allow_deletions=True, **options)
        self.place.simulator.faults.clear()
        self.calm = False
        if problem is not None:
            raise problem
        if self.place.last_outcome() != "ok":
            raise Disagreement("the log was hard to read, and the night was not whole")
        self.after_trouble(yesterday)

    @rule(chance=CHANCES, content=st.sampled_from((None, "record", "record", "log", "user")), nth=st.integers(1, 8))
    def torn_night(self, chance, content, nth):
        """A night in whose middle somebody works on."""
        name, act = self.people.draw_act(chance)
        before, yesterday = self.place.fresh(), self.place.published()
        options = self.attempt()
        note(f"{self.place.simulator.clock.local()} night {options}; before request {nth} of {content}: {name}")
        waiting = [act]
        self.place.simulator.before_request(lambda: waiting.pop()() if waiting else None, nth=nth, content=content)
        problem = self.place.failed_night(**options)
        struck = not waiting
        waiting.clear()
        note(f"struck: {struck}, failed: {problem}")
        self.untouched = self.calm = False
        if problem is not None and not struck and not self.may_refuse(before):
            raise problem
        if problem is None:
            # Who went out of sight in the middle, and of whom the log does not say why, is as the night before.
            older = [yesterday] if self.place.last_outcome() != "ok" else []
            self.place.check_torn(before.state, self.place.fresh().state, *older)


EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "30"))
SHORT = settings(
    max_examples=1,
    stateful_step_count=6,
    deadline=None,
    # Making an example smaller takes longer than `make test` may; the long run does it.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
TestNights = Nights.TestCase
TestNights.settings = SHORT


class NightsInLake(Nights):
    """The same with a store that several machines share."""

    postgres = None

    def store_settings(self, folder):
        return new_store(self.postgres, folder / "shared", self.open.enter_context(pytest.MonkeyPatch.context()))


@pytest.fixture(scope="class")
def its_postgres(postgres):
    """The server, for a class that is no fixture's to build."""
    NightsInLake.postgres = postgres


TestNightsInLake = pytest.mark.lake(pytest.mark.fuzz(pytest.mark.usefixtures("its_postgres")(NightsInLake.TestCase)))
TestNightsInLake.settings = settings(SHORT, max_examples=max(1, EXAMPLES // 10), stateful_step_count=12)


class NightsAtLength(Nights):
    """The same, for hours."""


TestNightsAtLength = pytest.mark.fuzz(NightsAtLength.TestCase)
TestNightsAtLength.settings = settings(
    SHORT, max_examples=EXAMPLES, stateful_step_count=20, phases=settings.default.phases
)
