"""Reading what people offer as proposals: one cell a row, or an edited copy of an instrument's table. Pure.

A row that cannot be read is refused by itself, with its number and the reason; what stood in it is never repeated. The
published warehouse tells what was seen. Opening files and storing proposals is propose.py's business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from pipelines.warehouse.journal import Key, Replaced, Shown
from pipelines.warehouse.proposals import Cell, Proposal, Refused
from pipelines.wording import counted
from pipelines.writeback.proposals.files import Unreadable
from pipelines.writeback.rules import NEW, Rule, column_rules
from pipelines.writeback.values import NOT_GIVEN, is_missing, looks_alike, spelled
from redcap_source import dictionary
from redcap_source.dictionary import ValueKind

EVENT = dictionary.EVENT_COLUMN
REPEAT_INSTRUMENT, REPEAT_INSTANCE = dictionary.REPEAT_COLUMNS
# Columns of a table that stand beside its fields; people may edit them, and plans refuse them.
NEVER_WRITTEN = (dictionary.DATA_ACCESS_GROUP_COLUMN, dictionary.SURVEY_IDENTIFIER_COLUMN)


class Blanks(StrEnum):
    """What a blank in an edited table means where REDCap has a value."""

    LEAVE = "leave"
    """Nothing: the cell stays as it is."""
    CLEAR = "clear"
    """The value is to be erased."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns and rows as they came from a file, a query or a frame."""

    columns: tuple[str, ...] = field(repr=False)
    """Out of the repr: a file without a header has a participant's values here."""
    rows: Sequence[Sequence[Any]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds for rows that do not say it themselves."""

    project: str
    batch: str
    author: str = ""
    reason: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Offer:
    """What was made of a table: proposals, rows that were refused, and cells that are left as they are."""

    proposals: tuple[Proposal, ...] = field(repr=False)
    refused: tuple[Refused, ...]
    left: int
    """Cells that propose nothing: without a new value, or blank in an edited table."""
    rows: int


@dataclass(frozen=True, slots=True)
class Night:
    """What was published, as far as reading an offer needs it."""

    shown: Shown
    rows: Callable[[str, Sequence[str]], Mapping[Key, Mapping[str, str]]] = field(repr=False)
    """The rows of an instrument of some records, verbatim."""
    columns: Callable[[str], Sequence[str]] = field(repr=False)
    misfits: Callable[[str], frozenset[tuple[str, str, str, str]]] = field(repr=False)
    replaced: Callable[[str, Sequence[str]], Mapping[tuple[str, str, str, str], Sequence[Replaced]]] | None = field(
        repr=False, default=None
    )
    """What cells of some records held before; None where the table is known to be of this night."""

    def rules(self) -> dict[str, Rule]:
        """The columns of the project, as the dictionary was when it was published."""
        missing = dictionary.missing_data_codes(self.shown.missing_data_codes)
        return column_rules(self.shown.fields, self.shown.instruments, missing=missing)


def is_long(columns: Sequence[str]) -> bool:
    """Whether a table has one cell a row."""
    names = {name.strip().lower() for name in columns}
    return bool(names & set(LONG["field"]) and names & set(LONG["new_value"]))


def read_offer(
    table: Table,
    night: Night,
    defaults: Defaults,
    *,
    instrument: str | None = None,
    blanks: Blanks = Blanks.LEAVE,
) -> Offer:
    """The proposals in a table; Unreadable where it is neither of the two formats."""
    if is_long(table.columns) and instrument is None:
        return _Long(table, night, defaults).read()
    return _Wide(table, night, defaults, instrument, blanks).read()


# --- One cell a row ---

# Our name for a column, and others it may go by.
LONG = {
    "project": ("project",),
    "batch": ("batch",),
    "record": ("record",),
    "event": ("event", EVENT),
    "instrument": ("instrument", REPEAT_INSTRUMENT),
    "instance": ("instance", REPEAT_INSTANCE),
    "field": ("field", "field_name"),
    "seen_value": ("seen_value", "seen", "old_value"),
    "new_value": ("new_value", "new"),
    "clear": ("clear",),
    "reason": ("reason",),
    "author": ("author",),
}
_TRUE = ("1", "true", "t", "yes", "y")
_FALSE = ("", "0", "false", "f", "no", "n")


class _RowRefusedError(Exception):
    """A row cannot be read; the text says why, without its values."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """A row that could be read, before it is known what was seen."""

    row: int
    proposal: Proposal
    rule: Rule | None
    seen_given: bool


class _Long:
    def __init__(self, table: Table, night: Night, defaults: Defaults) -> None:
        self._table = table
        self._night = night
        self._defaults = defaults
        self._rules = night.rules()
        self._at = self._columns()

    def _columns(self) -> dict[str, int]:
        known = {alias: name for name, aliases in LONG.items() for alias in aliases}
        known[self._night.shown.record_id_field] = "record"
        at: dict[str, int] = {}
        for position, column in enumerate(self._table.columns):
            name = known.get(column.strip().lower())
            if name is None or name in at:
                raise Unreadable(f"its column {position + 1} is not one of {', '.join(LONG)}, or stands twice.")
            at[name] = position
        missing = [name for name in ("record", "field", "new_value") if name not in at]
        if missing:
            raise Unreadable(f"it has no column {' and '.join(missing)}.")
        return at

    def read(self) -> Offer:
        refused: list[Refused] = []
        wishes: list[_Wish] = []
        left = 0
        for number, row in enumerate(self._table.rows, start=1):
            try:
                wish = self._wish(number, row)
            except _RowRefusedError as problem:
                refused.append(Refused(number, str(problem)))
                continue
            if wish is None:
                left += 1
            else:
                wishes.append(wish)
        kept, doubles = _without_doubles(wishes)
        seen = _seen(self._night, kept)
        proposals = tuple(_with_seen(wish, seen) for wish in kept)
        return Offer(proposals, tuple(sorted([*refused, *doubles], key=lambda r: r.row)), left, len(self._table.rows))

    def _wish(self, number: int, row: Sequence[Any]) -> _Wish | None:
        if len(row) != len(self._table.columns):
            raise _RowRefusedError("it has more or fewer cells than there are columns")
        project = self._text(row, "project")
        if project not in ("", self._defaults.project):
            raise _RowRefusedError("it is for another project")
        record, name = self._text(row, "record"), self._text(row, "field").strip()
        if not record.strip():
            raise _RowRefusedError("it names no record")
        if not name:
            raise _RowRefusedError("it names no field")
        new = self._new(row, name)
        if new is None:
            return None
        rule = self._rules.get(name)
        cell = Cell(
            record=record,
            event=self._text(row, "event").strip(),
            instrument=self._text(row, "instrument").strip(),
            instance=self._text(row, "instance").strip(),
            field=name,
        )
        proposal = Proposal(
            number=number,
            batch=self._text(row, "batch").strip() or self._defaults.batch,
            cell=cell,
            seen=self._value(row, "seen_value", name) or "",
            new=new,
            reason=self._text(row, "reason") or self._defaults.reason,
            author=self._text(row, "author") or self._defaults.author,
        )
        at = self._at.get("seen_value")
        return _Wish(number, proposal, rule, seen_given=at is not None and row[at] is not NOT_GIVEN)

    def _new(self, row: Sequence[Any], name: str) -> str | None:
        """The value wanted; blank to erase, None where the row proposes nothing."""
        value = self._value(row, "new_value", name)
        clear = self._text(row, "clear").strip().lower()
        if clear not in (*_TRUE, *_FALSE):
            raise _RowRefusedError("clear is neither true nor false")
        if clear in _TRUE:
            if value:
                raise _RowRefusedError("it has a new value and clear as well")
            return ""
        return value or None

    def _value(self, row: Sequence[Any], column: str, name: str) -> str | None:
        return _cell_text(_at(row, self._at.get(column)), self._rules.get(name))

    def _text(self, row: Sequence[Any], column: str) -> str:
        return _cell_text(_at(row, self._at.get(column)), None) or ""


def _at(row: Sequence[Any], position: int | None) -> Any:
    return None if position is None else row[position]


def _cell_text(value: Any, rule: Rule | None) -> str | None:
    if is_missing(value):
        return None
    try:
        return spelled(rule.field if rule else None, rule.kind if rule else ValueKind.TEXT, value)
    except TypeError as problem:
        raise _RowRefusedError(f"a value has no spelling in REDCap: it is a {type(value).__name__}") from problem


def _without_doubles(wishes: Sequence[_Wish]) -> tuple[list[_Wish], list[Refused]]:
    """Of rows for the same cell the first is kept."""
    first: dict[tuple[str, Cell], int] = {}
    kept: list[_Wish] = []
    refused: list[Refused] = []
    for wish in wishes:
        cell = replace(wish.proposal.cell, instrument="")
        key = wish.proposal.batch, cell
        if key in first:
            refused.append(Refused(wish.row, f"the same cell as row {first[key]}"))
        else:
            first[key] = wish.row
            kept.append(wish)
    return kept, refused


Seen = Mapping[tuple[str, Key], Mapping[str, str]]


def _seen(night: Night, wishes: Sequence[_Wish]) -> Seen:
    """The published rows of the cells in question, by instrument and keys."""
    records: defaultdict[str, list[str]] = defaultdict(list)
    for wish in wishes:
        if wish.rule is not None:
            records[wish.rule.instrument].append(wish.proposal.cell.record)
    return {
        (instrument, key): row
        for instrument, named in records.items()
        for key, row in night.rows(instrument, named).items()
    }


def _with_seen(wish: _Wish, seen: Seen) -> Proposal:
    """The proposal with what was seen, letter by letter as it was published where that is meant."""
    proposal, rule = wish.proposal, wish.rule
    if rule is None:
        return proposal
    cell = proposal.cell if proposal.cell.instrument else replace(proposal.cell, instrument=rule.instrument)
    proposal = replace(proposal, cell=cell)
    row = seen.get((rule.instrument, (cell.record, cell.event, cell.instance)), {})
    published = row.get(rule.column, "")
    if wish.seen_given and not looks_alike(rule.kind, rule.validation, proposal.seen, published):
        return proposal
    return replace(proposal, seen=published)


# --- An edited copy of a table ---


class _Wide:
    def __init__(self, table: Table, night: Night, defaults: Defaults, instrument: str | None, blanks: Blanks) -> None:
        self._table = table
        self._night = night
        self._defaults = defaults
        self._blanks = blanks
        self._rules = night.rules()
        self._at = {name.strip(): position for position, name in enumerate(table.columns)}
        if len(self._at) != len(table.columns):
            raise Unreadable("two of its columns have the same name.")
        if night.shown.record_id_field not in self._at:
            name = night.shown.record_id_field
            raise Unreadable(f"it has neither the columns record, field and new_value nor the record id {name}.")
        self._instrument = instrument or self._guessed()
        self._fields = self._own_fields()
        self._check_keys()

    def _guessed(self) -> str:
        found = dict.fromkeys(self._rules[name].instrument for name in self._at if name in self._rules)
        if len(found) != 1:
            what = f"fields of {counted(len(found), 'instrument')}" if found else "no field of the project"
            raise Unreadable(f"it has {what}; offer one instrument at a time, or name it.")
        return next(iter(found))

    def _own_fields(self) -> dict[str, int]:
        if self._instrument not in self._night.shown.instruments:
            raise Unreadable(f"the project has no instrument {self._instrument} in the warehouse.")
        own = {
            self._night.shown.record_id_field,
            EVENT,
            REPEAT_INSTRUMENT,
            REPEAT_INSTANCE,
            dictionary.timestamp_column(self._instrument),
        }
        fields: dict[str, int] = {}
        strange: list[int] = []
        for name, position in self._at.items():
            rule = self._rules.get(name)
            if (rule is not None and rule.instrument == self._instrument) or name in NEVER_WRITTEN:
                fields[name] = position
            elif name not in own:
                strange.append(position + 1)
        if strange:
            listed = ", ".join(map(str, strange[:10]))
            raise Unreadable(f"its columns {listed} are no fields of {self._instrument}; take them out.")
        return fields

    def _check_keys(self) -> None:
        needed = [name for name in self._night.columns(self._instrument) if name in (EVENT, REPEAT_INSTANCE)]
        missing = [name for name in needed if name not in self._at]
        if missing:
            raise Unreadable(f"it lacks {' and '.join(missing)}, which tell the rows of {self._instrument} apart.")

    def read(self) -> Offer:
        refused: list[Refused] = []
        rows: dict[Key, tuple[int, dict[str, str]]] = {}
        for number, row in enumerate(self._table.rows, start=1):
            try:
                key, cells = self._row(row)
                if NEW.fullmatch(key[2]):
                    # Every row for a new instance means one of its own.
                    key = (key[0], key[1], f"new-{number}")
                if key in rows:
                    raise _RowRefusedError(f"the same keys as row {rows[key][0]}")
            except _RowRefusedError as problem:
                refused.append(Refused(number, str(problem)))
                continue
            rows[key] = (number, cells)
        records = list(dict.fromkeys(key[0] for key in rows))
        published = self._night.rows(self._instrument, records)
        misfits = self._night.misfits(self._instrument) if self._blanks is Blanks.CLEAR else frozenset()
        found = _Differences(self, published, misfits)
        differing = {number: list(found.of(key, cells)) for key, (number, cells) in rows.items()}
        stale = self._stale(differing, records)
        proposals = tuple(one for number, own in differing.items() if number not in stale for one in own)
        refused += [Refused(number, why) for number, why in stale.items()]
        return Offer(proposals, tuple(sorted(refused, key=lambda r: r.row)), found.left, len(self._table.rows))

    def _stale(self, differing: Mapping[int, Sequence[Proposal]], records: Sequence[str]) -> dict[int, str]:
        if self._night.replaced is None or not any(differing.values()):
            return {}
        return _Age(self._rules, self._night.replaced(self._instrument, records)).stale(differing)

    def _row(self, row: Sequence[Any]) -> tuple[Key, dict[str, str]]:
        if len(row) != len(self._table.columns):
            raise _RowRefusedError("it has more or fewer cells than there are columns")
        key = (
            self._key_text(row, self._night.shown.record_id_field),
            self._key_text(row, EVENT).strip(),
            self._key_text(row, REPEAT_INSTANCE).strip(),
        )
        if not key[0].strip():
            raise _RowRefusedError("it names no record")
        cells = {name: _cell_text(row[at], self._rules.get(name)) or "" for name, at in self._fields.items()}
        return key, cells

    def _key_text(self, row: Sequence[Any], name: str) -> str:
        return _cell_text(_at(row, self._at.get(name)), None) or ""

    def proposal(self, key: Key, name: str, seen: str, new: str) -> Proposal:
        """A cell of the edited table as a proposal."""
        cell = Cell(key[0], key[1], self._instrument, key[2], name)
        return Proposal(0, self._defaults.batch, cell, seen, new, self._defaults.reason, self._defaults.author)

    def rule(self, name: str) -> Rule | None:
        """The rule of a column; None for one that is never written."""
        return self._rules.get(name)

    @property
    def clears(self) -> bool:
        """Whether a blank erases."""
        return self._blanks is Blanks.CLEAR


class _Differences:
    """The cells of an edited table that are not as they were published."""

    def __init__(
        self,
        wide: _Wide,
        published: Mapping[Key, Mapping[str, str]],
        misfits: frozenset[tuple[str, str, str, str]],
    ) -> None:
        self._wide = wide
        self._published = published
        self._misfits = misfits
        self.left = 0

    def of(self, key: Key, cells: Mapping[str, str]) -> Iterator[Proposal]:
        """The proposals of one row."""
        row = self._published.get(key, {})
        for name, new in cells.items():
            rule, seen = self._wide.rule(name), row.get(name, "")
            if rule is None:
                # An edit of it is proposed all the same, so that the plan says why it stays as it is.
                if new and new != seen and name in row:
                    yield self._wide.proposal(key, name, seen, new)
                continue
            if looks_alike(rule.kind, rule.validation, seen, new):
                continue
            if new == "" and not self._erases(key, rule):
                self.left += 1
                continue
            yield self._wide.proposal(key, name, seen, new)

    def _erases(self, key: Key, rule: Rule) -> bool:
        # A typed table shows a value that does not fit its type as empty: nobody has emptied it.
        return self._wide.clears and not rule.status and (*key, rule.column) not in self._misfits


class _Age:
    """Whether an edited file is a copy of the night it is compared with.

    In a copy from before the last nights a cell that somebody changed since looks edited, back to what it was. Taken
    for an edit it would undo that change, and nothing would notice.
    """

    def __init__(
        self, rules: Mapping[str, Rule], replaced: Mapping[tuple[str, str, str, str], Sequence[Replaced]]
    ) -> None:
        self._rules = rules
        self._replaced = replaced

    def stale(self, differing: Mapping[int, Sequence[Proposal]]) -> dict[int, str]:
        """The rows that cannot be told from edits of an older copy, each with why."""
        told = {number: nights for number, own in differing.items() if (nights := self._went_back(own))}
        if not told:
            return {}
        made_before = min(min(nights) for nights in told.values())
        night = f"{made_before:%Y-%m-%d %H:%M:%S}"
        undone = (
            f"it holds what the table showed before {night} UTC; --as-of says when the copy was made, "
            "also where the old value is meant"
        )
        since = (
            f"a cell of it changed at {night} UTC or later, and the copy seems to be older; "
            "--as-of says when it was made"
        )
        found = dict.fromkeys(told, undone)
        for number, own in differing.items():
            if number not in found and any(self._changed_since(proposal, made_before) for proposal in own):
                found[number] = since
        return found

    def _went_back(self, proposals: Sequence[Proposal]) -> list[datetime]:
        """When the values that these cells would go back to were replaced."""
        return [found for proposal in proposals if (found := self._replaced_at(proposal)) is not None]

    def _replaced_at(self, proposal: Proposal) -> datetime | None:
        rule = self._rules.get(proposal.cell.field)
        if rule is None:
            return None
        return max(
            (
                one.detected_at
                for one in self._of(proposal)
                if looks_alike(rule.kind, rule.validation, one.old, proposal.new)
            ),
            default=None,
        )

    def _changed_since(self, proposal: Proposal, when: datetime) -> bool:
        return any(one.detected_at >= when for one in self._of(proposal))

    def _of(self, proposal: Proposal) -> Sequence[Replaced]:
        cell = proposal.cell
        return self._replaced.get((cell.record, cell.event, cell.instance, cell.field), ())


def table_of(columns: Iterable[object], rows: Iterable[Sequence[Any]]) -> Table:
    """A table of plain Python values."""
    return Table(tuple(str(column) for column in columns), list(rows))
