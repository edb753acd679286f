"""Knowledge points one way, and each outside library has one door."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(
    path for package in ("pipelines", "redcap_source") for path in (ROOT / package).rglob("*.py") if path.is_file()
)

# Library -> the only places that may import it.
DOORS = {
    "httpx": ("redcap_source/http/",),
    "httpcore": ("redcap_source/http/connection.py",),
    "duckdb": ("pipelines/warehouse/database/",),
    "dagster": ("pipelines/definitions.py", "pipelines/defs/", "pipelines/demo/in_process.py"),
    "typer": ("pipelines/cli/",),
    "rich": ("pipelines/cli/", "pipelines/console/", "pipelines/demo/"),
    "pandas": ("redcap_source/", "pipelines/defs/example_cleaning.py", "pipelines/writeback/proposals/propose.py"),
}


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, and whether it does so only inside a function or for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    top = set(tree.body)
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node not in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = list(package[: len(package) - node.level]) if node.level else []
            yield ".".join([*base, node.module or ""]).strip("."), node not in top


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_there_are_modules_to_look_at():
    assert len(MODULES) > 20


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_library_is_imported_through_its_door_only(path):
    for module, _ in imports(path):
        doors = DOORS.get(module.split(".")[0])
        if doors is not None:
            assert name_of(path).startswith(doors), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_redcap_source_does_not_know_the_pipelines(path):
    if name_of(path).startswith("redcap_source/"):
        assert not [m for m, _ in imports(path) if m.split(".")[0] == "pipelines"]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_simulator_and_the_client_share_no_code(path):
    inside = name_of(path).startswith("redcap_source/simulator/")
    for module, _ in imports(path):
        if module.split(".")[0] == "redcap_source":
            simulator = module.startswith("redcap_source.simulator")
            if inside:
                assert simulator, f"{name_of(path)} imports {module}"
            elif name_of(path).startswith("redcap_source/"):
                assert not simulator, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_the_warehouse_does_not_know_who_uses_it(path):
    if name_of(path).startswith("pipelines/warehouse/"):
        allowed = (
            "pipelines.warehouse",
            "pipelines.errors",
            "pipelines.wording",
            "pipelines.project_names",
        )
        for module, _ in imports(path):
            if module.split(".")[0] == "pipelines":
                assert module.startswith(allowed), f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_pandas_is_kept_off_the_way_to_the_warehouse(path):
    for module, inside in imports(path):
        if module.split(".")[0] == "pandas":
            assert inside, f"{name_of(path)} imports pandas at its top"
