"""The command publish: bring warehouse.duckdb up to date, without asking REDCap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.cli.failures import not_published
from pipelines.cli.options import ConfigOption, JsonOption, complain, print_json, read_config
from pipelines.errors import NotAllPublished, NotLoadedYet

if TYPE_CHECKING:
    from pipelines.warehouse.store.protocol import PublishedStore
    from pipelines.warehouse.store.results import Published


def publish(
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the whole file again from the projects' mirrors.")
    ] = False,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring the published warehouse up to date, without asking REDCap anything.

    `sync` and the nightly job publish by themselves. This publishes what they loaded and could not publish, makes
    warehouse.duckdb again if it is not what was published last, and gives it the mode and group that projects.yaml
    says. A project that cannot be published does not hold up the others; the exit code is 0 only if none was left out.
    """
    from pipelines.store import open_store
    from pipelines.warehouse.store.results import Published

    with open_store(read_config(config)) as store:
        for line in (*store.check(), *store.remove_forgotten()):
            complain(line)
        published = store.published
        if not store.has_begun():  # publishing would make the folder
            raise NotLoadedYet(path=published.place)
        complaint = ""
        try:
            done = published.publish(rebuild=rebuild)
        except NotAllPublished as problem:
            written = bool(problem.published)
            done = Published(problem.published, problem.failed, problem.left_out, problem.rebuilt, written)
            complaint = str(problem)
        if not done.failed and not done.left_out and not published.exists():
            raise NotLoadedYet(path=published.place)
        _report(done, published, complaint, as_json=as_json)
    if done.failed or done.left_out:
        raise typer.Exit(1)


def _report(done: Published, published: PublishedStore, complaint: str, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "published": done.projects,
                "written": done.written,
                "rebuilt": done.rebuilt,
                "failures": done.failed,
                "left_out": done.left_out,
            }
        )
    elif done.written:
        typer.echo(f"Published: {published.place} ({', '.join(done.projects)})")
    elif not done.failed and not done.left_out:
        typer.echo(f"{published.place} is up to date.")
    if complaint:
        complain(complaint)
    left_out = {name: why for name, why in done.left_out.items() if name not in done.failed}
    for text in not_published(left_out, published.name):
        complain(text)
