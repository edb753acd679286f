"""Whether records that an answer lacks were deleted in REDCap, or only left out of the answer.

Servers under load leave records out of long answers without an error. The fewer records a request names, the fewer can
be left out, so missing ones are requested again: together, and in the end one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from redcap_source import RedcapClient, errors
from redcap_source.log import changes
from redcap_source.log.clock import ServerClock

# How many records one request names.
ASKED_BY_NAME = 500
# If none of this many is returned, the others are not requested: they too are deleted, or hidden from the token.
FRUITLESS = 5000
# This many are requested one by one; if none of them is returned, the others are not requested.
MOST_ALONE = 20
# A record that existed when a load began, and no longer does while it runs, was deleted within this time.
LOAD_LASTS = timedelta(hours=12)


def found_by_name(
    client: RedcapClient, record_id_field: str, missing: Sequence[str], *, deleted: Collection[str] = ()
) -> list[str]:
    """Those of the missing records that REDCap has after all.

    Records that its log shows as `deleted` are not requested one by one.
    """
    found = returned = _found_together(client, record_id_field, missing)
    left = _without(missing, found)
    while returned and len(left) > MOST_ALONE:
        returned = _found_together(client, record_id_field, left)
        left = _without(left, returned)
        found = found + returned
    left = _without(left, deleted)
    while left:
        # Spread over the whole list: neighbours may be missing for the same reason.
        alone = left[:: -(-len(left) // MOST_ALONE)]
        returned = [record for record in alone if record in client.record_ids(record_id_field, records=[record])]
        found = found + returned
        if not returned:
            break
        left = _without(left, alone)
    return found


def _found_together(client: RedcapClient, record_id_field: str, records: Sequence[str]) -> list[str]:
    found: list[str] = []
    for first in range(0, len(records), ASKED_BY_NAME):
        if first >= FRUITLESS and not found:
            break
        part = records[first : first + ASKED_BY_NAME]
        returned = set(client.record_ids(record_id_field, records=part))
        found += [record for record in part if record in returned]
    return found


def lately_deleted(client: RedcapClient, record_id_field: str) -> frozenset[str]:
    """Records that REDCap's log shows as deleted lately; none if the log cannot be read."""
    now = client.server_date
    if now is None:
        return frozenset()
    try:
        # How far the server's wall clock is from UTC is not known here, so a longer range is requested than needed.
        rows = client.log(begin=ServerClock().window_begin(now - LOAD_LASTS), logtype="record_delete")
    except (errors.Transient, errors.MissingRight, errors.RequestRefused):
        return frozenset()
    found = changes.record_changes(rows, record_id_field=record_id_field)
    return frozenset(change.record for change in found if change.kind is changes.ChangeKind.DELETED)


def _without(records: Sequence[str], others: Collection[str]) -> list[str]:
    known = set(others)
    return [record for record in records if record not in known]
