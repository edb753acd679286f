"""The choices of a field, and missing data codes."""

from collections.abc import Sequence
from dataclasses import dataclass

from redcap_source.dictionary.kinds import action_tags
from redcap_source.model import Field


@dataclass(frozen=True, slots=True)
class Choice:
    """One option of a field: the code REDCap stores and the label people see. Codes are text: `01` is not `1`."""

    code: str
    label: str


def parse_choices(text: str) -> tuple[Choice, ...]:
    """The options of `code, label | code, label`; where none has a comma, each is its own code.

    Labels may hold commas and HTML. A piece without a comma behind one that has a comma belongs to that one's label,
    with what stands between them: `1, Left | right | 2, Up` are two options. Dictionaries of old separate options by
    line ends where there is no `|` at all.
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

    Not of `sql` fields: their column holds the query, and what it yields only the server knows.
    """
    if field.field_type == "yesno":
        return YES_NO
    if field.field_type == "truefalse":
        return TRUE_FALSE
    return parse_choices(field.select_choices_or_calculations) if field.field_type in _CHOICE_TYPES else ()


def missing_data_codes(text: str | None) -> tuple[Choice, ...]:
    """The project's codes for missing data, which may stand in any field whatever its kind."""
    return parse_choices(text or "")


def missing_codes_of(field: Field, codes: Sequence[Choice]) -> tuple[Choice, ...]:
    """Those of the project's codes that stand for missing data in a field's values.

    None where the field is tagged @NOMISSING. One that is also a choice of the field is the choice; the cells of a
    checkbox's options hold 1 and 0.
    """
    if "@NOMISSING" in action_tags(field):
        return ()
    own = {"0", "1"} if field.field_type == "checkbox" else {choice.code for choice in choices(field)}
    return tuple(choice for choice in codes if choice.code not in own)
