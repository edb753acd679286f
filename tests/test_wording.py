"""Messages are English, and nothing in them steers a terminal."""

import ast
import re
from pathlib import Path

import pytest
import typer
from rich.console import Console

from pipelines.cli.app import app
from pipelines.console.tables import answer_table
from pipelines.warehouse.published.query import Answer
from pipelines.wording import counted, printable

ROOT = Path(__file__).resolve().parent.parent
NOUNS = "records|rows|cells|fields|values|proposals|projects|columns|instruments|chunks|changes|batches"
# A number directly before a plural, in an f-string of the product, says "1 records" one day.
UNAWARE = re.compile(rf"\}} (?:more )?(?:{NOUNS})\b(?!/)[^{{]{{0,20}}")
COMMANDS = typer.main.get_command(app).commands


@pytest.mark.parametrize(
    ("number", "words", "told"),
    [
        (1, ("record",), "1 record"),
        (0, ("record",), "0 records"),
        (1200, ("record",), "1,200 records"),
        (2, ("batch", "batches"), "2 batches"),
        (1, ("field is", "fields are"), "1 field is"),
    ],
)
def test_a_count_agrees_with_its_noun(number, words, told):
    assert counted(number, *words) == told


def test_no_message_counts_without_looking_at_the_number():
    found = []
    for path in sorted((ROOT / "pipelines").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found += [f"{path.name}: {part}" for part in UNAWARE.findall(ast.unparse(node))]
    assert found == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, ärztlich, 北京", "plain, ärztlich, 北京"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("bell\x07, NUL\x00, C1\x9b", "bell\\x07, NUL\\x00, C1\\x9b"),
        ("turned \u202eround", "turned \\u202eround"),
    ],
)
def test_what_steers_a_terminal_is_written_out(text, shown):
    assert printable(text) == shown


def test_an_answer_shown_as_a_table_cannot_steer_the_terminal():
    console = Console(width=80)
    with console.capture() as captured:
        answer_table(console, Answer(columns=("town",), rows=[("\x1b[2Jgone",)]))
    assert "\x1b[2J" not in captured.get()
    assert "\\x1b[2Jgone" in captured.get()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_text_is_shown_whole(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "400")
    monkeypatch.setenv("TERMINAL_WIDTH", "400")
    with pytest.raises(SystemExit):
        app([name, "--help"])
    shown = " ".join(re.sub(r"[│╭╰─╮╯*]", " ", capsys.readouterr().out).split())
    texts = [
        " ".join(parameter.help.split()) for parameter in COMMANDS[name].params if getattr(parameter, "help", None)
    ]
    assert [text for text in texts if text not in shown] == []
