"""CSV as pandas DataFrames of text, every cell exactly what REDCap sent.

pandas is imported inside the functions: that takes half a second, and most callers never need it.
"""

import csv
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


class MalformedTableError(ValueError):
    """The text is not a table; the message quotes nothing of it."""


def frame_of_csv(text: str, delimiter: str = ",") -> "pd.DataFrame":
    """CSV text as a frame: blank stays blank, `NA` stays `NA`, `001` stays `001`, and headers may repeat.

    MalformedTableError if a row is longer or shorter than the header, or a quote is not closed.
    """
    import pandas as pd

    if not text.strip():
        return pd.DataFrame()
    _check_shape(text, delimiter)
    # The header is read as a row, because pandas renames columns of the same name, as headers of labels can have.
    table = pd.read_csv(
        io.StringIO(text),
        sep=delimiter,
        header=None,
        dtype=str,
        na_filter=False,
        skip_blank_lines=False,
        lineterminator="\n",
        engine="c",
    )
    frame = table.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(table.iloc[0].tolist(), dtype=object)
    return frame


def _check_shape(text: str, delimiter: str) -> None:
    """Check that all rows have the header's width, because pandas silently fills short rows."""
    csv.field_size_limit(max(len(text), csv.field_size_limit()))
    rows = csv.reader(io.StringIO(text, newline="\n"), delimiter=delimiter, strict=True)
    problem = ""
    try:
        width = len(next(rows))
        for number, row in enumerate(rows, start=2):
            # A blank line is a blank cell where there is one column only.
            if len(row) != width and not (width == 1 and not row):
                problem = f"Row {number} has {len(row)} cells, the header {width}."
                break
    except csv.Error:
        problem = "Its quotes or line ends are not those of a CSV."
    if problem:
        raise MalformedTableError(problem)
