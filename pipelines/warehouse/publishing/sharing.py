"""Gives the published file its mode and group, and lets its readers reach it.

Readers enter the warehouse folder and cannot list it; the folder `work` stays its owner's. Not here: which modes
projects.yaml may give (config/values.py).
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from pipelines.errors import ConfigError
from pipelines.sharing import Sharing
from pipelines.wording import printable

_WHERE = "projects.yaml, published.group"
_KEPT = "Nothing was published; what was loaded is kept, and `redcap-warehouse publish` publishes it later."


def share(path: Path, sharing: Sharing) -> None:
    """Give a file its mode and group.

    Raises ConfigError if there is no such group, or if this user may not give files to it; then nothing is changed.
    """
    group = _group_id(sharing)
    # Before the mode, which the group that the file has now is not meant to have.
    if group is not None and path.stat().st_gid != group:
        _give(path, sharing, group)
    path.chmod(sharing.mode)


def is_shared_so(path: Path, sharing: Sharing) -> bool:
    """Whether the file has this mode and this group; raises ConfigError if there is no such group."""
    found, group = path.stat(), _group_id(sharing)
    return stat.S_IMODE(found.st_mode) == sharing.mode and group in (None, found.st_gid)


def let_readers_in(folder: Path, sharing: Sharing) -> None:
    """Let the readers of a shared file pass its folder; rights that the folder gives already are kept.

    Called before anything is written: raises ConfigError as `share` does, so that no file is published that its readers
    cannot open.
    """
    group, found = _group_id(sharing), folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    wanted = mode | (0o010 if sharing.with_group else 0) | (0o001 if sharing.with_all else 0)
    if group is not None and group != found.st_gid:
        _give(folder, sharing, group)
    if wanted != mode:
        folder.chmod(wanted)


def _give(path: Path, sharing: Sharing, group: int) -> None:
    try:
        os.chown(path, -1, group)
        return
    except PermissionError as problem:
        reason = problem.strerror
    raise ConfigError(
        f"this user may not give {path} to the group {printable(sharing.group)} ({reason}).",
        where=_WHERE,
        remedy=f"{_KEPT} The user who loads must own the warehouse folder and be a member of the group.",
    )


def _group_id(sharing: Sharing) -> int | None:
    """The number of the group; None where none is named, or where it may not read anyway."""
    if not sharing.group or not sharing.with_group:
        return None
    import grp  # which Windows does not have

    try:
        return grp.getgrnam(sharing.group).gr_gid
    except KeyError:
        pass
    if sharing.group.isascii() and sharing.group.isdigit():
        # In a container a group often has no name.
        return int(sharing.group)
    raise ConfigError(
        f"this machine has no group {printable(sharing.group)}.",
        where=_WHERE,
        remedy=f"{_KEPT} Create the group, or name another one.",
    )
