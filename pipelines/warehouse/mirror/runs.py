"""The ledger of a project's runs and chunks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ChunkEntry:
    """One chunk in the ledger: what was asked, what came, and how it ended."""

    chunk: int
    asked: int
    returned: int
    rows: int
    bytes: int
    seconds: float
    attempts: int
    outcome: str
    message: str | None = None


@dataclass(frozen=True, slots=True)
class LastLoad:
    """How the project's last load ended, and when the last good one did (UTC)."""

    run_id: str
    outcome: str
    last_good: datetime | None
