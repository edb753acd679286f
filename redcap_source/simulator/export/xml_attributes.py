"""Texts of XML elements, as a REDCap Project XML has them."""

from __future__ import annotations

from collections.abc import Mapping

from redcap_source.simulator.wire.formats import xml_escaped


def escaped(value: object) -> str:
    """A value as an attribute holds it, line breaks and tabs as character references."""
    return xml_escaped(str(value)).replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")


def attributes(values: Mapping[str, object]) -> str:
    """The attributes of an element, a blank before each."""
    return "".join(f' {name}="{escaped(value)}"' for name, value in values.items())
