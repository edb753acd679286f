"""The choices of a field, and missing data codes."""

from collections.abc import Sequence
from dataclasses import dataclass

from redcap_source.dictionary.kinds import action_tags
from redcap_source.model import Field


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a field: the code that REDCap stores, and its label. Codes are text: `01` is not `1`."""

    code: str
    label: str


def parse_choices(text: str) -> tuple[Choice, ...]:
    """The options of `code, label | code, label`; where none has a comma, each is its own code.

    Labels may contain commas and HTML. A piece without a comma after one with a comma belongs to that one's label,
    separator included: `1, Left | right | 2, Up` are two options. In old dictionaries without any `|`, options are
    separated by line ends.
    """
    separator = "|" if "|" in text else "\n"
    found: list[str] = []
    between = ""
    for piece in text.split(separator):
        if not piece.strip():
            between += separator + piece
        elif found and "," not in piece and "," in found[-1]:
            found[-1] += between + separator + piece
            between = ""
        else:
            found.append(piece)
            between = ""
    return tuple(map(_choice, found))


def _choice(part: str) -> Choice:
    code, comma, label = part.partition(",")
    return Choice(code.strip(), label.strip() if comma else code.strip())


YES_NO = (Choice("1", "Yes"), Choice("0", "No"))


TRUE_FALSE = (Choice("1", "True"), Choice("0", "False"))


STATUS_CHOICES = (Choice("0", "Incomplete"), Choice("1", "Unverified"), Choice("2", "Complete"))


_CHOICE_TYPES = {"radio", "dropdown", "checkbox"}


def choices(field: Field) -> tuple[Choice, ...]:
    """A field's options, the implied ones of yes-no and true-false included; none for other kinds.

    None for `sql` fields: the dictionary has the query, and only the server its result.
    """
    if field.field_type == "yesno":
        return YES_NO
    if field.field_type == "truefalse":
        return TRUE_FALSE
    return parse_choices(field.select_choices_or_calculations) if field.field_type in _CHOICE_TYPES else ()


def missing_data_codes(text: str | None) -> tuple[Choice, ...]:
    """The project's codes for missing data, which are allowed in fields of every kind."""
    return parse_choices(text or "")


def missing_codes_of(field: Field, codes: Sequence[Choice]) -> tuple[Choice, ...]:
    """Those of the project's codes that mean missing data in a field's values.

    None if the field is tagged @NOMISSING. A code that is also a choice of the field means the choice; the cells of
    a checkbox's options are 1 and 0.
    """
    if "@NOMISSING" in action_tags(field):
        return ()
    own = {"0", "1"} if field.field_type == "checkbox" else {choice.code for choice in choices(field)}
    return tuple(choice for choice in codes if choice.code not in own)
