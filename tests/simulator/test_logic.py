"""REDCap's logic, expression by expression."""

import csv
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from redcap_source.simulator.logic.functions import number_text
from redcap_source.simulator.logic.nodes import Reference
from redcap_source.simulator.logic.parser import LogicError, parse
from tests.simulator.grids import classic

NOW = datetime(2024, 7, 1, 12, 30, tzinfo=UTC)
VALUES = {
    "age": "41", "sex": "1", "name": "Ada", "blank": "", "kg": "80.5", "cm": "170", "dob": "1983-02-01",
    "race(2)": "1", "race(3)": "0", "base/sex": "2", "neg": "-3", "text": "7 days",
}  # fmt: skip


def look(reference: Reference) -> str:
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
    assert parse(text).holds(look, NOW) is holds


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
        # Bare true and false, as real dictionaries have them.
        ("datediff('2024-01-31','2024-01-01',\"d\",\"dmy\",false)", "30"),
        ("datediff('2024-01-31','2024-01-01',\"d\",\"dmy\",true)", "-30"),
        ("datediff('2024-01-31', '2024-01-01', 'd', TRUE)", "-30"),
        ("datediff('2024-01-31', '2024-01-01', 'd', 'ymd', 'true')", "-30"),
        ("datediff('2024-01-31', '2024-01-01', 'd', false)", "30"),
        ("if([sex] = 1, true, false) + true", "2"),
        # Literals in the order that the format names; stored values have the year first whatever it names.
        ("datediff('31-01-2024', '01-03-2024', 'd', 'dmy')", "30"),
        ("datediff('01/31/2024', '03-01-2024', 'd', 'mdy')", "30"),
        ("datediff('02-01-2024', '2024-01-02', 'd', 'dmy')", "0"),
        ("datediff('02-01-2024', '2024-02-01', 'd', 'mdy')", "0"),
        ("datediff('31-01-2024 10:30', '31-01-2024 12:00', 'h', 'dmy')", "1.5"),
        ("datediff('31-01-2024', '01-03-2024', 'd')", ""),
        ("datediff('31-01-2024', '01-03-2024', 'd', 'mdy')", ""),
        ("datediff('7:30', '23:00', 'h', 'mdy', true)", "15.5"),
        ("datediff('7:30', '2024-01-01', 'h')", ""),
        ("year([dob]) + month([dob]) + day([dob])", "1986"),
        ("year('today') + month('now') + day('today')", "2032"),
        ("year([name])", ""),
        ("dayoftheweek('2024-07-01') + dayoftheweek('2024-07-07')", "8"),
        ("age_at_date([dob], '2024-01-31')", "40"),
        ("age_at_date([dob], '2024-02-01', false)", "41"),
        ("age_at_date('2000-02-29', '2001-02-28') + age_at_date('2000-02-29', '2001-03-01')", "1"),
        ("round(age_at_date('2000-01-01', '2010-07-02', true), 1)", "10.5"),
        ("age_at_date([blank], 'today')", ""),
        ("mod(17, 5) + mod(-7, 3)", "1"),
        ("mod(17, 0)", ""),
        ("round(log(100, 10), 6)", "2"),
        ("round(log(exponential(2)), 6)", "2"),
        ("log(-1)", ""),
        ("roundup(-2.1) + rounddown(-2.9)", "-5"),
        ("concat(roundup(14.384, 1), ' ', rounddown(14.384, 1))", "14.4 14.3"),
        ("roundup(1.1, 2)", "1.1"),
        ("round(-2.5)", "-3"),
        ("concat_ws(', ', [name], [blank], 'x')", "Ada, x"),
        ("replace_text([text], 'days', 'nights')", "7 nights"),
        ("trim('  a b ')", "a b"),
        ("right([name], 0)", ""),
        ("left([name], [name])", ""),
        ("isinteger(5) + isinteger(5.5) + isinteger([name])", "1"),
        ("round(1, 400)", ""),
    ],
)
def test_calculations(text, value):
    assert number_text(parse(text).value(look, NOW)) == value


@pytest.mark.parametrize(
    "text",
    [
        "left([name])",
        "isnumber()",
        "mid([name], 1, 2, 3)",
        "true(1)",
        "datediff([dob], 'today')",
        "[age] >",
        "[age",
        "([age] = 1",
        "[age] = 1)",
        "nonsense([age])",
        "1 ~ 2",
        "and",
        "'open",
    ],
)
def test_what_cannot_be_read_is_an_error(text):
    with pytest.raises(LogicError):
        parse(text).holds(look, NOW)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("isblankormissingcode([blank]) and isblankormissingcode([missing])", True),
        ("isblankormissingcode([age])", False),
        ("isblanknotmissingcode([blank])", True),
        ("isblanknotmissingcode([missing])", False),
        ("ismissingcode([missing])", True),
        ("ismissingcode([blank]) or ismissingcode([age])", False),
        ("hasmissingcode([missing], 'NASK, UNK')", True),
        ("hasmissingcode([missing], 'NASK')", False),
        ("hasmissingcode([age], '41')", False),
    ],
)
def test_missing_data_codes_are_those_of_the_project(text, holds):
    def with_missing(reference: Reference) -> str:
        return "UNK" if reference.field == "missing" else look(reference)

    assert parse(text, {"UNK", "NASK"}).holds(with_missing, NOW) is holds


@pytest.mark.parametrize("asked", ["left([name])", "isnumber()", "[age] = nothing"])
def test_logic_that_cannot_be_read_is_refused_over_http(asker, asked):
    status, sentence = asker(classic({"id": "1", "name": "Ada"})).refused(content="record", filterLogic=asked)
    assert status == 400 and sentence.startswith("The filterLogic is not valid: ")


def test_logic_is_answered_over_http(asker):
    project = classic({"id": "1", "born": "1983-02-01", "name": "UNK"}, {"id": "2", "born": "1990-02-01"})
    project.set_missing_codes("UNK, Unknown")
    ask = asker(project)

    def found(text: str) -> list[str]:
        return [row["id"] for row in ask.csv(content="record", fields="id", filterLogic=text)]

    assert found('datediff([born],"01-02-1985","d","dmy",true) > 0') == ["1"]
    assert found("ismissingcode([name])") == ["1"]
    assert found("left([name], 'x') = ''") == ["1", "2"]


def test_a_calculation_with_a_bare_false_is_computed(asker):
    project = classic()
    fields = [
        replace(field, select_choices_or_calculations='datediff([born],"01-03-2024","d","dmy",false)')
        if field.field_name == "twice"
        else field
        for field in project.dictionary.fields
    ]
    project.dictionary = project.dictionary.with_fields(fields)
    ask = asker(project)
    assert ask(content="record", format="csv", data="id,born\n1,2024-03-11\n").strip() == "1"
    assert ask.csv(content="record", fields="twice") == [{"twice": "10"}]


# Public dictionaries hold these where logic should be; they are none.
NO_LOGIC = {"y", "NA"}


@pytest.mark.recorded
def test_every_expression_of_public_dictionaries_is_read_and_can_be_computed(recorded):
    path = recorded.parent / "logic" / "expressions.csv"
    if not path.exists():
        pytest.skip("the expressions of public dictionaries are not beside the recorded answers")
    with path.open(encoding="utf-8", newline="") as file:
        expressions = [row["expression"] for row in csv.DictReader(file)]
    unread = set()
    for text in expressions:
        try:
            expression = parse(text)
        except LogicError:
            unread.add(text)
            continue
        for value in ("", "1", "-3.5", "text", "2024-02-29", "23:59"):
            expression.value(lambda reference, value=value: value, NOW)
    assert unread == NO_LOGIC
