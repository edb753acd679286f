"""The client's guide is true: its Python runs, and it names every error and every method."""

import re

from redcap_source import RedcapClient, errors
from redcap_source.simulator import Simulator, make_study
from tests.support.root import ROOT

GUIDE = (ROOT / "docs" / "client" / "README.md").read_text(encoding="utf-8")


def test_the_python_of_the_guide_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    with Simulator() as simulator:
        handle = simulator.add_project(make_study("classic", records=8), name="heart_study")
        monkeypatch.setenv("REDCAP_URL", simulator.url)
        monkeypatch.setenv("REDCAP_TOKEN", handle.token)
        for code in re.findall(r"```python\n(.*?)```", GUIDE, re.S):
            exec(code, names)
        names["client"].close()
    said = capsys.readouterr().out
    assert "no_such_field" in said
    assert handle.token not in said
    assert (tmp_path / "records.csv").stat().st_size > 100


def test_the_guide_names_every_error():
    kinds = {name for name in errors.__all__ if issubclass(getattr(errors, name), errors.RedcapError)}
    assert {name for name in kinds if f"`{name}`" not in GUIDE} == set()


def test_the_guide_names_every_method():
    public = {name for name in dir(RedcapClient) if not name.startswith("_")}
    named = set(re.findall(r"`(\w+)`", GUIDE.partition("## Every method")[2]))
    assert public - named == set()
    assert named - public == set()
