"""Whether records that an answer lacks were deleted in REDCap, or only left out of the answer.

Servers under load leave records out of long answers without an error. The fewer records a request names, the fewer can
be left out, so missing ones are requested again: together, and in the end one by one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from pipelines.errors import LoadRefused
from pipelines.extract.chunks import Quarantined, Vanished
from pipelines.wording import counted
from redcap_source import RedcapClient, errors
from redcap_source.log import changes
from redcap_source.log.clock import ServerClock

OUT_OF_SIGHT = "Listed by REDCap when the load began, no longer returned, and not logged as deleted."

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


class OutOfSight:
    """The records that REDCap listed when a load began and returns to no request any more."""

    def __init__(self, client: RedcapClient, project: str, record_id_field: str) -> None:
        self._client = client
        self._project = project
        self._record_id_field = record_id_field
        self._count = 0

    def account_for(self, records: Sequence[str]) -> list[Vanished | Quarantined]:
        """What became of these: only REDCap's log shows whether they were deleted. LoadRefused if they are too many."""
        self._count += len(records)
        if self._count > MOST_ALONE:
            raise LoadRefused(
                project=self._project,
                problem=f"{counted(self._count, 'record')} that REDCap listed when the load began are no longer "
                "in its answers. Somebody is deleting many, the token was put into a data access group, or the server "
                "is failing.",
                kept="No record was deleted here, and the published data is unchanged.",
                remedy="Load again: a load lists all records first, and names the option that allows many deletions.",
            )
        deleted = lately_deleted(self._client, self._record_id_field)
        vanished = tuple(record for record in records if record in deleted)
        left = [Quarantined(record, OUT_OF_SIGHT) for record in records if record not in deleted]
        return [*([Vanished(vanished)] if vanished else []), *left]


def _without(records: Sequence[str], others: Collection[str]) -> list[str]:
    known = set(others)
    return [record for record in records if record not in known]
