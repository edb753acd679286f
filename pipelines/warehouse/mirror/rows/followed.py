"""Changes that nobody typed and nobody sent: what REDCap itself did because of what was written.

A form that is written to for the first time gets the status 0 and its options that nobody ticked become 0; fields that
REDCap calculates are calculated anew. Such changes are told as write-back's, with its author and the reason that they
followed. A change of anybody else in the same record stays theirs, and so does a calculated field for which somebody
else changed something too. Storing what was sent is journal.py's job.
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
    """Give the changes that followed from what was written to write-back, in record_changes and in the journal.

    Call it in the transaction that gave the written cells to it. `unopened` names the rows that had no form status when
    they were looked at directly before the request; None where nobody knows (the run that looked has died): then a form
    counts as opened by the write-back only if nobody else changed anything in its row. Returns how many changes there
    were.
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
