"""Knowledge points one way, each outside library has one door, and no room grows too large to read."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("pipelines", "redcap_source")
FILES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

# Package or module -> the packages and modules it may import, besides what lies inside itself. The longest name counts.
GROUND = (
    "pipelines.errors",
    "pipelines.store_errors",
    "pipelines.wording",
    "pipelines.project_names",
    "pipelines.interrupts",
    "pipelines.sharing",
    "redcap_source",
)
WAREHOUSE = "pipelines.warehouse"
DATABASE = (*GROUND, f"{WAREHOUSE}.database", f"{WAREHOUSE}.sql")
STORE = (f"{WAREHOUSE}.store.protocol", f"{WAREHOUSE}.store.results")
ON_DISK = (*DATABASE, f"{WAREHOUSE}.folder", f"{WAREHOUSE}.locks", f"{WAREHOUSE}.published_file",
           f"{WAREHOUSE}.manifest", *STORE)  # fmt: skip
MIRROR = (*ON_DISK, f"{WAREHOUSE}.tables", f"{WAREHOUSE}.staging")
WORK = (*GROUND, "pipelines.config", "pipelines.store", "pipelines.run", "pipelines.extract", WAREHOUSE)
DECIDE = (*GROUND, f"{WAREHOUSE}.tables", f"{WAREHOUSE}.database.quoting")
B = "pipelines.writeback"
R = "redcap_source"
S = "redcap_source.simulator"


def within(package: str, names: str) -> tuple[str, ...]:
    return tuple(f"{package}.{name}" for name in names.split(" "))


MAY_IMPORT: Mapping[str, tuple[str, ...]] = {
    "pipelines.wording": (),
    "pipelines.project_names": (),
    "pipelines.interrupts": (),
    "pipelines.sharing": (),
    "pipelines.named_statements": (),
    "pipelines.errors": ("pipelines.interrupts", "pipelines.wording", R),
    "pipelines.store_errors": ("pipelines.errors",),
    "pipelines.config": GROUND,
    "pipelines.coordination": ("pipelines.errors", "pipelines.wording", "pipelines.named_statements"),
    WAREHOUSE: (),
    f"{WAREHOUSE}.sql": ("pipelines.named_statements",),
    f"{WAREHOUSE}.database": (*GROUND, f"{WAREHOUSE}.sql"),
    f"{WAREHOUSE}.folder": DATABASE,
    f"{WAREHOUSE}.locks": (*DATABASE, f"{WAREHOUSE}.folder"),
    f"{WAREHOUSE}.published_file": (*DATABASE, f"{WAREHOUSE}.folder", f"{WAREHOUSE}.manifest"),
    f"{WAREHOUSE}.manifest": (*DATABASE, f"{WAREHOUSE}.folder"),
    f"{WAREHOUSE}.tables": (*GROUND, f"{WAREHOUSE}.database.quoting"),
    f"{WAREHOUSE}.staging": (*ON_DISK, f"{WAREHOUSE}.tables"),
    f"{WAREHOUSE}.mirror": MIRROR,
    f"{WAREHOUSE}.mirror.rows": MIRROR,
    f"{WAREHOUSE}.mirror.schema": (*MIRROR, f"{WAREHOUSE}.mirror.rows"),
    f"{WAREHOUSE}.published": (*MIRROR, f"{WAREHOUSE}.mirror"),
    f"{WAREHOUSE}.publishing": (*MIRROR, f"{WAREHOUSE}.mirror"),
    f"{WAREHOUSE}.comparison": (*MIRROR, f"{WAREHOUSE}.mirror", f"{WAREHOUSE}.published"),
    f"{WAREHOUSE}.shared": (*ON_DISK, "pipelines.coordination"),
    f"{WAREHOUSE}.lake": (*MIRROR, f"{WAREHOUSE}.mirror", f"{WAREHOUSE}.publishing"),
    f"{WAREHOUSE}.forget": (*MIRROR, f"{WAREHOUSE}.mirror", f"{WAREHOUSE}.publishing"),
    f"{WAREHOUSE}.store.results": (),
    f"{WAREHOUSE}.store.protocol": (*DATABASE, f"{WAREHOUSE}.folder", f"{WAREHOUSE}.manifest",
                                    f"{WAREHOUSE}.store.results"),
    f"{WAREHOUSE}.store": (*MIRROR, f"{WAREHOUSE}.published", f"{WAREHOUSE}.publishing", f"{WAREHOUSE}.forget",
                          f"{WAREHOUSE}.lake", f"{WAREHOUSE}.shared", "pipelines.coordination"),
    "pipelines.store": (*GROUND, "pipelines.config", "pipelines.coordination", WAREHOUSE),
    f"{WAREHOUSE}.moving": (*MIRROR, f"{WAREHOUSE}.mirror", f"{WAREHOUSE}.publishing", f"{WAREHOUSE}.shared",
                           f"{WAREHOUSE}.store", "pipelines.coordination"),
    "pipelines.run": (*GROUND, "pipelines.config", "pipelines.store", WAREHOUSE),
    "pipelines.extract": (*GROUND, "pipelines.config", WAREHOUSE),
    "pipelines.sync": WORK,
    "pipelines.fleet": (*GROUND, *STORE, "pipelines.config", "pipelines.store", "pipelines.run", "pipelines.sync"),
    f"{B}.decide": DECIDE,
    f"{B}.proposals": (*WORK, f"{B}.decide", f"{B}.errors", f"{B}.report"),
    f"{B}.send": (*WORK, f"{B}.decide", f"{B}.errors", f"{B}.report", f"{B}.current_values", f"{B}.exports",
                  f"{B}.session", f"{B}.guards", f"{B}.project_rules", f"{B}.plan"),
    f"{B}.plan": (*WORK, f"{B}.decide", f"{B}.errors", f"{B}.report", f"{B}.current_values", f"{B}.exports",
                  f"{B}.session", f"{B}.guards", f"{B}.project_rules"),
    f"{B}.session": (*WORK, f"{B}.decide", f"{B}.errors", f"{B}.report", f"{B}.current_values", f"{B}.exports",
                     f"{B}.guards", f"{B}.project_rules"),
    B: WORK,
    "pipelines.defs": (*WORK, "pipelines.coordination", "pipelines.sync", B),
    "pipelines.definitions": (*GROUND, "pipelines.config", "pipelines.defs"),
    "pipelines.console": (*WORK, "pipelines.sync", B),
    "pipelines.demo": (*WORK, "pipelines.console", "pipelines.defs", "pipelines.definitions", "pipelines.sync", B),
    "pipelines.cli": ("pipelines", R),
    f"{R}.token": (),
    f"{R}.errors": (),
    f"{R}.model": (f"{R}.errors",),
    f"{R}.dictionary": (f"{R}.model", f"{R}.errors"),
    f"{R}.protocol": (f"{R}.dictionary", f"{R}.model", f"{R}.errors", f"{R}.token"),
    f"{R}.http": (f"{R}.protocol", f"{R}.model", f"{R}.errors", f"{R}.token"),
    f"{R}.log": (f"{R}.protocol", f"{R}.dictionary", f"{R}.model", f"{R}.errors"),
    f"{R}.frames": (f"{R}.protocol", f"{R}.dictionary", f"{R}.model", f"{R}.errors"),
    f"{R}.methods": within(R, "http frames log protocol dictionary model errors token"),
    f"{R}.client": within(R, "methods http protocol model errors token"),
    f"{S}.errors": (),
    f"{S}.whole_numbers": (),
    f"{S}.versions": (f"{S}.errors",),
    f"{S}.behaviour": (),
    f"{S}.faults": (f"{S}.errors",),
    f"{S}.wire": within(S, "errors whole_numbers"),
    f"{S}.state": within(S, "errors whole_numbers behaviour versions"),
    f"{S}.logic": within(S, "state wire errors whole_numbers behaviour"),
    f"{S}.rules": within(S, "logic state wire errors whole_numbers behaviour versions"),
    f"{S}.export": within(S, "rules logic state wire errors whole_numbers behaviour versions"),
    f"{S}.loaders": within(S, "rules logic state wire errors whole_numbers"),
    f"{S}.studies": within(S, "loaders rules logic state errors whole_numbers"),
    f"{S}.edits": within(S, "rules state errors"),
    f"{S}.api": within(S, "export loaders rules state wire errors whole_numbers behaviour versions"),
    f"{S}.engine": within(S, "api edits faults state wire errors"),
    f"{S}.server": within(S, "engine api faults wire errors"),
    f"{S}.control_access": (f"{S}.errors",),
    f"{S}.control": within(S, "engine edits control_access errors"),
    f"{S}.simulator": within(S, "control control_access server engine edits faults state behaviour versions errors"),
    f"{S}.contents": within(S, "simulator edits studies loaders logic state errors whole_numbers"),
    f"{S}.serve": within(S, "contents simulator faults versions errors"),
    S: (S,),
    R: (R,),
}  # fmt: skip

# Library -> the only places that may import it.
DOORS = {
    "httpx": ("redcap_source/http/",),
    "httpcore": ("redcap_source/http/",),
    "duckdb": ("pipelines/warehouse/database/",),
    "psycopg2": ("pipelines/coordination/",),
    "dagster": ("pipelines/definitions.py", "pipelines/defs/", "pipelines/demo/in_process.py"),
    "typer": ("pipelines/cli/",),
    "rich": ("pipelines/cli/", "pipelines/console/", "pipelines/demo/"),
    "pandas": (
        "redcap_source/frames/",
        "redcap_source/methods/",
        "redcap_source/protocol/import_data.py",
        "pipelines/defs/example_cleaning.py",
        "pipelines/writeback/proposals/",
    ),
}

MOST_MODULES = 14
MOST_LINES = 400
MOST_CLASS_LINES = 200
MOST_PUBLIC_METHODS = 16
MOST_FUNCTION_LINES = 50
MOST_FLOORS = 11
# What is larger, and why.
LARGER: Mapping[str, str] = {}
# Classes whose methods are those of REDCap's API, in a file for each area of it.
API_METHODS = "redcap_source/methods/"


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported_names(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module a file imports, and whether it does so only inside a function or for type checking."""
    tree = tree_of(path)
    top = set(tree.body)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node not in top) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name_of(path)} imports relatively"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in MODULES else str(node.module), node not in top


def own_imports(path: Path) -> set[str]:
    """The modules of this repository that a file imports, wherever it does so."""
    return {module for module, _ in imported_names(path) if module in MODULES} - {module_of(path)}


def is_within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def rule_of(module: str) -> str:
    return max((package for package in MAY_IMPORT if is_within(module, package)), key=len)


def test_there_are_modules_to_look_at():
    assert len(FILES) > 200


def test_knowledge_points_one_way():
    wrong = []
    for module, path in MODULES.items():
        if module not in PACKAGES:
            package = rule_of(module)
            allowed = (package, *MAY_IMPORT[package])
            wrong += [
                f"{module} imports {imported}"
                for imported in sorted(own_imports(path))
                if not any(is_within(imported, name) for name in allowed)
            ]
    assert not wrong


def test_a_library_is_imported_through_its_door_only():
    wrong = [
        f"{name_of(path)} imports {module}"
        for path in FILES
        for module, _ in imported_names(path)
        if (doors := DOORS.get(module.split(".")[0])) is not None and not name_of(path).startswith(doors)
    ]
    assert not wrong


def test_the_simulator_and_the_client_share_no_code():
    wrong = [
        f"{name_of(path)} imports {imported}"
        for module, path in MODULES.items()
        for imported in own_imports(path)
        if is_within(module, R) and is_within(module, S) != is_within(imported, S)
    ]
    assert not wrong


def test_pandas_is_kept_off_the_way_to_the_warehouse():
    wrong = [
        f"{name_of(path)} imports pandas at its top"
        for path in FILES
        for module, inside in imported_names(path)
        if module.split(".")[0] == "pandas" and not inside
    ]
    assert not wrong


def test_nothing_below_send_can_send():
    """A client's changing methods are called in writeback/send/ alone."""
    changing = {"import_records", "delete_records", "rename_record", "import_file", "delete_file"}
    for path in FILES:
        module = module_of(path)
        if module.startswith("pipelines.") and not is_within(module, f"{B}.send"):
            calls = {node.attr for node in ast.walk(tree_of(path)) if isinstance(node, ast.Attribute)}
            assert not calls & changing, f"{name_of(path)} calls {calls & changing}"


def circles(edges: Mapping[str, set[str]]) -> list[str]:
    """Names that reach themselves."""

    def reachable(start: str) -> set[str]:
        found: set[str] = set()
        waiting = list(edges[start])
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += edges[name]
        return found

    return sorted(name for name in edges if name in reachable(name))


def test_no_files_import_each_other_in_a_circle():
    # A package's __init__ imports what it offers, and is imported whenever anything inside it is; that is no circle.
    offers = {module for module, path in MODULES.items() if path.name == "__init__.py"}
    edges = {module: own_imports(path) - offers for module, path in MODULES.items() if module not in offers}
    assert circles(edges) == []


def floors(edges: Mapping[str, set[str]]) -> dict[str, int]:
    """Each name's floor: one above the highest of what it imports."""
    found: dict[str, int] = {}

    def floor(name: str) -> int:
        if name not in found:
            found[name] = 1 + max((floor(below) for below in edges[name]), default=0)
        return found[name]

    for name in edges:
        floor(name)
    return found


def test_the_rooms_of_pipelines_stand_on_few_floors_without_a_circle():
    def room(module: str) -> str:
        return module.split(".")[1]

    edges: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        if module.startswith("pipelines."):
            below = {room(other) for other in own_imports(path) if other.startswith("pipelines.")}
            edges.setdefault(room(module), set()).update(below - {room(module)})
    assert circles(edges) == []
    assert max(floors(edges).values()) <= MOST_FLOORS, floors(edges)


FOLDERS = sorted({path.parent for path in FILES})


@pytest.mark.parametrize("folder", FOLDERS, ids=name_of)
def test_a_folder_holds_few_modules_and_says_what_it_is(folder):
    assert len(list(folder.glob("*.py"))) <= MOST_MODULES
    if folder != ROOT / "pipelines":
        says = ast.get_docstring(tree_of(folder / "__init__.py"))
        assert says
        sentence = says.split("\n\n")[0].replace("\n", " ")
        assert sentence in " ".join((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split())


def test_no_module_class_or_function_is_too_long_to_read():
    wrong = [complaint for path in FILES if name_of(path) not in LARGER for complaint in too_long(path)]
    assert not wrong


def too_long(path: Path) -> Iterator[str]:
    """What in a file has grown too large to read."""
    if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MOST_LINES:
        yield f"{name_of(path)} has {lines} lines"
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length, most = (node.end_lineno or 0) - node.lineno + 1, MOST_FUNCTION_LINES
        elif isinstance(node, ast.ClassDef) and not name_of(path).startswith(API_METHODS):
            length, most = (node.end_lineno or 0) - node.lineno + 1, MOST_CLASS_LINES
            methods = [item.name for item in node.body if isinstance(item, ast.FunctionDef) and item.name[0] != "_"]
            if len(methods) > MOST_PUBLIC_METHODS:
                yield f"{name_of(path)}: {node.name} has {len(methods)} methods"
        else:
            continue
        if length > most:
            yield f"{name_of(path)}: {node.name} has {length} lines"
