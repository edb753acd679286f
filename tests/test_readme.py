"""The README's examples run: its queries against a warehouse of the demo's studies, its projects.yaml, its commands."""

import re
from pathlib import Path

import duckdb
import pytest

from pipelines.cli import app
from pipelines.config import load_config
from pipelines.demo import NEXT_DAY, TOUR, studies, work_a_day
from pipelines.sync import load_project
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.publish import publish

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")
QUERIES = re.findall(r"```sql\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory):
    """The demo's studies after two nights."""
    folder = tmp_path_factory.mktemp("readme") / "demo"
    with studies(folder, 12) as institution:
        config = institution.config
        for night in (1, 2):
            if night == 2:
                work_a_day(institution)
            for project in config.projects.values():
                load_project(config, project)
            publish(WarehouseFolder(config.warehouse))
        published = WarehouseFolder(config.warehouse)
    with duckdb.connect(str(published.database), read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
def test_the_readmes_queries_run(warehouse, query):
    warehouse.execute(query).fetchall()


@pytest.mark.parametrize("stop", [*TOUR, *NEXT_DAY], ids=range(len(TOUR) + len(NEXT_DAY)))
def test_every_stop_of_the_demos_tour_shows_something(warehouse, stop):
    assert warehouse.execute(stop.sql).fetchall()


def test_there_are_five_queries():
    assert len(QUERIES) == 5


def test_the_readmes_projects_yaml_is_one(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "projects.yaml"
    path.write_text(text)
    assert list(load_config(path).projects) == ["heart_study"]


def test_the_readme_names_every_table_of_schema_redcap(warehouse):
    tables = warehouse.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'redcap'").fetchall()
    assert [name for (name,) in tables if f"`{name}`" not in README] == []


def test_the_readme_names_every_command():
    names = {command.name or command.callback.__name__ for command in app.registered_commands}
    assert [name for name in names if f"`redcap-warehouse {name}" not in README] == []


def test_the_files_the_readme_links_to_are_there():
    links = re.findall(r"\]\((?!http)([^)#]+)\)", README)
    missing = [link for link in links if not (Path(__file__).resolve().parent.parent / link).exists()]
    assert missing == []
