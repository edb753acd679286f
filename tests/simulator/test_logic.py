"""REDCap's logic, expression by expression."""

from datetime import UTC, datetime

import pytest

from redcap_source.simulator import logic
from redcap_source.simulator.logic_functions import number_text

NOW = datetime(2024, 7, 1, 12, 30, tzinfo=UTC)
VALUES = {
    "age": "41", "sex": "1", "name": "Ada", "blank": "", "kg": "80.5", "cm": "170", "dob": "1983-02-01",
    "race(2)": "1", "race(3)": "0", "base/sex": "2", "neg": "-3", "text": "7 days",
}  # fmt: skip


def look(reference: logic.Reference) -> str:
    name = f"{reference.field}({reference.code})" if reference.code else reference.field
    return VALUES[f"{reference.event}/{name}" if reference.event else name]


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("[age] > 40", True),
        ("[age] >= 41 and [age] <= 41", True),
        ("[age] > '5'", True),  # numbers are compared as numbers, quoted or not
        ("[name] = 'Ada'", True),
        ('[name] <> "Ada"', False),
        ("[name] != 'Bram' and not [sex] = '2'", True),
        ("[blank] = ''", True),
        ("[blank] <> ''", False),
        ("[blank] < 5", True),  # blank comes before everything
        ("[blank] > 5", False),
        ("[blank] = 0", False),
        ("[race(2)] = '1'", True),
        ("[race(3)] = 1 or [race(2)] = 1", True),
        ("[base][sex] = '2'", True),
        ("([age] = 1 or [age] = 41) and ([sex] = 1)", True),
        ("[age] = 1 or [age] = 41 and [sex] = 2", False),
        ("[neg] < -2", True),
        ("[text] > 5", True),  # not a number, so compared as text
        ("!([age] = 40)", True),
        ("contains([name], 'AD')", True),
        ("starts_with([name], 'a') and ends_with([name], 'da') and not_contain([name], 'x')", True),
        ("isnumber([kg]) = 1 and isnumber([name]) = 0", True),
        ("datediff([dob], 'today', 'y') > 41", True),
        ("// adults\n[age] > 40", True),
    ],
)
def test_conditions(text, holds):
    assert logic.parse(text).holds(look, NOW) is holds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[age] + 1", "42"),
        ("[age] - [sex] * 2", "39"),
        ("-[age] + 2", "-39"),
        ("2 ^ 3 / 4", "2"),
        ("round([kg] * 10000 / ([cm] ^ 2), 1)", "27.9"),
        ("round(2.675, 2)", "2.68"),
        ("rounddown(2.9) + roundup(2.1)", "5"),
        ("[age] / 0", ""),
        ("[age] + [blank]", ""),
        ("sum([age], [blank], 1)", "42"),
        ("mean(1, 2, [blank])", "1.5"),
        ("min(3, [age]) + max(3, [age])", "44"),
        ("median(1, 9, 3)", "3"),
        ("if([sex] = '1', 'woman', 'man')", "woman"),
        ("concat([name], '-', [age])", "Ada-41"),
        ("left([name], 2)", "Ad"),
        ("right([name], 2)", "da"),
        ("upper(mid([name], 2, 2))", "DA"),
        ("length([name]) + find('d', [name])", "5"),
        ("rounddown(datediff([dob], '2024-07-01', 'y'))", "41"),
        ("datediff('2024-01-01', '2024-01-31', 'd')", "30"),
        ("datediff('2024-01-31', '2024-01-01', 'd', '1')", "-30"),
        ("datediff([blank], 'today', 'd')", ""),
        ("sqrt(16) + abs([neg])", "7"),
    ],
)
def test_calculations(text, value):
    assert number_text(logic.parse(text).value(look, NOW)) == value


@pytest.mark.parametrize(
    "text", ["[age] >", "[age", "([age] = 1", "[age] = 1)", "nonsense([age])", "1 ~ 2", "and", "'open"]
)
def test_what_cannot_be_read_is_an_error(text):
    with pytest.raises(logic.LogicError):
        logic.parse(text).holds(look, NOW)
