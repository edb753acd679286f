"""This machine's copy of one project's mirror, and what is known of it: work/<project>.checkout.json.

The file says which version the copy was made from, and whether it is still that version. It is written before the copy
is changed, so that after a crash it never claims more than is true. Only who holds the project's lock writes it.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from pipelines.errors import WarehouseDamaged
from pipelines.warehouse.database.connection import (
    open_reader,
    open_writer,
    private_files,
    remove_database,
    sync_to_disk,
)
from pipelines.warehouse.database.file_errors import unusable
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.shared.digest import Digest, digest_of
from pipelines.warehouse.shared.names import on_its_way


class Version(NamedTuple):
    """One version of a mirror. Its number alone would not name it: after PostgreSQL was restored from a backup, numbers
    are given a second time."""

    number: int
    recorded: str
    """Under which name it is in the shared place."""


# The version of a copy that was begun on this machine.
NONE = Version(0, "")
# The version of a copy whose content must not be used: it is checked out again.
DISCARDED = Version(-1, "")
# Seconds after which nobody reads a downloaded file any more: its reader was killed.
LONGEST_READING = 86_400.0
# Copies in a process of its own: closing a file ends all locks that this process has on it, and DuckDB's lock is what
# keeps readers away from a mirror that is open. With Python's start it takes 0.05 s for 100 MB.
_COPY = """
import shutil, sys
try:
    shutil.copyfile(sys.argv[1], sys.argv[2])
except OSError as problem:
    sys.exit(problem.errno or 5)
"""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the system says of a file: the same facts, the same content, as nobody sets times back."""

    size: int
    mtime_ns: int
    ino: int


@dataclass(frozen=True, slots=True)
class CheckedOut:
    """What is known of a copy."""

    made_from: Version
    """The version it was made from; NONE if it was begun here, DISCARDED if it must not be used."""
    clean: bool
    """Whether it was that version, unchanged, while it had these facts."""
    facts: Facts | None = None
    store: str = ""
    """The id of the store that it belongs to; blank if that is not known."""

    @property
    def version(self) -> int:
        """The number of that version: 0 if it was begun here, -1 if it must not be used."""
        return self.made_from.number


class LocalCopy:
    """The copy of one project's mirror on this machine."""

    def __init__(self, folder: WarehouseFolder, project: str, store: str = "") -> None:
        """`store` is the id of the store that it is saved as a copy of."""
        self.project = project
        self._store = store
        self.path = folder.mirror(project)
        self._wal = Path(f"{self.path}.wal")
        self._state = folder.work / f"{project}.checkout.json"

    def exists(self) -> bool:
        """Whether there is a copy."""
        return self.path.exists()

    def known(self) -> CheckedOut | None:
        """What was saved; None if nothing was. What cannot be read means that the copy must not be used."""
        try:
            text = self._state.read_bytes()
        except FileNotFoundError:
            return None
        try:
            found = json.loads(text)
            facts = Facts(**found["facts"]) if found["facts"] else None
            version = Version(int(found["version"]), found["object"])
            return CheckedOut(version, bool(found["clean"]), facts, str(found.get("store", "")))
        except (ValueError, TypeError, KeyError):
            return CheckedOut(DISCARDED, clean=False)

    def save(self, version: Version, *, clean: bool) -> None:
        """Save which version the copy was made from, and whether it is that version as it is now."""
        facts = self.facts() if clean else None
        state = {"version": version.number, "object": version.recorded, "clean": clean, "store": self._store}
        begun = self._state.with_name(f".{self._state.name}.{secrets.token_hex(4)}")
        with private_files():
            begun.write_text(json.dumps({**state, "facts": facts and asdict(facts)}))
        sync_to_disk(begun)
        begun.replace(self._state)
        sync_to_disk(self._state.parent)

    def facts(self) -> Facts | None:
        """What the system says of the copy now; None if there is none, or if a part of it is in a write-ahead log."""
        with suppress(FileNotFoundError):
            if self._wal.stat().st_size:
                return None
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return None
        return Facts(found.st_size, found.st_mtime_ns, found.st_ino)

    def is_clean(self, version: Version) -> bool:
        """Whether the copy is a version, unchanged, by what was saved and by the file's facts."""
        known, facts = self.known(), self.facts()
        return (
            known is not None
            and known.clean
            and known.made_from == version
            and facts is not None
            and (known.facts == facts)
        )

    def holds(self, digest: Digest) -> bool:
        """Whether the copy has this content."""
        facts = self.facts()
        return facts is not None and facts.size == digest.size and digest_of(self.path) == digest

    def check_whole(self) -> None:
        """Raise WarehouseDamaged if the copy is no whole database; a write-ahead log is brought into it first."""
        if self._wal.exists():
            with open_writer(self.path):
                pass
        with open_reader(self.path):
            pass
        if self.facts() is None:
            raise WarehouseDamaged(path=self.path, found="its write-ahead log cannot be brought into it")

    def incoming(self) -> Path:
        """A name beside the copy for a download; what killed processes left there is removed."""
        self.remove_downloads(read_for=LONGEST_READING)
        return on_its_way(self.path, secrets.token_hex(4))

    def replace(self, incoming: Path) -> None:
        """Put a downloaded file in the place of the copy, whose content is to be discarded."""
        # With the log of the old content, the new one would be damaged.
        self._wal.unlink(missing_ok=True)
        incoming.replace(self.path)
        sync_to_disk(self.path.parent)

    def remove(self, *, read_for: float = 0.0) -> None:
        """Remove the copy, what is on its way to it or to readers (see `remove_downloads`), and what is known of it."""
        if self.exists():
            self.save(DISCARDED, clean=False)
        remove_database(self.path)
        self.remove_downloads(read_for=read_for)
        self._state.unlink(missing_ok=True)

    def remove_downloads(self, *, read_for: float = 0.0) -> bool:
        """Remove what is on its way to the copy, and what readers have had for so many seconds; whether there was any.

        Readers hold no lock.
        """
        removed = False
        for kind, longest in (("incoming", 0.0), ("reading", read_for)):
            for leftover in self.path.parent.glob(f".{self.path.name}.*.{kind}"):
                with suppress(FileNotFoundError):
                    if not longest or time.time() - leftover.stat().st_mtime > longest:
                        leftover.unlink()
                        removed = True
        return removed

    def release(self) -> None:
        """Forget what is known of the copy: it is the mirror of a warehouse in files from now on."""
        self._state.unlink(missing_ok=True)

    def snapshot(self, target: Path) -> None:
        """Copy the mirror while this process has it open, right after a checkpoint and with no change meanwhile.

        Raises WarehouseDamaged if it was being changed.
        """
        before = self.facts()
        with private_files():
            target.touch(exist_ok=False)
        done = subprocess.run(  # noqa: S603 (this Python, and paths of this warehouse)
            [sys.executable, "-I", "-S", "-c", _COPY, os.fspath(self.path), os.fspath(target)],
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise unusable(target, OSError(done.returncode, os.strerror(done.returncode)))
        if before is None or self.facts() != before:
            raise WarehouseDamaged(path=target, found="the mirror was changed while it was copied")
