"""The how-to's examples run, and it names every decision, status and column there is."""

import re

import pytest

from pipelines.warehouse.tables.writeback import Decision, Status
from pipelines.writeback import ProposalOptions, propose_query
from pipelines.writeback.proposals.long import LONG
from tests.support.root import ROOT

DOC = (ROOT / "docs" / "howto" / "writeback.md").read_text(encoding="utf-8")


def example(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", DOC, re.DOTALL)[0].replace("heart_study", "study")


def test_the_query_and_the_script_propose_and_their_values_arrive(site, study, monkeypatch, capsys):
    study.save("1", {"weight": "130.0", "height": "1700.0"})
    site.night()
    expected = site.rows("SELECT count(*) FROM study.examination WHERE weight > 120")[0][0]
    proposed = propose_query(site.config, site.project(), example("sql"), ProposalOptions(batch="weights"))
    assert proposed.accepted == expected > 0
    assert site.apply().complete
    assert study.value("1", "weight") == "59.0"
    monkeypatch.setenv("REDCAP_WAREHOUSE_CONFIG", str(site.path))
    exec(compile(example("python"), "howto", "exec"), {})
    assert capsys.readouterr().out.endswith("True\n")
    assert study.value("1", "height") == "170.0"


@pytest.mark.parametrize(
    "word", [*Decision, Status.CONFIRMED, Status.FAILED, Status.NOT_CONFIRMED, Status.INTENDED, Status.WITHDRAWN]
)
def test_every_decision_and_status_is_explained(word):
    assert f"`{word}`" in DOC


@pytest.mark.parametrize("column", [name for name in LONG if name not in ("project", "instrument")])
def test_every_column_is_explained(column):
    assert re.search(rf"^\| .*`{column}`", DOC, re.MULTILINE)


def test_the_console_examples_are_commands_there_are():
    from pipelines.cli.app import app

    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    used = set(re.findall(r"^\$ redcap-warehouse (\w+)", DOC, re.MULTILINE))
    assert used <= names
    assert {"propose", "writeback", "revert", "withdraw"} <= used
