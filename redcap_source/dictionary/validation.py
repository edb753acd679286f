"""Which values a field's validation accepts."""

import re
from collections.abc import Mapping

from redcap_source.model import Field

_DATE = r"[0-9]{1,4}-(0?[1-9]|1[012])-(0?[1-9]|[12][0-9]|3[01])"


_HOUR_MINUTE = r"([0-9]|[01][0-9]|2[0-3]):[0-5][0-9]"


_CLOCK_SECONDS = r"([0-9]|[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"


_NUMBER = r"[-+]?(([0-9]+\.?[0-9]*)|(\.[0-9]+))([Ee][+-]?[0-9]+)?"


# REDCap's own validation types, as public clients list them; administrators may add or change some.
# A type that is not here is not checked: the server's list decides.
VALIDATION_PATTERNS: Mapping[str, re.Pattern[str]] = {
    name: re.compile(pattern, re.I if name in ("email", "alpha_only", "postalcode_canada") else 0)
    for name, pattern in {
        **{f"date_{order}": _DATE for order in ("ymd", "mdy", "dmy")},
        **{f"datetime_{order}": f"{_DATE} {_HOUR_MINUTE}" for order in ("ymd", "mdy", "dmy")},
        **{f"datetime_seconds_{order}": f"{_DATE} {_CLOCK_SECONDS}" for order in ("ymd", "mdy", "dmy")},
        "time": _HOUR_MINUTE,
        "time_hh_mm_ss": _CLOCK_SECONDS,
        "time_mm_ss": r"[0-5]?[0-9]:[0-5][0-9]",
        "integer": r"[-+]?[0-9]+",
        "number": _NUMBER,
        "number_comma_decimal": _NUMBER.replace(r"\.", ","),
        **{f"number_{places}dp": rf"[-+]?[0-9]*\.[0-9]{{{places}}}" for places in range(1, 5)},
        **{f"number_{places}dp_comma_decimal": rf"[-+]?[0-9]*,[0-9]{{{places}}}" for places in range(1, 5)},
        "email": r"[A-Z0-9._%+'-]+@[A-Z0-9.-]+\.[A-Z]{2,}",
        "zipcode": r"\d{5}(-\d{4})?",
        "ssn": r"\d{3}-\d{2}-\d{4}",
        "mrn_10d": r"\d{10}",
        "vmrn": r"\d{4,9}",
        "alpha_only": r"[a-z]+",
        "postalcode_canada": r"[ABCEGHJ-NPRSTVXY]\d[A-Z] ?\d[A-Z]\d",
        "postalcode_australia": r"\d{4}",
        "postalcode_french": r"\d{5}",
        "postalcode_germany": r"\d{5}",
    }.items()
}


_PHONE = re.compile(r"[2-9][0-8][0-9][2-9][0-9]{6}")


def passes_validation(field: Field, value: str) -> bool:
    """Whether a text field's validation accepts the value; True for types whose rule is not known here.

    A number of fixed decimal places needs exactly that many: `22` is rejected where `22.0` is accepted.
    """
    kind = field.text_validation_type_or_show_slider_number
    if field.field_type != "text" or not kind:
        return True
    if kind == "phone":
        digits = re.sub(r"^\+?1(?=\D*\d{3}\D*\d{3}\D*\d{4}\b)", "", value.strip())
        return _PHONE.match(re.sub(r"\D", "", digits)) is not None
    pattern = VALIDATION_PATTERNS.get(kind)
    return pattern is None or pattern.fullmatch(value) is not None
