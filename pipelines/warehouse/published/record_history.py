"""The history of one record, as it is published."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime

from pipelines.errors import UnknownRecord
from pipelines.warehouse.sql import statements
from pipelines.warehouse.store.protocol import Store


@dataclass(frozen=True, slots=True)
class Name:
    """One id a record has had; times are UTC."""

    record: str = dataclasses.field(repr=False)
    first_seen: datetime
    last_changed: datetime
    deleted_at: datetime | None
    renamed_to: str | None = dataclasses.field(repr=False)


@dataclass(frozen=True, slots=True)
class CellChange:
    """One row of redcap.record_changes; times are UTC."""

    detected_at: datetime
    changed_at: datetime | None
    changed_by: str | None = dataclasses.field(repr=False)
    origin: str
    change: str
    record: str = dataclasses.field(repr=False)
    event: str | None
    instrument: str | None
    instance: str | None
    field: str
    old_value: str | None = dataclasses.field(repr=False)
    new_value: str | None = dataclasses.field(repr=False)
    run_id: str
    reason: str | None = dataclasses.field(repr=False)
    """Why it was written back, in the words of the person who proposed it."""


@dataclass(frozen=True, slots=True)
class RecordHistory:
    """What is known of one record: its ids and every changed cell, the earliest first."""

    names: tuple[Name, ...]
    changes: tuple[CellChange, ...] = dataclasses.field(repr=False)


def record_history(store: Store, project: str, record: str) -> RecordHistory:
    """The history of a record under all the ids it had; raises UnknownRecord where the warehouse never had it."""
    sql = statements("reading")
    with store.published.open() as connection:
        found = connection.execute(sql["record_ids"], {"project": project, "record": record}).fetchall()
        names = tuple(Name(*row) for row in found)
        if not names:
            raise UnknownRecord(project=project)
        values = {"project": project, "records": [name.record for name in names]}
        changes = connection.execute(sql["record_history"], values).fetchall()
    return RecordHistory(names, tuple(CellChange(*row) for row in changes))
