"""Small exports of named records as rows; where REDCap refuses to answer about some records, the others' rows come.

A server may refuse a whole request because of one record it names, say one outside the data access group of the token's
user. Such a record is found by halves. What a refusal means is known from REDCap alone: the same fields are asked of
another record, once; if that is refused too, the refusal is about something else and is raised.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.errors import VerificationFailed
from redcap_source import RedcapClient, errors

REFUSALS = (errors.MissingRight, errors.RequestRefused, errors.Blocked)


def export_rows(client: RedcapClient, path: Path, **options: Any) -> list[dict[str, Any]]:
    """A flat JSON export as rows, by way of a file that is gone when it returns."""
    try:
        client.export_records_to(path, format="json", **options)
        rows = json.loads(path.read_bytes())
    finally:
        path.unlink(missing_ok=True)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise VerificationFailed(reason="it is not a list of rows")
    return rows


def visible_records(client: RedcapClient, path: Path, id_field: str) -> list[str]:
    """All record ids that the token may see, asked for narrowly."""
    rows = export_rows(client, path, fields=[id_field])
    return list(dict.fromkeys(str(row[id_field]) for row in rows if id_field in row))


def may_import(client: RedcapClient) -> bool:
    """Whether the token may import records at all: REDCap is asked to import no rows.

    It checks the right before it looks at the rows, so whatever else it says means that the right is there. Raises what
    leaves the question open.
    """
    try:
        # With a blank in it, since the client answers a list without rows by itself.
        client.import_records("[ ]")
    except (errors.MissingRight, errors.TokenRefused, errors.Blocked):
        return False
    except errors.RequestRefused:
        return True
    return True


class RecordExport:
    """Exports of named records that leave out those about which REDCap refuses to answer."""

    def __init__(self, client: RedcapClient, path: Path, id_field: str) -> None:
        """`path` is where answers lie while they are read."""
        self._client = client
        self._path = path
        self._id_field = id_field
        self._allowed: set[tuple[str, ...]] = set()
        """Fields that REDCap is known to let the token read of other records."""
        self.refused: set[str] = set()

    def rows(self, fields: Sequence[str], records: Sequence[str], events: Sequence[str] = ()) -> list[dict[str, Any]]:
        """The rows of these records; raises a refusal that is not about single records."""
        if not records:
            return []
        refusal: errors.RedcapError
        try:
            return self._ask(fields, records, events)
        except REFUSALS as problem:
            refusal = problem
        if not self._may_read(fields, events, but=records):
            raise refusal
        if len(records) == 1:
            self.refused.update(records)
            return []
        half = len(records) // 2
        return [*self.rows(fields, records[:half], events), *self.rows(fields, records[half:], events)]

    def _ask(self, fields: Sequence[str], records: Sequence[str], events: Sequence[str]) -> list[dict[str, Any]]:
        narrowed: Mapping[str, Sequence[str]] = {"events": events} if events else {}
        return export_rows(
            self._client,
            self._path,
            fields=fields,
            records=records,
            blank_for_gray_form_status=True,
            **narrowed,
        )

    def _may_read(self, fields: Sequence[str], events: Sequence[str], *, but: Sequence[str]) -> bool:
        """Whether REDCap answers the same question about another record; asked once for the same fields."""
        if tuple(fields) in self._allowed:
            return True
        try:
            seen = visible_records(self._client, self._path, self._id_field)
            other = next((record for record in seen if record not in but), seen[0] if seen else None)
            if other is None:
                return False
            self._ask(fields, [other], events)
        except REFUSALS:
            return False
        self._allowed.add(tuple(fields))
        return True
