"""The fields of a data dictionary in a file, checked by the rules of REDCap's upload page."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.state.dictionary import (
    CHOICE_TYPES,
    FIELD_KEYS,
    FIELD_TYPES,
    UI_HEADERS,
    Field,
    choice_pairs,
    fields_from_rows,
)
from redcap_source.simulator.state.names import form_name, is_form_name

# A dictionary has a column of field names, under the web page's header or the API's.
NAME_HEADERS = (UI_HEADERS[0], FIELD_KEYS[0])
SHOWN_HEADERS = 8
SHOWN_PROBLEMS = 20
UI_NAME = dict(zip(FIELD_KEYS, UI_HEADERS, strict=True))
# Capitals are accepted, because some projects have them.
FIELD_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RESERVED = frozenset(
    (
        "redcap_event_name", "redcap_repeat_instrument", "redcap_repeat_instance", "redcap_data_access_group",
        "redcap_survey_identifier",
    )
)  # fmt: skip


class Problem(NamedTuple):
    """A dictionary row that REDCap refuses, and the rule that it breaks."""

    row: int
    column: str
    rule: str

    def __str__(self) -> str:
        return f"row {self.row}, column '{self.column}': {self.rule}"


def fields_from_table(
    rows: Mapping[int, Mapping[str, str]], *, source: str, left_out: list[str] | None = None
) -> list[Field]:
    """The fields of a dictionary's rows, which are numbered as a spreadsheet shows them; `source` names the file.

    Raises SimulatorError for rows that REDCap refuses. With a list as `left_out` such rows are left out, and the list
    gets a sentence for each; only the first row, the record id field, must be right.
    """
    _require_dictionary(rows, source)
    problems = list(dictionary_problems(rows))
    if not problems:
        return fields_from_rows(rows.values(), source=source)
    if left_out is None or problems[0].row == next(iter(rows)):
        raise SimulatorError(_refusal(problems, source, is_first=left_out is not None))
    left_out.extend(f"{source}, {problem}" for problem in problems)
    wrong = {problem.row for problem in problems}
    return fields_from_rows((row for number, row in rows.items() if number not in wrong), source=source)


def _refusal(problems: list[Problem], source: str, *, is_first: bool) -> str:
    lines = [f"  {problem}" for problem in problems[:SHOWN_PROBLEMS]]
    if len(problems) > SHOWN_PROBLEMS:
        lines.append(f"  and {len(problems) - SHOWN_PROBLEMS} more")
    if is_first:
        advice = "The first row is the record id field, which every project needs; correct it."
    else:
        advice = "Correct the file, or load what can be loaded with --lenient."
    return "\n".join([f"REDCap refuses {source} as a data dictionary:", *lines, advice])


def dictionary_problems(rows: Mapping[int, Mapping[str, str]]) -> Iterator[Problem]:
    """The rows that REDCap refuses, each with the first rule that it breaks."""
    seen: dict[str, int] = {}
    status_names = {f"{_cell(row, 'form_name')}_complete" for row in rows.values()}
    for number, row in rows.items():
        name = _cell(row, "field_name").strip()
        problem = _name_problem(name, seen, status_names) or _form_problem(row) or _type_problem(row)
        if problem:
            yield Problem(number, _header(row, problem[0]), problem[1])
        else:
            seen[name] = number


def _name_problem(name: str, seen: Mapping[str, int], status_names: Container[str]) -> tuple[str, str] | None:
    if not name:
        return "field_name", "no field name; every row needs one"
    if name in seen:
        return "field_name", f"'{name}' is used twice, first in row {seen[name]}; field names must be unique"
    if not FIELD_NAME.fullmatch(name):
        return (
            "field_name",
            f"'{name}' is not a field name; it must begin with a letter and hold only letters, digits and _",
        )
    if name in RESERVED or name in status_names:
        return "field_name", f"'{name}' is a name that REDCap uses itself"
    return None


def _form_problem(row: Mapping[str, str]) -> tuple[str, str] | None:
    name = _cell(row, "form_name").strip()
    if _header(row, "form_name") in row and not name:
        return "form_name", "no instrument; every field belongs to one"
    if name and not (is_form_name(name) or form_name(name)):
        return "form_name", f"'{name}' is not an instrument; its name needs letters or digits"
    return None


def _type_problem(row: Mapping[str, str]) -> tuple[str, str] | None:
    kind = _cell(row, "field_type", default="text")
    if kind not in FIELD_TYPES:
        return "field_type", f"'{kind}' is not a field type; there are {', '.join(sorted(FIELD_TYPES))}"
    if kind not in CHOICE_TYPES or kind == "sql":
        # Only administrators see the query of an sql field, so it may be missing.
        return None
    codes = [code for code, _ in choice_pairs(_cell(row, "select_choices_or_calculations"))]
    if not codes:
        return "select_choices_or_calculations", f"no choices; a {kind} field needs them"
    twice = next((code for number, code in enumerate(codes) if code in codes[:number]), None)
    if twice is not None:
        return "select_choices_or_calculations", f"the code '{twice}' is used twice; codes must be unique"
    return None


def _header(row: Mapping[str, str], key: str) -> str:
    shown = UI_NAME[key]
    return shown if shown in row else key


def _cell(row: Mapping[str, str], key: str, *, default: str = "") -> str:
    return row.get(_header(row, key), default)


def _require_dictionary(rows: Mapping[int, Mapping[str, str]], source: str) -> None:
    headers = next(iter(rows.values()), {})
    if any(name in headers for name in NAME_HEADERS):
        return
    found = f"Its headers are {_listed(headers)}" if headers else "It has no rows"
    raise SimulatorError(
        f"{source} is not a data dictionary. {found}; REDCap's dictionary has {_listed(UI_HEADERS[:4])}, its API "
        f"{_listed(FIELD_KEYS[:4])}. Download it from the project's Data Dictionary page."
    )


def _listed(names: Iterable[str]) -> str:
    listed = [f"'{name if len(name) <= 40 else name[:40] + '…'}'" for name in names]
    return ", ".join(listed[:SHOWN_HEADERS]) + (" and others" if len(listed) > SHOWN_HEADERS else "")
