"""The key with which a warehouse hashes identifiers: made once, and the same for as long as hashes exist.

With another key the same person would silently have another hash. So each mirror stores a fingerprint of the key its
hashes were made with, and a load refuses any other key.
"""

from __future__ import annotations

import hashlib
import re

from pipelines.errors import HashKeyUnusable, WarehouseBusy, WarehouseDamaged
from pipelines.warehouse.database.connection import Connection, open_reader
from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.sql import statements
from pipelines.warehouse.store.protocol import Store
from pipelines.warehouse.tables.layout import Layout

_KEY = re.compile(r"[0-9a-f]{64}")


def read_hash_key(store: Store, project: str, connection: Connection) -> str:
    """The store's key, for a project whose mirror is open; made if nothing was ever hashed with one.

    Raises HashKeyUnusable if the key is missing, is malformed, or is not the one the project's hashes were made with.
    """
    known, kept = _fingerprint_in(connection), store.hash_key
    text = kept.read()
    if text is None:
        hashed = [project] if known else _hashed_projects(store, project)
        if hashed:
            raise HashKeyUnusable(path=kept.place, found="is missing", projects=hashed)
        text = kept.make()
    if not _KEY.fullmatch(text):
        raise HashKeyUnusable(path=kept.place, found="does not hold a key of 64 hexadecimal digits", projects=())
    if known not in (None, fingerprint(text)):
        raise HashKeyUnusable(path=kept.place, found="is another key", projects=[project])
    return text


def fingerprint(key: str) -> str:
    """A digest that identifies the key and reveals nothing else about it."""
    return hashlib.sha256(f"fingerprint of a hash key of redcap-warehouse {key}".encode()).hexdigest()[:32]


def save_fingerprint(connection: Connection, layout: Layout, stamp: RunStamp) -> None:
    """Store the key's fingerprint in the transaction that stores the first values hashed with it."""
    if stamp.hash_key and any(column.hashed for table in layout.instruments for column in table.columns):
        connection.execute(statements("state")["save_hash_key"], {"fingerprint": fingerprint(stamp.hash_key)})


def _hashed_projects(store: Store, but: str) -> list[str]:
    """Other projects with hashed values; one that is being loaded has read the key already and is skipped."""
    found = []
    for name in sorted(store.mirrors.projects() - {but}):
        try:
            with store.mirrors.to_read(name) as path, open_reader(path) as connection:
                there = _fingerprint_in(connection)
        except (WarehouseBusy, WarehouseDamaged):
            continue
        if there:
            found.append(name)
    return found


def _fingerprint_in(connection: Connection) -> str | None:
    """The fingerprint a mirror stores; None if it has no hashed values."""
    state = statements("state")
    there = connection.execute(state["can_hash"]).fetchone()
    row = connection.execute(state["read_hash_key"]).fetchone() if there and there[0] else None
    return row[0] if row else None
