"""What the published lake was when it was published into last, and what its catalog says it is now.

The catalog is a schema of the same PostgreSQL, so a few statements tell both of all projects, without attaching the
lake. Not here: what follows from a difference (pipelines.warehouse.lake).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.coordination.sql import statements
from pipelines.coordination.versions import UsesSession, as_json

# The tables of the catalog that are read here.
TABLES = [
    f"ducklake_{name}"
    for name in (
        "snapshot", "snapshot_changes", "schema", "table", "view", "macro", "column", "tag", "column_tag", "data_file",
        "delete_file",
    )
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class LakeRecord:
    """What was written last; None stands for what must be made again."""

    token: str
    """What every snapshot of a publisher has as its extra information."""
    identity: str | None = None
    snapshot: int | None = None
    shared_structure: str | None = None
    shared_rows: str | None = None
    parts: Mapping[str, str | None] = field(default_factory=dict)
    """A digest of what the lake has of each published project."""
    is_whole: bool | None = None
    """Whether the catalog has all its tables now; None if there is no catalog."""


@dataclass(frozen=True, slots=True)
class LakeCatalog:
    """What the catalog says now."""

    identity: str
    snapshot: int
    strangers: int
    """How many snapshots later than the recorded one no publisher made."""
    structures: Mapping[str, str]
    """For each schema a digest of its tables, views and macros."""
    rows: Mapping[str, str]
    """For each schema a digest of its data files."""


class LakeRecords(UsesSession):
    """Reads and writes the record, and reads the catalog."""

    def lake_record(self, token: str) -> LakeRecord:
        """The record, which is begun with this token if there is none."""
        sql, tables = statements("lake"), {"tables": TABLES}
        if not (found := self._run(sql["record"], tables)):
            self._run(sql["begin"], {"token": token})
            found = self._run(sql["record"], tables)
        token, identity, snapshot, structure, rows, number = found[0]
        is_whole = None if not number else number == len(TABLES)
        return LakeRecord(token, identity, snapshot, structure, rows, dict(self._run(sql["parts"])), is_whole)

    def lake_catalog(self, record: LakeRecord) -> LakeCatalog | None:
        """What the catalog says now; None if it was emptied. All of its tables must be there."""
        values = {"snapshot": -1 if record.snapshot is None else record.snapshot, "token": record.token}
        rows = self._run(statements("lake")["digests"], values)
        if not rows or rows[0][1] is None:
            return None
        identity, snapshot, strangers = rows[0][:3]
        digests: dict[str, dict[str, str]] = {"structure": {}, "rows": {}}
        for *_, schema, kind, digest in rows:
            digests[kind][schema] = digest
        return LakeCatalog(str(identity), snapshot, strangers, digests["structure"], digests["rows"])

    def save_lake(self, record: LakeRecord) -> None:
        """Keep what the lake is now. Whatever a process that ends in between has not saved is made again."""
        sql = statements("lake")
        self._run(sql["save_parts"], {"parts": as_json(record.parts)})
        values = {
            "identity": record.identity, "snapshot": record.snapshot,
            "shared_structure": record.shared_structure, "shared_rows": record.shared_rows,
        }  # fmt: skip
        self._run(sql["save_lake"], values)

    def drop_lake_catalog(self) -> None:
        """Remove what is left of a catalog."""
        self._run(statements("lake")["drop_catalog"])
