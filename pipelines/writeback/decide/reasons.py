"""The reasons why a cell is not written. Pure."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a cell is not written, or is written with a warning. They are counted and logged, so they hold no values."""

    UNKNOWN_FIELD = "the project has no such field"
    NOT_ALLOWED = "projects.yaml does not allow this field to be written"
    NOT_LOADED = "projects.yaml leaves this instrument out of the warehouse"
    IDENTIFIER = "an identifier, which projects.yaml keeps out of the warehouse"
    RECORD_ID = "the record id: records are renamed in REDCap"
    OWN_COLUMN = "a column that REDCap fills in itself"
    CHECKBOX_WHOLE = "a checkbox is written option by option, as field___code"
    CALCULATED = "calculated by REDCap"
    FILE = "a file cannot be written as a value"
    DESCRIPTIVE = "a descriptive field holds no value"
    READ_ONLY = "tagged @READONLY"
    OTHER_INSTRUMENT = "the field belongs to another instrument"
    NO_EVENT = "names no event, in a longitudinal project"
    UNKNOWN_EVENT = "the project has no such event"
    CLASSIC_EVENT = "names an event, in a project without events"
    NOT_DESIGNATED = "the instrument is not designated for the event"
    NO_INSTANCE = "names no instance, where the instrument or its event repeats"
    BAD_INSTANCE = "the instance is neither a number nor new"
    NOT_REPEATING = "names an instance, where nothing repeats"
    REPEATING_UNKNOWN = "names an instance, and the token may not read what repeats (Project Design right)"
    NO_RECORD = "names no record"
    BAD_CHOICE = "not one of the field's choices"
    BAD_FORMAT = "does not follow the field's validation"
    NO_SUCH_DATE = "not a date of the calendar"
    BAD_TEXT = "holds a character that no text may hold"
    LINE_BREAK = "holds a line break, and the field has a single line"
    STATUS_BLANK = "a form status cannot be blank"
    WAS_INVALID = "was invalid when it was last decided about; propose it again if it is still wanted"
    # Known only once REDCap has been read.
    ALIKE = "REDCap may take the record id for another one, which differs only in blanks, letter case or accents"
    OUT_OF_REACH = "REDCap refuses the token this record"
    UNKNOWN_RECORD = "REDCap has no such record"
    UNKNOWN_INSTANCE = "REDCap has no such instance"
    HIDDEN = "the token may not see this field, so it cannot be compared"
    GRAY_STATUS = "the form has never been opened, so its status cannot be set alone"
    TAKEN = "another record has this value, and the field is the secondary unique one"
    TWICE = "the same cell is proposed twice"
    CONTRADICTION = "the same cell is proposed twice, with different values"
    CHANGED = "REDCap holds another value than was seen"
    # Warnings.
    TRIMMED = "the record is made without the blanks at the ends of its id"
    BELOW = "below the field's minimum"
    ABOVE = "above the field's maximum"


TRANSIENT_REASONS = frozenset(
    {
        Reason.ALIKE,
        Reason.OUT_OF_REACH,
        Reason.UNKNOWN_RECORD,
        Reason.UNKNOWN_INSTANCE,
        Reason.HIDDEN,
        Reason.GRAY_STATUS,
        Reason.TAKEN,
        Reason.TWICE,
        Reason.CONTRADICTION,
    }
)
"""Reasons that depend on what REDCap holds, on other proposals or on a run's options, so the next plan may decide
otherwise. All others depend on the proposal and the rules; what they ruled out stays ruled out if the rules change."""
