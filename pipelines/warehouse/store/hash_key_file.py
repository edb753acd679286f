"""The key that identifiers are hashed with, in a file of its own that only its owner can read."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from pipelines.warehouse.database.connection import private_files, sync_to_disk


class HashKeyFile:
    """Keeps the key in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """The path of the file."""
        return str(self._path)

    def read(self) -> str | None:
        """What is in the file; None if there is none."""
        try:
            return self._path.read_text(encoding="ascii", errors="replace").strip()
        except FileNotFoundError:
            return None

    def make(self) -> str:
        """Make a key, in one step and only if there is none: of several processes only one makes it."""
        return self.keep(secrets.token_hex(32))

    def keep(self, key: str) -> str:
        """Keep this key in the same way; returns the one that there is."""
        path = self._path
        fresh = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
        with private_files():
            try:
                fresh.write_text(key, encoding="ascii")
                sync_to_disk(fresh)
                path.hardlink_to(fresh)
                sync_to_disk(path.parent)
            except FileExistsError:
                # Another process was first; its key is used.
                pass
            finally:
                fresh.unlink(missing_ok=True)
        return self.read() or ""
