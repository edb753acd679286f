"""The plan and each batch's result on disk, for steps that do not share a process."""

from __future__ import annotations

from functools import cache

from pydantic import TypeAdapter

from pipelines.extract.chunks import Fetched
from pipelines.sync.plan import WorkPlan


# Made when first used: a load in one process never writes its plan down, and making them takes a moment.
@cache
def plan_adapter() -> TypeAdapter[WorkPlan]:
    return TypeAdapter(WorkPlan)


@cache
def fetched_adapter() -> TypeAdapter[list[Fetched]]:
    return TypeAdapter(list[Fetched])
