"""One simulated institution with one small project, its warehouse, and what every good night must leave behind.

What people do to the project is edits.py's; the machine that puts it all in a random order is test_machine.py.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.config.load import load_config
from pipelines.errors import WarehouseError
from pipelines.store import open_store
from pipelines.sync.load import load_project
from pipelines.sync.reports import LoadOptions, LoadReport
from pipelines.warehouse.folder import WarehouseFolder
from redcap_source.errors import RedcapError
from redcap_source.simulator import Simulator
from tests.support import warehouse_oracle as oracle
from tests.support.load_site import still
from tests.support.typed_oracle import Design
from tests.support.warehouse_oracle import Disagreement, Renames, State

NAME = "study"
# Stands in every text that is entered, so that a message that quotes a participant's value is noticed.
CANARY = "zq"
# Far above anything this project sends.
ANSWER_LIMIT = 4_000_000


@dataclass
class Clocks:
    """What time it is: one that runs on, and how far this computer's is from it."""

    moment: datetime
    client_off: timedelta = timedelta(0)

    def server(self) -> datetime:
        """The server's clock; looking at it takes a twentieth of a second."""
        self.moment += timedelta(milliseconds=50)
        return self.moment

    def client(self) -> datetime:
        """This computer's clock, UTC without a zone."""
        return (self.server() + self.client_off).astimezone(UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class Night:
    """A good night: when it ended, what readers found then, who was who, and whom the token could see."""

    finished: datetime
    state: State = field(repr=False)
    people: dict[str, object] = field(repr=False)
    seen: frozenset[str] = field(repr=False)
    events: dict[int, str]
    """The unique names of events by their ids."""
    forms: dict[str, str]
    """The instrument of each field."""
    tables: frozenset[str]
    """The instruments that have a history."""

    def renamed(self, renames: Renames) -> "Night":
        """The same under the names that a later run gave."""
        events, instruments = renames
        return replace(
            self,
            state=renames.state(self.state),
            events={number: events.get(name, name) for number, name in self.events.items()},
            forms={field: instruments.get(form, form) for field, form in self.forms.items()},
            tables=frozenset(instruments.get(name, name) for name in self.tables),
        )


@dataclass
class Place:
    """The institution."""

    folder: Path
    simulator: Simulator
    clocks: Clocks
    nights: list[Night] = field(default_factory=list)
    """Under the names of now."""
    renamed: int = 0
    """How many runs that renamed something they follow."""
    store_settings: str = ""
    """The key `store` of projects.yaml, with its value; blank for a warehouse in files."""
    attempts: int = 0

    def __post_init__(self) -> None:
        token = self.folder / "token"
        token.touch(mode=0o600)
        token.write_text(self.handle.token)
        self.settings = self.folder / "projects.yaml"
        self.settings.write_text(
            f"{self.store_settings}\nservers: {{sim: {{url: {self.simulator.url}}}}}\n"
            f"projects:\n  {NAME}: {{token: {{file: {token}}}}}\n"
        )
        self.config = load_config(self.settings)
        self.warehouse = WarehouseFolder(self.folder / "warehouse")
        self.store = open_store(self.config)

    @property
    def handle(self):
        """The project on the server."""
        return self.simulator.projects[NAME]

    @property
    def record_id(self) -> str:
        """The name of the record-id field."""
        return self.handle.project.dictionary.record_id

    def load(self, **options: object) -> LoadReport:
        """One load; nothing waits between tries."""
        self.attempts += 1
        return load_project(
            self.config,
            self.config.project(NAME),
            options=LoadOptions(**options),
            now=self.clocks.client,
            sleep=lambda seconds: None,
            stopwatch=still,
            answer_limit=ANSWER_LIMIT,
        )

    def night(self, **options: object) -> LoadReport:
        """One load and a publish."""
        report = self.load(**options)
        self.store.published.publish()
        return report

    def fresh(self) -> oracle.Fresh:
        """What REDCap answers now."""
        return oracle.fresh(self.simulator.url, self.handle.token)

    @contextmanager
    def shown(self) -> Iterator[oracle.Shown]:
        """What is published: the file, as any reader opens it, or the lake, as the store opens it."""
        if not self.store_settings:
            with oracle.Shown(self.warehouse.database, NAME, self.record_id) as shown:
                yield shown
            return
        with self.store.published.open() as connection:
            yield oracle.Shown(connection, NAME, self.record_id)

    def read(self, query: str, values: list[object] | None = None) -> list[tuple]:
        """A query of what is published."""
        if not self.store_settings:
            return oracle.read(self.warehouse.database, query, values)
        with self.store.published.open() as connection:
            return connection.execute(query, values or []).fetchall()

    def published(self) -> State:
        """What readers find; nothing before the first night."""
        if not self.store.published.exists():
            return {}
        with self.shown() as shown:
            return shown.raw()

    def known(self) -> frozenset[str]:
        """The records that readers find, those without a row included; none before the first night."""
        if not self.store.published.exists():
            return frozenset()
        with self.shown() as shown:
            rows = shown.redcap("records")
        return frozenset(row["record"] for row in rows if row["deleted_at"] is None and row["renamed_to"] is None)

    def last_outcome(self) -> str:
        """How the last load ended, as readers are told."""
        [[outcome]] = self.read("SELECT outcome FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1")
        return str(outcome)

    def published_bytes(self) -> str:
        """What changes with anything that is published; blank before the first night."""
        if self.store_settings:
            return str(self.read(oracle.NEWEST_SNAPSHOT)[0][0]) if self.store.published.exists() else ""
        path = self.warehouse.database
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    # --- nights -------------------------------------------------------------------------------------------------

    def good_night(self, people: dict[str, object], **options: object) -> LoadReport:
        """A night with nothing in its way: it must succeed, and everything must be right afterwards."""
        report = self.night(**options)
        if not report.complete:
            raise Disagreement(f"nothing was in the way, and the night was {report.outcome}: {report.message}")
        self.check(self.fresh(), people)
        return report

    def failed_night(self, **options: object) -> WarehouseError | RedcapError | None:
        """A night that may fail; if it does, nothing may have happened to the published file. Returns the failure."""
        before = self.published_bytes()
        try:
            self.load(**options)
        except (WarehouseError, RedcapError) as problem:
            self.store.published.publish()
            if self.published_bytes() != before:
                raise Disagreement("a load failed and the published file changed") from problem
            self._check_message(problem)
            return problem
        self.store.published.publish()
        return None

    def _check_message(self, problem: Exception) -> None:
        text = str(problem)
        if not text or NAME not in text:
            raise Disagreement(f"the message does not name the project: {text!r}")
        if CANARY in text or self.handle.token in text:
            raise Disagreement(f"the message quotes a value or the token: {text!r}")

    # --- what must be right ------------------------------------------------------------------------------------

    def check(self, truth: oracle.Fresh, people: dict[str, object]) -> None:
        """The published warehouse against a fresh export; then against itself and against earlier nights."""
        with self.shown() as shown:
            self._follow_renames(shown)
            oracle.agree("published", shown.raw(), truth.state)
            oracle.agree("published with types", shown.typed(), truth.design.typed(truth.state))
            oracle.agree("published with labels", shown.labelled(), truth.design.labelled(truth.state))
            self._check_typed_history(shown, truth.design)
            structure = oracle.fresh_structure(self.simulator.url, self.handle.token)
            oracle.agree_in_structure(oracle.shown_structure(shown), structure)
            self._check_rest(shown, truth.state)
            _check_records(shown, truth, self.nights[-1] if self.nights else None, people)
            _check_counts(shown, truth)
            [run] = shown.rows("SELECT * FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1")
            if run["outcome"] != "ok" or run["records_in_redcap"] != len(truth.ids):
                raise Disagreement(f"the ledger tells of the last night: {run}")
            project = self.handle.project
            self.nights.append(
                Night(
                    run["finished_at"],
                    truth.state,
                    dict(people),
                    truth.ids,
                    {event.event_id: event.unique_name for event in project.events},
                    {field.field_name: field.form_name for field in project.dictionary.fields},
                    frozenset(shown.tables("_history")),
                )
            )

    def _check_typed_history(self, shown: oracle.Shown, design: Design) -> None:
        """Earlier rows have the types of today, where their instrument and field are still there."""
        for number, night in enumerate(self.nights, start=1):
            found = design.dated(shown.as_of(night.finished, suffix="_history"))
            oracle.agree(f"as of night {number}, with types", found, design.typed(night.state))

    def check_torn(self, *states: State) -> None:
        """After an edit in the middle of the load: of each record's instrument, what was there before or after it."""
        with self.shown() as shown:
            found = shown.raw()
            known = list(states)
            for renames in self._follow_renames(shown):
                # Edits lie before and after a rename, so states are under old names or under new ones.
                known += [renames.state(state) for state in known]
            oracle.between("published", found, *known)
            self._check_rest(shown, found)

    def _follow_renames(self, shown: oracle.Shown) -> list[Renames]:
        """Let the nights before go by the names that runs since gave; the new renames."""
        told = oracle.told_renames(shown.redcap("dictionary_changes"))[self.renamed :]
        self.renamed += len(told)
        for renames in told:
            self.nights = [night.renamed(renames) for night in self.nights]
        return told

    def _check_rest(self, shown: oracle.Shown, today: State) -> None:
        # An instance in which nothing stands is a row without a cell, of which changes of cells cannot tell.
        cells = {key: row for key, row in today.items() if row}
        oracle.agree("record_changes, replayed", oracle.replay(shown.redcap("record_changes"), self.record_id), cells)
        for number, night in enumerate(self.nights, start=1):
            oracle.agree(f"as of night {number} of {len(self.nights)}", shown.as_of(night.finished), night.state)
        _check_ledger(shown)


def _check_counts(shown: oracle.Shown, truth: oracle.Fresh) -> None:
    """Every way of showing the rows shows as many, and the catalog counts them right."""
    rows: Counter[str] = Counter(key[2] for key in truth.state)
    for suffix in ("", "_labels", "_raw"):
        for name in shown.tables(suffix):
            if (found := shown.count(suffix, name)) != rows[name]:
                raise Disagreement(f"{NAME}{suffix}.{name} shows {found} rows, not {rows[name]}")
    [project] = shown.redcap("projects")
    if (project["records"], project["rows"]) != (len(truth.ids), rows.total()):
        raise Disagreement(f"redcap.projects counts {project['records']} records, {project['rows']} rows")


def _check_ledger(shown: oracle.Shown) -> None:
    runs = shown.redcap("sync_runs")
    ids = [run["run_id"] for run in runs]
    if len(set(ids)) != len(ids):
        raise Disagreement("a run stands twice in sync_runs")
    starts = sorted(run["started_at"] for run in runs)
    if len(set(starts)) != len(starts):
        raise Disagreement("two runs started at one moment")
    for run in runs:
        if run["outcome"] == "running" or run["finished_at"] is None or run["finished_at"] < run["started_at"]:
            raise Disagreement(f"a published run did not end: {run}")
    good = {run["run_id"] for run in runs if run["outcome"] == "ok"}
    chunks = shown.redcap("sync_chunks")
    for chunk in chunks:
        if chunk["run_id"] not in ids or (chunk["run_id"] in good and chunk["outcome"] != "ok"):
            raise Disagreement(f"a chunk that its run does not explain: {chunk}")
        if chunk["outcome"] == "ok" and chunk["returned"] > chunk["asked"]:
            raise Disagreement(f"a chunk brought more than was asked: {chunk}")
    numbered = [(chunk["run_id"], chunk["chunk"]) for chunk in chunks if chunk["outcome"] == "ok"]
    if len(set(numbered)) != len(numbered):
        raise Disagreement("a chunk stands twice in sync_chunks")
    changes = shown.rows("SELECT * FROM redcap.record_changes")
    if len({tuple(map(str, row.values())) for row in changes}) != len(changes):
        raise Disagreement("a change stands twice in record_changes")
    if strangers := {row["run_id"] for row in changes} - set(ids):
        raise Disagreement(f"changes of runs that nobody knows: {strangers}")


def _check_records(shown: oracle.Shown, truth: oracle.Fresh, before: Night | None, people: dict[str, object]) -> None:
    rows = shown.redcap("records")
    known = {row["record"]: row for row in rows}
    if len(known) != len(rows):
        raise Disagreement("a record stands twice in redcap.records")
    present = {record for record, row in known.items() if row["deleted_at"] is None and row["renamed_to"] is None}
    if present != truth.ids:
        raise Disagreement(
            f"redcap.records lacks {sorted(truth.ids - present)} and has too many {sorted(present - truth.ids)}"
        )
    for record in (before.people.keys() - truth.ids) if before else ():
        if record in before.seen and record not in known:
            raise Disagreement(f"{record} was there last night and has no tombstone")
        new = known[record]["renamed_to"] if record in known else None
        alike = new is not None and oracle.of_record(before.state, record) == oracle.of_record(truth.state, new)
        if new is not None and not alike and people.get(new) != before.people[record]:
            raise Disagreement(f"{record} is said to be {new} now, who is somebody else")


def check_renames(shown: oracle.Shown, before: Night, now: Night) -> None:
    """Who has another id than last night, and nothing else that is new, is followed to the new id."""
    renamed_to = {row["record"]: row["renamed_to"] for row in shown.redcap("records")}
    for record, person in before.people.items():
        cells = oracle.of_record(before.state, record)
        [new] = [other for other, same in now.people.items() if same is person] or [record]
        came = [other for other in now.seen - before.seen if oracle.of_record(now.state, other) == cells]
        went = [other for other in before.seen - now.seen if oracle.of_record(before.state, other) == cells]
        if cells and came == [new] and went == [record] and renamed_to.get(record) != new:
            raise Disagreement(f"{record} is {new} now, and nothing says so")


def check_names(shown: oracle.Shown, nights: list[Night]) -> None:
    """Events and instruments that have another name than in the night before last were followed to it.

    Not to a name that something else had before: the history of the two would be one.
    """
    *_, before, now = nights
    told = shown.rows("SELECT DISTINCT event FROM redcap.record_changes WHERE detected_at <= ?", [before.finished])
    used = {row["event"] for row in told} | {key[1] for night in nights[:-1] for key in night.state}
    for number in before.events.keys() & now.events.keys():
        if before.events[number] != now.events[number] not in used:
            raise Disagreement(f"event {number} was {before.events[number]}, and nothing says that it was renamed")
    for new in set(now.forms.values()) - before.tables:
        fields = _fields(now, new)
        for old in set(before.forms.values()) - set(now.forms.values()):
            if fields == _fields(before, old):
                raise Disagreement(f"instrument {old} is {new} now, and nothing says so")


def _fields(night: Night, form: str) -> set[str]:
    return {name for name, known in night.forms.items() if known == form}
