"""Splits a wide CSV answer into narrow ones with some columns each.

To read one column of a CSV, DuckDB reads all of them, with 32 kB for each: for an answer with 15,000 columns that is
half a gigabyte in every step, for every group of columns that is read. Python's reader copies the cells as they are, a
row at a time; it takes a second for 34 million of them.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from operator import itemgetter

from pipelines.warehouse.database.connection import private_files
from pipelines.warehouse.staging.answers import Answer

# csv's message for a file that ends inside a cell; the record it belongs to was not verified.
_CUT = "unexpected end of data"


def split_csv(answer: Answer, parts: Sequence[Answer]) -> bool:
    """Write the rows of a verified CSV answer as narrower ones; False if Python and DuckDB may read it differently.

    Each part has at least two columns of the answer. A last row that was cut inside a cell is left out, as DuckDB
    leaves it out. Where False is returned, what was written must not be used.
    """
    csv.field_size_limit(max(csv.field_size_limit(), answer.path.stat().st_size + 1))
    places = {name: at for at, name in enumerate(answer.columns)}
    try:
        with ExitStack() as files, private_files():
            lines = files.enter_context(answer.path.open(encoding="utf-8", newline=""))
            writers = [
                (
                    csv.writer(files.enter_context(part.path.open("w", encoding="utf-8", newline=""))),
                    itemgetter(*(places[name] for name in part.columns)),
                )
                for part in parts
            ]
            for row in _rows(lines, len(answer.columns)):
                for writer, cells in writers:
                    writer.writerow(cells(row))
    except (csv.Error, UnicodeDecodeError):
        return False
    return True


def _rows(lines: Iterator[str], width: int) -> Iterator[list[str]]:
    """Every complete row, the header first; raises csv.Error at an incomplete one."""
    reader = csv.reader(lines, strict=True)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as problem:
            if str(problem) == _CUT:
                return
            raise
        if row is None:
            return
        # A blank line is no row.
        if len(row) == width:
            yield row
        elif row:
            raise csv.Error
