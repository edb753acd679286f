"""The warehouse folder: the paths of what is in it, and which loads are not published yet.

warehouse.duckdb          the published database, all a reader needs
work/<project>.duckdb     a project's private mirror
work/<project>.loaded     a mark: loaded since the last publish, with the id of the run
work/hash.key             the key identifiers are hashed with, if a project is configured to hash them
work/locks/               one lock per project; work/publish.lock is the publisher's
work/staging/<project>/   answers on their way into the mirror; empty between loads
work/pace/                the rate limit of each REDCap server, shared by all processes, and how fast it answered
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import PUBLISHED
from pipelines.project_names import may_be_a_project
from pipelines.warehouse.database.connection import private_files, private_folder
from pipelines.warehouse.database.file_errors import unusable


@dataclass(frozen=True, slots=True)
class WarehouseFolder:
    """The paths of one warehouse."""

    path: Path

    @property
    def database(self) -> Path:
        """The published database."""
        return self.path / PUBLISHED

    @property
    def work(self) -> Path:
        """The folder of everything that readers do not need."""
        return self.path / "work"

    @property
    def publish_lock(self) -> Path:
        """Held while a process publishes."""
        return self.work / "publish.lock"

    @property
    def locks(self) -> Path:
        """The folder of projects' locks, apart from other locks, so that no project can have the name of one."""
        return self.work / "locks"

    @property
    def pace(self) -> Path:
        """The folder of the servers' shared rate limits, and of how fast each answered."""
        return self.work / "pace"

    @property
    def hash_key(self) -> Path:
        """The key that identifiers are hashed with, once there is one."""
        return self.work / "hash.key"

    def mirror(self, project: str) -> Path:
        """The project's mirror."""
        return self.work / f"{project}.duckdb"

    def project_lock(self, project: str) -> Path:
        """Held by the one load of the project that may run."""
        return self.locks / f"{project}.lock"

    def staging(self, project: str, run: str) -> Path:
        """The folder of one run's answers, named by the run so that a re-execution finds them."""
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in run)
        return self.work / "staging" / project / safe

    def make(self) -> None:
        """Create the folders, for their owner only; raises WarehouseUnreadable if that is impossible."""
        try:
            with private_files():
                for folder in (self.path, self.work, self.work / "staging", self.pace, self.locks):
                    private_folder(folder)
            probe = self.work / f".writable-{secrets.token_hex(4)}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as problem:
            raise unusable(self.path, problem) from None

    def mark_loaded(self, project: str, run: str) -> None:
        """Mark the project as waiting to be published."""
        with private_files():
            self.mark(project).write_text(run)

    def unmark(self, project: str) -> None:
        """Remove the mark: the project is being changed and cannot be published before its next good load."""
        self.mark(project).unlink(missing_ok=True)

    def mark_published(self, project: str, run: str) -> None:
        """Remove the mark of a load that has been published; the mark of a later load stays."""
        if self.unpublished().get(project) == run:
            self.mark(project).unlink(missing_ok=True)

    def unpublished(self) -> dict[str, str]:
        """Projects loaded since the last publish, with the run that loaded them."""
        found = {}
        for mark in sorted(self.work.glob("*.loaded")):
            # Another process may publish it now.
            with suppress(FileNotFoundError):
                found[mark.stem] = mark.read_text(errors="replace")
        return found

    def mark(self, project: str) -> Path:
        """The file that exists while the project waits to be published."""
        return self.work / f"{project}.loaded"

    def clear_staging(self, project: str, *, but: str | None = None) -> None:
        """Remove answers that no run needs any more; those of the run `but` stay."""
        kept = self.staging(project, but).name if but is not None else None
        for folder in (self.work / "staging" / project).glob("*"):
            if folder.name != kept:
                shutil.rmtree(folder, ignore_errors=True)


def projects_in(folder: WarehouseFolder) -> frozenset[str]:
    """The projects that have a mirror in the folder."""
    return frozenset(path.stem for path in folder.work.glob("*.duckdb") if may_be_a_project(path.stem))
