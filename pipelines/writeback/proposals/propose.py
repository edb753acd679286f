"""Bringing proposals into a project's working file: from a file, a query, a frame, or rows of Python.

They are compared with what is published, which is what people clean by, and stored for `writeback` to plan. Nothing is
sent and REDCap is not asked. Not here: the formats an offer may have (proposals/).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.settings import Config, ProjectConfig
from pipelines.errors import NotLoadedYet
from pipelines.run import Now, ProjectRun, new_run_id, utc_now
from pipelines.warehouse.comparison.cells import Comparison, Stamp
from pipelines.warehouse.database.connection import Connection, reading_published
from pipelines.warehouse.database.parquet import open_parquet
from pipelines.warehouse.database.plain_csv import NotTheSameRows
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.mirror.journal import Journal
from pipelines.warehouse.mirror.working_file import published_projects
from pipelines.warehouse.published.snapshot import PublishedSnapshot, select
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.tables.writeback import Refused
from pipelines.writeback.decide.values import NOT_GIVEN
from pipelines.writeback.errors import NotProposed
from pipelines.writeback.proposals.columns import ProjectColumns, project_columns
from pipelines.writeback.proposals.files import ENCODING, CsvFile, Unreadable, check_csv
from pipelines.writeback.proposals.intake import Offer, take_in
from pipelines.writeback.proposals.table import Ignored, Table, Wanted, table_of

if TYPE_CHECKING:
    import pandas as pd


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
    ignored: tuple[Ignored, ...] = ()
    """Columns of an edited table that are never written."""


def propose_file(
    config: Config, project: ProjectConfig, path: Path, wanted: Wanted | None = None, *, now: Now = utc_now
) -> Proposed:
    """Proposals from a .csv or .parquet file, or from the query in a .sql file over the published warehouse."""
    name = project.name
    if not path.is_file():
        raise NotProposed(project=name, why=f"{path} is not there.")
    match path.suffix.lower():
        case ".csv":
            return _propose(config, project, _checked(name, path), wanted, source=path.name, now=now, from_file=True)
        case ".parquet":
            with open_parquet(path, memory_limit=config.memory_limit) as (columns, rows):
                table = table_of(columns, rows)
                return _propose(config, project, table, wanted, source=path.name, now=now, from_file=True)
        case ".sql":
            return propose_query(config, project, _query(name, path), wanted, now=now, source=path.name)
        case _:
            raise NotProposed(project=name, why=f"{path} is neither a .csv nor a .parquet nor a .sql file.")


def propose_query(
    config: Config,
    project: ProjectConfig,
    query: str,
    wanted: Wanted | None = None,
    *,
    now: Now = utc_now,
    source: str = "query",
) -> Proposed:
    """Proposals that a query over the published warehouse works out, in any of the formats."""
    with open_published(WarehouseFolder(config.warehouse)) as connection:
        table = table_of(*select(connection, query))
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
    """Proposals from a pandas DataFrame, in any of the formats; a named index counts as columns."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    table = table_of(frame.columns, _rows(frame))
    return _propose(config, project, table, wanted, source=source, now=now)


def _rows(frame: pd.DataFrame) -> Iterable[tuple[Any, ...]]:
    """The frame's rows; numbers of narrow floats with the digits that pandas shows, not those of a wider float."""
    columns = [frame.iloc[:, at] for at in range(frame.shape[1])]
    narrow = [str(column.dtype).lower() in ("float16", "float32") for column in columns]
    if not any(narrow):
        return frame.itertuples(index=False, name=None)
    return zip(*(_shown(c) if is_narrow else c for c, is_narrow in zip(columns, narrow, strict=True)), strict=True)


def _shown(column: pd.Series[Any]) -> list[float]:
    return [float(str(value)) for value in column.to_numpy(str(column.dtype).lower(), na_value=float("nan"))]


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
    table: Table | CsvFile,
    wanted: Wanted | None,
    *,
    source: str,
    now: Now,
    from_file: bool = False,
) -> Proposed:
    wanted = wanted or Wanted()
    offer = Offer(table, source, may_be_old=from_file and wanted.as_of is None)
    folder = WarehouseFolder(config.warehouse)
    if not folder.database.exists():
        raise NotLoadedYet(path=folder.database)
    # Where readers find the project and its working file is gone, opening that says what was lost.
    if not folder.mirror(project.name).exists() and project.name not in published_projects(folder):
        raise _unpublished(project.name)
    run = ProjectRun(config, project, run_id=new_run_id(now), now=now)
    readable = [table.path] if isinstance(table, CsvFile) else []
    problem = ""
    with run.mirror(published=folder.database, readable=readable) as mirror:
        stamp = Stamp(project.name, wanted.batch or run.stamp.run_id, wanted.reason, wanted.author)
        try:
            with reading_published(mirror.connection):
                intake = _Intake(mirror.connection, project, wanted, stamp)
                proposed = intake.take_in(offer)
            with mirror.transaction():
                journal = Journal(mirror.connection, project.name)
                journal.add_found(proposed.batches, author=wanted.author, source=source, now=now())
            return proposed
        except Unreadable as refused:
            problem = str(refused)
        except NotTheSameRows as refused:
            problem = f"{refused} Save it again as CSV UTF-8."
        if from_file:
            problem = f"{source}: {problem}"
    # Raised out here, so that no local variable of the reading travels with it.
    raise NotProposed(project=project.name, why=problem)


class _Intake:
    """One offer and the tables it is compared in."""

    def __init__(self, connection: Connection, project: ProjectConfig, wanted: Wanted, stamp: Stamp) -> None:
        self.project = project
        self.wanted = wanted
        snapshot = PublishedSnapshot(connection, project.name, wanted.as_of)
        self.columns = self._columns(snapshot)
        self.comparison = Comparison(connection, snapshot, stamp)

    def _columns(self, snapshot: PublishedSnapshot) -> ProjectColumns:
        published = snapshot.dictionary()
        if published is None:
            raise _unpublished(self.project.name)
        return project_columns(published, withholds=self.project.identifiers != "keep")

    def take_in(self, offer: Offer) -> Proposed:
        """Read it, compare it, and say what came of it."""
        comparison = self.comparison
        reading = take_in(offer, self.columns, comparison, self.wanted)
        return Proposed(
            project=self.project.name,
            batches=tuple(comparison.batches()),
            rows=reading.rows,
            accepted=comparison.found(),
            left=reading.left,
            refused=tuple(Refused(row, why) for row, why in comparison.refused()),
            ignored=reading.ignored,
        )


def _unpublished(project: str) -> NotProposed:
    return NotProposed(
        project=project,
        why="the project has not been published yet.",
        remedy="Run `redcap-warehouse sync` first.",
    )


def _checked(project: str, path: Path) -> CsvFile:
    try:
        return check_csv(path)
    except Unreadable as refused:
        problem = f"{path.name}: {refused}"
    raise NotProposed(project=project, why=problem)


def _query(project: str, path: Path) -> str:
    try:
        return path.read_text(encoding=ENCODING)
    except UnicodeDecodeError:
        problem, remedy = f"{path.name} is not UTF-8 text.", "Save it as UTF-8."
    except OSError as error:
        problem, remedy = f"{path.name} cannot be read ({error.strerror}).", "Try again when that is mended."
    # Raised out here: the decoding error quotes the file.
    raise NotProposed(project=project, why=problem, remedy=remedy)
