"""Working copies: a project's mirror on this machine, checked out of the shared place and checked in again.

Check-out: the project's lock; which version is the newest; then the local copy is continued if it was made from that
version, and otherwise replaced by a verified download. Check-in: the file is written to the shared place under a name
of its own, then made the newest version if the one that was checked out still is. So of a process that ends anywhere
there remains the newest version as it was, or as it became; and at most files that nobody needs.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipelines.coordination import Coordination, HeldProject, WorkingVersion
from pipelines.errors import HoldLost, NotLoadedYet, Superseded, WarehouseDamaged, WarehouseError, describe
from pipelines.store_errors import SharedPlaceUnusable
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.shared.check_out import Step, check_out, download, no_step, version_of
from pipelines.warehouse.shared.digest import digest_of
from pipelines.warehouse.shared.local_copy import DISCARDED, NONE, Facts, LocalCopy, Version
from pipelines.warehouse.shared.names import folder_of, on_its_way, superseded, version_name
from pipelines.warehouse.shared.place import SharedPlace

log = logging.getLogger(__name__)

Status = Callable[[str, Path], Mapping[str, object] | None]
"""What the project's status shows of a mirror that is closed; counts, times and messages only."""


def no_status(project: str, mirror: Path) -> None:
    """Keeps the status that was checked in last."""


@dataclass(slots=True)
class Opened:
    """A project that this process holds."""

    run_id: str
    hold: HeldProject
    copy: LocalCopy
    version: Version
    unchanged: Facts | None
    """The facts of the file while it is that version; None if it is not."""
    locks: ExitStack
    depth: int = 1


class WorkingCopies:
    """The working copies of one machine's warehouse folder."""

    def __init__(
        self,
        folder: WarehouseFolder,
        place: SharedPlace,
        coordination: Coordination,
        *,
        status: Status = no_status,
        step: Step = no_step,
    ) -> None:
        self.folder = folder
        self._place = place
        self._coordination = coordination
        self._status = status
        self._step = step
        self._open: dict[str, Opened] = {}
        self._lock = threading.RLock()

    @contextmanager
    def working(self, project: str, run_id: str, *, finish: bool = True) -> Iterator[Path]:
        """The project's mirror on this machine, for this run alone; it may not exist yet.

        What changed is checked in when the block ends, also with an error, unless the file is no whole database. With
        `finish=False` a block that ends without an error keeps the project for further blocks of the same run, which
        begin without a transfer. Raises ProjectHeld if another run has the project, HoldLost if it may have it by now,
        Superseded if another version was checked in meanwhile: then nothing of this run is kept.
        """
        opened = self._enter(project, run_id)
        try:
            yield opened.copy.path
        except BaseException:
            self._leave(opened, finish=True, failed=True)
            raise
        self._leave(opened, finish=finish, failed=False)

    def check_in_now(self, project: str) -> None:
        """Check in the mirror while it is open, so that what it holds is safe when this machine is lost.

        The caller has executed CHECKPOINT and changes nothing meanwhile. When this returns, the project is still held;
        an error means that it may not be, or that what the mirror holds is not safe.
        """
        opened = self._open[project]
        opened.hold.check()
        facts = opened.copy.facts()
        if facts is None or facts != opened.unchanged:
            snapshot = opened.copy.incoming()
            try:
                opened.copy.snapshot(snapshot)
                self._step("copied")
                self._check_in(opened, snapshot, None)
                opened.unchanged = facts
            finally:
                snapshot.unlink(missing_ok=True)
        opened.hold.check()

    @contextmanager
    def to_read(self, project: str) -> Iterator[Path]:
        """The newest version, to read while a load may go on; raises NotLoadedYet if there is none."""
        newest, copy = self._newest(project), LocalCopy(self.folder, project)
        if copy.is_clean(version_of(newest)):
            yield copy.path
            return
        reading = on_its_way(copy.path, secrets.token_hex(4), "reading")
        try:
            download(self._place, newest, reading, self._newest)
            yield reading
        finally:
            reading.unlink(missing_ok=True)

    def check_there(self) -> None:
        """SharedPlaceUnusable if versions were checked in and none of any project is in the shared place."""
        known = self._coordination.all_working()
        if known and not any(self._place.names(folder_of(project)) for project in known):
            raise _not_there("mirrors", "versions were")

    def forget(self, project: str, run_id: str) -> None:
        """Remove every version from the shared place and this machine; others follow (forgotten.py)."""
        with project_locked(self.folder, project), self._coordination.hold_project(project, run_id) as hold:
            self._coordination.forget(project)
            self._step("forgotten")
            self._place.delete(self._place.names(folder_of(project)))
            hold.check()
            # The mirror of a warehouse in files, of which the store knows nothing, is not the store's to remove.
            if (copy := self._copy(project)).known() is not None:
                copy.remove()

    def end_run(self, run_id: str) -> None:
        """Check in and free what `finish=False` has kept for further blocks of the run: there will be none."""
        for opened in list(self._open.values()):
            if opened.run_id == run_id and opened.depth == 0:
                self._leave(opened, finish=True, failed=True)

    def close(self) -> None:
        """Check in what this process still has, and free it; then close the place. The first error is raised in the
        end."""
        with ExitStack() as last:
            last.callback(self._place.close)
            for opened in list(self._open.values()):
                last.callback(self._leave, opened, finish=True, failed=False)

    def _copy(self, project: str) -> LocalCopy:
        return LocalCopy(self.folder, project, self._coordination.store_id())

    def _newest(self, project: str) -> WorkingVersion:
        newest = self._coordination.working(project)
        if newest is None:
            raise NotLoadedYet(path=Path(folder_of(project)))
        return newest

    def _enter(self, project: str, run_id: str) -> Opened:
        with self._lock:
            opened = self._open.get(project)
            if opened is not None and opened.run_id == run_id:
                self._check_held(opened)
                opened.depth += 1
                return opened
            with ExitStack() as locks:
                # The first keeps out a process of this machine whose hold was lost and that has not noticed.
                locks.enter_context(project_locked(self.folder, project))
                hold = locks.enter_context(self._coordination.hold_project(project, run_id))
                self._step("held")
                copy = self._copy(project)
                version = check_out(copy, self._place, self._coordination, self._step)
                unchanged = copy.facts() if copy.is_clean(version) else None
                copy.save(version, clean=False)
                self._step("checked out")
                opened = Opened(run_id, hold, copy, version, unchanged, locks.pop_all())
            self._open[project] = opened
            return opened

    def _check_held(self, opened: Opened) -> None:
        """Continue a project that was kept between two blocks of a run; if the hold was lost, give it up."""
        try:
            opened.hold.check()
        except HoldLost:
            self._open.pop(opened.copy.project)
            with opened.locks:
                opened.copy.save(DISCARDED, clean=False)
            raise

    def _leave(self, opened: Opened, *, finish: bool, failed: bool) -> None:
        with self._lock:
            opened.depth -= 1
            if opened.depth > 0 or not finish:
                return
            self._open.pop(opened.copy.project, None)
        # Freed last, whatever happens.
        with opened.locks:
            try:
                self._finish(opened)
            except WarehouseError as problem:
                if not failed:
                    raise
                # The error that ended the block is the one to show.
                log.warning("%s", describe(problem))

    def _finish(self, opened: Opened) -> None:
        copy = opened.copy
        try:
            opened.hold.check()
            if not copy.exists():
                return
            facts = copy.facts()
            if facts is None or facts != opened.unchanged:
                copy.check_whole()
                self._check_in(opened, copy.path, self._status(copy.project, copy.path))
            copy.save(opened.version, clean=True)
            self._step("saved")
        except WarehouseDamaged:
            # A first load that died while it made the file is begun again by the next.
            copy.save(NONE if opened.version == NONE else DISCARDED, clean=False)
            raise
        except (HoldLost, Superseded):
            copy.save(DISCARDED, clean=False)
            raise

    def _check_in(self, opened: Opened, file: Path, status: Mapping[str, object] | None) -> None:
        """Make a file the newest version of the project, then remove the versions that nobody needs any more."""
        project, digest, before = opened.copy.project, digest_of(file), opened.version.number
        names = _names_of_versions(self._place, project, before)
        name = version_name(project, before + 1, digest.sha256, secrets.token_hex(4))
        self._step("digest")
        recorded = self._place.put(file, name, digest)
        self._step("put")
        opened.hold.check()
        number = self._coordination.check_in(
            project,
            after=before,
            object=recorded,
            sha256=digest.sha256,
            size=digest.size,
            run_id=opened.run_id,
            status=status,
        )
        self._step("checked in")
        opened.version = Version(number, recorded)
        opened.copy.save(opened.version, clean=False)
        _remove(self._place, superseded(names, version=number, recorded=recorded))


def _names_of_versions(place: SharedPlace, project: str, version: int) -> list[str]:
    """The files of the project's versions; there are some if a version was checked in."""
    names = place.names(folder := folder_of(project))
    if version and not names:
        # A drive that is not mounted is an empty folder: what is written there, no other machine finds.
        raise _not_there(folder, f"version {version} was")
    return names


def _not_there(folder: str, what: str) -> SharedPlaceUnusable:
    return SharedPlaceUnusable(
        place=f"the shared place's {folder}",
        reason=f"it is empty, and {what} checked in there",
        remedy="Make sure that the drive is mounted and that store.data names the right place.",
    )


def _remove(place: SharedPlace, names: list[str]) -> None:
    """Remove files that nobody needs; what was checked in does not depend on it."""
    try:
        place.delete(names)
    except SharedPlaceUnusable as problem:
        log.warning("Old versions of a mirror could not be removed; the next load tries again. %s", problem)
