"""Whether records that an answer lacks are gone from REDCap, or were only lost on the way.

Servers under load lose records out of long answers without a word. The fewer records are asked for the less can be
lost, so those that stay away are asked for again, with fewer others each time and in the end alone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from redcap_source import RedcapClient, errors
from redcap_source.log import changes
from redcap_source.log.clock import ServerClock

# Records that are asked for by name in one request.
ASKED_BY_NAME = 500
# Where so many bring none, the rest are not asked for: they are gone or out of sight like these.
FRUITLESS = 5000
# As many are asked for one by one; if all of them stay away, the rest are not asked for.
MOST_ALONE = 20
# What was there when a load began, and is not while it still runs, was deleted within so long.
LOAD_LASTS = timedelta(hours=12)


def found_by_name(
    client: RedcapClient, record_id_field: str, missing: Sequence[str], *, deleted: Collection[str] = ()
) -> list[str]:
    """Those of the missing records that REDCap has after all.

    Records that its log says were `deleted` are not asked for alone.
    """
    found = came = _found_together(client, record_id_field, missing)
    left = _without(missing, found)
    while came and len(left) > MOST_ALONE:
        came = _found_together(client, record_id_field, left)
        left = _without(left, came)
        found = found + came
    left = _without(left, deleted)
    while left:
        # From all over the list: records that stand together may share a fate.
        alone = left[:: -(-len(left) // MOST_ALONE)]
        came = [record for record in alone if record in client.record_ids(record_id_field, records=[record])]
        found = found + came
        if not came:
            break
        left = _without(left, alone)
    return found


def _found_together(client: RedcapClient, record_id_field: str, records: Sequence[str]) -> list[str]:
    found: list[str] = []
    for first in range(0, len(records), ASKED_BY_NAME):
        if first >= FRUITLESS and not found:
            break
        part = records[first : first + ASKED_BY_NAME]
        came = set(client.record_ids(record_id_field, records=part))
        found += [record for record in part if record in came]
    return found


def lately_deleted(client: RedcapClient, record_id_field: str) -> frozenset[str]:
    """Records that REDCap's log says were deleted not long ago; none where it cannot be had."""
    now = client.server_date
    if now is None:
        return frozenset()
    try:
        # How far the server's wall clock is from UTC is not known here, so more is asked for than could be meant.
        rows = client.log(begin=ServerClock().window_begin(now - LOAD_LASTS), logtype="record_delete")
    except (errors.Transient, errors.MissingRight, errors.RequestRefused):
        return frozenset()
    told = changes.record_changes(rows, record_id_field=record_id_field)
    return frozenset(change.record for change in told if change.kind is changes.ChangeKind.DELETED)


def _without(records: Sequence[str], others: Collection[str]) -> list[str]:
    known = set(others)
    return [record for record in records if record not in known]
