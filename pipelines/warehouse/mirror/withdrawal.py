"""Taking proposals back that were not sent, in a project's working file; they are kept, with who did it and when.

What may be withdrawn is decided in pipelines.writeback.withdraw.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.sql import statements


@dataclass(frozen=True, slots=True)
class Standing:
    """The proposals of a batch, or of some of its records, by what can still be done about them."""

    open: int = 0
    """Neither sent nor ended: these can be withdrawn."""
    sent: int = 0
    """Sent, or perhaps sent by a run that died."""
    ended: int = 0
    """There already, invalid, refused by REDCap, superseded, or withdrawn before."""


def standing(connection: Connection, batch: str, records: Sequence[str] = ()) -> Standing:
    """How the proposals of a batch stand; only those of some records where any are named."""
    values = {"batch": batch, "records": list(records), "every_record": not records}
    rows = connection.execute(statements("writeback")["standing"], values).fetchall()
    return Standing(**dict(rows))


def records_with_proposals(connection: Connection, batch: str, records: Sequence[str]) -> int:
    """How many of these records the batch has proposals for."""
    values = {"batch": batch, "records": list(records)}
    row = connection.execute(statements("writeback")["known_of"], values).fetchone()
    return int(row[0]) if row else 0


def withdraw_open(connection: Connection, batch: str, records: Sequence[str], *, author: str, now: datetime) -> None:
    """Withdraw the open proposals of a batch, or of some of its records, and count the batch anew."""
    values = {"batch": batch, "records": list(records), "every_record": not records, "author": author, "now": now}
    connection.execute(statements("writeback")["withdraw"], values)
    connection.execute(statements("writeback")["total_batches"])
