"""Parse REDCap's log: which records changed, when, by whom, and which fields a row names.

The log shows *that* a record changed, not reliably to what: quotes in values are not escaped, and very long rows are
cut. So no value is read here, and every doubt means that the record changed: fetching a record once too often costs a
moment, one that is missed is missed until the next full load.

The log does not have: the id of a record before it was renamed, the instrument of a repeating event, a project that
was erased as a whole, and calculated values that depend on today's date. A comparison of all ids and regular full loads
find those. Not here: the clock of the log (clock.py).
"""

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from redcap_source.dictionary import DATA_ACCESS_GROUP_COLUMN, checkbox_column
from redcap_source.log.clock import stamp_of
from redcap_source.model import LogRow


class ChangeKind(StrEnum):
    """How a row of the log changed a record."""

    # Entered, imported, calculated, answered in a survey, deleted in part; also every action that is not known here.
    SAVED = "saved"
    # From the project, or from one arm of it: the record may still exist in another.
    DELETED = "deleted"
    # The row names the new id. A save that changed nothing can look the same.
    RENAMED = "renamed"
    # Moved into, between or out of data access groups.
    GROUP = "group"
    RANDOMIZED = "randomized"
    # Locked, unlocked, signed or the signature removed: no data.
    LOCKED = "locked"
    # A PDF snapshot or e-Consent was filed; the answers themselves have rows of their own.
    SNAPSHOT = "snapshot"


_NO_DATA = frozenset({ChangeKind.LOCKED, ChangeKind.SNAPSHOT})


@dataclass(frozen=True, slots=True)
class RecordChange:
    """A row of the log that is about a record.

    `at` is the server's local time, in whole minutes and without a zone; None if it cannot be parsed. `columns` are the
    columns of a flat export that the details name; values that look like the log's own text can add some, so they are
    hints. `columns_cut` says that the details were too long for the log or were removed, so that columns are missing.
    `instance` is None if the row names none, which for repeating data means the first. `guessed` says that this
    server's log has no column for the record, and that the id is one of several possible readings of the action; each
    reading is a RecordChange of its own, and some of these records never existed.
    """

    at: datetime | None
    username: str
    record: str = field(repr=False)
    kind: ChangeKind
    columns: tuple[str, ...] = ()
    columns_cut: bool = False
    instance: int | None = None
    event_label: str | None = None
    guessed: bool = False
    details: str = field(default="", repr=False)


def record_changes(
    entries: Iterable[LogRow], *, record_id_field: str, known: Collection[str] | None = None
) -> tuple[RecordChange, ...]:
    """The changes of records in the log's rows, in their order; rows about anything else are left out.

    `known` are the project's columns: other names are not taken for columns.
    """
    only = None if known is None else frozenset(known)
    return tuple(change for entry in entries for change in _changes_of(entry, record_id_field, only))


def changed_records(changes: Iterable[RecordChange]) -> frozenset[str]:
    """The ids of records whose data may have changed, including those that may be deleted.

    A renamed record is included with its new id only.
    """
    return frozenset(change.record for change in changes if change.kind not in _NO_DATA)


def unparsed(entries: Iterable[LogRow], *, record_id_field: str) -> int:
    """The number of rows that may be about a record whose id cannot be read; any such row calls for a full load.

    They occur with servers whose log has no column for the record and is in another language, and with data rows that
    name no record.
    """
    return sum(_is_unparsed(entry, record_id_field) for entry in entries)


def is_understood(entry: LogRow) -> bool:
    """Whether the action is known; a row with an unknown one counts as changed data if it names a record."""
    return _rule_for(_action(entry)) is not None


def is_about_a_record(entry: LogRow) -> bool:
    """Whether the action is known and is one on a record: data, a lock, a signature or a snapshot."""
    rule = _rule_for(_action(entry))
    return rule is not None and rule.kind is not None


# --- The words of the log -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Rule:
    """The words that an action begins with, and what they mean for a record: None for nothing, even if it names one.

    Rows of a rule with `renames` are renames where their details say so.
    """

    words: re.Pattern[str]
    kind: ChangeKind | None
    renames: bool = False


def _rule(words: str, kind: ChangeKind | None, *, renames: bool = False) -> _Rule:
    return _Rule(re.compile(rf"(?:{words})(?!\w)", re.IGNORECASE), kind, renames)


# Both wordings: `Update record 5` since REDCap 12, `Updated Record 5` before. The first match counts.
_RULES = (
    _rule(r"deleted?\s+(?:record|response)", ChangeKind.DELETED),
    _rule(r"updated?\s+record", ChangeKind.SAVED, renames=True),
    _rule(r"(?:create|update|edit)e?d?\s+(?:record|response)", ChangeKind.SAVED),
    _rule(r"(?:upload|delete|edit|update)e?d?\s+(?:document|file)", ChangeKind.SAVED),
    _rule(r"randomized?\s+record", ChangeKind.RANDOMIZED),
    _rule(r"(?:lock/unlock|lock(?:ed)?|unlock(?:ed)?)\s+record", ChangeKind.LOCKED),
    _rule(r"(?:negated?\s+)?e-signature", ChangeKind.LOCKED),
    _rule(r"saved?\s+pdf\s+snapshot", ChangeKind.SNAPSHOT),
    _rule(r"e-consent\s+certification", ChangeKind.SNAPSHOT),
    _rule(r"data\s+export", None),
    _rule(r"download(?:ed)?", None),
    _rule(r"manage/design", None),
    _rule(r"page\s+view", None),
    _rule(r"(?:add|create|edit|update|rename|delete|copy|copie|assign|remove)e?d?\s+(?:user|role)", None),
)
# Actions in another language, of a module, or of a later version.
_UNKNOWN = _rule("", ChangeKind.SAVED)


def _rule_for(action: str) -> _Rule | None:
    return next((rule for rule in _RULES if rule.words.match(action)), None)


def _action(entry: LogRow) -> str:
    return (entry.action or "").strip()


# --- One row --------------------------------------------------------------------------------------------------


def _changes_of(entry: LogRow, record_id_field: str, known: frozenset[str] | None) -> Iterator[RecordChange]:
    action, details = _action(entry), (entry.details or "").strip()
    rule = _rule_for(action) or _UNKNOWN
    columns = columns_in(details)
    kind = _kind_in_details(rule, details, columns, record_id_field)
    if kind is None:
        return
    subject = _after_words(action, rule)
    ids = _named(entry) or ([] if rule is _UNKNOWN else _ids_in(subject, details, record_id_field))
    instance, _ = _without_instance(details)
    for record in ids:
        yield RecordChange(
            at=stamp_of(entry.timestamp),
            username=entry.username or "",
            record=record,
            kind=kind,
            columns=tuple(column for column in columns if known is None or column in known),
            columns_cut=_is_cut(details),
            instance=instance,
            event_label=_event_label(subject, record),
            guessed=len(ids) > 1,
            details=details,
        )


def _is_unparsed(entry: LogRow, record_id_field: str) -> bool:
    if _named(entry):
        return False
    action = _action(entry)
    rule = _rule_for(action)
    if rule is None:
        # Where the column exists, a blank means that the row is about no record.
        return entry.record is None and bool(action)
    if rule.kind is None or rule.kind in _NO_DATA:
        return False
    return not _ids_in(_after_words(action, rule), (entry.details or "").strip(), record_id_field)


def _kind_in_details(rule: _Rule, details: str, columns: tuple[str, ...], record_id_field: str) -> ChangeKind | None:
    _, fields = _without_instance(details)
    if rule.kind is ChangeKind.SNAPSHOT and columns:
        # A snapshot can be written into a file field of the record.
        return ChangeKind.SAVED
    if rule.kind is ChangeKind.SAVED and _GROUP.match(fields):
        return ChangeKind.GROUP
    # Rows that create a record may also name only the id, so the action decides.
    if rule.renames and columns == (record_id_field,) and fields.endswith("'"):
        return ChangeKind.RENAMED
    return rule.kind


# --- Which record ---------------------------------------------------------------------------------------------


_WAYS = re.compile(r"(?:\s*\((?:API|import|Auto calculation)\))+(?=\s|$)", re.IGNORECASE)
_OTHER_WAY = re.compile(r"\([^()]*\)\s+(?=\S)")


def _named(entry: LogRow) -> list[str]:
    return [entry.record] if entry.record else []


def _after_words(action: str, rule: _Rule) -> str:
    """The rest of an action after its words and ways: the id, and in longitudinal projects the event."""
    rest = rule.words.sub("", action, count=1)
    way = _WAYS.match(rest)
    # An id may itself look like a way; then nothing else remains that could be the id.
    return (rest[way.end() :] if way else rest).strip() or rest.strip()


def _ids_in(subject: str, details: str, record_id_field: str) -> list[str]:
    """The ids that the end of an action can be read as, the likeliest first.

    `12 (Week 2 (Arm 1: Drug A))` is record 12 at an event, or in a project without events a record of that name.
    Details that name the id, as those of creating and deleting do, decide.
    """
    readings = list(dict.fromkeys(_readings(subject)))
    _, fields = _without_instance(details)
    confirmed = [reading for reading in readings if _begins_with(fields, f"{record_id_field} = '{reading}'")]
    if readings:
        return confirmed or readings
    alone = re.match(rf"{re.escape(record_id_field)} = '([^']+)'", fields)
    return [alone.group(1)] if alone else []


def _readings(subject: str) -> Iterator[str]:
    if subject.endswith(")"):
        # Parentheses in ids and event labels need not match, so the event may begin at each.
        yield from (subject[: at.start()].strip() for at in re.finditer(r"\s\(", subject) if at.start())
    if subject.startswith("[") and subject.endswith("]"):
        yield subject[1:-1].strip()
    way = _OTHER_WAY.match(subject)
    if way:
        yield from _readings(subject[way.end() :])
    if subject:
        yield subject


def _begins_with(fields: str, first: str) -> bool:
    return fields.startswith(first) and (len(fields) == len(first) or fields[len(first)] == ",")


def _event_label(subject: str, record: str) -> str | None:
    rest = subject.removeprefix(record).strip() if subject.startswith(record) else ""
    return rest[1:-1] if rest.startswith("(") and rest.endswith(")") else None


# --- The details ----------------------------------------------------------------------------------------------


_INSTANCE = re.compile(r"\[instance = (\d{1,9})\](?:,\s*|$)", re.IGNORECASE)
_GROUP = re.compile(rf"\w+ record (?:to|from) Data Access Group \({DATA_ACCESS_GROUP_COLUMN} = ", re.IGNORECASE)
# A field begins the details or follows a comma; a value may contain the same and cannot be distinguished.
_FIELD = re.compile(
    r"(?:^|,\s+)([a-z][a-z0-9_]{0,99})(?: = '|\(((?:(?!\) = )[^\n]){1,100})\) = (?:un)?checked(?=,\s|$))"
)
# REDCap's column has 65,535 bytes; a cut text may also lose an incomplete character and blanks.
_FULL = 65_500
_REMOVED = "[*DATA REMOVED*]"


def columns_in(details: str) -> tuple[str, ...]:
    """The columns of a flat export that a row's details name, each once, in their order: `cb(1)` is `cb___1`."""
    _, fields = _without_instance(details.strip())
    if _GROUP.match(fields):
        return (DATA_ACCESS_GROUP_COLUMN,)
    named = (
        checkbox_column(name, code) if code else name
        for name, code in (found.groups() for found in _FIELD.finditer(fields))
    )
    return tuple(dict.fromkeys(named))


def _without_instance(details: str) -> tuple[int | None, str]:
    found = _INSTANCE.match(details)
    return (int(found.group(1)), details[found.end() :]) if found else (None, details)


def _is_cut(details: str) -> bool:
    return details == _REMOVED or len(details.encode("utf-8", "replace")) >= _FULL
