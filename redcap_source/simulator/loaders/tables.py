"""A table from a file of JSON or CSV, in the encodings and with the delimiters that people's programs write.

No character is replaced and no row is dropped: what cannot be read is refused, with what to do about it.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path

from redcap_source.simulator.errors import SimulatorError

Rows = list[dict[str, str]]
DELIMITERS = (",", ";", "\t")
# The first bytes of a ZIP file, which .xlsx is, and of the older .xls.
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")


def is_gzipped(content: bytes) -> bool:
    """Whether a file's content is gzip."""
    return content[:2] == b"\x1f\x8b"


def read_bytes(path: Path) -> bytes:
    """A file's content; raises SimulatorError if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SimulatorError(f"Cannot read {path}: {error.strerror or error}.") from error


def decoded(content: bytes, source: str) -> str:
    """A file's text: UTF-16 by its byte order mark, else UTF-8 with or without one, else Windows-1252.

    Spreadsheets write Windows-1252 where REDCap writes UTF-8. Its letters beyond ASCII are not valid UTF-8, so that
    the two are not confused.
    """
    if content.startswith(SPREADSHEETS):
        raise SimulatorError(f"{source} is a spreadsheet or a ZIP file; save the table as CSV (UTF-8) and load that.")
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        if utf16:
            raise SimulatorError(f"{source} is damaged UTF-16 text; save it as CSV (UTF-8).") from error
    try:
        return content.decode("windows-1252")
    except UnicodeDecodeError as error:
        raise SimulatorError(f"{source} is neither UTF-8 nor Windows-1252 text; save it as CSV (UTF-8).") from error


def table_from(content: bytes, source: str) -> Rows:
    """Rows of CSV or JSON text; an object of texts is a two-column table."""
    return list(numbered_rows(content, source).values())


def numbered_rows(content: bytes, source: str) -> dict[int, dict[str, str]]:
    """The rows that are not blank, by the number that a spreadsheet shows for them; objects of JSON count from 1."""
    text = decoded(content, source)
    if source.lower().endswith(".json"):
        return dict(enumerate(_json_rows(text, source), start=1))
    csv.field_size_limit(1 << 30)
    lines = enumerate(_cells(text, delimiter_of(text), source), start=1)
    filled = ((number, line) for number, line in lines if any(cell.strip() for cell in line))
    if text.lower().startswith("sep="):
        next(filled)
    header = [name.strip() for name in next(filled, (0, []))[1]]
    return {number: _row(header, line, number, source) for number, line in filled}


def _row(header: list[str], line: list[str], number: int, source: str) -> dict[str, str]:
    if any(cell.strip() for cell in line[len(header) :]):
        raise SimulatorError(
            f"Row {number} of {source} has more cells than there are headers; put quotes around cells that contain "
            "the delimiter."
        )
    return dict(zip(header, [*line, *[""] * len(header)], strict=False))


def delimiter_of(text: str) -> str:
    """The delimiter that splits a table's first row most often, unless a line `sep=;` before that row names it."""
    if text.lower().startswith("sep="):
        return text[4:5] if text[4:5] in DELIMITERS else ","
    first = {mark: _first_row(text, mark) for mark in DELIMITERS}
    return max(DELIMITERS, key=lambda mark: len(first[mark]))


def _first_row(text: str, delimiter: str) -> list[str]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return next((line for line in lines if line), [])


def _cells(text: str, delimiter: str, source: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as error:
        if "unexpected end" in str(error):
            raise SimulatorError(
                f"{source} opens a quote that is never closed, so that its rows run together; close it."
            ) from error
    # Text after a closing quote is not valid CSV, but all programs read it the same way.
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _json_rows(text: str, source: str) -> Rows:
    try:
        loaded = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SimulatorError(f"{source} is not valid JSON ({error}).") from error
    if isinstance(loaded, dict):
        loaded = [loaded]
    if not isinstance(loaded, list) or not all(isinstance(row, dict) for row in loaded):
        raise SimulatorError(
            f"{source} must hold a list of objects, as REDCap's JSON does; export it again from REDCap."
        )
    return [{key: _text(value) for key, value in row.items()} for row in loaded]


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Mapping):
        return ",".join(f"{key}:{item}" for key, item in value.items())
    return str(value)
