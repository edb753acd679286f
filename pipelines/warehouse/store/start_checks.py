"""What must hold before loads rely on a store of several machines. Pure: what was found is judged here."""

from __future__ import annotations

from pipelines.coordination import Checks

# Seconds. A load compares its own clock with REDCap's; what several machines write down must be in one order.
WORTH_A_WARNING, TOO_MUCH = 5, 300
# DuckLake's catalog needs this version of PostgreSQL, by its documentation.
OLDEST = 120_000


def judged(found: Checks) -> tuple[list[str], list[str]]:
    """What keeps loads from relying on this PostgreSQL, and what a person should only know; one line each."""
    refused, warned = [], []
    if found.version_number < OLDEST:
        refused.append(
            f"the store's PostgreSQL is version {found.version}, and the catalog needs 12. Use a newer server."
        )
    if not found.sessions_kept:
        refused.append(
            "a pooler gives the statements of one session to several of PostgreSQL's, so that no lock would hold. Let "
            "the catalog's URL lead to PostgreSQL itself, or set the pooler to session mode."
        )
    if found.only_reads:
        refused.append(
            "the store's PostgreSQL is a copy that only reads. Let the catalog's URL lead to the server that can write."
        )
    elif not (found.may_create or found.may_change):
        refused.append(
            "the user of the catalog's URL may not make schemas or tables in the database. Grant CREATE on it."
        )
    # The question's own way takes part of the round trip.
    apart = abs(found.clock_difference) - found.round_trip / 2
    direction = "ahead of" if found.clock_difference > 0 else "behind"
    line = f"PostgreSQL's clock is {abs(found.clock_difference):.0f} s {direction} this machine's. "
    line += "Set both by a time server."
    if apart > TOO_MUCH:
        refused.append(line)
    elif apart > WORTH_A_WARNING:
        warned.append(line)
    return refused, warned
