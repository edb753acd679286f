"""Tables of text as pandas DataFrames, every cell exactly what REDCap sent.

pandas is imported inside the functions: it costs half a second, and most callers never need it.
"""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def frame_of_csv(body: bytes, delimiter: str = ",") -> "pd.DataFrame":
    """A CSV body as text: blank stays blank, `NA` stays `NA`, `001` stays `001`, and headers may repeat."""
    import pandas as pd

    if not body.strip():
        return pd.DataFrame()
    # The header is read as a row, because pandas renames columns of the same name, which label headers have.
    table = pd.read_csv(
        io.BytesIO(body),
        sep=delimiter,
        header=None,
        dtype=str,
        na_filter=False,
        skip_blank_lines=False,
        encoding="utf-8-sig",
        engine="c",
    )
    frame = table.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(table.iloc[0].tolist(), dtype=object)
    return frame
