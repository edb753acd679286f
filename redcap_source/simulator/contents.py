"""What `simulate` puts on the server: projects from files, made-up studies, further users' tokens, reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from redcap_source.simulator.edits.handle import ProjectHandle
from redcap_source.simulator.errors import SimulatorError
from redcap_source.simulator.loaders.load import load_project
from redcap_source.simulator.loaders.tables import read_bytes, table_from
from redcap_source.simulator.logic.parser import LogicError, parse
from redcap_source.simulator.simulator import Simulator
from redcap_source.simulator.state.project import Report
from redcap_source.simulator.studies import make_study
from redcap_source.simulator.whole_numbers import whole_number

LISTS = ("fields", "events", "groups", "order")
SWITCHES = tuple(item.name for item in fields(Report) if isinstance(item.default, bool))
REPORT_COLUMNS = ("report_id", "title", *LISTS, "logic", *SWITCHES)
ON, OFF = ("1", "y", "yes", "true"), ("0", "n", "no", "false")


@dataclass(frozen=True)
class UserToken:
    """A user to give a token, and the roles and data access groups to put the user in first."""

    project: str
    username: str
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contents:
    """Everything to put on a server."""

    # (name, path), (name, kind, records), (name, path)
    loads: Sequence[tuple[str, Path]] = ()
    studies: Sequence[tuple[str, str, int]] = ()
    reports: Sequence[tuple[str, Path]] = ()
    users: Sequence[UserToken] = ()
    # By project, or by `project:user`.
    tokens: Mapping[str, str] = field(default_factory=dict)
    # Whether dictionary rows that REDCap refuses are left out.
    lenient: bool = False


@dataclass(frozen=True)
class Added:
    """The tokens of further users by project and name, and what was left out of each project."""

    users: dict[str, dict[str, str]]
    left_out: dict[str, list[str]]


def add_contents(simulator: Simulator, contents: Contents) -> Added:
    """Put projects, users and reports on a server.

    Raises SimulatorError for a token, user or report of a project that is not among the contents.
    """
    _refuse_unknown_names(contents)
    left_out = _add_projects(simulator, contents)
    for name, path in contents.reports:
        add_reports(simulator.projects[name], path)
    users: dict[str, dict[str, str]] = {}
    for user in contents.users:
        token = contents.tokens.get(f"{user.project}:{user.username}")
        users.setdefault(user.project, {})[user.username] = give_token(simulator.projects[user.project], user, token)
    return Added(users, left_out)


def _add_projects(simulator: Simulator, contents: Contents) -> dict[str, list[str]]:
    left_out: dict[str, list[str]] = {}
    for name, path in contents.loads:
        problems: list[str] = []
        project = load_project(path, left_out=problems if contents.lenient else None)
        if problems:
            left_out[name] = problems
        simulator.add_project(project, name=name, token=contents.tokens.get(name))
    made: dict[str, int] = {}
    for name, kind, records in contents.studies:
        # Another seed for each, so that studies of one kind differ in their data.
        made[kind] = made.get(kind, 0) + 1
        project = make_study(kind, records=records, seed=made[kind])
        simulator.add_project(project, name=name, token=contents.tokens.get(name))
    return left_out


def _refuse_unknown_names(contents: Contents) -> None:
    names = {name for name, *_ in (*contents.loads, *contents.studies)}
    users = {f"{user.project}:{user.username}" for user in contents.users}
    for name in contents.tokens:
        if name not in names | users:
            raise SimulatorError(f"A token was given for '{name}', but no project of that name is loaded.")
    for what, given in (
        ("Reports were", [name for name, _ in contents.reports]),
        ("A user was", [user.project for user in contents.users]),
    ):
        for name in given:
            if name not in names:
                raise SimulatorError(f"{what} given for '{name}', but no project of that name is loaded.")
    if len(users) < len(contents.users):
        raise SimulatorError("A user was given twice for one project; give the user once, with role and group.")


def give_token(handle: ProjectHandle, wanted: UserToken, token: str | None) -> str:
    """Give a user of a project a token and return it; an unknown user is added, with every right.

    A role replaces the user's rights by its own; in a data access group the user sees its records only.
    """
    project, name = handle.project, wanted.username
    places = [_place(handle, place) for place in wanted.places]
    if name in project.users:
        token = handle.site.add_token(handle.name, name, token)
    else:
        token = handle.add_user(name, token=token)
    for kind, place in places:
        user = project.users[name]
        project.users[name] = replace(user, role=place) if kind == "role" else replace(user, group=place)
    return token


def _place(handle: ProjectHandle, wanted: str) -> tuple[str, str]:
    project = handle.project
    for kind, known in (("role", project.roles), ("group", project.groups)):
        for name, found in known.items():
            if wanted in (name, found.label):
                return kind, name
    roles, groups = _listed(project.roles), _listed(project.groups)
    raise SimulatorError(
        f"Project '{handle.name}' has no role and no data access group '{wanted}'; its roles: {roles}; "
        f"its groups: {groups}."
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def add_reports(handle: ProjectHandle, path: Path) -> None:
    """Save reports from a table with columns of REPORT_COLUMNS; lists are separated by commas or blanks."""
    rows = table_from(read_bytes(path), str(path))
    if not rows:
        raise SimulatorError(f"{path} holds no reports; its columns are {', '.join(REPORT_COLUMNS)}.")
    for row in rows:
        unknown = [name for name in row if name not in REPORT_COLUMNS]
        if unknown:
            raise SimulatorError(f"{path}: there is no column '{unknown[0]}'; there are {', '.join(REPORT_COLUMNS)}.")
        _add_report(handle, row, str(path))


def _add_report(handle: ProjectHandle, row: Mapping[str, str], source: str) -> None:
    number = row.get("report_id", "").strip()
    if whole_number(number) is None or int(number) in handle.project.reports:
        raise SimulatorError(
            f"{source}: the report_id '{number}' is not a number, or there is a report of that number already."
        )
    where = f"{source}, report {number}"
    lists = {name: row.get(name, "").replace(",", " ").split() for name in LISTS}
    _require(where, "fields", lists["fields"], handle.project.dictionary.columns_by_field)
    _require(where, "order", [name.removeprefix("-") for name in lists["order"]], handle.project.dictionary.by_name)
    _require(where, "events", lists["events"], [event.unique_name for event in handle.project.events])
    _require(where, "groups", lists["groups"], handle.project.groups)
    if not lists["fields"]:
        raise SimulatorError(f"{where} shows no fields; name them in the column 'fields'.")
    switches = {name: _switch(where, name, row[name]) for name in SWITCHES if row.get(name, "").strip()}
    logic = row.get("logic", "")
    try:
        parse(logic or "1")
    except LogicError as error:
        raise SimulatorError(f"{where}, column 'logic': it cannot be read ({error}).") from error
    handle.add_report(
        int(number),
        row.get("title", ""),
        lists["fields"],
        logic,
        events=lists["events"],
        groups=lists["groups"],
        order=lists["order"],
        **switches,
    )


def _require(where: str, column: str, given: Iterable[str], known: Iterable[str]) -> None:
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise SimulatorError(f"{where}, column '{column}': the project has no '{unknown[0]}'.")


def _switch(where: str, name: str, text: str) -> bool:
    if text.strip().lower() not in (*ON, *OFF):
        raise SimulatorError(f"{where}, column '{name}': '{text}' is neither 1 nor 0.")
    return text.strip().lower() in ON
