"""The `data` of an import, in any format that REDCap accepts, as rows of text.

A cell is an object only where rights by instrument are given as one.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from xml.etree import ElementTree

from redcap_source.simulator.errors import Refusal
from redcap_source.simulator.wire.formats import DELIMITERS
from redcap_source.simulator.wire.parameters import Parameters

Cell = str | dict[str, str]
Row = dict[str, Cell]

BAD_JSON = (
    "The data being imported is not formatted correctly. PHP error from JSON decoder: Syntax error. \n"
    "The JSON must be in an array, as in [{ ... }]."
)
BAD_FORMAT = "The data is not in the specified format."
# The tag of a row in XML.
ITEM = "item"


def rows_of(parameters: Parameters, *, takes_bare_object: bool = False) -> list[Row]:
    """The rows of an import. JSON that is not a list is refused, or has no rows with `takes_bare_object`."""
    text = parameters.text("data")
    form = parameters.text("format", "xml").lower()
    if form == "json":
        return _json_rows(text, takes_bare_object=takes_bare_object)
    if form == "csv":
        return _csv_rows(text, parameters.text("csvDelimiter"))
    return _xml_rows(text)


def require_keys(rows: Iterable[Mapping[str, object]], *keys: str) -> None:
    """Refuse rows with none of the keys: they are not understood, like CSV with another delimiter."""
    if any(not any(key in row for key in keys) for row in rows):
        raise Refusal(BAD_FORMAT)


def texts(rows: Iterable[Row]) -> list[dict[str, str]]:
    """The rows with text in all cells."""
    return [{key: "" if isinstance(cell, dict) else cell for key, cell in row.items()} for row in rows]


def _json_rows(text: str, *, takes_bare_object: bool) -> list[Row]:
    loaded = json_of(text)
    if not isinstance(loaded, list):
        if takes_bare_object:
            return []
        raise Refusal(BAD_JSON)
    if not all(isinstance(row, dict) for row in loaded):
        raise Refusal(BAD_JSON)
    return [{key: _cell(value) for key, value in row.items()} for row in loaded]


def json_of(text: str) -> object:
    """The value of JSON text; broken JSON and halves of characters are refused, as PHP refuses them."""
    try:
        loaded: object = json.loads(text)
        json.dumps(loaded, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refusal(BAD_JSON) from error
    return loaded


def _cell(value: object) -> Cell:
    if isinstance(value, dict):
        return {str(key): _text(item) for key, item in value.items()}
    return _text(value)


def _text(value: object) -> str:
    # As PHP turns JSON into text: true is 1, false and null are blank.
    if value is None or value is False:
        return ""
    if value is True:
        return "1"
    return str(value)


def _csv_rows(text: str, delimiter: str) -> list[Row]:
    if text.lstrip()[:1] in ("{", "["):
        raise Refusal(BAD_FORMAT)
    csv.field_size_limit(1 << 30)
    separator = DELIMITERS.get(delimiter, ",")
    lines = csv.DictReader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=separator)
    if not any(name.strip() for name in lines.fieldnames or ()):
        raise Refusal(BAD_FORMAT)
    return [
        {key.strip(): cell or "" for key, cell in line.items() if key is not None}
        for line in lines
        if any(cell for cell in line.values())
    ]


def _xml_rows(text: str) -> list[Row]:
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - expat expands no external entities
    except ElementTree.ParseError as error:
        raise Refusal(BAD_FORMAT) from error
    if root.tag == ITEM:
        # A single object is the root: clients send it so to create a project or change its settings.
        return [_xml_row(root)]
    if (root.text or "").strip() or any(item.tag != ITEM and not len(item) for item in root):
        raise Refusal(BAD_FORMAT)
    return [_xml_row(item) for item in root]


def _xml_row(item: ElementTree.Element) -> Row:
    return {cell.tag: _element(cell) for cell in item}


def _element(cell: ElementTree.Element) -> Cell:
    if len(cell):
        return {part.tag: part.text or "" for part in cell}
    return cell.text or ""


def flat_rows(rows: list[dict[str, str]], record_id: str) -> list[dict[str, str]]:
    """EAV rows as flat rows, one for each record, event and instance."""
    keys = ("redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group")
    joined: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows:
        if any(row.values()) and not row.get("record", "").strip():
            raise Refusal("The record identifier field 'record' has no value in one or more rows of the data.")
        place = {key: row[key] for key in keys if key in row}
        if place.get("redcap_repeat_instance") == "new":
            raise Refusal("The value 'new' for redcap_repeat_instance cannot be used when importing in EAV format.")
        flat = joined.setdefault((row.get("record", ""), *place.values()), {record_id: row.get("record", ""), **place})
        if row.get("field_name") and row["field_name"] != record_id:
            flat[row["field_name"]] = row.get("value", "")
    return list(joined.values())


def mapping_of(cell: Cell) -> Mapping[str, str]:
    """Rights by instrument, from an object or from `form:1,form2:0`."""
    if isinstance(cell, dict):
        return cell
    pairs = (part.split(":", 1) for part in cell.split(",") if ":" in part)
    return {form.strip(): right.strip() for form, right in pairs}
