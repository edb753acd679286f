"""Plausible values for fields, by type, validation and range."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

from redcap_source.simulator.state.dictionary import Dictionary, Field
from redcap_source.simulator.state.names import checkbox_column
from redcap_source.simulator.studies import words

Chance = random.Random
Maker = Callable[[Chance, Field], str]

FIRST_DAY = date(2023, 1, 2)


def chance_of(*seed: object) -> Chance:
    """A random source that is the same for the same seed."""
    return random.Random("/".join(map(str, seed)))  # noqa: S311 - studies must be repeatable, not secret


def filled(dictionary: Dictionary, form: str, chance: Chance, blank: float = 0.05) -> dict[str, str]:
    """The values of a filled-in instrument; a share of `blank` is left out."""
    values: dict[str, str] = {}
    for field in dictionary.fields_of(form):
        if field.field_type == "checkbox":
            values |= checked(field, chance)
        elif field.field_name != dictionary.record_id and chance.random() >= blank:
            value = value_for(field, chance)
            if value:
                values[field.field_name] = value
    values[f"{form}_complete"] = chance.choices(("2", "1", "0"), (90, 5, 5))[0]
    return values


def checked(field: Field, chance: Chance) -> dict[str, str]:
    """Some options of a checkbox, checked."""
    return {checkbox_column(field.field_name, code): "1" for code in field.choices if chance.random() < 0.3}


def value_for(field: Field, chance: Chance) -> str:
    """One value; blank for fields that are not entered by hand."""
    if field.field_type in ("radio", "dropdown", "yesno", "truefalse"):
        return chance.choice(tuple(field.choices))
    if field.field_type == "slider":
        return str(chance.randint(0, 100))
    if field.field_type == "notes":
        return chance.choice(words.REMARKS)
    if field.field_type != "text":
        return ""
    name = field.field_name
    by_name = next((make for ending, make in _BY_NAME.items() if name.endswith(ending)), None)
    maker = _BY_VALIDATION.get(field.validation) if field.validation else by_name
    return (maker or _phrase)(chance, field)


def _phrase(chance: Chance, field: Field) -> str:
    return f"{chance.choice(words.TERMS)} {chance.randint(1, 99)}"


def day(chance: Chance) -> str:
    """A day in the study's two years."""
    return (FIRST_DAY + timedelta(days=chance.randint(0, 700))).isoformat()


def birth_day(chance: Chance) -> str:
    """A day of birth of an adult."""
    return date(chance.randint(1935, 2004), chance.randint(1, 12), chance.randint(1, 28)).isoformat()


def _date(chance: Chance, field: Field) -> str:
    return birth_day(chance) if field.field_name in ("dob", "birth_date") else day(chance)


def _moment(form: str) -> Maker:
    def make(chance: Chance, field: Field) -> str:
        moment = datetime.fromisoformat(day(chance)) + timedelta(seconds=chance.randint(7 * 3600, 18 * 3600))
        return moment.strftime(form)

    return make


def _number(decimals: int, mark: str = ".") -> Maker:
    def make(chance: Chance, field: Field) -> str:
        low, high = _bounds(field)
        return f"{chance.uniform(low, high):.{decimals}f}".replace(".", mark)

    return make


def _integer(chance: Chance, field: Field) -> str:
    low, high = _bounds(field)
    return str(chance.randint(int(low), int(high)))


def _bounds(field: Field) -> tuple[float, float]:
    def bound(text: str, default: float) -> float:
        try:
            return float(text.replace(",", "."))
        except ValueError:
            return default

    return bound(field.text_validation_min, 0), bound(field.text_validation_max, 100)


def _digits(pattern: str) -> Maker:
    # In a pattern 9 is any digit, 5 is 2 to 9, A is a letter.
    letters = {"9": "0123456789", "5": "23456789", "A": "ABCEGHJKLMNPRSTVXY"}

    def make(chance: Chance, field: Field) -> str:
        return "".join(chance.choice(letters[mark]) if mark in letters else mark for mark in pattern)

    return make


def _email(chance: Chance, field: Field) -> str:
    return f"p{chance.randint(1000, 999999)}@example.org"


def _word(chance: Chance, field: Field) -> str:
    return chance.choice(("alpha", "beta", "gamma", "delta"))


_BY_NAME: Mapping[str, Maker] = {
    "first_name": lambda chance, field: chance.choice(words.FIRST_NAMES),
    "last_name": lambda chance, field: chance.choice(words.LAST_NAMES),
    "street": lambda chance, field: f"{chance.choice(words.STREETS)} {chance.randint(1, 300)}",
    "town": lambda chance, field: chance.choice(words.TOWNS),
    "drug": lambda chance, field: chance.choice(words.DRUGS),
    "term": lambda chance, field: chance.choice(words.TERMS),
    "lot": lambda chance, field: f"LOT{chance.randint(100, 999):05d}",
}
_BY_VALIDATION: Mapping[str, Maker] = {
    **dict.fromkeys(("date_ymd", "date_mdy", "date_dmy"), _date),
    **dict.fromkeys(("datetime_ymd", "datetime_mdy", "datetime_dmy"), _moment("%Y-%m-%d %H:%M")),
    **dict.fromkeys(
        ("datetime_seconds_ymd", "datetime_seconds_mdy", "datetime_seconds_dmy"), _moment("%Y-%m-%d %H:%M:%S")
    ),
    "time": _moment("%H:%M"),
    "time_hh_mm_ss": _moment("%H:%M:%S"),
    "time_mm_ss": _moment("%M:%S"),
    "integer": _integer,
    "number": _number(2),
    "number_comma_decimal": _number(2, ","),
    **{f"number_{n}dp": _number(n) for n in range(1, 5)},
    **{f"number_{n}dp_comma_decimal": _number(n, ",") for n in range(1, 5)},
    "email": _email,
    "phone": _digits("(512) 555-9999"),
    "phone_australia": _digits("(02) 5999 9999"),
    "zipcode": _digits("09999"),
    "ssn": _digits("999-99-9999"),
    "mrn_10d": _digits("0999999999"),
    "mrn_generic": _digits("AA99999"),
    "vmrn": _digits("099999999"),
    "postalcode_canada": _digits("A9A 9A9"),
    "postalcode_australia": _digits("5999"),
    "postalcode_french": _digits("59999"),
    "postalcode_germany": _digits("59999"),
    "alpha_only": _word,
}
