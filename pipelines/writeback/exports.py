"""Small exports of named records as rows, which leave out the records that REDCap does not let the token read.

A server may refuse a whole request because of one record it names, for example one outside the data access group of the
token's user. Such a record is found by halving the request. Whether a refusal is about single records is found out from
REDCap alone: the same fields of another record are requested once; if that is refused too, the refusal is raised.
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
    """Return the rows of a flat JSON export, which is downloaded to `path` and deleted again."""
    try:
        client.export_records_to(path, format="json", **options)
        rows = json.loads(path.read_bytes())
    finally:
        path.unlink(missing_ok=True)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise VerificationFailed(reason="it is not a list of rows")
    return rows


def visible_records(client: RedcapClient, path: Path, id_field: str) -> list[str]:
    """Return all record ids that the token may see; only the id field is exported."""
    rows = export_rows(client, path, fields=[id_field])
    return list(dict.fromkeys(str(row[id_field]) for row in rows if id_field in row))


class RecordExport:
    """Exports named records, and collects in `refused` those that REDCap does not let the token read."""

    def __init__(self, client: RedcapClient, path: Path, id_field: str) -> None:
        """`path` is where an answer is stored while it is read."""
        self._client = client
        self._path = path
        self._id_field = id_field
        self._readable: set[tuple[str, ...]] = set()
        """Fields that the token is known to be allowed to read in other records."""
        self.refused: set[str] = set()

    def rows(self, fields: Sequence[str], records: Sequence[str], events: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the rows of these records; raises a refusal that is not about single records."""
        if not records:
            return []
        refusal: errors.RedcapError
        try:
            return self._export(fields, records, events)
        except REFUSALS as problem:
            refusal = problem
        if not self._may_read(fields, events, but=records):
            raise refusal
        if len(records) == 1:
            self.refused.update(records)
            return []
        half = len(records) // 2
        return [*self.rows(fields, records[:half], events), *self.rows(fields, records[half:], events)]

    def _export(self, fields: Sequence[str], records: Sequence[str], events: Sequence[str]) -> list[dict[str, Any]]:
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
        """Whether REDCap answers the same request for another record; requested once for the same fields."""
        if tuple(fields) in self._readable:
            return True
        try:
            visible = visible_records(self._client, self._path, self._id_field)
            other = next((record for record in visible if record not in but), visible[0] if visible else None)
            if other is None:
                return False
            self._export(fields, [other], events)
        except REFUSALS:
            return False
        self._readable.add(tuple(fields))
        return True
