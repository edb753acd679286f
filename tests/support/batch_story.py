"""A batch and everything that can happen to it: people who type meanwhile, a server that fails, a run that dies.

The server is the simulator; what a cell may hold is worked out here from the study's own dictionary, not by the rules
of the product.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from pipelines.errors import WarehouseError
from redcap_source.errors import RedcapError
from redcap_source.simulator.state.dictionary import Column
from tests.support.writeback_site import WritebackSite, row, values

Spot = tuple[str, tuple[int, str, int], str]
"""Record, slot and column, as the simulator keeps cells."""
STEPS = ("bind", "look", "intend", "send", "look again", "look after loss", "read back", "fetch", "account", "rule")
FAULTS = ("500", "502", "504", "reset", "truncate", "html", "empty", "memory")


class Killed(BaseException):
    """The process is gone."""


@dataclass
class Edit:
    """What a person typed."""

    spot: Spot
    value: str
    late: bool
    """Whether it came after the last look before sending, where nothing can be done about it."""


@dataclass
class Story:
    """One batch, from its proposals to the last look."""

    site: WritebackSite
    chance: random.Random
    seen: dict[Spot, str] = field(default_factory=dict)
    wanted: dict[Spot, str] = field(default_factory=dict)
    edits: list[Edit] = field(default_factory=list)
    kills: int = 0
    runs: int = 0

    @property
    def handle(self):
        return self.site.handles["study"]

    # -- making things up ----------------------------------------------------------------------------------

    def spots(self) -> list[tuple[Spot, Column]]:
        """Every cell that a person could fill in, of rows that there are."""
        project = self.handle.project
        found = []
        for record in project.records:
            for slot in record.slots:
                for column in project.dictionary.columns:
                    if column.form not in project.forms_in(slot) or not self._writable(column):
                        continue
                    found.append(((record.id, slot, column.name), column))
        return found

    def _writable(self, column: Column) -> bool:
        project = self.handle.project
        known = project.dictionary.by_name.get(column.field)
        return (
            known is not None
            and column.field != project.dictionary.record_id
            and known.field_type not in ("calc", "file", "descriptive")
        )

    def a_value(self, column: Column) -> str:
        """Something REDCap takes in the column, spelled as it keeps it."""
        known = self.handle.project.dictionary.by_name[column.field]
        chance = self.chance
        if column.kind == "checkbox":
            return chance.choice("01")
        if known.field_type in ("yesno", "truefalse"):
            return chance.choice("01")
        if known.field_type in ("radio", "dropdown"):
            return chance.choice(sorted(known.choices))
        if known.field_type == "slider":
            return str(chance.randrange(101))
        if known.validation.startswith("datetime"):
            return f"2025-0{chance.randrange(1, 10)}-11 1{chance.randrange(10)}:30"
        if known.validation.startswith("date"):
            return f"2025-0{chance.randrange(1, 10)}-1{chance.randrange(10)}"
        if known.validation.startswith("number_2dp"):
            return f"{chance.uniform(1, 9):.2f}"
        if known.validation.startswith("number"):
            return str(chance.randrange(100, 200))
        # Only a notes box may hold a line break.
        two = "two\nlines" if known.field_type == "notes" else "two words"
        return chance.choice(["plain", two, 'comma, and "quotes"', "Zoë", f"w{chance.randrange(99)}"])

    def held(self, spot: Spot) -> str:
        """What the server holds of a cell."""
        record = self.handle.project.records.get(spot[0])
        return record.slots.get(spot[1], {}).get(spot[2], "") if record is not None else ""

    def propose(self, count: int) -> None:
        """A batch of proposals for cells of all kinds: changes, erasures, some that are there already, some wrong."""
        rows = []
        for spot, column in self.chance.sample(self.spots(), count):
            held, kind = self.held(spot), self.chance.random()
            new = self.a_value(column)
            if kind < 0.15 and held and column.kind != "checkbox":
                new = ""
            elif kind < 0.25:
                new = held or new
            elif kind < 0.30:
                new = "\x00"
            self.seen[spot], self.wanted[spot] = held, new
            rows.append(self._row(spot, new))
        self.site.propose(rows, author="story", reason="at random")

    def _row(self, spot: Spot, new: str) -> dict[str, object]:
        record, (event_id, _, instance), column = spot
        return row(
            record,
            column,
            new or None,
            clear=new == "",
            event=self.handle.project.event(event_id).unique_name,
            instance=str(instance) if instance else "",
        )

    def somebody_types(self, *, late: bool) -> None:
        """A person changes a cell, mostly one that a proposal is about."""
        columns = self.handle.project.dictionary.column_named
        spots = list(self.wanted) if self.chance.random() < 0.8 else [spot for spot, _ in self.spots()]
        spot = self.chance.choice(spots)
        value = self.chance.choice([self.a_value(columns[spot[2]]), self.seen.get(spot, ""), ""])
        if columns[spot[2]].kind == "checkbox":
            value = value or "0"
        record, (event_id, form, instance), column = spot
        self.handle.save(
            record,
            {column: value},
            event=self.handle.project.event(event_id).unique_name,
            instrument=form or columns[column].form,
            instance=instance or None,
        )
        self.edits.append(Edit(spot, value if value != "0" or columns[column].kind != "checkbox" else "", late))

    # -- living through it ---------------------------------------------------------------------------------

    def run(self, *, typing: float = 0.0, faults: float = 0.0, kills: float = 0.0) -> None:
        """Apply the batch until it ends well, whatever happens meanwhile."""
        for attempt in range(12):
            calm = attempt >= 6
            self._trouble(0.0 if calm else faults)
            while self.chance.random() < typing:
                self.somebody_types(late=False)
            deadly = self._deadly(0.0 if calm else kills)
            self.runs += 1
            try:
                self.site.apply(step=lambda name, deadly=deadly: self._at(name, deadly, typing))
            except Killed:
                self.kills += 1
            except (RedcapError, WarehouseError):
                assert not calm, "no fault was armed, and the run ended badly"
            else:
                self.site.simulator.faults.clear()
                return
        raise AssertionError("it never ended well")

    def _deadly(self, kills: float) -> list[tuple[str, int]]:
        if self.chance.random() >= kills:
            return []
        return [(self.chance.choice(STEPS), self.chance.choice([1, 1, 1, 2]))]

    def _at(self, name: str, deadly: list[tuple[str, int]], typing: float) -> None:
        if name in ("look", "send", "look again", "look after loss", "read back", "fetch", "account"):
            while self.chance.random() < typing:
                # Between a look and its request nothing can be done; and a lost request is only looked at itself.
                self.somebody_types(late=name in ("send", "read back", "fetch", "account"))
        for at, (step, times) in enumerate(deadly):
            if step == name:
                deadly[at] = (step, times - 1)
                if times == 1:
                    raise Killed

    def _trouble(self, faults: float) -> None:
        self.site.simulator.faults.clear()
        if self.chance.random() < faults:
            self.site.simulator.faults.add(
                self.chance.choice(FAULTS),
                content="record",
                action=self.chance.choice(["import", "import", "export"]),
                nth=self.chance.randrange(1, 3),
                times=self.chance.choice([1, 1, 2, 6]),
                after_work=self.chance.random() < 0.5,
            )

    # -- looking back --------------------------------------------------------------------------------------

    def alike(self, spot: Spot, one: str, other: str) -> bool:
        """Whether two values of a cell are the same; an option that is not ticked is kept as nothing."""
        if self.handle.project.dictionary.column_named[spot[2]].kind == "checkbox":
            return (one or "0") == (other or "0")
        return one == other

    def check_people_win(self) -> None:
        """No cell that a person changed after it was seen was overwritten, if the edit came before our last look."""
        for spot, wanted in self.wanted.items():
            own = [edit for edit in self.edits if edit.spot == spot]
            if not own:
                continue
            if any(edit.late for edit in own) or any(
                self.alike(spot, edit.value, self.seen[spot]) or self.alike(spot, edit.value, wanted) for edit in own
            ):
                # After the look nothing can be done; and an edit back to what was seen is no change to be noticed.
                continue
            assert self.held(spot) == own[-1].value, f"a person's value in {spot[2]} was overwritten"

    def check_written(self) -> None:
        """What nobody else touched holds what was proposed, if it was right."""
        for spot, wanted in self.wanted.items():
            if any(edit.spot == spot for edit in self.edits):
                continue
            expected = self.seen[spot] if wanted == "\x00" else wanted
            assert self.alike(spot, self.held(spot), expected), f"{spot[2]} is not what was proposed"

    def check_nothing_else(self, before: dict[Spot, str]) -> None:
        """Nothing changed but what was proposed, typed, calculated, or opened by it."""
        after = values(self.handle)
        touched = {spot for spot in before.keys() | after.keys() if before.get(spot, "") != after.get(spot, "")}
        touched -= set(self.wanted) | {edit.spot for edit in self.edits}
        dictionary = self.handle.project.dictionary
        for _, _, name in touched:
            column = dictionary.column_named.get(name)
            known = dictionary.by_name.get(column.field) if column else None
            assert name.endswith("_complete") or (known is not None and known.field_type == "calc"), name

    def check_journal(self) -> None:
        """Every cell has at most one confirmed row, with what was there before and what is there after."""
        untouched = {spot for spot in self.wanted if not any(edit.spot == spot for edit in self.edits)}
        events = {event.unique_name: event.event_id for event in self.handle.project.events}
        confirmed: dict[Spot, tuple[str, str]] = {}
        for record, event, instrument, instance, column, before, after, status in self.site.journal(
            "record, event, instrument, instance, field, before_value, after_value, status"
        ):
            assert status != "intended"
            slot = self.handle.project.slot_of(events[event], instrument, int(instance or 1))
            spot = (record, slot, column)
            assert spot in self.wanted
            if status == "confirmed":
                assert spot not in confirmed, f"{column} was written twice"
                confirmed[spot] = (before or "", after or "")
        for spot in untouched:
            wanted = self.wanted[spot]
            if wanted == "\x00" or self.alike(spot, self.seen[spot], wanted):
                assert spot not in confirmed
            else:
                before, after = confirmed[spot]
                assert self.alike(spot, before, self.seen[spot])
                assert self.alike(spot, after, wanted)

    def check_account(self) -> None:
        """The warehouse tells each written cell once, as ours, and a person's as theirs."""
        told = self.site.work(
            "SELECT c.field, count(*), count(*) FILTER (c.origin = 'writeback'), any_value(c.changed_by) "
            "FROM writeback.journal j JOIN redcap.record_changes c ON c.record = j.record "
            "AND c.event IS NOT DISTINCT FROM j.event AND c.instrument = j.instrument "
            "AND c.instance IS NOT DISTINCT FROM j.instance AND c.field = j.field "
            "WHERE j.status = 'confirmed' GROUP BY j.proposal, c.field"
        )
        edited = {edit.spot[2] for edit in self.edits}
        for column, rows, ours, _ in told:
            assert ours == 1, f"{column} is told {ours} times as ours"
            assert rows == 1 or column in edited, f"{column} is told {rows} times"

    def check_again(self) -> None:
        """The same batch once more sends nothing."""
        if self.edits:
            # Somebody may have put back what was seen after the cell had been found in conflict: then it is written.
            self.site.apply()
        before = self.site.imports()
        outcome = self.site.apply()
        assert (outcome.sent, self.site.imports()) == (0, before)
