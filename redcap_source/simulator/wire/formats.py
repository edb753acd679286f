"""How REDCap writes answers: tables and objects as JSON, CSV and XML in its own style.

Not here: records, for which export/ has faster writers with the same rules for cells.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Cell = str | int | None | Mapping[str, int]
Row = Mapping[str, Cell]

CONTENT_TYPES = {
    "json": "application/json; charset=utf-8",
    "csv": "text/csv; charset=utf-8",
    "xml": "text/xml; charset=utf-8",
    "odm": "text/xml; charset=utf-8",
}
# The values of csvDelimiter; any other counts as a comma.
DELIMITERS = {"": ",", ",": ",", "tab": "\t", "\t": "\t", ";": ";", "|": "|", "^": "^"}
XML_HEAD = '<?xml version="1.0" encoding="UTF-8" ?>'
# REDCap quotes a cell that holds any of these, or the delimiter.
NEEDS_QUOTES = re.compile(r'[" \t\r\n]')
NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
NEEDS_ESCAPE = re.compile(r"[^ !#-.0-\[\]-~]")
NEEDS_ESCAPE_RAW = re.compile(r'["\\/\x00-\x1f]')


@dataclass(frozen=True)
class Table:
    """Rows under keys, and the details in which contents are written differently."""

    keys: Sequence[str]
    rows: Sequence[Row]
    root: str = "records"
    item: str = "item"
    # The text between two rows of JSON; the data dictionary has each field on a line of its own.
    json_joint: str = ","
    # The user export ends without a newline.
    csv_end: str = "\n"
    # Whether cells with blanks are quoted; in the list of what repeats they are not.
    quotes_blanks: bool = True


def quoted(cell: str, delimiter: str = ",", *, blanks: bool = True) -> str:
    """A CSV cell, quoted as REDCap does; without `blanks`, a blank alone is no reason for quotes."""
    if NEEDS_QUOTES.search(cell if blanks else cell.replace(" ", "")) or delimiter in cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def json_text(value: object, *, raw: bool = False) -> str:
    """Compact JSON as PHP writes it: slashes are escaped, and all but ASCII too unless `raw`."""
    return json.dumps(value, ensure_ascii=not raw, separators=(",", ":")).replace("/", "\\/")


def cdata(value: str) -> str:
    """A value as XML content, without the characters that XML does not allow."""
    if not value.isprintable():
        value = NOT_IN_XML.sub("", value)
    return f"<![CDATA[{value.replace(']]>', ']]]]><![CDATA[>')}]]>" if value else ""


def table_text(table: Table, form: str, *, delimiter: str = ",", raw: bool = False) -> str:
    """A table as csv, json or xml."""
    if form == "csv":
        return _csv(table, delimiter)
    if form == "json":
        return "[" + table.json_joint.join(json_text(_json_row(row), raw=raw) for row in table.rows) + "]"
    return _xml(table)


def object_text(values: Row, form: str, *, raw: bool = False) -> str:
    """A single object: one JSON object, one CSV row, one XML item."""
    if form == "json":
        return json_text(dict(values), raw=raw)
    table = Table(tuple(values), (values,), root="items")
    return table_text(table, form)


def error_text(text: str, form: str) -> str:
    """An error in REDCap's envelope."""
    if form == "json":
        return json_text({"error": text})
    if form == "csv":
        return f"ERROR: {text}"
    return f"{XML_HEAD}<hash><error>{xml_escaped(text)}</error></hash>"


def xml_escaped(text: str) -> str:
    """Text for XML content or a double-quoted attribute, without the characters that XML does not allow."""
    kept = NOT_IN_XML.sub("", text)
    return kept.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _json_row(row: Row) -> dict[str, object]:
    return {key: dict(cell) if isinstance(cell, Mapping) else cell for key, cell in row.items()}


def _csv(table: Table, delimiter: str) -> str:
    if not table.rows:
        return delimiter.join(table.keys) + table.csv_end if table.root != "records" else "\n"
    lines = [delimiter.join(table.keys)]
    blanks = table.quotes_blanks
    lines += [delimiter.join(_csv_cell(row.get(key), delimiter, blanks) for key in table.keys) for row in table.rows]
    return "\n".join(lines) + table.csv_end


def _csv_cell(cell: Cell, delimiter: str, blanks: bool) -> str:
    if isinstance(cell, Mapping):
        # Rights by instrument are one cell, always in quotes.
        return '"' + ",".join(f"{form}:{right}" for form, right in cell.items()) + '"'
    return "" if cell is None else quoted(str(cell), delimiter, blanks=blanks)


def _xml(table: Table) -> str:
    lines = [XML_HEAD, f"<{table.root}>"]
    for row in table.rows:
        cells = "".join(f"<{key}>{_xml_cell(row.get(key))}</{key}>" for key in table.keys)
        lines.append(f"<{table.item}>{cells}</{table.item}>")
    return "\n".join([*lines, f"</{table.root}>"])


def _xml_cell(cell: Cell) -> str:
    if isinstance(cell, Mapping):
        return "".join(f"<{form}>{right}</{form}>" for form, right in cell.items())
    return "" if cell is None else cdata(str(cell))
