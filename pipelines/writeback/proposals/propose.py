"""Stores proposals in a project's mirror: from a file, a query, a frame, or rows of Python.

They are compared with what is published, which is what people clean, and stored for `writeback` to plan. Nothing is
sent, and REDCap is not asked. Not here: the formats of a submission (intake.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.config.settings import Config, ProjectConfig
from pipelines.errors import NotLoadedYet
from pipelines.run import Now, ProjectRun, new_run_id, utc_now
from pipelines.store import open_store
from pipelines.warehouse.comparison.comparison import Comparison
from pipelines.warehouse.comparison.submission import Defaults
from pipelines.warehouse.database.connection import Connection, reading_published
from pipelines.warehouse.database.parquet import open_parquet
from pipelines.warehouse.database.plain_csv import NotTheSameRows
from pipelines.warehouse.mirror.proposals import Proposals
from pipelines.warehouse.published.snapshot import PublishedSnapshot, select
from pipelines.warehouse.tables.writeback import RefusedRow
from pipelines.writeback.decide.values import NOT_GIVEN
from pipelines.writeback.errors import NotProposed
from pipelines.writeback.proposals.columns import project_columns
from pipelines.writeback.proposals.files import ENCODING, CsvFile, Unreadable, check_csv
from pipelines.writeback.proposals.intake import Submission, read_submission
from pipelines.writeback.proposals.table import Ignored, ProposalOptions, Table, table_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class ProposalReport:
    """What a submission proposed, in counts, and the rows and columns that were not accepted."""

    project: str
    batches: tuple[str, ...]
    rows: int
    accepted: int
    """Cells proposed."""
    left: int
    """Cells that propose nothing: without a new value, or blank in an edited table."""
    refused: tuple[RefusedRow, ...]
    ignored: tuple[Ignored, ...] = ()
    """Columns of an edited table that are never written."""


def propose_file(
    config: Config, project: ProjectConfig, path: Path, wanted: ProposalOptions | None = None, *, now: Now = utc_now
) -> ProposalReport:
    """Propose what a .csv or .parquet file holds, or what the query in a .sql file over the warehouse returns.

    Raises NotProposed if the file cannot be read as proposals, NotLoadedYet if nothing is published. Rows that cannot
    be understood are refused one by one; the report has them.
    """
    name = project.name
    if not path.is_file():
        raise NotProposed(project=name, reason=f"{path} does not exist.")
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
            raise NotProposed(project=name, reason=f"{path} is not a .csv, .parquet or .sql file.")


def propose_query(
    config: Config,
    project: ProjectConfig,
    query: str,
    wanted: ProposalOptions | None = None,
    *,
    now: Now = utc_now,
    source: str = "query",
) -> ProposalReport:
    """Propose what a query returns from the published warehouse, in any of the formats."""
    with open_store(config) as store, store.published.open() as connection:
        table = table_of(*select(connection, query))
        return _propose(config, project, table, wanted, source=source, now=now)


def propose_frame(
    config: Config,
    project: ProjectConfig,
    frame: pd.DataFrame,
    wanted: ProposalOptions | None = None,
    *,
    now: Now = utc_now,
    source: str = "frame",
) -> ProposalReport:
    """Propose what a pandas DataFrame holds, in any of the formats; a named index counts as columns."""
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    table = table_of(frame.columns, _rows(frame))
    return _propose(config, project, table, wanted, source=source, now=now)


def _rows(frame: pd.DataFrame) -> Iterable[tuple[Any, ...]]:
    """The frame's rows; narrow floats with the digits that pandas shows, not those of a wider float."""
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
    wanted: ProposalOptions | None = None,
    *,
    now: Now = utc_now,
    source: str = "python",
) -> ProposalReport:
    """Propose what mappings hold; the value seen is the published one if a row does not give it."""
    listed = list(rows)
    columns = list(dict.fromkeys(name for row in listed for name in row))
    table = table_of(columns, [[row.get(name, NOT_GIVEN) for name in columns] for row in listed])
    return _propose(config, project, table, wanted, source=source, now=now)


def _propose(
    config: Config,
    project: ProjectConfig,
    table: Table | CsvFile,
    wanted: ProposalOptions | None,
    *,
    source: str,
    now: Now,
    from_file: bool = False,
) -> ProposalReport:
    wanted = wanted or ProposalOptions()
    submission = Submission(table, source, may_be_old=from_file and wanted.as_of is None)
    with ProjectRun(config, project, run_id=new_run_id(now), now=now) as run:
        published = run.store.published
        if not published.exists():
            raise NotLoadedYet(path=published.place)
        # If readers find the project but its mirror is missing, opening the mirror says what was lost.
        if not run.store.mirrors.exists(project.name) and project.name not in published.projects():
            raise _unpublished(project.name)
        return _propose_in(run, submission, wanted, from_file=from_file)


def _propose_in(run: ProjectRun, submission: Submission, wanted: ProposalOptions, *, from_file: bool) -> ProposalReport:
    """Compare a submission with what is published, and store in the mirror what it proposes."""
    project, source, table = run.project, submission.source, submission.table
    readable = [table.path] if isinstance(table, CsvFile) else []
    problem = ""
    with run.mirror(with_published=True, readable=readable) as mirror:
        defaults = Defaults(project.name, wanted.batch or run.stamp.run_id, wanted.reason, wanted.author)
        try:
            with reading_published(mirror.connection):
                report = _compare(mirror.connection, project, wanted, defaults, submission)
            with mirror.transaction():
                proposals = Proposals(mirror.connection, project.name)
                proposals.add_found(report.batches, author=wanted.author, source=source, now=run.now())
            return report
        except Unreadable as refused:
            problem = str(refused)
        except NotTheSameRows as refused:
            problem = f"{refused} Save it again as CSV UTF-8."
        if from_file:
            problem = f"{source}: {problem}"
    # Raised out here, so that the error's traceback has no local variable of the reading.
    raise NotProposed(project=project.name, reason=problem)


def _compare(
    connection: Connection, project: ProjectConfig, wanted: ProposalOptions, defaults: Defaults, submission: Submission
) -> ProposalReport:
    """Read a submission and compare it with what is published."""
    snapshot = PublishedSnapshot(connection, project.name, wanted.as_of)
    published = snapshot.dictionary()
    if published is None:
        raise _unpublished(project.name)
    columns = project_columns(published, withholds=project.identifiers != "keep")
    comparison = Comparison(connection, snapshot, defaults)
    parsed = read_submission(submission, columns, comparison, wanted)
    return ProposalReport(
        project=project.name,
        batches=tuple(comparison.batches()),
        rows=parsed.rows,
        accepted=comparison.count_found(),
        left=parsed.left,
        refused=tuple(RefusedRow(row, why) for row, why in comparison.refused()),
        ignored=parsed.ignored,
    )


def _unpublished(project: str) -> NotProposed:
    return NotProposed(
        project=project,
        reason="the project has not been published yet.",
        remedy="Run `redcap-warehouse sync` first.",
    )


def _checked(project: str, path: Path) -> CsvFile:
    try:
        return check_csv(path)
    except Unreadable as refused:
        problem = f"{path.name}: {refused}"
    raise NotProposed(project=project, reason=problem)


def _query(project: str, path: Path) -> str:
    try:
        return path.read_text(encoding=ENCODING)
    except UnicodeDecodeError:
        problem, remedy = f"{path.name} is not UTF-8 text.", "Save it as UTF-8."
    except OSError as error:
        problem, remedy = f"{path.name} cannot be read ({error.strerror}).", "Repair that and try again."
    # Raised out here: the decoding error quotes the file.
    raise NotProposed(project=project, reason=problem, remedy=remedy)
