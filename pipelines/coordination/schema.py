"""Makes the schema of the coordination, or brings it to the format that this version uses."""

from __future__ import annotations

from pipelines.coordination.connection import Session
from pipelines.coordination.locks import SCHEMA
from pipelines.coordination.sql import statements
from pipelines.errors import ConfigError

FORMAT = 5
"""The format that this version of the program makes and reads."""


def ensure_schema(session: Session) -> None:
    """Make the schema where it is missing or older; ConfigError if a newer version of the program made it."""
    if session.patiently(lambda: _format(session)) != FORMAT:
        session.patiently(lambda: session.in_transaction(lambda: _migrate(session)))


def _format(session: Session) -> int:
    sql = statements("schema")
    if not session.once(sql["exists"])[0][0]:
        return 0
    found = int(session.once(sql["format"])[0][0])
    if found > FORMAT:
        raise ConfigError(
            f"the schema redcap_warehouse has format {found}, which a newer version of redcap-warehouse made; this "
            f"one knows formats up to {FORMAT}. Nothing was changed.",
            where="the store's PostgreSQL",
            remedy="Install the newer version on this machine, too.",
        )
    return found


def _migrate(session: Session) -> None:
    sql = statements("schema")
    session.once(sql["lock"], {"kind": SCHEMA, "id": 0})
    # Another machine may have done it while this one waited.
    for step in range(_format(session) + 1, FORMAT + 1):
        session.once(sql[f"step_{step}"])
        session.once(sql["set_format"], {"version": step})
