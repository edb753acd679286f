"""ApiRow: how one row of an answer becomes a value of a dataclass."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from collections.abc import Hashable


Row = Mapping[str, Any]


class MissingKeyError(ValueError):
    """A row lacks a required key."""


def text(value: Any) -> str:
    """Text; JSON's null becomes a blank, which is what REDCap means by it."""
    return "" if value is None else str(value)


def whole(value: Any) -> int | None:
    """A whole number; None if it is blank or not a number."""
    try:
        return int(str(value).strip())
    except ValueError:
        return None


def flag(value: Any) -> bool | None:
    """A yes or no in any of REDCap's spellings; None if it is blank or neither."""
    if isinstance(value, bool):
        return value
    return _FLAGS.get(str(value).strip().lower())


_FLAGS = {
    "1": True,
    "true": True,
    "y": True,
    "yes": True,
    "0": False,
    "false": False,
    "n": False,
    "no": False,
}


def number_or_text(value: Any) -> int | str:
    """A right's level: usually a number; a word stays text."""
    number = whole(value)
    return text(value) if number is None else number


def per_form(value: Any) -> Mapping[str, int | str]:
    """Rights by instrument: an object in JSON, `form1:1,form2:0` in CSV."""
    if isinstance(value, Mapping):
        return {str(name): number_or_text(level) for name, level in value.items()}
    pairs = (pair.rpartition(":") for pair in text(value).split(",") if ":" in pair)
    return {name.strip(): number_or_text(level) for name, _, level in pairs}


def from_key(
    read: Callable[[Any], Any] = text,
    *,
    required: bool = False,
    private: bool = False,
    also: tuple[str, ...] = (),
) -> Any:
    """A field read from the key of its name, or from those in `also`, which other versions use.

    `read` converts the cell, `private` keeps it out of the repr. Without `required`, a missing key is None.
    """
    facts = {"read": read, "required": required, "keys": also}
    if required:
        return dataclasses.field(repr=not private, metadata=facts)
    return dataclasses.field(default=None, repr=not private, metadata=facts)


def rest() -> Any:
    """The field `extra`, which holds the keys that no other field is read from."""
    return dataclasses.field(default_factory=dict, repr=False, hash=False)


@cache
def _cells(row_class: Any) -> tuple[tuple[str, tuple[str, ...], Callable[[Any], Any], bool], ...]:
    """The fields read from a row: name, keys, conversion, required or not. Cached, as a dictionary has many rows."""
    return tuple(
        (column.name, (column.name, *column.metadata["keys"]), column.metadata["read"], column.metadata["required"])
        for column in dataclasses.fields(row_class)
        if column.name not in ("extra", "rights")
    )


@dataclass(frozen=True, slots=True)
class ApiRow:
    """A row of an answer, whose cells become the fields of a dataclass by key name."""

    @classmethod
    def from_row(cls, row: Row) -> Self:
        """The value of one row; MissingKeyError if the row lacks a required key."""
        left = dict(row)
        values = {}
        for name, keys, read, required in _cells(cast("Hashable", cls)):
            key = next((key for key in keys if key in left), None)
            if key is not None:
                values[name] = read(left.pop(key))
            elif required:
                raise MissingKeyError(f"{cls.__name__} without {name}; its keys are {', '.join(sorted(row))}.")
        return cls(**values, **cls._of_the_rest(left))

    @classmethod
    def _of_the_rest(cls, left: dict[str, Any]) -> dict[str, Any]:
        return {"extra": left}

    def as_row(self) -> dict[str, Any]:
        """The row for an import: what is unknown is left out."""
        row: dict[str, Any] = {}
        for column in dataclasses.fields(self):
            value = getattr(self, column.name)
            if column.name in ("extra", "rights"):
                row |= value
            elif value is not None:
                row[column.name] = value
        return row
