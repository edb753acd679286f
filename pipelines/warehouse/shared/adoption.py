"""Working copies that can also take up the mirror of a warehouse in files."""

from __future__ import annotations

from contextlib import ExitStack

from pipelines.store_errors import UnknownCopy
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.shared.check_out import version_of
from pipelines.warehouse.shared.digest import Digest
from pipelines.warehouse.shared.local_copy import NONE
from pipelines.warehouse.shared.working_copies import Opened, WorkingCopies


class AdoptingCopies(WorkingCopies):
    """The working copies of one machine, where mirrors of a warehouse in files may become working copies."""

    def adopt(self, project: str, run_id: str, *, after: int = 0) -> None:
        """Make the mirror of a warehouse in files the project's newest version, after version `after`.

        Until it is that, nothing is noted of the file: whatever fails, it is what it was. Raises UnknownCopy if the
        store has another version than `after`, unless that is this very file.
        """
        copy = self._copy(project)
        with ExitStack() as locks:
            locks.enter_context(project_locked(self.folder, project))
            hold = locks.enter_context(self._coordination.hold_project(project, run_id))
            copy.check_whole()
            newest = self._coordination.working(project)
            version = version_of(newest) if newest else NONE
            if newest is None or not copy.holds(Digest(newest.bytes, newest.sha256)):
                if version.number != after or copy.known() is not None:
                    raise UnknownCopy(project=project, path=copy.path)
                opened = Opened(run_id, hold, copy, version, None, locks)
                self._check_in(opened, copy.path, self._status(project, copy.path))
                version = opened.version
            copy.save(version, clean=True)
