"""The records of a project.

Records are immutable: a change puts a new one in place of the old, so that an answer that is being sent is of one
moment. A store may make records only when they are read, so that a study of any size needs no memory until it is
edited.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from redcap_source.simulator.state.names import natural_key

# Where values are stored: (event id, repeating instrument or "", instance). Instance 0 is what does not repeat; in a
# repeating event the instrument is blank and the instance 1 or more.
Slot = tuple[int, str, int]
# Values that are not blank, by export column; a checked checkbox option is "1", an unchecked one is absent.
Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Record:
    """One record: its values by event and instance, its data access group, its locked forms."""

    id: str
    slots: Mapping[Slot, Values] = field(default_factory=dict, repr=False)
    group: str = ""
    # Locked instruments by slot; a slot of event id 0 locks the whole record.
    locks: frozenset[tuple[Slot, str]] = frozenset()

    @property
    def is_locked(self) -> bool:
        """Whether the record is locked as a whole."""
        return ((0, "", 0), "") in self.locks

    def with_slot(self, slot: Slot, values: Values) -> Record:
        """The record with these values in one slot."""
        return replace(self, slots={**self.slots, slot: values})

    def without_slots(self, gone: Callable[[Slot], bool]) -> Record:
        """The record without the slots for which `gone` is true."""
        return replace(self, slots={slot: values for slot, values in self.slots.items() if not gone(slot)})


class RecordStore:
    """The records of one project, in REDCap's order."""

    def __init__(
        self,
        records: Iterable[Record] = (),
        *,
        makes: Callable[[str], Record] | None = None,
        makeable: Iterable[str] = (),
    ) -> None:
        """Hold `records`, and make those of the ids in `makeable` with `makes` whenever they are read."""
        self._held = {record.id: record for record in records}
        self._makes = makes
        self._makeable = dict.fromkeys(makeable)
        self._order: list[str] | None = None

    def __len__(self) -> int:
        return len(self.ids())

    def __contains__(self, record: str) -> bool:
        return record in self._held or record in self._makeable

    def __iter__(self) -> Iterator[Record]:
        return (record for record in map(self.get, self.ids()) if record is not None)

    def get(self, record: str) -> Record | None:
        """The record of that id, if there is one."""
        held = self._held.get(record)
        if held is None and self._makes is not None and record in self._makeable:
            return self._makes(record)
        return held

    def matching_id(self, record: str) -> str:
        """The id of the record that is found if letter case is ignored; the id itself where there is none."""
        if record in self:
            return record
        return next((known for known in self.ids() if known.casefold() == record.casefold()), record)

    def ids(self) -> list[str]:
        """All record ids in natural order."""
        if self._order is None:
            self._order = sorted({**self._makeable, **self._held}, key=natural_key)
        return self._order

    def put(self, record: Record) -> None:
        """Store a record, in place of one of the same id."""
        if record.id not in self:
            self._order = None
        self._held[record.id] = record

    def merge(self, record: Record) -> None:
        """Store a record's values over those of the record of the same id, which keeps all others."""
        held = self.get(record.id)
        if held is not None:
            slots = {slot: {**held.slots.get(slot, {}), **values} for slot, values in record.slots.items()}
            record = replace(held, slots={**held.slots, **slots}, group=record.group or held.group)
        self.put(record)

    def remove(self, record: str) -> None:
        """Remove a record, if there is one of that id."""
        self._held.pop(record, None)
        self._makeable.pop(record, None)
        self._order = None
