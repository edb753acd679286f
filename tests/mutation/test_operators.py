"""The mutation run makes the wrongs it is meant to make, in the modules and with the tests there are."""

import pytest

from tests.mutation.operators import mutants
from tests.mutation.targets import TARGETS, covering
from tests.support.root import ROOT

PYTHON = '''
def f(rows, why, limit):
    """Not this 1."""
    if why in rows and not limit:
        log.info("nor this")
        rows.append(1)
    return why or ""
'''


@pytest.mark.parametrize(
    ("path", "text", "line", "change", "expected"),
    [
        ("a.py", PYTHON, 4, "and, or swapped", "if (why in rows or not limit):"),
        ("a.py", PYTHON, 4, "comparison swapped", "if (why not in rows) and not limit:"),
        ("a.py", PYTHON, 4, "condition negated", "if (not (why in rows and (not limit))):"),
        ("a.py", PYTHON, 4, "not dropped", "if why in rows and (limit):"),
        ("a.py", PYTHON, 6, "call dropped", "pass"),
        ("a.py", PYTHON, 7, "and, or swapped", "return (why and '')"),
        ("a.py", PYTHON, 7, "returns None", "return (None)"),
        ("a.sql", "-- AND --\nSELECT 1 WHERE a AND b;", 2, "AND becomes OR", "SELECT 1 WHERE a OR b;"),
        ("a.sql", "SELECT x\nFROM t ANTI JOIN u USING (x);", 2, "ANTI becomes SEMI", "FROM t SEMI JOIN u USING (x);"),
        ("a.sql", "WHERE w IN ('a', 'b');", 1, "a value of a list dropped", "WHERE w IN ('b');"),
        ("a.sql", "SELECT count(DISTINCT r);", 1, "DISTINCT dropped", "SELECT count( r);"),
        ("a.sql", "WHERE a.b = c.b AND a.r = $r;", 1, "a condition dropped", "WHERE a.b = c.b ;"),
    ],
)
def test_a_wrong_is_made_at_its_place(path, text, line, change, expected):
    made = [mutant for mutant in mutants(path, text) if (mutant.line, mutant.change) == (line, change)]
    assert [mutant.text.splitlines()[line - 1].strip() for mutant in made] == [expected]


def test_what_nobody_could_notice_is_left_alone():
    assert {mutant.line for mutant in mutants("a.py", PYTHON)} == {4, 6, 7}
    assert mutants("a.sql", "-- x AND y\nCREATE TABLE t (a VARCHAR CHECK (a IN ('x', 'y')));") == []


def test_every_source_and_test_of_the_run_is_there():
    named = {name for path in TARGETS for name in (path, *(test for stage in covering(path) for test in stage))}
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("path", [path for path in TARGETS if (ROOT / path).exists()])
def test_every_mutant_of_a_module_is_a_program(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    made = mutants(path, text)
    assert made
    assert all(mutant.text != text for mutant in made)
    if path.endswith(".py"):
        for mutant in made[:: max(1, len(made) // 10)]:
            compile(mutant.text, path, "exec")
