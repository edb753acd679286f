"""The resource of all assets: the path of projects.yaml. No token is in any resource, field or run config.

Not here: tokens, which each step that needs one reads from the place that projects.yaml names.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

import dagster as dg
from dagster._core.storage.tags import RETRY_STRATEGY_TAG
from pydantic import Field, PrivateAttr

from pipelines.config.load import load_config
from pipelines.config.settings import Config
from pipelines.defs.failures import as_dagster_failure
from pipelines.run import ProjectRun
from pipelines.store import open_coordination, open_store
from pipelines.warehouse.store.protocol import Store


class _Held:
    """What one run holds until it ends."""

    def __init__(self, run_id: str, until_the_end: ExitStack) -> None:
        self._run_id = run_id
        self._until_the_end = until_the_end
        self._store: Store | None = None

    def store(self, config: Config) -> Store:
        """The store of all steps, opened by the first that asks."""
        if self._store is None:
            self._store = self._until_the_end.enter_context(open_store(config))
            self._until_the_end.callback(self._store.mirrors.end_run, self._run_id)
        return self._store


class WarehouseResource(dg.ConfigurableResource[None]):
    """The warehouse that projects.yaml describes."""

    config_path: str = Field(
        default="", description="The projects.yaml to use; empty for $REDCAP_WAREHOUSE_CONFIG or ./projects.yaml."
    )
    shared: bool = Field(default=False, description="Whether several machines share the warehouse (`store:`).")
    _held: _Held | None = PrivateAttr(default=None)
    """What the run that is under way holds until it ends, if several machines share the warehouse."""

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[Any, None, None]:
        """The resource for the time of a run, whose steps execute in this process.

        Where several machines share the warehouse, the run says that it is under way (dead_runs.py), and its steps have
        one store: the project stays locked from the first of them to the end of the load, or of the run if one fails.
        """
        with ExitStack() as until_the_end:
            if self.shared and context.run is not None and context.instance is not None:
                with as_dagster_failure():
                    self._begin(context.instance, context.run.run_id, until_the_end)
                    self._check(context)
            try:
                yield self
            finally:
                self._held = None

    def _begin(self, instance: dg.DagsterInstance, run_id: str, until_the_end: ExitStack) -> None:
        store = self.config().store
        if store is not None:
            coordination = until_the_end.enter_context(open_coordination(store))
            until_the_end.enter_context(coordination.lock_run(run_id))
            # What a run has fetched is on its machine: another one begins at the beginning.
            instance.add_run_tags(run_id, {RETRY_STRATEGY_TAG: "ALL_STEPS"})
            self._held = _Held(run_id, until_the_end)

    def _check(self, context: dg.InitResourceContext) -> None:
        """Look whether the run can rely on the store, before its first step."""
        with self.store() as store:
            remarks = [*store.check(), *store.remove_forgotten()]
        for line in remarks:
            if context.log is not None:
                context.log.warning(line)

    def config(self) -> Config:
        """projects.yaml as it is now."""
        return load_config(self.config_path or None)

    def store(self) -> AbstractContextManager[Store]:
        """The store that projects.yaml describes, for a `with` block."""
        return open_store(self.config()) if self._held is None else nullcontext(self._held.store(self.config()))

    def run(self, project: str, *, run_id: str, staging: str) -> ProjectRun:
        """A run over one project; its steps find each other's files in the staging folder of that name."""
        config = self.config()
        store = None if self._held is None else self._held.store(config)
        return ProjectRun(config, config.project(project), run_id=run_id, staging=staging, store=store)
