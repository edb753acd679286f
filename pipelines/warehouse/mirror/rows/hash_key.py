"""The key with which a warehouse hashes identifiers: made once, and the same for as long as hashes exist.

With another key the same person would silently have another hash. So each mirror stores a fingerprint of the key its
hashes were made with, and a load refuses any other key.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path

from pipelines.errors import HashKeyUnusable, WarehouseBusy, WarehouseDamaged
from pipelines.warehouse.database.connection import Connection, open_reader, private_files, sync_to_disk
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import Layout

_KEY = re.compile(r"[0-9a-f]{64}")


def read_hash_key(folder: WarehouseFolder, project: str, connection: Connection) -> str:
    """The warehouse's key, for a project whose mirror is open; made if nothing was ever hashed with one.

    Raises HashKeyUnusable if the key is missing, is malformed, or is not the one the project's hashes were made with.
    """
    known = _fingerprint_in(connection)
    text = _read(folder.hash_key)
    if text is None:
        hashed = [project] if known else _hashed_projects(folder, project)
        if hashed:
            raise HashKeyUnusable(path=folder.hash_key, found="is missing", projects=hashed)
        text = _make(folder.hash_key)
    if not _KEY.fullmatch(text):
        raise HashKeyUnusable(path=folder.hash_key, found="does not hold a key of 64 hexadecimal digits", projects=())
    if known not in (None, fingerprint(text)):
        raise HashKeyUnusable(path=folder.hash_key, found="is another key", projects=[project])
    return text


def fingerprint(key: str) -> str:
    """A digest that identifies the key and reveals nothing else about it."""
    return hashlib.sha256(f"fingerprint of a hash key of redcap-warehouse {key}".encode()).hexdigest()[:32]


def save_fingerprint(connection: Connection, layout: Layout, stamp: RunStamp) -> None:
    """Store the key's fingerprint in the transaction that stores the first values hashed with it."""
    if stamp.hash_key and any(column.hashed for table in layout.instruments for column in table.columns):
        connection.execute(statements("state")["save_hash_key"], {"fingerprint": fingerprint(stamp.hash_key)})


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except FileNotFoundError:
        return None


def _make(path: Path) -> str:
    """Make a key, in one step and only if there is none: of several processes only one makes it."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    with private_files():
        try:
            fresh.write_text(secrets.token_hex(32), encoding="ascii")
            sync_to_disk(fresh)
            path.hardlink_to(fresh)
            sync_to_disk(path.parent)
        except FileExistsError:
            # Another process was first; its key is used.
            pass
        finally:
            fresh.unlink(missing_ok=True)
    return _read(path) or ""


def _hashed_projects(folder: WarehouseFolder, but: str) -> list[str]:
    """Other projects with hashed values; one that is being loaded has read the key already and is skipped."""
    found = []
    for path in sorted(folder.work.glob("*.duckdb")):
        if path.stem == but:
            continue
        try:
            with open_reader(path) as connection:
                there = _fingerprint_in(connection)
        except (WarehouseBusy, WarehouseDamaged):
            continue
        if there:
            found.append(path.stem)
    return found


def _fingerprint_in(connection: Connection) -> str | None:
    """The fingerprint a mirror stores; None if it has no hashed values."""
    state = statements("state")
    there = connection.execute(state["can_hash"]).fetchone()
    row = connection.execute(state["read_hash_key"]).fetchone() if there and there[0] else None
    return row[0] if row else None
