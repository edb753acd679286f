"""Whether readers find what was published last. Nothing here writes, and nothing is opened with DuckDB."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Publication, difference, log_beside, read_manifest

LOG = "a program that wrote to it left a log beside it"


class FileState(StrEnum):
    """What became of the published file."""

    AS_PUBLISHED = "as published"
    CHANGED = "changed"
    MISSING = "missing"
    UNKNOWN = "unknown"
    NEVER = "never published"


@dataclass(frozen=True, slots=True)
class PublishedFile:
    """The state of the published file."""

    state: FileState
    reason: str | None = None
    """What is wrong with it; None if nothing is."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Projects that it should have and lacks, with the last run that was published of each, if that is known."""

    @property
    def is_right(self) -> bool:
        """Whether readers find all that was published."""
        return self.reason is None and not self.left_out

    def remarks(self, name: str) -> list[str]:
        """What a person should know and do about it; `name` is that of the file."""
        found = []
        if self.reason is not None:
            found.append(
                f"{name} is not what was published last: {self.reason}. Run `redcap-warehouse publish`, which makes it "
                "again from the projects' mirrors."
            )
        if self.left_out:
            found.append(
                f"{name} lacks {', '.join(self.left_out)}: published before, and not possible to publish when the file "
                "was made again. Run `redcap-warehouse publish`, which publishes them or says why it cannot."
            )
        return found


def published_file(folder: WarehouseFolder) -> PublishedFile:
    """The state of the published file, whatever has become of it."""
    last, reason = _last(folder)
    left_out = dict(last.left_out) if last else {}
    if last is None:
        if not folder.database.exists():
            return PublishedFile(FileState.NEVER)
        return PublishedFile(FileState.UNKNOWN, "there is no record of what was published last")
    if reason is None:
        return PublishedFile(FileState.AS_PUBLISHED, left_out=left_out)
    return PublishedFile(FileState.CHANGED if folder.database.exists() else FileState.MISSING, reason, left_out)


def file_problem(folder: WarehouseFolder) -> str | None:
    """What is wrong with the published file; None if readers find what was published last."""
    return published_file(folder).reason


def _last(folder: WarehouseFolder) -> tuple[Publication | None, str | None]:
    while True:
        manifest = read_manifest(folder)
        last = manifest.current(folder.database)
        reason = None
        if last is not None:
            reason = difference(folder.database, last)
            if reason is None and log_beside(folder).exists():
                reason = LOG
        # A publish may have replaced the file in between.
        if reason is None or manifest == read_manifest(folder):
            return last, reason
