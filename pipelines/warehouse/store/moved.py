"""A note in the warehouse folder: its projects were moved into a store for several machines, or are being moved.

While it says so, nothing is loaded into the folder as a store of files, and nothing is published there: it would be
missing in the other place. The note is work/moved.json.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pipelines.errors import MovedAway
from pipelines.warehouse.database.connection import private_files, sync_to_disk
from pipelines.warehouse.folder import WarehouseFolder

HERE, MOVING_IN, MOVED, MOVING_OUT = "here", "moving in", "moved", "moving out"


@dataclass(frozen=True, slots=True)
class Note:
    """What the note says."""

    state: str
    """HERE once the warehouse came back; MOVING_IN and MOVED to a store, MOVING_OUT of it into this folder."""
    folder_id: str
    """By which the store knows this folder, wherever it is mounted."""
    store: str
    """Where the store has its data."""
    since: str
    """UTC, in ISO format."""


def note_path(folder: WarehouseFolder) -> Path:
    """Where the note is."""
    return folder.work / "moved.json"


def read_note(folder: WarehouseFolder) -> Note | None:
    """The note, or None; one that cannot be read is one that says that the warehouse was moved."""
    path = note_path(folder)
    try:
        return Note(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError):
        since = datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat()
        return Note(MOVED, "", "a store that its damaged note work/moved.json does not name", since)


def write_note(folder: WarehouseFolder, state: str, store: str) -> Note:
    """Say what has become of the warehouse; the folder keeps its id."""
    known, since = read_note(folder), datetime.now(UTC).isoformat()
    if known is None:
        note = Note(state, secrets.token_hex(8), store, since)
    else:
        note = replace(known, state=state, store=store, since=since, folder_id=known.folder_id or secrets.token_hex(8))
    path = note_path(folder)
    begun = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with private_files():
        begun.write_text(json.dumps(asdict(note)))
    sync_to_disk(begun)
    begun.replace(path)
    sync_to_disk(path.parent)
    return note


def refuse_if_moved(folder: WarehouseFolder) -> None:
    """Raise MovedAway if the warehouse is not, or not yet again, in this folder's files."""
    note = read_note(folder)
    if note is None or note.state == HERE:
        return
    # Seen from the folder: into the store is out of the folder.
    done = {MOVED: "moved out", MOVING_IN: "moving out", MOVING_OUT: "moving in"}[note.state]
    since = datetime.fromisoformat(note.since)
    remedy = "Name that place in projects.yaml, under `store:`."
    raise MovedAway(what=str(folder.path), done=done, place=note.store, since=since, remedy=remedy)
