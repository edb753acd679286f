"""The options of a load, and what it reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pipelines.extract.chunks import Chunk, Fetched, Quarantined
from pipelines.warehouse.mirror.rows.merge_instrument import RowCounts
from pipelines.warehouse.mirror.schema.drift import Drift
from pipelines.warehouse.tables.layout import Layout
from pipelines.warehouse.tables.structure import Structure
from pipelines.wording import counted


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """What the person starting the load asked for."""

    full: bool = False
    """Read every record again, whatever changed."""
    since: datetime | None = None
    """Read what changed since this moment (UTC) instead of since the last load."""
    allow_deletions: bool = False
    """Many records are no longer in REDCap, as intended: delete them."""
    allow_narrower: bool = False
    """The token sees fewer fields or records than last time, as intended: remove them."""
    start_over: bool = False
    """Discard the project's mirror, with its history and journal, and read everything again."""


@dataclass(frozen=True, slots=True)
class StructureReport:
    """What reading the structure found."""

    redcap_version: str
    instruments: int
    fields: int
    events: int
    form_event_pairs: int
    users: int
    drift: tuple[Drift, ...]
    not_readable: tuple[str, ...]
    hidden_fields: tuple[str, ...]
    read: bool
    """Whether all of it was read; otherwise REDCap's log proved that the rest did not change since the last load."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did, in counts."""

    project: str
    run_id: str
    mode: str
    outcome: str
    records_in_redcap: int = 0
    rows: int = 0
    records_loaded: int = 0
    records_added: int = 0
    records_changed: int = 0
    records_unchanged: int = 0
    records_deleted: int = 0
    records_renamed: int = 0
    records_quarantined: int = 0
    rows_inserted: int = 0
    rows_updated: int = 0
    rows_deleted: int = 0
    rows_unchanged: int = 0
    cells: int = 0
    invalid_values: int = 0
    chunks: int = 0
    requests: int = 0
    bytes: int = 0
    seconds: float = 0.0
    watermark: datetime | None = None
    message: str | None = None

    @property
    def complete(self) -> bool:
        """Whether every record REDCap holds is in the mirror."""
        return self.outcome == "ok"


@dataclass(slots=True)
class Tally:
    """What has been applied so far."""

    touched: RowCounts = field(default_factory=RowCounts)
    loaded: int = 0
    chunks: int = 0
    bytes: int = 0
    chunk_records: int | None = None
    """How many records per request the server was able to answer."""
    quarantined: list[Quarantined] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True)
class BatchReport:
    """What was fetched in one batch, in counts."""

    batch: int
    records: int
    rows: int
    chunks: int
    quarantined: int
    bytes: int
    seconds: float


class Progress:
    """Called by a load as it advances; this one does nothing."""

    def planned(self, records: int, requests: int) -> None:
        """This many records will be fetched, in about this many requests."""

    def fetched(self, records: int, cells: int) -> None:
        """This many more records were fetched."""

    def step(self, name: str) -> None:
        """The load begins this step."""


def batch_report(batch: int, items: Sequence[Fetched]) -> BatchReport:
    """The counts of one batch."""
    chunks = [item for item in items if isinstance(item, Chunk)]
    return BatchReport(
        batch=batch,
        records=sum(len(chunk.records) for chunk in chunks),
        rows=sum(chunk.rows for chunk in chunks),
        chunks=len(chunks),
        quarantined=sum(isinstance(item, Quarantined) for item in items),
        bytes=sum(chunk.bytes for chunk in chunks),
        seconds=sum(chunk.seconds for chunk in chunks),
    )


def structure_report(
    structure: Structure, layout: Layout, drift: tuple[Drift, ...], *, read: bool = True
) -> StructureReport:
    """The counts of a structure, how it changed, and whether all of it was read."""
    return StructureReport(
        redcap_version=structure.version,
        instruments=len(structure.instruments),
        fields=len(structure.fields),
        events=len(structure.events),
        form_event_pairs=len(structure.form_event_mapping),
        users=len(structure.users),
        drift=drift,
        not_readable=structure.not_readable,
        hidden_fields=layout.hidden_fields,
        read=read,
    )


def ids_message(records: int) -> str:
    """A warning that records have new ids whose history cannot be assigned."""
    return (
        f"{counted(records, 'record has', 'records have')} another id since the last load, according to REDCap's log, "
        "and the data does not show the previous id. Ids may have been exchanged or reused on the same day. The "
        "warehouse holds the current data, but the history under these ids may belong to two people. Check the rows of "
        "redcap.audit_log whose details name only the record id."
    )


def quarantine_message(quarantined: Sequence[Quarantined]) -> str:
    """A warning that records could not be fetched, and why."""
    reasons = " ".join(dict.fromkeys(f"{item.reason.rstrip('.')}." for item in quarantined))
    return (
        f"{counted(len(quarantined), 'record')} could not be fetched, even one at a time: {reasons} Their previous "
        "rows are kept and the next load retries them; sync_chunks lists them as quarantined."
    )
