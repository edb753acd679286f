"""Reads CDISC ODM 1.3.1 with REDCap's additions into elements, and values out of them."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.whole_numbers import whole_number

ODM = "{http://www.cdisc.org/ns/odm/v1.3}"
REDCAP = "{https://projectredcap.org}"
_ATTRIBUTE = re.compile(rb'="[^"<]*"')

Element = ElementTree.Element


def root_of(content: bytes, source: str) -> Element:
    """The root of a file of ODM; `source` names it in errors."""
    # REDCap writes line breaks inside attributes as they are, and XML turns those into spaces; character references
    # are kept.
    kept = _ATTRIBUTE.sub(_with_line_breaks, content)
    try:
        root = ElementTree.fromstring(kept)  # noqa: S314 - expat expands no external entities
    except ElementTree.ParseError as error:
        raise SimulatorError(f"{source} is not well-formed XML ({error}); export it again from REDCap.") from error
    if root.tag != f"{ODM}ODM":
        raise SimulatorError(f"{source} is XML, but not CDISC ODM as a REDCap Project XML is.")
    return root


def _with_line_breaks(match: re.Match[bytes]) -> bytes:
    text = match.group()
    if b"\n" not in text:
        return text
    return text.replace(b"\r\n", b"\n").replace(b"\n", b"&#10;").replace(b"\t", b"&#9;")


def text_of(parent: Element, tag: str) -> str:
    """The text of a child, without blanks around it; blank if there is no such child."""
    return (parent.findtext(tag) or "").strip()


def number_of(element: Element, attribute: str, otherwise: int) -> int:
    """The whole number in an attribute, or another one where there is no such attribute."""
    text = element.get(attribute) or str(otherwise)
    number = whole_number(text.strip().removeprefix("-"))
    if number is None:
        name = attribute.removeprefix(REDCAP)
        raise SimulatorError(f'The XML has {name}="{text[:40]}"; it must be a whole number.')
    return -number if text.strip().startswith("-") else number
