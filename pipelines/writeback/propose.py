"""Bringing proposals into a project's working file: from a file, a query, a frame, or rows of Python.

They are compared with the published night, which is what people clean by, and stored for `writeback` to plan. Nothing
is sent and REDCap is not asked. Reading the two formats is offers.py's business.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config import Config, ProjectConfig
from pipelines.sync import Load, Now, new_run_id, utc_now
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.journal import Journal, Published, read_parquet
from pipelines.warehouse.proposals import Proposal, Refused
from pipelines.warehouse.reading import open_published
from pipelines.writeback.offers import Blanks, Defaults, Night, Offer, Table, read_offer, table_of
from pipelines.writeback.proposals.files import Unreadable, check_csv, read_rows
from pipelines.writeback.refusals import NotProposed
from pipelines.writeback.values import NOT_GIVEN

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Wanted:
    """How an offer is to be read and what it is called."""

    batch: str | None = None
    """A name of its own where None."""
    author: str = ""
    reason: str = field(repr=False, default="")
    instrument: str | None = None
    """Of an edited table; found by its columns where None."""
    blanks: Blanks = Blanks.LEAVE
    as_of: datetime | None = None
    """When the cleaner looked (UTC); the night that is published now where None."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """What became of an offer, in counts and places."""

    project: str
    batches: tuple[str, ...]
    rows: int
    accepted: int
    """Cells proposed."""
    left: int
    """Cells that propose nothing: without a new value, or blank in an edited table."""
    refused: tuple[Refused, ...]


def propose_file(
    config: Config, project: ProjectConfig, path: Path, wanted: Wanted | None = None, *, now: Now = utc_now
) -> Proposed:
    """Proposals from a .csv or .parquet file, or from the query in a .sql file over the published warehouse."""
    name = project.name
    if not path.is_file():
        raise NotProposed(project=name, why=f"{path} is not there.")
    match path.suffix.lower():
        case ".csv":
            table = _read_csv(name, path)
        case ".parquet":
            table = table_of(*read_parquet(path))
        case ".sql":
            return propose_query(
                config, project, path.read_text(encoding="utf-8-sig"), wanted, now=now, source=path.name
            )
        case _:
            raise NotProposed(project=name, why=f"{path} is neither a .csv nor a .parquet nor a .sql file.")
    return _propose(config, project, table, wanted, source=path.name, now=now, from_file=True)


def propose_query(
    config: Config,
    project: ProjectConfig,
    query: str,
    wanted: Wanted | None = None,
    *,
    now: Now = utc_now,
    source: str = "query",
) -> Proposed:
    """Proposals that a query over the published warehouse works out, in either format."""
    with open_published(WarehouseFolder(config.warehouse)) as connection:
        table = table_of(*Published(connection, project.name).select(query))
    return _propose(config, project, table, wanted, source=source, now=now)


def propose_frame(
    config: Config,
    project: ProjectConfig,
    frame: pd.DataFrame,
    wanted: Wanted | None = None,
    *,
    now: Now = utc_now,
    source: str = "frame",
) -> Proposed:
    """Proposals from a pandas DataFrame, in either format; a named index counts as columns."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    table = table_of(frame.columns, frame.itertuples(index=False, name=None))
    return _propose(config, project, table, wanted, source=source, now=now)


def propose_rows(
    config: Config,
    project: ProjectConfig,
    rows: Iterable[Mapping[str, Any]],
    wanted: Wanted | None = None,
    *,
    now: Now = utc_now,
    source: str = "python",
) -> Proposed:
    """Proposals from mappings; what was seen is taken from the published night where a row does not say it."""
    listed = list(rows)
    columns = list(dict.fromkeys(name for row in listed for name in row))
    table = table_of(columns, [[row.get(name, NOT_GIVEN) for name in columns] for row in listed])
    return _propose(config, project, table, wanted, source=source, now=now)


def _propose(
    config: Config,
    project: ProjectConfig,
    table: Table,
    wanted: Wanted | None,
    *,
    source: str,
    now: Now,
    from_file: bool = False,
) -> Proposed:
    wanted = wanted or Wanted()
    defaults = Defaults(project.name, wanted.batch or new_run_id(now), wanted.author, wanted.reason)
    offer = _read(config, project, table, defaults, wanted, from_file=from_file)
    by_batch = _by_batch(offer.proposals)
    if by_batch:
        load = Load(config, project, run_id=new_run_id(now), now=now)
        with load.mirror() as mirror:
            journal = Journal(mirror.connection, project.name)
            with mirror.transaction():
                for batch, proposals in by_batch.items():
                    journal.add(proposals, batch=batch, author=wanted.author, source=source, now=now())
    return Proposed(
        project=project.name,
        batches=tuple(by_batch),
        rows=offer.rows,
        accepted=len(offer.proposals),
        left=offer.left,
        refused=offer.refused,
    )


def _read(
    config: Config, project: ProjectConfig, table: Table, defaults: Defaults, wanted: Wanted, *, from_file: bool
) -> Offer:
    with open_published(WarehouseFolder(config.warehouse)) as connection:
        published = Published(connection, project.name, wanted.as_of)
        shown = published.shown()
        if shown is None:
            raise NotProposed(
                project=project.name,
                why="the project has not been published yet.",
                remedy="Run `redcap-warehouse sync` first.",
            )
        # A frame was read just now; a file may have been saved some nights ago, unless its age is told.
        may_be_old = from_file and wanted.as_of is None
        replaced = published.replaced if may_be_old else None
        night = Night(shown, published.rows, published.columns, published.misfits, replaced)
        try:
            return read_offer(table, night, defaults, instrument=wanted.instrument, blanks=wanted.blanks)
        except Unreadable as problem:
            why = str(problem)
    # Raised out here, so that no local variable of the reading travels with it.
    raise NotProposed(project=project.name, why=why)


def _by_batch(proposals: Sequence[Proposal]) -> dict[str, list[Proposal]]:
    found: defaultdict[str, list[Proposal]] = defaultdict(list)
    for proposal in proposals:
        found[proposal.batch].append(replace(proposal, number=0))
    return dict(found)


def _read_csv(project: str, path: Path) -> Table:
    try:
        file = check_csv(path)
        return Table(file.columns, list(read_rows(file)))
    except Unreadable as refused:
        problem = f"{path.name}: {refused}"
    raise NotProposed(project=project, why=problem)
