"""Every fault at every step of a night: recovered, or one clear error and yesterday's data.

Each fault of the simulator is injected into each request of an incremental load in turn, once and without end. The
results are in docs/faults.md. WAREHOUSE_WRITE_FAULTS=1 writes it, or the names of some faults instead of 1, to try
only those again; the long run behind the marker `fuzz` compares every cell, and `make test` a few of one fault.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

import pytest

from redcap_source.simulator import Simulator
from redcap_source.simulator.faults import FaultKind
from tests.support import warehouse_oracle as oracle
from tests.support.edits import small_study
from tests.support.place import CANARY, NAME, Clocks, Place
from tests.support.root import ROOT
from tests.support.warehouse_oracle import Disagreement

DOCUMENT = ROOT / "docs" / "faults.md"
# What a night asks for, in this order; of records more than once.
RECORD_STEPS = ("census", "columns", "changed since", "records")
STRUCTURE = (
    "version", "project", "metadata", "exportFieldNames", "instrument", "arm", "event", "formEventMapping",
    "repeatingFormsEvents", "user", "userRole", "userRoleMapping", "dag", "userDagMapping",
)  # fmt: skip
LABELLED = ("project", "metadata", "instrument", "event", "arm")
# So many that the few which change in a night are asked for by themselves.
RECORDS = 40
CHANGED = ("1", "3", "4", "5", "7")
# Long after the overlap of the night before, long before everything is due again.
LATER = timedelta(hours=2)
# Beside the simulator's faults: things people do while a load is running.
PEOPLE = ("edit", "delete", "rights lost")
KINDS = (*get_args(FaultKind), *PEOPLE)
# What `make test` has time for; tests/sync/test_load.py has server errors, tests/extract deletions during a load.
USUAL = ("drop_records",)
TELLS = {
    "429": "error 429", "500": "error 500", "502": "error 502", "503": "error 503", "504": "error 504",
    "reset": "the connection is reset", "truncate": "half of the body arrives",
    "truncate_line": "half of the body arrives, up to the end of a line",
    "html": "a sign-on page with status 200", "empty": "an empty body with status 200",
    "slow": "the body comes drop by drop", "ban": "REDCap bans the address",
    "drop_records": "every third record is missing from the answer",
    "hang": "nothing comes, and the connection is reset in the end",
    "memory": "the server runs out of memory", "php_warning": "a PHP warning stands before the answer",
    "answer": "text that is no answer",
    "no_date": "the answer has no Date header", "false_date": "the Date header is 13 hours ahead",
    "busy": "error 503 with a Retry-After date", "redirect": "a redirect to another server",
    "bom": "a byte order mark precedes the answer",
    "half_character": "every label begins with half an emoji (`\\ud83d`)",
    "bomb": "gzip that unpacks to two gigabytes", "endless": "the body never ends",
    "edit": "just before the request somebody saves a form", "delete": "just before the request a record is deleted",
    "rights lost": "just before the request the token loses its export right",
}  # fmt: skip
GOOD, INCOMPLETE, NOT_MEANT = "✓", "incomplete", "·"


@dataclass(frozen=True)
class Step:
    """One request of a night: the nth of its content."""

    name: str
    content: str
    nth: int


class Rehearsal:
    """A project with a good night behind it, and many more to come."""

    def __init__(self, folder: Path, simulator: Simulator, clocks: Clocks) -> None:
        simulator.add_project(small_study("repeating"), name=NAME)
        self.simulator = simulator
        self.place = Place(folder, simulator, clocks)
        self.words = 0
        for record in range(1, RECORDS + 1):
            self.write(str(record))
        self.place.handle.assign_dag("6", "north")
        clocks.moment += LATER
        self.people = dict.fromkeys(self.place.handle.records())
        self.place.good_night(self.people)
        self.place.nights.clear()
        clocks.moment += LATER
        self.write("1")
        self.relabel()
        simulator.requests.clear()
        self.place.night()
        self.steps = steps_of([request.content for request in simulator.requests])
        self.place.check(self.place.fresh(), self.people)

    def write(self, record: str) -> None:
        """Something to load."""
        self.words += 1
        self.place.handle.save(record, {"word": f"{CANARY}{self.words}"})

    def relabel(self) -> None:
        """Let the next load read the whole structure, so that a fault can strike each request of it."""
        self.place.handle.change_field("word", field_label=f"Word {self.words}")

    def outcome(self, kind: str, step: Step, *, lasts: bool) -> str:
        """What comes of a night with this fault at this step."""
        self.place.clocks.moment += LATER
        for record in CHANGED:
            self.write(record)
        self.relabel()
        before = self.place.fresh().state
        with self.place.shown() as shown:
            yesterday = shown.raw()
        self.arm(kind, step, lasts=lasts)
        try:
            problem = self.place.failed_night()
        finally:
            self.disarm()
        if problem is not None:
            return type(problem).__name__
        after = self.place.fresh().state
        with self.place.shown() as shown:
            [run] = shown.rows("SELECT outcome FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1")
            if kind in PEOPLE:
                oracle.between("published", shown.raw(), before, after)
            elif run["outcome"] == INCOMPLETE:
                oracle.between("published", shown.raw(), yesterday, after)
                return INCOMPLETE
            else:
                oracle.agree("published", shown.raw(), after)
        return GOOD

    def all_is_well(self) -> None:
        """Whatever happened: the next night brings everything right."""
        people = dict.fromkeys(self.place.handle.records())
        self.place.good_night(people)
        # Histories of so many nights are the machine's business.
        self.place.nights.clear()

    def arm(self, kind: str, step: Step, *, lasts: bool) -> None:
        """Let the fault wait for its step."""
        if kind not in PEOPLE:
            self.simulator.faults.add(
                kind, content=step.content, nth=step.nth, times=None if lasts else 1,
                seconds=30 if kind == "busy" else 0.001, body=b"Moment!",
                ahead=13 * 3600,
            )  # fmt: skip
            return
        waiting = {
            "edit": lambda: self.write("2"),
            "delete": lambda: self.place.handle.delete("3"),
            "rights lost": lambda: self.place.handle.set_rights(api_export=0),
        }
        self.waiting = [waiting[kind]]
        act = self.waiting
        self.simulator.before_request(lambda: act.pop()() if act else None, nth=step.nth, content=step.content)

    def disarm(self) -> None:
        """Everything is well again."""
        self.simulator.faults.clear()
        self.waiting = []
        self.place.handle.set_rights(api_export=1)


def steps_of(contents: list[str]) -> list[Step]:
    """The requests of a night, named for what they ask."""
    found, seen = [], dict.fromkeys(contents, 0)
    # The calls of structure are made two at a time, so which comes first differs.
    order = {content: place for place, content in enumerate(STRUCTURE)}
    contents = sorted(contents, key=lambda content: order.get(content, len(order)))
    if contents.count("record") != len(RECORD_STEPS):
        raise Disagreement(f"a night asks for records in other steps than {RECORD_STEPS}: {contents}")
    for content in contents:
        seen[content] += 1
        name = RECORD_STEPS[seen[content] - 1] if content == "record" else content
        name = name if content == "record" or seen[content] == 1 else f"{name} ({seen[content]})"
        found.append(Step(name, content, seen[content]))
    return found


@contextmanager
def rehearsal() -> Iterator[Rehearsal]:
    """A project to try faults on."""
    clocks = Clocks(datetime(2025, 6, 10, 3, tzinfo=UTC))
    with tempfile.TemporaryDirectory() as folder, Simulator(clock=clocks.server) as simulator:
        yield Rehearsal(Path(folder), simulator, clocks)


def means_something(kind: str, step: Step, *, lasts: bool) -> bool:
    """Whether a fault can strike this request, and in this way."""
    if kind == "drop_records":
        return step.content == "record"
    if kind == "half_character":
        return step.content in LABELLED
    return not (lasts and kind in PEOPLE)


def column(tried: Rehearsal, kind: str, steps: list[Step], *, lasts: bool) -> dict[str, str]:
    """What comes of one fault at some steps."""
    return {
        step.name: tried.outcome(kind, step, lasts=lasts) if means_something(kind, step, lasts=lasts) else NOT_MEANT
        for step in steps
    }


WAYS = {"once": False, "without end": True}


def document(columns: dict[tuple[str, str], dict[str, str]]) -> str:
    """The page in the docs."""
    lines = [
        "# What a fault does to a load",
        "",
        "`tests/end_to_end/test_faults.py` injects every fault of the simulator into every request of an incremental",
        "load and writes this page. ✓ means recovered: the load finished, and the published warehouse equals a fresh",
        "export. Otherwise the cell names the one error that the load ended with; the published file was unchanged,",
        "byte by byte, and the next load without the fault brought everything up to date. · means that the fault has",
        "no meaning there. *Incomplete*: some records could not be fetched; the run names them and keeps their",
        "previous rows, and the rest equals REDCap.",
        "",
        "| fault | what happens |",
        "|---|---|",
        *(f"| {kind} | {TELLS[kind]} |" for kind in KINDS),
    ]
    for way in WAYS:
        kinds = [kind for kind in KINDS if (kind, way) in columns]
        steps = list(columns[kinds[0], way])
        lines += ["", f"## The fault occurs {way}", ""]
        lines += ["| step | " + " | ".join(kinds) + " |", "|---" * (len(kinds) + 1) + "|"]
        lines += [f"| {step} | " + " | ".join(columns[kind, way][step] for kind in kinds) + " |" for step in steps]
    return "\n".join(lines) + "\n"


def documented(kind: str, way: str) -> dict[str, str]:
    """What the docs say of one fault."""
    part = DOCUMENT.read_text(encoding="utf-8").split(f"## The fault occurs {way}\n")[1].split("\n## ")[0]
    table = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")
    ]
    at = table[0].index(kind)
    return {row[0]: row[at] for row in table[2:]}


CASES = [(kind, way) for way, lasts in WAYS.items() for kind in KINDS if not (lasts and kind in PEOPLE)]
ADVICE = "write it anew with WAREHOUSE_WRITE_FAULTS=1"
writing = pytest.mark.skipif(not os.environ.get("WAREHOUSE_WRITE_FAULTS"), reason="only to write the page")
comparing = pytest.mark.skipif(bool(os.environ.get("WAREHOUSE_WRITE_FAULTS")), reason="the page is being written")


@pytest.fixture(scope="module")
def tried() -> Iterator[Rehearsal]:
    with rehearsal() as begun:
        yield begun


@comparing
def test_the_docs_know_every_step_and_every_fault(tried):
    for kind, way in CASES:
        assert list(documented(kind, way)) == [step.name for step in tried.steps], ADVICE


@comparing
@pytest.mark.parametrize(
    "kind", [kind if kind in USUAL else pytest.param(kind, marks=pytest.mark.fuzz) for kind in KINDS]
)
def test_a_fault_does_what_the_docs_say_at_some_steps(tried, kind):
    # Others for each fault, so that every step has its turn.
    at = 2 * KINDS.index(kind)
    for step, (way, lasts) in zip((at + len(tried.steps) // 2, at), WAYS.items(), strict=True):
        if (kind, way) in CASES:
            found = column(tried, kind, [tried.steps[step % len(tried.steps)]], lasts=lasts)
            assert found.items() <= documented(kind, way).items(), ADVICE
    tried.all_is_well()


@comparing
@pytest.mark.fuzz
@pytest.mark.parametrize(("kind", "way"), CASES)
def test_each_fault_at_each_step_does_what_the_docs_say(kind, way):
    with rehearsal() as tried:
        assert column(tried, kind, tried.steps, lasts=WAYS[way]) == documented(kind, way), ADVICE
        tried.all_is_well()


@writing
def test_write_the_page():
    anew = os.environ["WAREHOUSE_WRITE_FAULTS"].split(",")
    columns = {}
    for kind, way in CASES:
        if anew != ["1"] and kind not in anew:
            columns[kind, way] = documented(kind, way)
            continue
        with rehearsal() as tried:
            columns[kind, way] = column(tried, kind, tried.steps, lasts=WAYS[way])
            tried.all_is_well()
    DOCUMENT.write_text(document(columns), encoding="utf-8")
