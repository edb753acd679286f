"""What a load fetches: the census of a project, the columns of its answers, and the fetch tasks that follow from both.

Not here: which records changed (change_detection.py), how cells are grouped into requests (scopes.py), fetching
(fetcher.py).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.config.settings import ProjectConfig
from pipelines.extract.chunks import AtHand, FetchPlan
from pipelines.extract.missing_records import found_by_name
from pipelines.extract.scopes import instruments_scope, narrow_scopes, whole_scope
from pipelines.extract.selection import Selection, select
from pipelines.extract.speed.schedule import Capacity, pieces
from pipelines.extract.speed.server_speed import AnswerTime, ServerSpeed, first_guess
from pipelines.warehouse.database.connection import Connection, private_files
from pipelines.warehouse.staging.answers import Format, csv_header
from pipelines.warehouse.staging.census import Census, read_census, rows_of_records, scope_masks
from pipelines.warehouse.tables.layout import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT, Layout, unexpected_columns
from pipelines.warehouse.tables.structure import Structure
from redcap_source import RedcapClient, errors
from redcap_source.methods.options import RecordOptions

# If a census of some events lacks more records than this, all events are counted before records are requested by name.
MOST_BY_NAME = 5000

# Of so many records at most one is requested to learn the columns.
TRIED = 3

# If at least this share of a project's records is pending, the events of all records are requested, not only theirs.
MANY_SHARE = 0.2
# Fewer records are requested scope by scope only if requesting them whole takes as long as this many small requests:
# one for the events in which they have rows, before all others, and one for each scope and each search.
WORTH_REQUESTS = 12
# How many rows a repeating instrument is taken to have for each row of its event, before it was loaded: a form that
# most records have once is not made to repeat.
USUAL_INSTANCES = 2


# How many rows the mirror has of some instruments.
RowCounts = Callable[[Sequence[str]], Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class FetchTask:
    """Records to fetch in the same way: whole, or only some instruments."""

    fetch: FetchPlan
    instruments: tuple[str, ...] | None
    """The instruments to fetch; None for all."""
    records: tuple[str, ...] = field(repr=False)
    """In REDCap's order."""
    scope_masks: tuple[int, ...] = field(repr=False)
    """For each record a bit for each narrow scope in which it has rows; with none it is requested whole."""
    searched: bool = False
    """Whether records with values that narrow requests do not show were found before, and are requested whole."""
    at_hand: AtHand | None = None
    """One of the records, if it was requested before."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Asks REDCap what there is to fetch of one project; a connection verifies and counts the answers."""

    client: RedcapClient
    verifier: Connection
    staging: Path
    project: ProjectConfig
    structure: Structure
    earlier_speed: ServerSpeed | None = None
    """How fast the server was in earlier loads, if that is known."""
    seen: list[AnswerTime] = field(default_factory=list, repr=False)
    """How long the answers of this load took."""

    def census(self, events: Sequence[str] = (), records: Sequence[str] = ()) -> Census:
        """Every record of the project, and in a longitudinal one the events in which it has rows.

        A longitudinal project answers with a row for each of them; with `events` only those are requested, and with
        `records` only these records.
        """
        path = self.staging / "census.json"
        options: RecordOptions = {"fields": (self.structure.record_id_field,), "export_data_access_groups": True}
        if events:
            options["events"] = tuple(events)
        if records:
            options["records"] = tuple(records)
        with private_files():
            received = self.client.export_records_to(path, format="json", **options)
        census = read_census(
            self.verifier,
            path,
            self.structure.record_id_field,
            longitudinal=self.structure.longitudinal,
            whole=not events,
        )
        path.unlink()
        rows = sum(census.rows.values()) or len(census.records)
        keys = 1 + self.structure.longitudinal + 2 * bool(self.structure.repeating)
        keys += bool(self.structure.data_access_groups)
        self.seen.append(AnswerTime(rows * keys, received.seconds))
        return census

    def completed(
        self,
        census: Census,
        known: Sequence[str],
        changed: Collection[str] | None,
        deleted: Collection[str] = (),
    ) -> Census:
        """The census, with records that it lacks and REDCap has: it may cover some events only, or be incomplete.

        Those that were known or changed are requested by name. What is not returned then seems to be deleted,
        by REDCap's answers and by its log (`deleted`); the guards decide whether to believe it.
        """
        doubtful = only_in(dict.fromkeys((*known, *(changed or ()))), census.records)
        if not census.whole and (changed is None or len(doubtful) > MOST_BY_NAME):
            census = self.census()
            doubtful = only_in(doubtful, census.records)
        found = found_by_name(self.client, self.structure.record_id_field, doubtful, deleted=deleted)
        return census.with_more(found)

    def answer_columns(
        self, records: Sequence[str], *, keep: bool = False
    ) -> tuple[tuple[str, ...] | None, AtHand | None]:
        """The columns of a flat answer as this token gets it, learned from one record's; None without records.

        There is no other source: REDCap leaves out columns that the token may not see without an error, and which
        instruments are surveys is not in its structure. With `keep`, for a load of every record, the answer is that of
        the last record and stays in the staging folder, so that this record need not be requested again.
        """
        if not records:
            return None, None
        form: Format = "json" if keep else "csv"
        path = self.staging / f"columns.{form}"
        options = whole_scope(select(self.structure, self.project)).options()
        columns: tuple[str, ...] = ()
        at_hand = None
        # A record can be deleted between the census and here; then the next one is requested.
        for record in records[: -TRIED - 1 : -1] if keep else records[:TRIED]:
            with private_files():
                received = self.client.export_records_to(path, format=form, records=(record,), **options)
            columns, rows = _shape(path, form)
            self.seen.append(AnswerTime(rows * len(columns), received.seconds))
            if columns:
                at_hand = AtHand(record, path, received.bytes, received.seconds, received.attempts)
                break
        if not keep:
            path.unlink()
            at_hand = None
        check_columns(self.structure, columns, self.project.name)
        return columns, at_hand

    def fetch_tasks(
        self,
        layout: Layout,
        census: Census,
        pending: Sequence[str],
        stale: Sequence[str],
        rows_of: RowCounts = lambda instruments: {},
        at_hand: AtHand | None = None,
    ) -> tuple[FetchTask, ...]:
        """What to fetch: pending records whole, and of all others the instruments whose meaning changed (`stale`).

        `rows_of` counts the rows that the mirror has of some instruments; `at_hand` is a record that was requested
        before.
        """
        selection = select(self.structure, self.project)
        tasks = []
        if pending:
            tasks.append(_PendingRecords(self, layout, selection, census, pending, rows_of).task(at_hand))
        if stale:
            rest = set(census.records).difference(pending)
            others = tuple(record for record in census.records if record in rest)
            scope = instruments_scope(layout, selection, stale)
            fetch = FetchPlan(self.project.name, self.structure.record_id_field, scope, capacity=self.capacity())
            tasks.append(FetchTask(fetch, tuple(stale), others, (0,) * len(others)))
        return tuple(tasks)

    def capacity(self) -> Capacity:
        """What the server answers, by earlier loads or by the first answers of this one."""
        server, calls = self.project.server, self.client.calls
        interval = 60 / server.requests_per_minute if server.requests_per_minute else 0.0
        earlier = self.earlier_speed
        if earlier is None or not all(earlier.explains(answer) for answer in self.seen):
            # The other requests until now were small ones, for the structure.
            small = calls.seconds - sum(answer.seconds for answer in self.seen)
            earlier = first_guess(max(0.0, small) / max(1, calls.requests - len(self.seen)), self.seen)
        return Capacity(earlier, server.concurrency, interval)


@dataclass(frozen=True, slots=True)
class _PendingRecords:
    """The records of a project that have to be fetched whole: all of it, or those that changed."""

    planner: Planner
    layout: Layout
    selection: Selection
    census: Census
    records: Sequence[str] = field(repr=False)
    rows_of: RowCounts

    def task(self, at_hand: AtHand | None) -> FetchTask:
        """Everything at once, or scope by scope where that spares the server many blanks."""
        plan = self._plan()
        if self._are_few and not self._are_worth_locating(plan):
            return FetchTask(plan, None, tuple(self.records), (0,) * len(self.records), at_hand=at_hand)
        located = self._located()
        plan = self._located_plan(plan, located)
        masks = dict(zip(located.records, self._scope_masks(plan, located), strict=True))
        records = (*filter(set(self.records).__contains__, located.records), *only_in(self.records, masks))
        return FetchTask(plan, None, records, tuple(masks.get(record, 0) for record in records), at_hand=at_hand)

    @property
    def _are_few(self) -> bool:
        return len(self.records) < len(self.census.records) * MANY_SHARE

    def _plan(self) -> FetchPlan:
        """The plan to ask for everything at once."""
        planner, layout, census = self.planner, self.layout, self.census
        rows = sum(census.rows.values()) if layout.longitudinal else len(census.records)
        whole = whole_scope(self.selection, layout.answer_columns, rows)
        if not census.whole and planner.seen:
            # It lists some events only; the one record that showed the columns has all of its rows.
            whole = replace(whole, cells=int(planner.seen[-1].cells) * len(census.records))
        record_id_field, capacity = planner.structure.record_id_field, planner.capacity()
        return FetchPlan(planner.project.name, record_id_field, whole, records=len(census.records), capacity=capacity)

    def _are_worth_locating(self, plan: FetchPlan) -> bool:
        """Whether asking for these few records whole takes so long that scope by scope may be faster."""
        cells, capacity = plan.cells_a_record(None) * len(self.records), plan.capacity
        whole = pieces([cells], capacity.piece([cells], capacity.most_cells))
        return capacity.cost(whole) > capacity.cost([0.0] * WORTH_REQUESTS)

    def _located(self) -> Census:
        """A census that tells in which events the records have rows, and how many rows these events have.

        Where the records are few, the rows are theirs, otherwise those of all records.
        """
        planner = self.planner
        if not self.census.whole:
            return planner.census(records=self.records) if self._are_few else planner.census()
        if self._are_few and self.layout.longitudinal:
            return replace(self.census, rows=rows_of_records(planner.verifier, self.records))
        return self.census

    def _located_plan(self, plan: FetchPlan, located: Census) -> FetchPlan:
        """The plan with scopes, if they take less time; its cells are those of the records that were located."""
        layout, events = self.layout, self.planner.structure.events
        records = len(self.records) if self._are_few else plan.records
        rows = {event.unique_event_name: 0 for event in events} | located.rows
        instances = self._instances(rows, records, records / plan.records)
        found = sum(rows.values()) if layout.longitudinal else records
        # An event that the structure lacks would be in no scope.
        known = not layout.longitudinal or len(rows) == len(events)
        return replace(
            plan,
            whole=whole_scope(self.selection, layout.answer_columns, found + sum(instances.values())),
            narrow=narrow_scopes(layout, self.selection, rows, plan.capacity, instances, records) if known else (),
            records=records,
            search_in=tuple(self.records) if self._are_few else (),
        )

    def _instances(self, rows: Mapping[str, int], records: int, share: float) -> dict[str, int]:
        """About how many rows each repeating instrument has: this share of those in the mirror.

        Where the mirror has none, two are taken for each row of its events.
        """
        names = {table.name for table in self.layout.instruments}
        usual: dict[str, int] = {}
        for repeat in self.planner.structure.repeating:
            if repeat.form_name in names:
                places = rows.get(repeat.event_name or "", 0) if self.layout.longitudinal else records
                usual[repeat.form_name] = usual.get(repeat.form_name, 0) + places
        known = self.rows_of(list(usual))
        return {name: round(known.get(name, 0) * share) or USUAL_INSTANCES * places for name, places in usual.items()}

    def _scope_masks(self, plan: FetchPlan, census: Census) -> tuple[int, ...]:
        """For each record of the census the narrow scopes in which it has rows."""
        none = (0,) * len(census.records)
        if not plan.narrow:
            return none
        if self.layout.longitudinal:
            masks = scope_masks(self.planner.verifier, [scope.events for scope in plan.narrow])
        else:
            # Every record of a classic project has a row in each scope.
            masks = ((1 << len(plan.narrow)) - 1,) * len(census.records)
        # It is not known where records that the census lacked have rows.
        return (*masks, *none[len(masks) :])


def _shape(path: Path, form: Format) -> tuple[tuple[str, ...], int]:
    """The columns of a small answer and how many rows it has; nothing if it is blank or cut."""
    if form == "json":
        try:
            rows = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        except ValueError:
            return (), 0
        return (tuple(rows[0]), len(rows)) if isinstance(rows, list) and rows and isinstance(rows[0], dict) else ((), 0)
    with path.open(encoding="utf-8", errors="replace", newline="") as lines:
        return csv_header(path), max(0, sum(1 for _ in csv.reader(lines)) - 1)


def check_columns(structure: Structure, columns: Sequence[str], project: str) -> None:
    """Refuse an export whose columns do not fit the data dictionary: they would be stored under wrong names."""
    needed = [structure.record_id_field] + [EVENT] * structure.longitudinal
    needed += [REPEAT_INSTRUMENT, REPEAT_INSTANCE] * bool(structure.repeating)
    missing = [name for name in needed if name not in columns]
    strange = unexpected_columns(structure, columns)
    if not missing and not strange:
        return
    detail = f"it lacks {', '.join(missing)}" if missing else f"nothing explains {', '.join(strange[:5])}"
    raise errors.UnexpectedAnswer(
        errors.RequestContext(content="record", project=project),
        detail=f"The columns of the export do not fit the data dictionary: {detail}. Nothing was changed. "
        "If someone is editing the dictionary just now, run the load again.",
    )


def only_in(some: Iterable[str], others: Collection[str]) -> list[str]:
    """The items of `some` that are not in `others`, in their order."""
    known = set(others)
    return [record for record in some if record not in known]
