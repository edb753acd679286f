"""The published DuckLake as a part of a store. Every method is described in protocol.py."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from pipelines.errors import NotAllPublished, NotLoadedYet
from pipelines.warehouse.lake.address import PUBLISHED_LAKE, Lake
from pipelines.warehouse.manifest import PublishedProject
from pipelines.warehouse.store.lake_damage import GONE, Damage
from pipelines.warehouse.store.lake_watch import LakeWatch
from pipelines.warehouse.store.results import Condition, Published, PublishedState

if TYPE_CHECKING:
    from pipelines.coordination import Coordination
    from pipelines.warehouse.database.connection import Connection
    from pipelines.warehouse.folder import WarehouseFolder
    from pipelines.warehouse.lake.maintenance import Maintained
    from pipelines.warehouse.lake.publish import LakePublisher, Outcome
    from pipelines.warehouse.shared.working_copies import WorkingCopies

log = logging.getLogger("redcap_warehouse")

ASKED = "that was requested"


class PublishedLake:
    """The published DuckLake; what is published of each project is copied to PostgreSQL, where it is read cheaply."""

    def __init__(
        self,
        lake: Lake,
        folder: WarehouseFolder,
        coordination: Coordination,
        copies: WorkingCopies,
        configured: Collection[str] | None,
        memory_limit: str | None,
    ) -> None:
        self._lake = lake
        self._folder = folder
        self._coordination = coordination
        self._copies = copies
        self._configured = configured
        self._memory_limit = memory_limit
        self._watch = LakeWatch(coordination, copies)
        self._publisher: LakePublisher | None = None

    @property
    def name(self) -> str:
        """There is only one in a store."""
        return PUBLISHED_LAKE

    @property
    def place(self) -> str:
        """Where its data are; its catalog's URL holds a password."""
        return self._lake.data_path

    def exists(self) -> bool:
        """Whether anything is published."""
        return bool(self.last())

    @contextmanager
    def open(self) -> Iterator[Connection]:
        """Attached under the name `warehouse`."""
        from pipelines.warehouse.lake.attach import reading

        with reading(self._lake, memory_limit=self._memory_limit) as connection:
            yield connection

    def check_query(self, connection: Connection, text: str) -> None:
        """Only queries of the lake's tables."""
        from pipelines.warehouse.lake.allowed_queries import check_allowed

        check_allowed(connection, text)

    def attach(self, connection: Connection) -> Sequence[str]:
        """The folder or URL of its data."""
        from pipelines.warehouse.database.connection import PUBLISHED
        from pipelines.warehouse.lake.attach import attach_beside

        return attach_beside(connection, self._lake, PUBLISHED)

    def last(self) -> Mapping[str, PublishedProject]:
        """The copy in PostgreSQL: attaching the lake takes a second with a hundred projects."""
        found = self._coordination.all_working()
        return {name: PublishedProject(**row.published) for name, row in found.items() if row.published}

    def projects(self) -> frozenset[str]:
        """Those of that copy."""
        return frozenset(self.last())

    def source(self, project: str) -> str | None:
        """By that copy."""
        entry = self.last().get(project)
        return None if entry is None else entry.identity

    def condition(self) -> Condition:
        """By the catalog, which is compared with the record of what was published; no data file is looked at."""
        damage = self._watch.look()
        if damage.why is None:
            return Condition(PublishedState.AS_PUBLISHED if self.exists() else PublishedState.NEVER)
        remark = (
            f"{PUBLISHED_LAKE} is not what was published last: {damage.why}. Run `redcap-warehouse publish`, which "
            "publishes again from the projects' mirrors what differs."
        )
        state = PublishedState.MISSING if damage.why == GONE else PublishedState.CHANGED
        return Condition(state, damage.why, remarks=(remark,))

    def size(self) -> int:
        """The bytes of the data files that are in use, earlier snapshots included."""
        from pipelines.warehouse.database.rows import count
        from pipelines.warehouse.lake import lake_sql

        with self.open() as connection:
            return count(connection, lake_sql.size_of_data())

    def publish(self, *, rebuild: bool = False) -> Published:
        """One transaction a project; the publisher's lock is held all the while."""
        if not self._is_due(rebuild):
            return Published()
        self._folder.make()
        with self._coordination.publisher() as held:
            if not self._is_due(rebuild):
                return Published()
            waiting = self._waiting()
            damage, outcome = self._publish(waiting, rebuild=rebuild, check=held.check)
        done = _published(damage, outcome, rebuild=rebuild)
        if outcome.failed:
            raise NotAllPublished(published=done.projects, failed=done.failed, left_out=done.left_out)
        return done

    def _is_due(self, rebuild: bool) -> bool:
        return rebuild or bool(self._waiting()) or self._watch.look().why is not None

    def _waiting(self) -> dict[str, str]:
        found = self._coordination.unpublished()
        return {name: run for name, run in found.items() if self._configured is None or name in self._configured}

    def _publish(
        self, waiting: Mapping[str, str], *, rebuild: bool, check: Callable[[], object]
    ) -> tuple[Damage, Outcome]:
        from pipelines.warehouse.lake.publish import Mirrors

        versions = {name: row.version for name, row in self._coordination.all_working().items()}
        known, publisher = self.last(), self._opened()
        damage = self._watch.begin(publisher, files_of={*waiting, *(known if rebuild else ())})
        if damage.tables:
            publisher.make_shared_tables_again()
        elif damage.rows or rebuild:
            publisher.remove_strays({*known, *versions})
        mirrors = Mirrors(self._copies.to_read, lambda name: self._coordination.unpublished().get(name), check)
        again = {name: entry for name, entry in known.items() if rebuild or name in damage.again}
        outcome = publisher.publish(waiting, mirrors, again=again, trusted=damage.trusted, anew=rebuild)
        for project, entry in outcome.done.items():
            run = waiting.get(project, entry.run)
            self._coordination.mark_published(project, run, versions.get(project, 0), asdict(entry))
        self._watch.end(damage, written=outcome.written, repaired=True)
        return damage, outcome

    def forget(self, project: str) -> None:
        """Remove the project from the lake, and every earlier snapshot with it."""
        with self._coordination.publisher(), self._changing() as publisher:
            publisher.forget(project)

    def maintain(self) -> Maintained:
        """Merge small files, end snapshots older than thirty days, and delete what nothing needs any more."""
        self._folder.make()
        with self._coordination.publisher(), self._changing() as publisher:
            return publisher.maintain()

    @contextmanager
    def _changing(self) -> Iterator[LakePublisher]:
        """The publisher, to change something else than what is published; what is wrong is not forgotten thereby."""
        publisher = self._opened()
        damage = self._watch.begin(publisher)
        yield publisher
        self._watch.end(damage)

    def traces(self, project: str) -> tuple[tuple[str, ...], dict[str, int], bool]:
        """The project's schemas, how many rows it has in each table that all projects share, and whether a removal was
        not finished."""
        from pipelines.warehouse.lake.removal import traces_of

        try:
            with self.open() as connection:
                return traces_of(connection, project)
        except NotLoadedYet:
            return (), {}, False

    def close(self) -> None:
        """Close the publisher's connection, if there is one."""
        if self._publisher is not None:
            self._publisher.close()

    def _opened(self) -> LakePublisher:
        if self._publisher is None:
            from pipelines.warehouse.lake.publish import LakePublisher

            work = self._folder.work
            self._publisher = LakePublisher(
                self._lake, (work,), work / "publish.spill", memory_limit=self._memory_limit
            )
        return self._publisher


def _published(damage: Damage, outcome: Outcome, *, rebuild: bool) -> Published:
    """What a publish did; says what it made again, and why."""
    left_out = {name: why for name, why in outcome.waiting.items() if name in damage.again}
    for why in dict.fromkeys(damage.again.values()):
        again = [name for name, reason in damage.again.items() if reason == why and name in outcome.written]
        if again:
            log.warning("%s: %s published again as a whole, because %s.", PUBLISHED_LAKE, _were(again), why)
    rebuilt = ASKED if rebuild else damage.why if damage.tables or damage.why == GONE else None
    return Published(tuple(outcome.done), outcome.failed, left_out, rebuilt, written=bool(outcome.written))


def _were(projects: list[str]) -> str:
    return f"{', '.join(projects)} {'was' if len(projects) == 1 else 'were'}"
