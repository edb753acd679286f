"""The plan and each batch's result on disk, for steps that do not share a process.

They name records, so they are in the run's private staging folder, which the load removes at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache

from pydantic import TypeAdapter, ValidationError

from pipelines.errors import LoadOfAnotherVersion, LoadSuperseded
from pipelines.extract.chunks import Fetched
from pipelines.run import ProjectRun
from pipelines.sync.plan import WorkPlan
from pipelines.sync.reports import BatchReport, batch_report
from pipelines.warehouse.database.connection import private_files, private_folder
from pipelines.warehouse.mirror.mirror import Mirror

PLAN = "plan.json"


def save_plan(run: ProjectRun, plan: WorkPlan) -> None:
    """Write the plan into the run's staging folder, for the steps that follow."""
    _save(run, PLAN, _plan_adapter().dump_json(plan))


def has_plan(run: ProjectRun) -> bool:
    """Whether a step of this same run wrote a plan; an earlier attempt's plan would miss what was entered since."""
    return (run.staging / PLAN).exists() and _read_plan(run).run_id == run.stamp.run_id


def resume(run: ProjectRun) -> WorkPlan:
    """The plan that an earlier step wrote; from here on, the run continues under the id of the run that made it.

    Raises LoadSuperseded if the files no longer exist, and LoadOfAnotherVersion if they do not fit this version.
    """
    plan = _read_plan(run)
    run.stamp = replace(run.stamp, run_id=plan.run_id, now=plan.began, baseline=plan.baseline)
    return plan


def check_newest(run: ProjectRun, mirror: Mirror) -> None:
    """Refuse to apply what was fetched for a plan after which another load of the project has begun.

    A newer load on this machine removes the plan; one on another machine shows only in the mirror's ledger.
    """
    last = mirror.runs.last_load()
    if last is None or last.run_id != run.stamp.run_id:
        raise LoadSuperseded(project=run.project.name)


def save_fetched(run: ProjectRun, batch: int, fetched: Iterable[Fetched]) -> BatchReport:
    """Run a fetch to its end and write the list of what it yielded; returns its counts."""
    items = list(fetched)
    _save(run, _batch_name(batch), _fetched_adapter().dump_json(items))
    return batch_report(batch, items)


def read_fetched(run: ProjectRun, batches: int) -> Iterator[Fetched]:
    """What the fetches of this run yielded, batch by batch."""
    for batch in range(batches):
        yield from _fetched_adapter().validate_json((run.staging / _batch_name(batch)).read_bytes())


def _read_plan(run: ProjectRun) -> WorkPlan:
    try:
        return _plan_adapter().validate_json((run.staging / PLAN).read_bytes())
    except FileNotFoundError:
        raise LoadSuperseded(project=run.project.name) from None
    except ValidationError:
        # Raised without it, because its message quotes record ids.
        raise LoadOfAnotherVersion(project=run.project.name) from None


def _batch_name(batch: int) -> str:
    return f"batch-{batch:03d}.json"


def _save(run: ProjectRun, name: str, content: bytes) -> None:
    private_folder(run.staging)
    with private_files():
        unfinished = run.staging / f".{name}"
        unfinished.write_bytes(content)
        unfinished.replace(run.staging / name)


# Made when first used: a load in one process never writes its plan, and making them costs some milliseconds.
@cache
def _plan_adapter() -> TypeAdapter[WorkPlan]:
    return TypeAdapter(WorkPlan)


@cache
def _fetched_adapter() -> TypeAdapter[list[Fetched]]:
    return TypeAdapter(list[Fetched])
