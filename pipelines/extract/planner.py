"""What a night fetches: the census of a project, the columns of its answers, and the errands that follow from both.

Which records changed is worklist.py's business, fetching extract.py's.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.config.settings import ProjectConfig
from pipelines.errors import describe
from pipelines.extract.chunks import ABOUT_THE_REQUEST, FetchPlan
from pipelines.extract.missing_records import found_by_name
from pipelines.extract.scopes import instruments_scope, narrow_scopes, whole_scope
from pipelines.extract.selection import Selection, select
from pipelines.warehouse.database.connection import Connection, private_files
from pipelines.warehouse.staging.answers import csv_header
from pipelines.warehouse.staging.census import Census, read_census, records_named, scope_masks
from pipelines.warehouse.tables.layout import EVENT, REPEAT_INSTANCE, REPEAT_INSTRUMENT, Layout, unexpected_columns
from pipelines.warehouse.tables.structure import Structure
from redcap_source import RedcapClient, errors
from redcap_source.methods.options import RecordOptions

log = logging.getLogger("redcap_warehouse")


# Where the census asked of some events lacks more than so many, it is asked of all before anything else.
MOST_BY_NAME = 5000


# From this share of a project's records on, a sparse project is asked for scope by scope.
NARROW_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Errand:
    """Records to fetch in one way: all there is of them, or some instruments only."""

    fetch: FetchPlan
    instruments: tuple[str, ...] | None
    """The instruments that come; None for all."""
    records: tuple[str, ...] = field(repr=False)
    """In REDCap's order."""
    due: tuple[int, ...] = field(repr=False)
    """For each of them, the narrow scopes in which it has rows, a bit each; without any it is asked for whole."""


@dataclass(frozen=True, slots=True)
class Planner:
    """Asks REDCap what there is to fetch of one project; a connection proves and counts the answers."""

    client: RedcapClient
    verifier: Connection
    staging: Path
    project: ProjectConfig
    structure: Structure

    def census(self, events: Sequence[str] = ()) -> Census:
        """Every record of the project, and in a longitudinal one the events in which it has rows.

        A longitudinal project answers with a row for each of them; with `events` only those are asked for.
        """
        path = self.staging / "census.json"
        options: RecordOptions = {"fields": (self.structure.record_id_field,), "export_data_access_groups": True}
        if events:
            options["events"] = tuple(events)
        with private_files():
            self.client.export_records_to(path, format="json", **options)
        census = read_census(
            self.verifier,
            path,
            self.structure.record_id_field,
            longitudinal=self.structure.longitudinal,
            whole=not events,
        )
        path.unlink()
        return census

    def completed(
        self,
        census: Census,
        known: Sequence[str],
        changed: Collection[str] | None,
        deleted: Collection[str] = (),
    ) -> Census:
        """The census, with records that it lacks and REDCap has: it may have been asked of some events, or lost them.

        Those that were known or changed are asked for by name; what does not come then is gone, for all that REDCap's
        answers and the records its log says were `deleted` can tell. Guard decides whether that is believed.
        """
        doubtful = only_in(dict.fromkeys((*known, *(changed or ()))), census.records)
        if not census.whole and (changed is None or len(doubtful) > MOST_BY_NAME):
            census = self.census()
            doubtful = only_in(doubtful, census.records)
        found = found_by_name(self.client, self.structure.record_id_field, doubtful, deleted=deleted)
        return census.with_more(found)

    def errands(
        self,
        layout: Layout,
        census: Census,
        todo: Sequence[str],
        stale: Sequence[str],
    ) -> tuple[Errand, ...]:
        """What to fetch: changed records whole, and of all others the instruments that mean something else now."""
        selection = select(self.structure, self.project)
        errands = []
        if not census.whole and len(todo) >= len(census.records) * NARROW_SHARE:
            # So many that it pays to know where they have rows.
            census = self.census()
            wanted = set(todo)
            todo = [record for record in census.records if record in wanted]
        if todo:
            fetch = self._fetch_plan(layout, selection, census, len(todo))
            dues = dict(zip(census.records, self._due(fetch, census), strict=True))
            errands.append(Errand(fetch, None, tuple(todo), tuple(dues[record] for record in todo)))
        if stale:
            rest = set(census.records).difference(todo)
            others = tuple(record for record in census.records if record in rest)
            scope = instruments_scope(layout, selection, stale)
            fetch = FetchPlan(self.project.name, self.structure.record_id_field, scope)
            errands.append(Errand(fetch, tuple(stale), others, (0,) * len(others)))
        return tuple(errands)

    def _fetch_plan(self, layout: Layout, selection: Selection, census: Census, records: int) -> FetchPlan:
        """What to ask for: everything at once, or scope by scope where that spares the server millions of blanks."""
        rows = {event.unique_event_name: 0 for event in self.structure.events} | census.rows
        known = len(rows) == len(self.structure.events)
        # What narrow requests do not see is looked for in the whole project, which does not pay for a few records.
        many = census.whole and records >= len(census.records) * NARROW_SHARE
        return FetchPlan(
            project=self.project.name,
            record_id_field=self.structure.record_id_field,
            whole=whole_scope(selection, layout.answer_columns, sum(rows.values())),
            # An event that the structure does not know would be in no scope.
            narrow=narrow_scopes(layout, selection, rows) if known and many else (),
        )

    def _due(self, fetch: FetchPlan, census: Census) -> tuple[int, ...]:
        """For each record the narrow scopes in which it has rows; none for one with values where none can be.

        Such values are looked for here, because narrow requests never see them.
        """
        nowhere = (0,) * len(census.records)
        if not fetch.narrow:
            return nowhere
        try:
            strays = self._with_strays(fetch)
        except (*ABOUT_THE_REQUEST, errors.RequestRefused) as problem:
            log.warning("%s: everything is asked for whole, because %s", self.project.name, describe(problem))
            return nowhere
        due = scope_masks(self.verifier, [scope.events for scope in fetch.narrow])
        # Of records that the census itself lacked it is not known where they have rows.
        padded = (*due, *nowhere[len(due) :])
        return tuple(0 if record in strays else bits for record, bits in zip(census.records, padded, strict=True))

    def _with_strays(self, fetch: FetchPlan) -> frozenset[str]:
        """Records with values in events that the values' instruments are not designated for."""
        strays: frozenset[str] = frozenset()
        path = self.staging / "elsewhere.json"
        for elsewhere in (scope.elsewhere for scope in fetch.narrow if scope.elsewhere is not None):
            with private_files():
                self.client.export_records_to(
                    path, format="json", type="eav", fields=elsewhere.fields, events=elsewhere.events
                )
            strays |= records_named(self.verifier, path)
            path.unlink()
        return strays

    def answer_columns(self, census: Sequence[str]) -> tuple[str, ...] | None:
        """The columns of a flat answer as this token gets it, learned from one record's; None without records.

        Nothing else tells: REDCap leaves columns the token may not see out without a word, and which
        instruments are surveys is not in its self.structure.
        """
        if not census:
            return None
        path = self.staging / "header.csv"
        options = whole_scope(select(self.structure, self.project)).options()
        columns: tuple[str, ...] = ()
        # A record can be deleted between the census and here; then the next one is looked at.
        for record in census[:3]:
            with private_files():
                self.client.export_records_to(path, format="csv", records=(record,), **options)
            columns = csv_header(path)
            path.unlink()
            if columns:
                break
        self._check_columns(columns)
        return columns

    def _check_columns(self, columns: Sequence[str]) -> None:
        needed = [self.structure.record_id_field] + [EVENT] * self.structure.longitudinal
        needed += [REPEAT_INSTRUMENT, REPEAT_INSTANCE] * bool(self.structure.repeating)
        missing = [name for name in needed if name not in columns]
        strange = unexpected_columns(self.structure, columns)
        if not missing and not strange:
            return
        detail = f"it lacks {', '.join(missing)}" if missing else f"nothing explains {', '.join(strange[:5])}"
        raise errors.UnexpectedAnswer(
            errors.RequestContext(content="record", project=self.project.name),
            detail=f"The columns of the export do not fit the data dictionary: {detail}. Nothing was changed. "
            "If someone is editing the dictionary just now, run the load again.",
        )


def only_in(some: Iterable[str], others: Collection[str]) -> list[str]:
    """Those of some that are not among the others, in their order."""
    known = set(others)
    return [record for record in some if record not in known]
