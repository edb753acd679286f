"""The command move-store: a warehouse in files moves into a store for several machines, and back."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.options import ConfigOption, JsonOption, complain, print_json, read_config
from pipelines.errors import ConfigError, NotAllPublished

if TYPE_CHECKING:
    from pipelines.config.settings import Config
    from pipelines.warehouse.moving.plan import Ends, Plan
    from pipelines.warehouse.store.results import Published


def move_store(
    back: Annotated[
        bool, typer.Option("--back", help="Out of the store, into the files of the warehouse folder.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Move a warehouse in files into the store that projects.yaml names under `store:`, or back.

    The mirrors move as they are, with the history, the journal of write-backs, the ledger and what waits to be
    published; the key that identifiers are hashed with moves, too. What readers see is published anew from them.
    First it is shown what will be moved. What was there before stays, and nothing more is loaded into it. Interrupted,
    it can be repeated.
    """
    from pipelines.store import open_ends
    from pipelines.warehouse.moving.plan import plan_into_files, plan_into_store

    configured = read_config(config)
    with open_ends(configured) as ends:
        for line in ends.store.check():
            complain(line)
        plan = plan_into_files(ends) if back else plan_into_store(ends)
        if plan.finished:
            _report(ends, plan, None, back=back, as_json=as_json)
            return
        if not yes:
            _ask(ends, plan, back=back)
        complaint = ""
        try:
            done = _move(configured, ends, plan, back=back, as_json=as_json)
        except NotAllPublished as problem:
            complaint, done = str(problem), _some(problem)
        _report(ends, plan, done, back=back, as_json=as_json)
    if complaint:
        complain(complaint)
        raise typer.Exit(1)


def _move(configured: Config, ends: Ends, plan: Plan, *, back: bool, as_json: bool) -> Published:
    from pipelines.warehouse.moving.into_files import move_into_files
    from pipelines.warehouse.moving.into_store import move_into_store

    def step(name: str) -> None:
        if not as_json and name.startswith("moved "):
            typer.echo(f"Moved {name.removeprefix('moved ')}.", err=True)

    if back:
        return move_into_files(
            ends, plan, sharing=configured.published, memory_limit=configured.memory_limit, step=step
        )
    return move_into_store(ends, plan, step=step)


def _some(problem: NotAllPublished) -> Published:
    from pipelines.warehouse.store.results import Published

    written = bool(problem.published)
    return Published(problem.published, problem.failed, problem.left_out, problem.rebuilt, written)


def _ask(ends: Ends, plan: Plan, *, back: bool) -> None:
    from pipelines.console.move_tables import show_plan

    show_plan(plan, *_from_and_to(ends, back=back))
    if not sys.stdin.isatty():
        raise ConfigError(
            "this is not a terminal, so the move cannot be confirmed.",
            remedy="Nothing was moved. Use --yes to move it without confirmation.",
        )
    typer.confirm("Nothing can be loaded meanwhile. Continue?", abort=True, err=True)


def _from_and_to(ends: Ends, *, back: bool) -> tuple[str, str]:
    ways = str(ends.folder.path), ends.store.data
    return (ways[1], ways[0]) if back else ways


def _report(ends: Ends, plan: Plan, done: Published | None, *, back: bool, as_json: bool) -> None:
    source, target = _from_and_to(ends, back=back)
    if as_json:
        published = {"published": done.projects, "failures": done.failed} if done else {"published": [], "failures": {}}
        projects = [asdict(item) for item in plan.projects]
        print_json({"from": source, "to": target, "projects": projects, "already_moved": done is None, **published})
        return
    if done is None:
        typer.echo(f"The warehouse is in {target} already; there is nothing to move.")
        return
    typer.echo(f"The warehouse was moved from {source} to {target}.")
    for item in plan.projects:
        if item.remark:
            typer.echo(f"{item.project}: {item.remark.rstrip('.')}.")
    if back:
        typer.echo(
            "Remove `store:` from projects.yaml on every machine. When a night has gone well and a backup was made, "
            f"{target} has everything: then the files in {source} may be deleted, and in PostgreSQL the schemas "
            "redcap_lake and redcap_warehouse. A machine that still has `store:` is refused only as long as the latter "
            "is there."
        )
    else:
        typer.echo(
            f"Loads into the files of {source} are refused from now on. Everything there stays; its mirrors are this "
            "machine's working copies. When a night has gone well and a backup of the store was made, warehouse.duckdb "
            "and work/hash.key may be deleted there. Keep work/moved.json, which refuses such loads."
        )
