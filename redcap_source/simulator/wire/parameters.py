"""The form parameters of a request, read as REDCap reads them: switches, arrays, comma-separated lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

_INDEXED = re.compile(r"^(\w+)\[[^\]]*\]$")


@dataclass(frozen=True)
class Upload:
    """A file sent with a request."""

    name: str
    content: bytes = field(repr=False)
    mime_type: str = "application/octet-stream"


class Parameters:
    """What a client sent, by name; the index of an array's item is ignored."""

    def __init__(self, pairs: Iterable[tuple[str, str]], uploads: dict[str, Upload] | None = None) -> None:
        self._single: dict[str, str] = {}
        self._arrays: dict[str, list[str]] = {}
        self.uploads = uploads or {}
        for name, value in pairs:
            indexed = _INDEXED.match(name)
            if indexed:
                self._arrays.setdefault(indexed[1], []).append(value)
            else:
                self._single[name] = value

    def __contains__(self, name: str) -> bool:
        return name in self._single or name in self._arrays

    def text(self, name: str, default: str = "") -> str:
        """A parameter's text."""
        return self._single.get(name, default)

    def flag(self, name: str) -> bool:
        """Whether a switch is on: true, in any case, or 1."""
        return self.text(name).strip().lower() in ("true", "1")

    def items(self, name: str) -> list[str]:
        """The items of an array, or of one comma-separated text, without blank ones."""
        found = self._arrays.get(name)
        if found is None:
            found = self._single.get(name, "").split(",")
        return [item.strip() for item in found if item.strip()]

    def replaced(self, name: str, values: list[str]) -> Parameters:
        """The same parameters with another array."""
        other = Parameters((), self.uploads)
        other._single = {key: value for key, value in self._single.items() if key != name}
        other._arrays = {**self._arrays, name: list(values)}
        return other
