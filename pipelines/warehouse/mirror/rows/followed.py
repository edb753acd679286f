"""Attributes to write-back the changes that REDCap made itself because of what was written.

A form that is written to for the first time gets the status 0, and its options that nobody ticked become 0; fields that
REDCap calculates are recalculated. In record_changes these changes carry write-back as their origin, its author, and
the reason that they followed. A change that somebody else made in the same record stays theirs, and so does a
calculated field if somebody else changed one of its inputs too. Not here: recording what was sent (journal.py).
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import TYPE_CHECKING

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.sql import statements
from redcap_source.dictionary import CALCULATION_TAG

if TYPE_CHECKING:
    from pipelines.warehouse.tables.writeback import FormRow


def record_followed(
    connection: Connection, project: str, run_id: str, now: datetime, unopened: Collection[FormRow] | None
) -> int:
    """Attribute the changes that followed from what was written, in record_changes and in the journal.

    Call it in the transaction that attributed the written cells. `unopened` lists the rows that had no form status when
    they were read directly before the request. None means that this is not known, because the run that read them was
    killed: then a form counts as opened by the write-back only if nobody else changed anything in its row. Returns how
    many changes there were.
    """
    sql = statements("writeback")
    run = {"run_id": run_id}
    connection.execute(sql["written_cells"], run)
    (written,) = connection.execute(sql["count_written_cells"]).fetchone() or (0,)
    if not written:
        return 0
    connection.execute(sql["calculated"], {"tag": CALCULATION_TAG})
    entered = {"project": project, "now": now, **run}
    rows = list(unopened or ())
    connection.execute(
        sql["follow_opened"],
        {
            **entered,
            "looked": unopened is not None,
            "record": [row.record for row in rows],
            "event": [row.event for row in rows],
            "instrument": [row.instrument for row in rows],
            "instance": [row.instance for row in rows],
        },
    )
    connection.execute(sql["follow_calculated"], entered)
    (claimed,) = connection.execute(sql["claim_followed"], run).fetchone() or (0,)
    return int(claimed)
