"""Publishes finished loads into a DuckLake: one transaction a project, so that readers see whole nights only.

What is written of a project is decided and written by the same code as in a published file (publishing/project.py).
What is published of each project is noted in the lake itself, in the same transaction. There is one publisher at a
time: DuckLake would refuse all but one of several that write to the tables that all projects share, and any change of a
definition makes every other connection read the whole catalog again.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipelines.errors import ForeignMirror, NotProven, WarehouseBusy, WarehouseError
from pipelines.warehouse.database.connection import (
    Connection,
    DatabaseError,
    attach_to_read,
    open_reader,
)
from pipelines.warehouse.database.dialect import LAKE
from pipelines.warehouse.database.file_errors import is_short_of_memory, memory_remedy
from pipelines.warehouse.database.memory import allow, enough
from pipelines.warehouse.database.quoting import identifier
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.lake import removal
from pipelines.warehouse.lake.commits import committed_as
from pipelines.warehouse.lake.failures import reason
from pipelines.warehouse.lake.maintenance import KEEP, LONGEST, Maintained, maintain
from pipelines.warehouse.lake.publisher_connection import PublisherConnection
from pipelines.warehouse.manifest import NO_FILE, VERSION, Publication, PublishedProject
from pipelines.warehouse.publishing.candidates import LOADING, Candidates, sort_source, why_unreadable
from pipelines.warehouse.publishing.first_load import define_changes
from pipelines.warehouse.publishing.new_file import catalog_of, is_unchanged
from pipelines.warehouse.publishing.project import ProjectPublisher
from pipelines.warehouse.publishing.publish import entry_of
from pipelines.warehouse.publishing.source import MirrorSource, read_source
from pipelines.warehouse.sql import statements


@dataclass(slots=True)
class Outcome:
    """What became of the projects that a publish took up."""

    written: dict[str, PublishedProject] = field(default_factory=dict)
    """Those that were written, with what is published of them now."""
    unchanged: dict[str, PublishedProject] = field(default_factory=dict)
    """Those of which readers would see nothing new."""
    failed: dict[str, str] = field(default_factory=dict)
    """Those that could not be published, with the reason."""
    waiting: dict[str, str] = field(default_factory=dict)
    """Those that are not published now, though nothing is wrong with their files, with the reason."""

    @property
    def done(self) -> dict[str, PublishedProject]:
        """Projects of which readers find everything that was loaded."""
        return self.written | self.unchanged


@dataclass(frozen=True, slots=True)
class Mirrors:
    """Where the mirrors of projects are read from."""

    to_read: Callable[[str], AbstractContextManager[Path]]
    """The path of a copy of the newest version of a project's mirror."""
    marked: Callable[[str], str | None]
    """The run of the project that waits to be published, if one does."""
    check: Callable[[], object] = bool
    """Called before each commit; raises an error if this is no longer the only publisher."""


class LakePublisher(PublisherConnection):
    """Publishes into one lake; only one at a time may be used, on whatever machine.

    Keeps its connection from one publish to the next: attaching a lake of a hundred projects takes a second.
    """

    def entries(self) -> dict[str, PublishedProject]:
        """What is published of each project, as the lake itself has it."""
        return dict(self._trying(read_manifest).projects)

    def publish(
        self,
        projects: Collection[str],
        mirrors: Mirrors,
        *,
        again: Mapping[str, PublishedProject] | None = None,
        trusted: Collection[str] | None = None,
        anew: bool = False,
    ) -> Outcome:
        """Publish these projects where readers would see anything new.

        Projects of `again` are written again as a whole, whatever the lake has of them, with what is known to have been
        published; and so are those that are not `trusted`, where these are given. With `anew` every project in the lake
        is. One that fails does not hold up the others. Raises LakeUnusable if nothing can be published at all.
        """
        before = self._trying(read_manifest)
        doubted = [] if trusted is None else [name for name in projects if name not in trusted]
        whole = {*self._present(doubted, before), *(again or ()), *before.left_out, *(before.projects if anew else ())}
        before = replace(before, projects={**before.projects, **(again or {})})
        outcome = Outcome()
        for project in sorted({*projects, *whole}):
            self._publish(project, mirrors, before, outcome, anew=project in whole)
        self._note_unchanged(outcome, before)
        if outcome.written:
            self.finish_removals()
        return outcome

    def forget(self, project: str) -> None:
        """Remove the project, and every snapshot in which it could be found."""
        self._trying(lambda connection: removal.remove_project(connection, project, self._token))
        self.finish_removals()

    def maintain(self, keep: timedelta = KEEP, longest: timedelta = LONGEST) -> Maintained:
        """Merge files, end old snapshots and delete what nothing needs any more; see maintenance.py."""
        return self._trying(lambda connection: maintain(connection, keep=keep, longest=longest, token=self._token))

    def finish_removals(self) -> None:
        """Remove from earlier snapshots what was removed from the present, where that is still to be done."""
        self._trying(lambda connection: removal.finish(connection, self._token))

    def _present(self, projects: list[str], before: Publication) -> set[str]:
        """The projects of these of which there is anything in the lake."""
        if not projects:
            return set()
        there = self._trying(lambda connection: removal.schemas_of(connection, projects))
        return {name for name in projects if name in before.projects or name in there}

    # -- one project ---------------------------------------------------------------------------------------

    def _publish(self, project: str, mirrors: Mirrors, before: Publication, outcome: Outcome, *, anew: bool) -> None:
        found = Candidates()
        try:
            with mirrors.to_read(project) as path:
                with open_reader(path) as connection:
                    source = read_source(connection, project, published=None if anew else before.projects.get(project))
                run = mirrors.marked(project)
                if run is not None and not source.has_run(run):
                    # The load has ended, and its mirror is not in the shared place yet.
                    raise WarehouseBusy(path=path)
                sort_source(found, source, before, is_marked=run is not None, anew=anew)
                if found.sources:
                    entry = self._write(source, path, mirrors.check, anew=anew)
                    if entry is None:
                        outcome.waiting[project] = LOADING
                    else:
                        outcome.written[project] = entry
        except WarehouseBusy:
            outcome.waiting[project] = LOADING
        except (ForeignMirror, NotProven) as problem:
            outcome.failed[project] = str(problem)
        except DatabaseError as problem:
            outcome.failed[project] = reason(problem)
        except (OSError, WarehouseError) as problem:
            outcome.failed[project] = why_unreadable(problem)
        for source in found.unchanged:
            outcome.unchanged[project] = replace(before.projects[project], run=source.last_load)
        outcome.failed |= found.failed
        outcome.waiting |= found.waiting

    def _write(
        self, source: MirrorSource, path: Path, check: Callable[[], object], *, anew: bool
    ) -> PublishedProject | None:
        """Write a project; None if its mirror has changed since it was read."""
        publication = uuid.uuid4().hex
        written: list[PublishedProject] = []

        def once(connection: Connection) -> PublishedProject | None:
            # The answer to a commit may be lost, while the commit is not.
            if written and one(connection, statements("lake")["publication"], {"project": source.project}) == (
                publication,
            ):
                return written[-1]
            with _attached(connection, path, source.project):
                if not is_unchanged(connection, source):
                    return None
                allow(connection, self._memory_limit, source.width, others=False)
                try:
                    return self._write_once(connection, source, publication, written, check, anew=anew)
                except NotProven:
                    # What was carried over may be wrong; everything of the project is written again.
                    return self._write_once(connection, source, publication, written, check, anew=True)

        try:
            return self._trying(once)
        except DatabaseError as problem:
            if not is_short_of_memory(problem):
                raise
            remedy = memory_remedy(enough(self._opened(), source.width)).rstrip(".")
            raise WarehouseError(f"{reason(problem)}. {remedy}") from None

    def _write_once(
        self,
        connection: Connection,
        source: MirrorSource,
        publication: str,
        written: list[PublishedProject],
        check: Callable[[], object],
        *,
        anew: bool,
    ) -> PublishedProject:
        """Write a project whose mirror is attached, in one transaction; its entry joins `written` before the commit."""
        publisher = ProjectPublisher(connection, source, catalog_of(source.project), anew=anew, dialect=LAKE)
        with committed_as(connection, self._token):
            proof = publisher.publish()
            publisher.write_comments()
            define_changes(connection, LAKE)
            entry = entry_of(source, proof, datetime.now(UTC).isoformat(timespec="seconds"))
            _save(connection, {source.project: entry}, publication)
            if publisher.discarded:
                connection.execute(statements("lake")["save_removal"])
            written.append(entry)
            check()
        return entry

    def _note_unchanged(self, outcome: Outcome, before: Publication) -> None:
        """Note the runs that changed nothing."""
        noted = {name: entry for name, entry in outcome.unchanged.items() if entry != before.projects[name]}
        if not noted:
            return

        def note(connection: Connection) -> None:
            with committed_as(connection, self._token):
                _save(connection, noted, uuid.uuid4().hex)

        try:
            self._trying(note)
        except DatabaseError as problem:
            for project in noted:
                del outcome.unchanged[project]
                outcome.failed[project] = reason(problem)


def read_manifest(connection: Connection) -> Publication:
    """What is published of each project, read from a lake that is attached.

    Those that an earlier version published count as left out: they are to be written again.
    """
    rows = connection.execute(statements("lake")["manifest"]).fetchall()
    projects = {name: PublishedProject(**json.loads(entry)) for name, entry, version in rows if version == VERSION}
    earlier = {name: str(json.loads(entry)["run"]) for name, entry, version in rows if version != VERSION}
    return Publication(NO_FILE, projects, earlier)


def _save(connection: Connection, entries: Mapping[str, PublishedProject], publication: str) -> None:
    sql, projects = statements("lake"), list(entries)
    connection.execute(sql["delete_entries"], {"projects": projects})
    texts = [json.dumps(asdict(entry)) for entry in entries.values()]
    values = {"projects": projects, "entries": texts, "publication": publication, "version": VERSION}
    connection.execute(sql["save_entries"], values)


@contextmanager
def _attached(connection: Connection, path: Path, project: str) -> Iterator[None]:
    catalog = catalog_of(project)
    attach_to_read(connection, path, catalog)
    try:
        yield
    finally:
        with suppress(DatabaseError):
            connection.execute(f"DETACH {identifier(catalog)}")
