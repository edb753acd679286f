"""Removes from this machine what other machines have removed from the store with `forget`.

Only what the store says was forgotten, never what it does not know: an empty or another database is an error of its
own. Only copies of this store that nobody uses, and only if nothing would be lost with them.
"""

from __future__ import annotations

from contextlib import suppress
from enum import Enum

from pipelines.coordination import Coordination, Forgotten
from pipelines.errors import WarehouseBusy
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.locks import project_locked
from pipelines.warehouse.shared.local_copy import DISCARDED, LONGEST_READING, NONE, LocalCopy


class _Verdict(Enum):
    """What is to become of a copy; the value of one that stays says why."""

    NOTHING = "it is not a copy of what was forgotten"
    REMOVE = "nothing is lost with it"
    UNSENT = "it has work that was not stored"
    UNKNOWN = "the store does not know its version"


def remove_forgotten(folder: WarehouseFolder, coordination: Coordination) -> list[str]:
    """Remove this machine's copies of projects that were forgotten; returns lines that say what was removed or kept."""
    removed: list[str] = []
    kept: list[str] = []
    for project, forgotten in coordination.forgotten().items() if folder.work.exists() else ():
        copy = LocalCopy(folder, project, coordination.store_id())
        # A run that has it now removes it by itself.
        with suppress(WarehouseBusy), project_locked(folder, project):
            verdict = _verdict(copy, forgotten, coordination.store_id())
            # What is downloaded now is of the project that has the name today.
            read_for = LONGEST_READING if forgotten.again else 0.0
            found = verdict is _Verdict.REMOVE or (not forgotten.again and copy.remove_downloads())
            if verdict is _Verdict.REMOVE:
                copy.remove(read_for=read_for)
                folder.clear_staging(project)
            elif verdict is not _Verdict.NOTHING and not forgotten.again:
                kept.append(_kept(copy, verdict))
            if found:
                removed.append(project)
    if removed:
        names = ", ".join(removed)
        kept.insert(0, f"Removed from this machine what `forget` removed from the store: {names}.")
    return kept


def _verdict(copy: LocalCopy, forgotten: Forgotten, store: str) -> _Verdict:
    known = copy.known()
    if known is None or known.store not in (store, ""):
        # A warehouse in files, or another store.
        return _Verdict.NOTHING
    if known.store == "":
        return _Verdict.UNKNOWN
    if known.made_from == NONE:
        return _Verdict.UNSENT
    if known.made_from == DISCARDED:
        return _Verdict.REMOVE
    if known.version >= forgotten.version:
        return _Verdict.NOTHING if forgotten.again else _Verdict.UNKNOWN
    return _Verdict.REMOVE if not copy.exists() or copy.is_clean(known.made_from) else _Verdict.UNSENT


def _kept(copy: LocalCopy, verdict: _Verdict) -> str:
    return (
        f"{copy.project}: it was removed from the store by `forget`, and this machine keeps its copy, because "
        f"{verdict.value}: {copy.path}. To remove that, too, run `redcap-warehouse forget {copy.project}` here."
    )


def copies_here(folder: WarehouseFolder, project: str) -> list[str]:
    """The path of this machine's copy of the project, if there is one; the mirror of a warehouse in files is none."""
    copy = LocalCopy(folder, project)
    return [str(copy.path)] if copy.exists() and copy.known() is not None else []
