"""Whether the published lake is what was published into it last, and what is to be made again where it is not. Pure.

Compares what the lake's catalog says now with the record that PostgreSQL keeps of what was published. Not here: reading
both (pipelines.coordination.lake), and repairing the lake (lake_watch.py, published_lake.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from pipelines.coordination import LakeCatalog, LakeRecord
from pipelines.warehouse.publishing.project import SCHEMAS

GONE = "its catalog in PostgreSQL was gone"
NO_RECORD = "there is no record of what was published last"
ANOTHER = "it was another lake than the one that was published into"
OLDER = "it was older than what was published last, like one restored from a backup"
CHANGED = "it had been changed by somebody else since it was published"
UNFINISHED = "an earlier publish had not made it again"
INCOMPLETE = "data files were missing or had another size"
# The schemas that all projects share.
SHARED = ("redcap", "writeback", "_publish")


@dataclass(frozen=True, slots=True)
class Damage:
    """What of the lake is not what was published."""

    record: LakeRecord
    """What the lake is now, where it is right."""
    why: str | None = None
    """What is wrong with the lake; None if nothing is."""
    again: Mapping[str, str] = field(default_factory=dict)
    """The projects to publish again as a whole, with the reason."""
    rows: bool = False
    """Whether tables that all projects share have other rows than were published."""
    tables: bool = False
    """Whether those tables are others, or cannot be read."""

    @property
    def trusted(self) -> frozenset[str]:
        """The projects of which the lake has what was published."""
        return frozenset(name for name, part in self.record.parts.items() if part is not None)


def schemas_of(project: str) -> tuple[str, ...]:
    """The schemas that are the project's alone."""
    return tuple(project + ending for ending in SCHEMAS)


def part_of(project: str, catalog: LakeCatalog) -> str:
    """A digest of what the lake has of a project in schemas of its own."""
    return _digest(schemas_of(project), catalog.structures, catalog.rows)


def find_damage(record: LakeRecord, catalog: LakeCatalog | None, *, was_there: bool) -> Damage:
    """Compare what was written last with what is there; `was_there` says that the lake was not made just now."""
    every = record.parts
    if not was_there or catalog is None:
        # What was published elsewhere before, when the warehouse was moved, is to be published, too.
        found = _found(record, catalog, every) if catalog else replace(record, parts=dict.fromkeys(every))
        return Damage(found, GONE if every else None, dict.fromkeys(every, GONE))
    if record.snapshot is None or record.identity != catalog.identity:
        why = NO_RECORD if record.snapshot is None else ANOTHER
        return Damage(_found(record, catalog, every, tables=True), why, dict.fromkeys(every, why), tables=True)
    now = _found(record, catalog, ())
    if catalog.snapshot > record.snapshot and not catalog.strangers:
        # What a publisher did that died before it could say so, is right.
        record = _found(record, catalog, [name for name, part in every.items() if part is None], **_blank(record))
    tables, rows = record.shared_structure != now.shared_structure, record.shared_rows != now.shared_rows
    again = sorted(name for name, part in record.parts.items() if tables or rows or part != now.parts[name])
    if not (again or tables or rows):
        return Damage(now)
    differs = any(
        there is not None and there != found
        for there, found in (
            (record.shared_structure, now.shared_structure),
            (record.shared_rows, now.shared_rows),
            *((part, now.parts[name]) for name, part in record.parts.items()),
        )
    )
    why = OLDER if catalog.snapshot < (record.snapshot or 0) else CHANGED if differs else UNFINISHED
    found = _found(record, catalog, again, tables=tables, rows=rows)
    return Damage(found, why, dict.fromkeys(again, why), rows, tables)


def with_files(damage: Damage, faulty: Collection[str]) -> Damage:
    """The damage, and that schemas have data files that are missing or have another size."""
    record, tables = damage.record, not set(faulty).isdisjoint(SHARED)
    again = sorted(name for name in record.parts if tables or not set(faulty).isdisjoint(schemas_of(name)))
    if not (again or tables):
        return damage
    parts = {name: None if name in again else part for name, part in record.parts.items()}
    record = replace(record, parts=parts, shared_structure=None if tables else record.shared_structure)
    reasons = {**dict.fromkeys(again, INCOMPLETE), **damage.again}
    return replace(damage, record=record, why=damage.why or INCOMPLETE, again=reasons, tables=damage.tables or tables)


def published_now(record: LakeRecord, catalog: LakeCatalog, written: Collection[str], *, repaired: bool) -> LakeRecord:
    """The record after these were published; `repaired` says whether the shared tables were made again where needed."""
    again = [name for name, part in record.parts.items() if part is None and name not in written]
    parts = {**record.parts, **dict.fromkeys(written)}
    return _found(replace(record, parts=parts), catalog, again, **({} if repaired else _blank(record)))


def _blank(record: LakeRecord) -> dict[str, bool]:
    return {"tables": record.shared_structure is None, "rows": record.shared_rows is None}


def _found(
    record: LakeRecord, catalog: LakeCatalog, again: Collection[str], *, tables: bool = False, rows: bool = False
) -> LakeRecord:
    """What is there now, but for what is to be made again: these projects, and the shared tables or their rows."""
    return replace(
        record,
        identity=catalog.identity,
        snapshot=catalog.snapshot,
        shared_structure=None if tables else _structure(catalog),
        shared_rows=None if rows else _rows(catalog),
        parts={name: None if name in again else part_of(name, catalog) for name in record.parts},
    )


def _structure(catalog: LakeCatalog) -> str:
    return _digest(SHARED, catalog.structures)


def _rows(catalog: LakeCatalog) -> str:
    return _digest(SHARED, catalog.rows)


def _digest(schemas: Collection[str], *digests: Mapping[str, str]) -> str:
    found = [(schema, *(digest.get(schema) for digest in digests)) for schema in schemas]
    return hashlib.sha256(json.dumps(found).encode()).hexdigest()
