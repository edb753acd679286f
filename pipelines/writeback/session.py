"""What is open during a write-back of one project: the mirror, the journal, the proposals and the client.

Not here: deciding (plan.py) and sending (send/). Nothing in this module sends.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.config.settings import Config, ProjectConfig
from pipelines.errors import describe
from pipelines.extract.structure import read_structure
from pipelines.interrupts import was_interrupted
from pipelines.run import Now, ProjectRun, Sleep, utc_now
from pipelines.warehouse.database.connection import private_folder
from pipelines.warehouse.mirror.journal import Journal
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.proposals import Proposals
from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.published.query import is_published
from pipelines.warehouse.store.protocol import Store
from pipelines.writeback.current_values import read_current_values
from pipelines.writeback.decide.cells import CurrentValues, PlannedCell
from pipelines.writeback.guards import check_binding, check_load
from pipelines.writeback.project_rules import ProjectRules, make_project_rules
from pipelines.writeback.report import WritebackOptions
from redcap_source import RedcapClient

MODE = "writeback"
"""The mode of these runs in the ledger, redcap.sync_runs."""

Step = Callable[[str], None]
"""Called with a name before each action; tests kill a run there."""


def no_step(name: str) -> None:
    """Does nothing."""


@dataclass(slots=True)
class Session:
    """One run of write-back over one project, with everything open; its methods read, and keep the run's ledger."""

    project: ProjectConfig
    options: WritebackOptions
    store: Store
    staging: Path
    stamp: RunStamp
    mirror: Mirror
    journal: Journal
    proposals: Proposals
    client: RedcapClient
    now: Now
    sleep: Sleep
    step: Step
    _began: float = field(default_factory=time.monotonic)

    @property
    def run_id(self) -> str:
        """The id of this run."""
        return self.stamp.run_id

    @property
    def requests(self) -> int:
        """How many requests the run has made."""
        return self.client.calls.requests

    @property
    def seconds(self) -> float:
        """How long the run has taken so far."""
        return time.monotonic() - self._began

    def read_rules(self) -> ProjectRules:
        """Read the project's structure from REDCap and make its rules; refuses a token of another project."""
        structure = read_structure(self.client, self.client.version())
        self._check_binding(structure.project.project_id)
        return make_project_rules(structure, self.project, self.mirror)

    def check_binding_again(self) -> None:
        """Refuse a token of another project; reading may have taken long, and the token may have been replaced."""
        self.step("bind")
        self._check_binding(self.client.project_info().project_id)

    def _check_binding(self, found: int | None) -> None:
        check_binding(self.project, self.mirror.state.previous().project_id, found)

    def read_current(self, rules: ProjectRules, cells: Sequence[PlannedCell]) -> CurrentValues:
        """Read what REDCap holds for these cells now."""
        concurrency = self.project.server.concurrency
        return read_current_values(self.client, rules.rulebook, cells, self.staging, concurrency=concurrency)

    def keep(self) -> None:
        """Make what the mirror holds safe outside this machine, where the store is not on it alone.

        Called between recording in the journal that cells will be sent and sending them, and after their outcomes were
        recorded: whichever machine continues after this one was lost must find them in the journal.
        """
        self.step("keep")
        self.store.mirrors.keep(self.project.name, self.mirror.connection)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the run in the ledger, when it begins and however it ends."""
        self.stamp = replace(self.stamp, now=self.mirror.runs.begin(self.run_id, MODE, self.now()))
        try:
            yield
        except BaseException as problem:
            outcome = "interrupted" if was_interrupted(problem) else "failed"
            self._end(outcome, describe(self.mirror.explained(problem)))
            raise
        self._end("ok", None)

    def _end(self, outcome: str, message: str | None) -> None:
        self.mirror.runs.end(
            self.run_id,
            outcome=outcome,
            message=message,
            now=self.now(),
            seconds=self.seconds,
            requests=self.client.calls.requests,
            bytes_received=self.client.calls.bytes,
        )

    def may_publish(self) -> bool:
        """Whether readers may see what the run did: the load it builds on is published."""
        last = self.mirror.runs.last_load()
        return last is not None and is_published(self.store, self.project.name, last.run_id)


@contextmanager
def open_session(
    config: Config,
    project: ProjectConfig,
    *,
    run_id: str,
    options: WritebackOptions | None = None,
    now: Now = utc_now,
    sleep: Sleep = time.sleep,
    step: Step = no_step,
    store: Store | None = None,
) -> Iterator[Session]:
    """Open the project's mirror and a client; meanwhile no other run loads or writes the project.

    Without a `store`, that of the configuration is opened for the run. Raises WritebackRefused if the project's last
    load does not allow a write-back.
    """
    with (
        ProjectRun(config, project, run_id=run_id, now=now, sleep=sleep, store=store) as run,
        run.mirror() as mirror,
    ):
        proposals, journal = Proposals(mirror.connection, project.name), Journal(mirror.connection, project.name)
        check_load(project, mirror.runs.last_load(), now())
        # The project is locked, so no load is running: what is in its staging folder is of runs that were killed.
        run.folder.clear_staging(project.name)
        private_folder(run.staging)
        try:
            with run.client() as client:
                yield Session(
                    project=project,
                    options=options or WritebackOptions(),
                    store=run.store,
                    staging=run.staging,
                    stamp=run.stamp,
                    mirror=mirror,
                    journal=journal,
                    proposals=proposals,
                    client=client,
                    now=now,
                    sleep=sleep,
                    step=step,
                )
        finally:
            shutil.rmtree(run.staging, ignore_errors=True)
