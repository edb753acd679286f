"""Brings a working copy to the newest version of its mirror, and fetches versions that are only read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from pipelines.coordination import Coordination, WorkingVersion
from pipelines.errors import WarehouseDamaged
from pipelines.store_errors import LostVersion, ObjectMissing, UnknownCopy
from pipelines.warehouse.shared.digest import Digest
from pipelines.warehouse.shared.local_copy import DISCARDED, NONE, CheckedOut, LocalCopy, Version
from pipelines.warehouse.shared.place import SharedPlace

log = logging.getLogger(__name__)

Step = Callable[[str], None]
"""Called with a name after each action; tests kill a process there."""


def no_step(name: str) -> None:
    """Does nothing."""


def check_out(copy: LocalCopy, place: SharedPlace, coordination: Coordination, step: Step = no_step) -> Version:
    """Bring the copy to the newest version unless it was made from it; returns that version, NONE for none.

    Only while the project's lock is held. The copy is replaced after the download has been verified, and saved as one
    that must not be used before that. Raises UnknownCopy for a file of which nothing is known, and LostVersion for a
    copy of a version that the store does not know.
    """
    newest = coordination.working(copy.project)
    known, version = copy.known(), version_of(newest) if newest else NONE
    if copy.exists() and known is None:
        raise UnknownCopy(project=copy.project, path=copy.path)
    if copy.exists() and known is not None and known.made_from == version and _may_continue(copy, version):
        return version
    if newest is None:
        if copy.exists() and known is not None and known.version > 0 and not _is_forgotten(known, coordination, copy):
            raise LostVersion(project=copy.project, path=copy.path, version=known.version)
        copy.remove()
        return NONE
    digest = Digest(newest.bytes, newest.sha256)
    # A process that ended right after its check-in had no time to note it.
    if not copy.holds(digest):
        incoming = copy.incoming()
        try:
            place.get(newest.object, incoming, digest)
            step("downloaded")
            copy.save(DISCARDED, clean=False)
            step("discarded")
            copy.replace(incoming)
            step("replaced")
        finally:
            incoming.unlink(missing_ok=True)
    copy.save(version, clean=True)
    return version


def _is_forgotten(known: CheckedOut, coordination: Coordination, copy: LocalCopy) -> bool:
    forgotten = coordination.forgotten().get(copy.project)
    return forgotten is not None and known.version < forgotten.version


def version_of(newest: WorkingVersion) -> Version:
    """What coordination knows as the newest version."""
    return Version(newest.version, newest.object)


def download(
    place: SharedPlace, newest: WorkingVersion, target: Path, look_up: Callable[[str], WorkingVersion]
) -> None:
    """Write the newest version into a file; one that was deleted meanwhile is looked up again, as others load."""
    while True:
        try:
            place.get(newest.object, target, Digest(newest.bytes, newest.sha256))
            return
        except ObjectMissing:
            again = look_up(newest.project)
            if version_of(again) == version_of(newest):
                raise
            newest = again


def _may_continue(copy: LocalCopy, version: Version) -> bool:
    """Whether a copy of the newest version is that version, or what an interrupted load of it left."""
    if copy.is_clean(version):
        return True
    known, reason = copy.known(), "was changed by something else than a load"
    if known is not None and not known.clean:
        try:
            if version != NONE:
                copy.check_whole()
            return True
        except WarehouseDamaged as problem:
            reason = f"cannot be continued, because {problem.found}"
    log.warning("%s: the working copy on this machine %s; it is checked out again.", copy.project, reason)
    return False
