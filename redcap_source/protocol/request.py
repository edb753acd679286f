"""A call to REDCap as a value, and the form fields it is sent as.

REDCap selects everything by form parameters of one POST. Not here: which methods there are (methods/), how a request is
sent (http/).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from pathlib import Path
from urllib.parse import quote_plus

from redcap_source.token import MASK, Token

Parameter = str | int | bool | date | Sequence[str | int] | None


class Expect(Enum):
    """The form of a good body."""

    ROWS = "a JSON list"
    OBJECT = "a JSON object"
    JSON = "JSON"
    CSV = "CSV"
    RECORDS_CSV = "CSV of flat records"
    XML = "XML"
    LINE = "one line of text"
    PDF = "a PDF"
    BYTES = "bytes"
    NOTHING = "nothing"


JSON = frozenset({Expect.ROWS, Expect.OBJECT, Expect.JSON})
"""The shapes that are JSON."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file to upload, and its name in REDCap."""

    path: Path = field(repr=False)
    name: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Request:
    """One call: REDCap's `content` and `action`, the parameters by REDCap's own names, and what is expected back."""

    content: str
    action: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict, repr=False)
    format: str = "json"
    expect: Expect = Expect.ROWS
    # False for changes, which must not be applied twice: a failure after sending is then OutcomeUnknown.
    repeatable: bool = True
    upload: Upload | None = None

    @property
    def smallest(self) -> bool:
        """Whether it may be sent again, but cannot be split, as a request for many records or fields can."""
        if not self.repeatable or "data" in self.parameters:
            return False
        if self.content != "record":
            return True
        named = {name: self._count(name) for name in ("records", "fields", "forms")}
        return named["records"] == 1 or (named["fields"], named["forms"]) == (1, 0)

    def _count(self, name: str) -> int:
        value = self.parameters.get(name)
        return len(value) if isinstance(value, Sequence) and not isinstance(value, str) else 0

    def form(self) -> list[tuple[str, str]]:
        """The form fields without the token, arrays indexed (`fields[0]=…`), blanks and empty lists left out."""
        pairs = [("content", self.content), ("action", self.action), ("format", self.format)]
        for name, value in self.parameters.items():
            pairs.extend(form_fields(name, value))
        # Errors always in JSON, the one format whose text cannot be mistaken for markup.
        pairs.append(("returnFormat", str(self.parameters.get("returnFormat") or "json")))
        return [(name, value) for name, value in dict(pairs).items() if value != ""]

    def shown(self) -> dict[str, str]:
        """What would be sent, with the token masked, as REDCap's API Playground shows a call."""
        return {"token": MASK, **dict(self.form())}


def change(
    content: str,
    action: str,
    parameters: Mapping[str, Parameter],
    *,
    format: str = "json",
    expect: Expect = Expect.JSON,
    upload: Upload | None = None,
) -> Request:
    """A call that changes something in REDCap, so the client never sends it again by itself."""
    return Request(content, action, parameters, format=format, expect=expect, repeatable=False, upload=upload)


def encoded(request: Request, token: Token) -> list[tuple[str, str]]:
    """The form fields with the token: only for the request body."""
    return [("token", token.reveal()), *request.form()]


def urlencoded(fields: Sequence[tuple[str, str]]) -> bytes:
    """Form fields as the body of a request, as urllib's `urlencode` would give it.

    They are quoted together: a call may name thousands of records, and quoting each takes longer than sending them.
    """
    names, values = _quoted([name for name, _ in fields]), _quoted([value for _, value in fields])
    return "&".join(f"{name}={value}" for name, value in zip(names, values, strict=True)).encode("ascii")


def _quoted(texts: Sequence[str]) -> list[str]:
    together = quote_plus("\n".join(texts), safe="\n[]").replace("[", "%5B").replace("]", "%5D").split("\n")
    # A text that contains a line end was split.
    return together if len(together) == len(texts) else [quote_plus(text) for text in texts]


def form_fields(name: str, value: Parameter) -> Iterator[tuple[str, str]]:
    """The form fields of one parameter: none if it is None, one for each item of a list."""
    if value is None:
        return
    if isinstance(value, str | bool | int | date):
        yield name, _text(value)
        return
    for index, item in enumerate(value):
        if item == "":
            # Leaving it out could widen the request: no records means all records.
            raise ValueError(f"{name} has a blank name.")
        # Most lists name thousands of records, and these are text already.
        yield f"{name}[{index}]", item if isinstance(item, str) else _text(item)


def _text(value: str | int | date) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise ValueError("REDCap's times are server-local, without a zone: give a naive datetime.")
        return value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, date):
        return value.strftime("%Y-%m-%d 00:00:00")
    return str(value)
