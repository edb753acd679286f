"""What a write-back refuses before anything is sent: a stale mirror, another project's token, too large a plan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from pipelines.config.settings import ProjectConfig
from pipelines.warehouse.mirror.runs import LastLoad
from pipelines.wording import counted
from pipelines.writeback.decide.cells import PlannedCell, count_records
from pipelines.writeback.errors import WritebackRefused
from pipelines.writeback.project_rules import ProjectRules
from pipelines.writeback.report import WritebackOptions

# Up to this many records, a large share of a project is everyday work.
FEW_RECORDS = 5


def check_load(project: ProjectConfig, last: LastLoad | None, now: datetime) -> None:
    """Raise WritebackRefused unless the last load succeeded, and recently enough."""
    if last is None or last.last_good is None:
        raise WritebackRefused(
            project=project.name,
            problem="the project has never been loaded, so its values were never shown in the warehouse.",
            remedy="Run `redcap-warehouse sync` first.",
        )
    if last.outcome not in ("ok", "incomplete"):
        raise WritebackRefused(
            project=project.name,
            problem=f"the project's last load did not end well ({last.outcome}).",
            remedy="Run `redcap-warehouse sync` first, so that the warehouse is complete.",
        )
    age = now - last.last_good
    if age > project.writeback.max_age:
        raise WritebackRefused(
            project=project.name,
            problem=f"the warehouse is {age.total_seconds() / 3600:.0f} hours old, and projects.yaml allows "
            f"{project.writeback.max_age.total_seconds() / 3600:.0f} (writeback.max_age).",
            remedy="Load the project again and review the proposals.",
        )


def check_binding(project: ProjectConfig, loaded_from: int | None, found: int | None) -> None:
    """Raise WritebackRefused if the token's REDCap project is not the configured one, or not the loaded one."""
    for expected in (project.project_id, loaded_from):
        if found is not None and expected is not None and found != expected:
            raise WritebackRefused(
                project=project.name,
                problem=f"the token belongs to REDCap project {found}, not to {expected}.",
                remedy="Check the token and project_id in projects.yaml.",
            )


def plan_refusal(
    project: ProjectConfig,
    options: WritebackOptions,
    rules: ProjectRules,
    planned: Sequence[PlannedCell],
    total_records: Callable[[], int],
) -> WritebackRefused | None:
    """Return why none of a plan may be sent; `total_records` is called only if the share of records matters."""
    name, settings = project.name, project.writeback
    cells = sum(item.writes for item in planned)
    if not cells:
        return None
    if not rules.in_step:
        return WritebackRefused(
            project=name,
            problem="the project's fields or instruments have changed since it was last loaded.",
            remedy="Run `redcap-warehouse sync` first, so that the warehouse has the same fields.",
        )
    most = settings.max_cells if options.max_cells is None else options.max_cells
    if cells > most:
        return WritebackRefused(
            project=name,
            problem=f"{counted(cells, 'cell')} would be written, more than the {most:,} that are allowed at once.",
            remedy="If this many are intended, use --max-cells, or raise writeback.max_cells in projects.yaml.",
        )
    records = count_records(planned)
    if records > FEW_RECORDS and records > settings.max_record_share * (total := total_records()):
        return WritebackRefused(
            project=name,
            problem=f"{records:,} of {counted(total, 'record')} would be written, more than the "
            f"{settings.max_record_share:.0%} that are allowed at once.",
            remedy="If this many are intended, raise writeback.max_record_share in projects.yaml.",
        )
    return None
