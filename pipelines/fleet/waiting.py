"""The projects that are still to be loaded, by this command or, where machines share the work, by another.

What another machine loads completely meanwhile counts as loaded. What it has begun waits until it has ended: if it
ended badly, or with its machine, the project is loaded here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from pipelines.config.settings import ProjectConfig
from pipelines.fleet.load_one import Ended
from pipelines.fleet.turns import next_project
from pipelines.warehouse.store.protocol import Rounds

# Seconds between two looks at what others do, while all that is left is theirs.
BETWEEN_LOOKS = 0.5
# How often a load is repeated that lost its project to another machine, or its session to a restart of PostgreSQL.
REPEATS = 3


class Waiting:
    """The projects that wait."""

    def __init__(
        self,
        projects: Sequence[ProjectConfig],
        rounds: Rounds | None = None,
        since: datetime | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without a `since`, the work is shared with nobody."""
        self.since = since
        self._projects = list(projects)
        self._rounds = rounds
        self._clock = clock
        self._repeats: Counter[str] = Counter()
        self._looked = float("-inf")
        self._held: Mapping[str, str] = {}

    def __len__(self) -> int:
        return len(self._projects)

    def loaded_elsewhere(self) -> list[Ended]:
        """Those that another machine has loaded; they wait no more."""
        if self.since is None or self._rounds is None or not self._projects:
            return []
        if self._clock() - self._looked < BETWEEN_LOOKS and all(one.name in self._held for one in self._projects):
            return []
        # In this order: what ends in between is found loaded by the next look.
        self._held, loaded = self._rounds.held(), self._rounds.loaded(self.since)
        self._looked = self._clock()
        ended = [Ended(one.name, None, elsewhere=loaded[one.name]) for one in self._projects if one.name in loaded]
        self._projects = [one for one in self._projects if one.name not in loaded]
        return ended

    def take(self, loading: Sequence[ProjectConfig]) -> ProjectConfig | None:
        """The next to be loaded here, beside these; None while others have all that are left."""
        free = [project for project in self._projects if project.name not in self._held]
        if not free:
            return None
        taken = next_project(free, loading)
        self._projects.remove(taken)
        return taken

    def waits_again(self, ended: Ended, project: ProjectConfig) -> bool:
        """Whether the project has to wait again: another run has it, or its load is to be repeated."""
        if ended.held and self.since is not None:
            self._held = {**self._held, project.name: ""}
            self._looked = self._clock()
        elif ended.lost and self._repeats[project.name] < REPEATS:
            self._repeats[project.name] += 1
        else:
            return False
        self._projects.append(project)
        return True
