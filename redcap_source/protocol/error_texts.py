"""The text of REDCap's errors, in each of the forms in which servers send them."""

import csv
import io
import json
import re

from redcap_source import errors
from redcap_source.protocol.content_encoding import without_bom


def error_text(body: bytes) -> str | None:
    """The text of an error in JSON, XML or plain form, whatever format was asked for; None if the body is no error.

    With `format=csv` and `returnFormat=json` servers still differ, so all forms are tried (REDCap API, Errors).
    """
    text = without_bom(body).decode("utf-8", "replace").strip()
    if text.startswith("{"):
        return _json_error(text)
    if found := re.search(r"<hash>\s*<error>(.*?)</error>", text, re.S | re.I):
        inner = found[1].strip().removeprefix("<![CDATA[").removesuffix("]]>")
        return inner.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", '"').replace("&amp;", "&").strip()
    if text.upper().startswith("ERROR:"):
        return text[len("ERROR:") :].strip()
    return None


def _json_error(text: str) -> str | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or "error" not in value:
        return None
    error = value["error"]
    # Old servers list the fields beside the error: {"error": "The following fields …", "fields": ["x"]}.
    beside = value.get("fields")
    if isinstance(beside, list):
        return f"{error}: {', '.join(map(str, beside))}"
    return error if isinstance(error, str) else json.dumps(error)


def rejected_cells(text: str) -> list[errors.RejectedCell]:
    """The cells of a rejected import: CSV of record, field, value, message, one line for each cell."""
    try:
        # Cells may contain line ends and doubled quotes, so only a CSV reader can parse this.
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error:
        return []
    if not rows or any(len(row) != 4 for row in rows if row):
        return []
    return [errors.RejectedCell(*row) for row in rows if row]
