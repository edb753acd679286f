"""Every command of the README and the pages of docs/ is run here, or says why it cannot be; so is every projects.yaml.

A page's commands run in their order, in a folder of their own, against a simulated REDCap that stands where the page
says redcap.example.edu. What a message of the product tells people to type is checked against the commands there are.
"""

from __future__ import annotations

import ast
import contextlib
import grp
import io
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import unittest.mock
import urllib.parse
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from pipelines.cli.app import app
from pipelines.cli.main import main
from pipelines.config.load import load_config
from redcap_source.simulator import ProjectHandle, Simulator, make_study

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BIN = Path(sys.executable).parent
SERVER = "https://redcap.example.edu/api/"
FENCES = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)

# What is documented and cannot run here, with the reason; each is run by what is named.
NOT_RUN = {
    "make demo": "makes its own environment and takes half a minute; what it runs is tested by tests/test_readme.py",
    "make test": "it is this very run",
    ".venv/bin/dagster dev": "runs until it is interrupted; `make test-browser` drives it in a browser",
    "dg dev": "runs until it is interrupted; tests/defs/test_assets.py loads what it loads",
    "dagster-daemon run": "runs until it is interrupted; `make test-daemon` runs it",
    "PYTHONPATH=deploy/celery .venv/bin/celery -A dagster_celery.app worker -Q dagster -n loads@%h --concurrency 2": (
        "runs until it is interrupted; `make test-daemon` runs it"
    ),
    "keyring set service user": "asks for a secret and needs a person's keyring",
    "groupadd redcap-readers": "changes the machine's users",
    "usermod --append --groups redcap-readers loader": "changes the machine's users",
    "usermod --append --groups redcap-readers bi": "changes the machine's users",
}


def blocks(page: Path, language: str) -> list[str]:
    return [text for kind, text in FENCES.findall(page.read_text(encoding="utf-8")) if kind == language]


def commands(page: Path) -> list[str]:
    """The commands of a page's console blocks, without what is said beside them."""
    lines = "".join(blocks(page, "console")).splitlines()
    return [re.sub(r"\s+#.*", "", line.removeprefix("$ ")).strip() for line in lines if line.startswith("$ ")]


MACHINES = ROOT / "docs" / "howto" / "several-machines.md"
# They need a PostgreSQL and another DuckDB; test_documented_store.py runs them.
OF_A_STORE = (MACHINES.name, "read-lake.md", "store-backup.md")
WITH_COMMANDS = [page for page in PAGES if commands(page) and page.name not in OF_A_STORE]
CONFIGURATIONS = [
    pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, text in enumerate(blocks(page, "yaml"))
]


class Interrupting(io.StringIO):
    """Output of a command that runs until interrupted: Ctrl-C is pressed as soon as it has said that it is ready."""

    def flush(self) -> None:
        super().flush()
        signal.raise_signal(signal.SIGINT)


@dataclass
class Workplace:
    """A person's folder, in which a page's commands are typed one after another."""

    folder: Path
    simulator: Simulator
    study: ProjectHandle

    def here(self, text: str) -> str:
        """A page's text, with the folder of its warehouse in this one."""
        return text.replace("/srv/redcap-warehouse", str(self.folder / "warehouse"))

    def configuration(self, text: str) -> str:
        """A page's projects.yaml, pointed at the simulated server, with a group of this machine."""
        text = text.replace("redcap-readers", grp.getgrgid(os.getegid()).gr_name)
        return self.here(text).replace(SERVER, self.simulator.url).replace("1234", str(self.study.project_id))

    def type(self, command: str) -> str:
        """Run one line, and give what it printed; anything but exit code 0 fails the test."""
        if command in NOT_RUN:
            return NOT_RUN[command]
        words = shlex.split(command)
        if words[0] == "export" and "&&" not in words:
            name, _, value = words[1].partition("=")
            os.environ[name] = self.study.token if value == "…" else value
            return ""
        if Path(words[0]).name != "redcap-warehouse":
            command = self.here(command)
            return subprocess.run(["bash", "-ec", command], check=True, capture_output=True, text=True).stdout
        words, _, target = " ".join(map(shlex.quote, words[1:])).partition(" '>' ")
        printed = self.redcap_warehouse(shlex.split(words))
        if target:
            Path(target).write_text(printed, encoding="utf-8")
        return printed

    def export(self, name: str) -> None:
        """REDCap's own flat export of the study, as a file."""
        form = {"token": self.study.token, "content": "record", "format": "csv"}
        with urllib.request.urlopen(self.simulator.url, urllib.parse.urlencode(form).encode(), timeout=20) as answer:
            Path(name).write_bytes(answer.read())

    def redcap_warehouse(self, arguments: list[str]) -> str:
        """The console script's own function, in this process: a process a command would cost a second each."""
        served = arguments[0] == "simulate" and "--help" not in arguments
        printed, complaints = Interrupting() if served else io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["redcap-warehouse", *arguments])
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complaints):
                try:
                    main()
                    code: object = 0
                except SystemExit as end:
                    code = end.code
        assert not served or "Press Ctrl-C to stop" in printed.getvalue()
        assert not code, f"{arguments}: exit code {code}: {complaints.getvalue()}"
        return printed.getvalue()


@pytest.fixture
def workplace(tmp_path, monkeypatch) -> Iterator[Workplace]:
    """A folder as after `git clone`, with the README's projects.yaml in it, and a heart study with a heavy person."""
    for name in list(os.environ):
        if name.startswith(("REDCAP_", "DAGSTER_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    with unittest.mock.patch.dict(os.environ), Simulator() as simulator:
        study = simulator.add_project(make_study("classic", records=8, seed=5), name="heart_study")
        study.save(study.records()[0], {"weight": "130.0"})
        yield Workplace(tmp_path, simulator, study)


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_their_order(workplace, page):
    examples = [text for text in (*blocks(page, "yaml"), *blocks(ROOT / "README.md", "yaml")) if "heart_study" in text]
    Path("projects.yaml").write_text(workplace.configuration(examples[0]), encoding="utf-8")
    for text in blocks(page, "sql"):
        if named := re.match(r"-- (\w+\.sql)", text):
            Path(named[1]).write_text(text, encoding="utf-8")
    if page.name in ("backup.md", "read.md", "writeback.md"):  # they go on from a warehouse that is loaded
        workplace.type("export REDCAP_TOKEN_HEART=…")
        workplace.type("redcap-warehouse sync")
    for command in commands(page):
        if "heart_DATA.csv" in command:
            workplace.export("heart_DATA.csv")
        workplace.type(command)
    if page.name == "dagster.md":
        assert Path("dagster/dagster.yaml").read_bytes() == (ROOT / "deploy" / "dagster.yaml").read_bytes()
    if page.name == "read.md":
        [program] = blocks(page, "python")
        found: dict[str, object] = {}
        exec(workplace.here(program), found)
        assert len(found["enrolled"]) == 8
        assert stat.S_IMODE(Path("warehouse/warehouse.duckdb").stat().st_mode) == 0o640


@pytest.mark.lake
def test_the_commands_that_move_a_warehouse_run_in_their_order(workplace, postgres):
    [example, *_] = [text for text in blocks(ROOT / "README.md", "yaml") if "heart_study" in text]
    files = workplace.configuration(example)
    Path("projects.yaml").write_text(files, encoding="utf-8")
    workplace.type("export REDCAP_TOKEN_HEART=…")
    workplace.type("redcap-warehouse sync")
    os.environ["WAREHOUSE_CATALOG"] = postgres.new_database("documented")
    store = f"\nstore: {{catalog: {{env: WAREHOUSE_CATALOG}}, data: {workplace.folder / 'shared'}}}\n"
    Path("projects.yaml").write_text(files + store, encoding="utf-8")
    asked = "redcap-warehouse sql --csv 'SELECT count(*) AS n FROM redcap.records'"
    moving = [command for command in commands(MACHINES) if "move-store" in command]
    assert len(moving) == 2
    for command in moving:
        assert "was moved from" in workplace.type(command)
        if "--back" in command:
            Path("projects.yaml").write_text(files, encoding="utf-8")
        assert "heart_study" in workplace.type("redcap-warehouse status")
        assert "8" in workplace.type(asked)


def test_the_pages_with_commands_are_the_ones_we_know():
    assert {page.name for page in WITH_COMMANDS} >= {
        "README.md",
        "backup.md",
        "configure.md",
        "dagster.md",
        "read.md",
        "rehearse.md",
        "writeback.md",
    }


@pytest.mark.parametrize("text", CONFIGURATIONS)
def test_every_configuration_of_a_page_is_one(text, tmp_path):
    path = tmp_path / "projects.yaml"
    path.write_text(text, encoding="utf-8")
    assert load_config(path).projects


# -- What pages and messages tell people to type --------------------------------------------------------------


def sentences() -> Iterator[tuple[str, str]]:
    """Every text that tells people what to type: pages whole, and the strings of the product's code."""
    for page in PAGES:
        yield page.name, page.read_text(encoding="utf-8")
    for path in sorted((ROOT / "pipelines").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                yield path.name, "".join(str(v.value) if isinstance(v, ast.Constant) else "X" for v in node.values)
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path.name, node.value


KNOWN = typer.main.get_command(app).commands
OPTIONS = {name: {word for p in command.params for word in p.opts} | {"--help"} for name, command in KNOWN.items()}
TOLD = [(where, text) for where, text in sentences() if "redcap-warehouse" in text or "make " in text or "pip " in text]


def test_every_command_that_is_mentioned_exists_with_its_options():
    wrong = []
    for where, text in TOLD:
        for name, rest in re.findall(r"(?:`|\$ |/|with: )redcap-warehouse ([a-z-]+)([^`\n]*)", text):
            told = set(re.findall(r"(?<!\w)--[a-z-]+", rest.split("#")[0]))
            if name not in KNOWN or not told <= OPTIONS[name]:
                wrong.append((where, name, sorted(told - OPTIONS.get(name, set()))))
    assert wrong == []


def test_every_target_of_make_that_is_mentioned_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = {name for _, text in TOLD for name in re.findall(r"`make ([a-z-]+)", text)}
    assert told - targets == set()
    assert {"demo", "dev", "bench", "fuzz"} <= told


def test_nobody_is_reported_to_install_what_no_index_has():
    assert [where for where, text in TOLD if re.search(r"pip install [^`]*redcap-warehouse", text)] == []


@pytest.mark.parametrize("name", KNOWN)
def test_every_command_has_its_help(workplace, name):
    assert "Usage:" in workplace.redcap_warehouse([name, "--help"])


def test_the_test_that_contributing_names_is_there():
    found = re.findall(r"-m pytest (\S+) -k (\w+)", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
    assert found
    for path, word in found:
        names = re.findall(r"^def (test_\w+)", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        assert [name for name in names if word in name], f"{path} has no test with {word} in its name"
