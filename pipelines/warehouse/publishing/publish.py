"""Publishes finished loads: writes a new copy of the published file and puts it in place in one step.

Readers keep the file they have open and see the new one when they open it again; nobody is ever locked out, and nobody
sees half a load. The published file is never trusted: where it is not exactly what was published last, whatever a
reader, a crash or a disk did to it, it is made again from the mirrors. It is only ever read as bytes, so no connection
of a reader is in the way. Not here: what is written of each project (project.py), and the file itself (new_file.py).
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from pipelines.errors import NotAllPublished
from pipelines.sharing import PRIVATE, Sharing
from pipelines.warehouse.database.connection import DatabaseError, private_files
from pipelines.warehouse.database.file_errors import unusable
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.manifest import (
    CHANGED,
    NO_FILE,
    Manifest,
    Publication,
    PublishedProject,
    crc32,
    difference,
    read_manifest,
    renewed,
    save_manifest,
)
from pipelines.warehouse.publishing.candidates import Candidates, find_candidates, marked
from pipelines.warehouse.publishing.new_file import (
    block_size_for,
    compact_if_grown,
    copy_checked,
    has_log,
    name_new_file,
    put_in_place,
    remove_log,
    sweep,
)
from pipelines.warehouse.publishing.proof import Proof
from pipelines.warehouse.publishing.sharing import is_shared_so, let_readers_in, share
from pipelines.warehouse.publishing.source import MirrorSource
from pipelines.warehouse.publishing.write import Written, write_projects
from pipelines.warehouse.store.results import Published

log = logging.getLogger("redcap_warehouse")

NO_RECORD = "there is no record of what was published last"
ASKED = "that was requested"
BLOCKS = "for its number and size of tables it needs blocks of another size"


def publish(
    folder: WarehouseFolder,
    *,
    memory_limit: str | None = None,
    configured: Collection[str] | None = None,
    sharing: Sharing = PRIVATE,
    rebuild: bool = False,
) -> Published:
    """Publish every project loaded since the last publish, where readers would see anything new.

    The whole file is made again with `rebuild`, and by itself if it is not what was published last. `configured` names
    the projects of projects.yaml: one that was removed from it is no longer published, whatever is wrong with its files
    (None publishes all); what was published of it before stays. `sharing` is the mode and the group of the published
    file; raises ConfigError, before anything is published, if it cannot have them.

    One process publishes at a time. One that had to wait for another usually finds its own work done, so many projects
    that finish together share a publish. A project whose mirror cannot be published does not hold up the others: they
    are published, and NotAllPublished is raised then.
    """
    folder.make()
    with FileLock(folder.publish_lock, mode=0o600):
        sweep(folder)
        try:
            let_readers_in(folder.path, sharing)
            published = _publish(folder, memory_limit, configured, sharing, rebuild=rebuild)
        except (OSError, DatabaseError) as problem:
            raise unusable(folder.database, problem) from None
        finally:
            sweep(folder)
    if published.failed:
        raise NotAllPublished(
            published=published.projects,
            failed=published.failed,
            left_out=published.left_out,
            rebuilt=published.rebuilt,
        )
    return published


def _publish(
    folder: WarehouseFolder,
    memory_limit: str | None,
    configured: Collection[str] | None,
    sharing: Sharing,
    *,
    rebuild: bool,
) -> Published:
    before, why = find_state(folder, rebuild=rebuild)
    if before is not None and why is None:
        before = _shared(folder, before, sharing)
    waiting = marked(folder, configured)
    is_first = before is None and not rebuild and not folder.database.exists()
    if not waiting and (is_first or (why is None and not (before and before.left_out))):
        return Published()
    with private_files():
        new = name_new_file(folder)
        if why is None and before is not None:
            candidates = find_candidates(folder, waiting, before, anew=False)
            if not candidates.sources and _is_as_published(folder, before, candidates):
                return _note_unchanged(folder, before, candidates, waiting)
            if candidates.sources and _has_outgrown_its_blocks(before, candidates):
                every = find_candidates(folder, waiting, before, anew=True)
                if not (every.failed or every.waiting):
                    done = replace_published(folder, new, before, every, waiting, memory_limit, sharing, why=BLOCKS)
                    if done.written:
                        return done
            if candidates.sources and copy_checked(folder.database, new, before.file):
                return replace_published(folder, new, before, candidates, waiting, memory_limit, sharing, why=None)
            new.unlink(missing_ok=True)
            why = CHANGED
        candidates = find_candidates(folder, waiting, before, anew=not is_first)
        if not candidates.sources:
            return _nothing_to_write(folder, candidates, why=None if is_first else why)
        why = None if is_first else why
        return replace_published(folder, new, before, candidates, waiting, memory_limit, sharing, why=why)


def find_state(folder: WarehouseFolder, *, rebuild: bool = False) -> tuple[Publication | None, str | None]:
    """What was published last, and why the file cannot be continued; None if it is exactly that."""
    if folder.database.is_dir() and not folder.database.is_symlink():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(folder.database))
    before = read_manifest(folder).current(folder.database)
    if rebuild:
        return before, ASKED
    if before is None:
        return None, NO_RECORD
    if why := difference(folder.database, before):
        return before, why
    if before.file.is_of(folder.database) and not has_log(folder):
        return before, None
    # The bytes are the same: its mode or its place was changed, or it came from a backup.
    remove_log(folder)
    before = renewed(before, folder.database)
    save_manifest(folder, Manifest((before,)))
    return before, None


def _shared(folder: WarehouseFolder, before: Publication, sharing: Sharing) -> Publication:
    """Give the published file its mode and group, where it has others."""
    if is_shared_so(folder.database, sharing):
        return before
    share(folder.database, sharing)
    before = renewed(before, folder.database)
    save_manifest(folder, Manifest((before,)))
    return before


def _has_outgrown_its_blocks(before: Publication, candidates: Candidates) -> bool:
    shapes = {name: entry.shape for name, entry in before.projects.items()}
    shapes |= {source.project: source.shape for source in candidates.sources}
    return block_size_for(shapes.values()) != before.block_size


def _is_as_published(folder: WarehouseFolder, before: Publication, candidates: Candidates) -> bool:
    """Whether the file may be left as it is; where every record was read again, its bytes are compared."""
    # What is published was compared with the mirrors when it was: if the bytes are the same, so is the rest.
    return not candidates.any_refreshed(before) or crc32(folder.database) == before.file.crc32


def _note_unchanged(
    folder: WarehouseFolder, before: Publication, candidates: Candidates, waiting: Mapping[str, str]
) -> Published:
    """Note the runs that changed nothing; the published file stays as it is."""
    runs = {source.project: source.last_load for source in candidates.unchanged}
    projects = {name: replace(entry, run=runs.get(name, entry.run)) for name, entry in before.projects.items()}
    save_manifest(folder, Manifest((replace(before, projects=projects),)))
    for project in runs:
        if project in waiting:
            folder.mark_published(project, waiting[project])
    return Published(tuple(runs), candidates.failed)


def _nothing_to_write(folder: WarehouseFolder, candidates: Candidates, *, why: str | None) -> Published:
    if why:
        lacks = _listed(candidates.failed | candidates.waiting)
        log.warning("%s cannot be made again from the projects' mirrors now (%s).%s", folder.database.name, why, lacks)
    return Published((), candidates.failed, candidates.waiting)


def replace_published(
    folder: WarehouseFolder,
    new: Path,
    before: Publication | None,
    candidates: Candidates,
    waiting: Mapping[str, str],
    memory_limit: str | None,
    sharing: Sharing,
    *,
    why: str | None,
) -> Published:
    """Write the new file and put it in the place of the published one; `why` it is made anew, if it is."""
    continues = new.exists()
    written = write_projects(folder, new, candidates.sources, memory_limit)
    if written.copied in written.failed:
        # The file is a copy of a mirror that could not be published, so it is of no use to the others either.
        new.unlink()
        written = write_projects(folder, new, candidates.sources, memory_limit, may_copy=False)
    failed = candidates.failed | written.failed
    missing = candidates.waiting | written.waiting
    # Nobody needs other blocks so much as to do without a project that cannot be published now.
    if not written.proofs or (why == BLOCKS and (failed or missing)):
        new.unlink()
        return Published((), failed, missing)
    compact_size = compact_if_grown(new, memory_limit, before if continues else None, discarded=written.discarded)
    projects = dict(before.projects) if before and continues else {}
    projects |= _entries(candidates.unchanged, candidates.sources, written, projects)
    left_out = _left_out(before, projects, failed | missing)
    share(new, sharing)
    shapes = [source.shape for source in candidates.sources]
    block_size = before.block_size if before and continues else block_size_for(shapes)
    state = Publication(NO_FILE, projects, left_out, compact_size, block_size)
    put_in_place(folder, new, before, state)
    done = (*written.proofs, *(source.project for source in candidates.unchanged))
    for project in done:
        if project in waiting:
            folder.mark_published(project, waiting[project])
    reasons = {name: (failed | missing).get(name, "") for name in left_out}
    if why:
        lacks = _listed(reasons)
        log.warning("%s was made again from the projects' mirrors: %s.%s", folder.database.name, why, lacks)
    return Published(done, failed, reasons, why, written=True)


def _listed(left_out: Mapping[str, str]) -> str:
    if not left_out:
        return ""
    return " It lacks " + "; ".join(f"{project}: {reason}" for project, reason in left_out.items()) + "."


def _entries(
    unchanged: list[MirrorSource], sources: list[MirrorSource], written: Written, before: Mapping[str, PublishedProject]
) -> dict[str, PublishedProject]:
    """What the manifest says of the projects that this publish took up."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    entries = {source.project: replace(before[source.project], run=source.last_load) for source in unchanged}
    for source in sources:
        if (proof := written.proofs.get(source.project)) is not None:
            entries[source.project] = entry_of(source, proof, now)
    return entries


def entry_of(source: MirrorSource, proof: Proof, now: str) -> PublishedProject:
    """What the manifest says of a project that was written at this time (UTC, in ISO format)."""
    return PublishedProject(
        identity=source.identity,
        run=source.last_load,
        content=source.content,
        instruments=proof.instruments,
        rows=proof.rows,
        compared=proof.compared,
        whole=proof.whole,
        published_at=now,
        largest_table=source.shape.largest_table,
    )


def _left_out(
    before: Publication | None, projects: Mapping[str, PublishedProject], missing: Collection[str]
) -> dict[str, str]:
    """Projects that the new file should have and lacks, with the last run that was published, if that is known."""
    if before is None:
        return dict.fromkeys(missing, "")
    known = {name: entry.run for name, entry in before.projects.items()} | dict(before.left_out)
    return {name: run for name, run in known.items() if name not in projects}
