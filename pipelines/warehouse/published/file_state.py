"""Whether readers find what was published last. Nothing here writes, and nothing is opened with DuckDB."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import Publication, difference, log_beside, read_manifest
from pipelines.warehouse.store.results import Condition, PublishedState

LOG = "a program that wrote to it left a log beside it"


def published_file(folder: WarehouseFolder) -> Condition:
    """Whether readers find what was published last, whatever has become of the file."""
    last, reason = _last(folder)
    left_out = dict(last.left_out) if last else {}
    if last is None:
        if not folder.database.exists():
            return Condition(PublishedState.NEVER)
        return _condition(folder, PublishedState.UNKNOWN, "there is no record of what was published last", {})
    if reason is None:
        return _condition(folder, PublishedState.AS_PUBLISHED, None, left_out)
    state = PublishedState.CHANGED if folder.database.exists() else PublishedState.MISSING
    return _condition(folder, state, reason, left_out)


def _condition(
    folder: WarehouseFolder, state: PublishedState, reason: str | None, left_out: Mapping[str, str]
) -> Condition:
    name, remarks = folder.database.name, []
    if reason is not None:
        remarks.append(
            f"{name} is not what was published last: {reason}. Run `redcap-warehouse publish`, which makes it "
            "again from the projects' mirrors."
        )
    if left_out:
        remarks.append(
            f"{name} lacks {', '.join(left_out)}: published before, and not possible to publish when the file "
            "was made again. Run `redcap-warehouse publish`, which publishes them or says why it cannot."
        )
    return Condition(state, reason, left_out, tuple(remarks))


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
