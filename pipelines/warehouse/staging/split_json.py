"""Rewrites a JSON answer as CSVs, for projects too wide for DuckDB's JSON reader."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.connection import private_files
from pipelines.warehouse.staging.answers import Answer


def split_json(answer: Answer, parts: Sequence[Answer]) -> None:
    """Write the rows of a verified JSON answer as CSVs with some columns each; raises VerificationFailed.

    Answers are read some columns at a time, and each column of a JSON costs as much as five of a CSV. Only a few
    records are ever requested as JSON.
    """
    try:
        rows = json.loads(answer.path.read_text(encoding="utf-8"), parse_int=str, parse_float=str)
    except ValueError:
        raise VerificationFailed(reason="its JSON is cut or broken") from None
    # REDCap sends text, and a number for the repeating instance; other values could be written in several ways.
    if any(not isinstance(value, str | None) for row in rows for value in row.values()):
        raise VerificationFailed(reason="some of its values are neither text nor numbers")
    try:
        for part in parts:
            _write_csv(part, rows)
    except UnicodeEncodeError:
        raise VerificationFailed(reason="it holds half a character") from None


def _write_csv(part: Answer, rows: Sequence[Mapping[str, str | None]]) -> None:
    with private_files(), part.path.open("w", encoding="utf-8", newline="") as file:
        # Everything is quoted, because the module would not quote a carriage return.
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(part.columns)
        writer.writerows([row[name] for name in part.columns] for row in rows)
