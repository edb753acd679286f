"""Withdraws proposals that were not sent, in a project's mirror; they are kept, with who withdrew them and when.

Not here: what may be withdrawn (pipelines.writeback.withdraw).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.sql import statements


@dataclass(frozen=True, slots=True)
class ProposalCounts:
    """How many proposals of a batch, or of some of its records, are in which state."""

    open: int = 0
    """Neither sent nor ended: these can be withdrawn."""
    sent: int = 0
    """Sent, or perhaps sent by a run that was killed."""
    ended: int = 0
    """Already there, invalid, rejected by REDCap, superseded, or withdrawn before."""


def count_proposals(connection: Connection, batch: str, records: Sequence[str] = ()) -> ProposalCounts:
    """Count the proposals of a batch by state; those of some records only if any are named."""
    values = {"batch": batch, "records": list(records), "every_record": not records}
    rows = connection.execute(statements("writeback")["count_by_state"], values).fetchall()
    return ProposalCounts(**dict(rows))


def records_with_proposals(connection: Connection, batch: str, records: Sequence[str]) -> int:
    """Return for how many of these records the batch has proposals."""
    values = {"batch": batch, "records": list(records)}
    row = connection.execute(statements("writeback")["records_with_proposals"], values).fetchone()
    return int(row[0]) if row else 0


def withdraw_open(connection: Connection, batch: str, records: Sequence[str], *, author: str, now: datetime) -> None:
    """Withdraw the open proposals of a batch, or of some of its records, and count the batch again."""
    values = {"batch": batch, "records": list(records), "every_record": not records, "author": author, "now": now}
    connection.execute(statements("writeback")["withdraw"], values)
    connection.execute(statements("writeback")["total_batches"])
