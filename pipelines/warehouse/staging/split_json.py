"""A JSON answer rewritten as CSV, row by row, for projects too wide for DuckDB's JSON reader."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence

from pipelines.errors import VerificationFailed
from pipelines.warehouse.database.connection import private_files
from pipelines.warehouse.staging.answers import Answer


def split_json(answer: Answer, parts: Sequence[Answer]) -> None:
    """Write what a proven JSON answer holds as CSVs, each with columns of its own; or VerificationFailed.

    What reads the answer next asks for some columns at a time, and each of a JSON costs it as much as five of a CSV. No
    more than a few records are ever asked for as JSON.
    """
    try:
        rows = json.loads(answer.path.read_text(encoding="utf-8"), parse_int=str, parse_float=str)
    except ValueError:
        raise VerificationFailed(reason="its JSON is cut or broken") from None
    # REDCap gives text, and a number for the repeating instance; what else there may be has no one spelling.
    if any(not isinstance(value, str | None) for row in rows for value in row.values()):
        raise VerificationFailed(reason="some of its values are neither text nor numbers")
    try:
        for part in parts:
            _write_csv(part, rows)
    except UnicodeEncodeError:
        raise VerificationFailed(reason="it holds half a character") from None


def _write_csv(part: Answer, rows: Sequence[Mapping[str, str | None]]) -> None:
    with private_files(), part.path.open("w", encoding="utf-8", newline="") as file:
        # Everything is quoted, as the module would leave a carriage return bare.
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(part.columns)
        writer.writerows([row[name] for name in part.columns] for row in rows)
