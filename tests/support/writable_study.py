"""A made-up project with a field of every kind, for tests of the pure rules."""

from pipelines.writeback.decide.rulebook import Allowed, make_rulebook
from tests.support.structures import field, structure

VALIDATED = (
    *(f"{kind}_{order}" for kind in ("date", "datetime", "datetime_seconds") for order in ("ymd", "mdy", "dmy")),
    "time", "time_hh_mm_ss", "time_mm_ss", "integer", "number",
    *(f"number_{n}dp" for n in range(1, 5)), "number_comma_decimal",
    *(f"number_{n}dp_comma_decimal" for n in range(1, 5)),
    "email", "phone", "zipcode", "ssn", "mrn_10d", "mrn_generic", "vmrn", "alpha_only",
    "postalcode_canada", "postalcode_australia", "postalcode_french", "postalcode_germany",
)  # fmt: skip

FIELDS = [
    field("record_id", "base"),
    field("plain", "base"),
    field("notes", "base", "notes"),
    field("radio", "base", "radio", choices="1, One | 02, Two | -3, Three"),
    field("dropdown", "base", "dropdown", choices="a, A | b, B"),
    field("sql", "base", "sql", choices="select 1"),
    field("yesno", "base", "yesno"),
    field("truefalse", "base", "truefalse"),
    field("checkbox", "base", "checkbox", choices="1, One | -2, Two | x.y, Three"),
    field("slider", "base", "slider"),
    field("strict", "base", "radio", choices="1, One", annotation="@NOMISSING"),
    field("calc", "base", "calc", choices="[plain] + 1"),
    field("calctext", "base", annotation="@CALCTEXT([plain])"),
    field("file", "base", "file"),
    field("signature", "base", "file", validation="signature"),
    field("descriptive", "base", "descriptive"),
    field("readonly", "base", annotation="@HIDDEN @READONLY"),
    field("ident", "base", identifier="y"),
    field("forbidden", "closed"),
    *(field(f"v_{name}", "base", validation=name) for name in VALIDATED),
    field("visit_note", "visit"),
    field("ae_term", "ae"),
    field("ae_tick", "ae", "checkbox", choices="1, One"),
]
PAIRS = (
    ("start_arm_1", "base"), ("later_arm_1", "base"), ("start_arm_1", "ae"), ("start_arm_1", "closed"),
    ("round_arm_1", "visit"), ("start_arm_1", "visit"),
)  # fmt: skip
REPEATING = (("start_arm_1", "ae"), ("round_arm_1", ""))
ALLOWED = Allowed(instruments=frozenset({"base", "visit", "ae"}))
LOADED = ("base", "visit", "ae", "closed")
MISSING = "-99, Not asked | UNK, Unknown"


def classic(**changes):
    """The rules of the project without events."""
    return book(structure(FIELDS, missing=MISSING), **changes)


def longitudinal(**changes):
    """The rules of the project with events, a repeating instrument and a repeating event."""
    return book(structure(FIELDS, pairs=PAIRS, repeating=REPEATING, missing=MISSING), **changes)


def book(described, *, allowed=ALLOWED, loaded=LOADED, identifiers=True):
    return make_rulebook(described, loaded=loaded, allowed=allowed, identifiers=identifiers)
