"""What was published last, in a file beside the mirrors: which bytes, and which run of each project.

The published file is open to its readers, and DuckDB lets them write by default. So nothing that is found in it is
trusted before it is compared with this manifest. Not here: publishing (publishing/publish.py).
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from pipelines.warehouse.database.connection import private_files, sync_to_disk
from pipelines.warehouse.folder import WarehouseFolder

# The number of the manifest's format, and of what is published; a file of another one is made again.
VERSION = 4
# How much of a file is read at a time.
PIECE = 2**22

# What can be found instead of the published file.
MISSING = "it was missing"
EMPTY = "it was empty"
CHANGED = "its content had been changed since it was published"
UNREADABLE = "it could not be read"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What identifies a file, and its bytes."""

    size: int
    inode: int
    modified_ns: int
    changed_ns: int
    crc32: int

    def is_of(self, path: Path) -> bool:
        """Whether the file is the same by what the system says of it, without reading it."""
        with suppress(FileNotFoundError):
            found = path.stat()
            return (found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns) == (
                self.size,
                self.inode,
                self.modified_ns,
                self.changed_ns,
            )
        return False


# For a state whose file is not written yet.
NO_FILE = Fingerprint(0, 0, 0, 0, 0)


class Shape(NamedTuple):
    """What decides how many blocks a project takes, and how large they should be."""

    instruments: int
    largest_table: int
    """About how many cells it has."""


@dataclass(frozen=True, slots=True)
class PublishedProject:
    """What was published of a project, and how far it was compared with its mirror afterwards."""

    identity: str
    """That of the mirror."""
    run: str
    """The last run that is published, or that changed nothing of what is."""
    content: str
    """A digest of what the mirror holds for readers."""
    instruments: int = 0
    rows: int = 0
    """How many rows its instruments have together."""
    compared: int = 0
    """In how many instruments the last publish that changed it compared rows value by value; it counted all."""
    whole: bool = False
    """Whether it compared all rows of all instruments."""
    published_at: str = ""
    """UTC, in ISO format."""
    largest_table: int = 0
    """About how many cells it has."""

    @property
    def shape(self) -> Shape:
        """What decides how many blocks it takes."""
        return Shape(self.instruments, self.largest_table)


@dataclass(frozen=True, slots=True)
class Publication:
    """One state of the published file."""

    file: Fingerprint
    projects: Mapping[str, PublishedProject] = field(default_factory=dict)
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Projects that were published before and are not in the file, with the last run that was."""
    compact_size: int = 0
    """How large the file was when it last had no free blocks, in bytes."""
    block_size: int = 0
    """How large its blocks are, in bytes."""

    def names(self, project: str) -> bool:
        """Whether the project was published."""
        return project in self.projects or project in self.left_out

    def without(self, project: str) -> Publication:
        """The same without a project."""
        return replace(
            self,
            projects={name: entry for name, entry in self.projects.items() if name != project},
            left_out={name: run for name, run in self.left_out.items() if name != project},
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """The states of the published file that a reader may find: one, or while it is being replaced two."""

    states: tuple[Publication, ...] = ()

    def current(self, database: Path) -> Publication | None:
        """The state that the file is in, or without one to tell, was in last."""
        for state in self.states:
            if state.file.is_of(database):
                return state
        size = database.stat().st_size if database.exists() else -1
        same_size = [state for state in self.states if state.file.size == size]
        if len(same_size) > 1:
            with suppress(OSError):
                checksum = crc32(database)
                same_size = [state for state in same_size if state.file.crc32 == checksum] or same_size
        return next(iter(same_size or self.states), None)


def manifest_path(folder: WarehouseFolder) -> Path:
    """Where the manifest is."""
    return folder.work / "published.json"


def read_manifest(folder: WarehouseFolder) -> Manifest:
    """The manifest; an empty one if there is none, or none of this version that is whole."""
    try:
        content = json.loads(manifest_path(folder).read_bytes())
        if content["version"] != VERSION or content["crc32"] != _checksum(content["states"]):
            return Manifest()
        return Manifest(tuple(_state(state) for state in content["states"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return Manifest()


def save_manifest(folder: WarehouseFolder, manifest: Manifest) -> None:
    """Replace the manifest in one step."""
    path = manifest_path(folder)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    states = [asdict(state) for state in manifest.states]
    with private_files():
        fresh.write_text(json.dumps({"version": VERSION, "crc32": _checksum(states), "states": states}))
        sync_to_disk(fresh)
        fresh.replace(path)
        sync_to_disk(path.parent)


def unfinished_manifests(folder: WarehouseFolder) -> list[Path]:
    """What processes left that died while they saved the manifest."""
    return list(folder.work.glob(f".{manifest_path(folder).name}.*"))


def last_published(folder: WarehouseFolder) -> Publication | None:
    """What was published last, whatever has become of the file since; None if that is not known."""
    return read_manifest(folder).current(folder.database)


def fingerprint(path: Path, checksum: int | None = None) -> Fingerprint:
    """The fingerprint of a file; `checksum` is that of its bytes, where it is known."""
    checksum = crc32(path) if checksum is None else checksum
    found = path.stat()
    return Fingerprint(found.st_size, found.st_ino, found.st_mtime_ns, found.st_ctime_ns, checksum)


def renewed(state: Publication, path: Path) -> Publication:
    """The state with what the system says of the file now; its bytes are known to be the same."""
    return replace(state, file=fingerprint(path, state.file.crc32))


def log_beside(folder: WarehouseFolder) -> Path:
    """The write-ahead log beside the published file: only a reader who writes to it leaves one."""
    return Path(f"{folder.database}.wal")


def difference(database: Path, published: Publication) -> str | None:
    """How the file differs from what was published last; None if it is the same, byte by byte."""
    if not database.exists():
        return MISSING
    if published.file.is_of(database):
        return None
    size = database.stat().st_size
    if not size:
        return EMPTY
    if size != published.file.size:
        return f"it had {size:,} bytes instead of {published.file.size:,}"
    try:
        return CHANGED if crc32(database) != published.file.crc32 else None
    except PermissionError:
        return UNREADABLE


def crc32(path: Path) -> int:
    """A checksum of a file's bytes. It finds accidents, at four gigabytes a second; it is no signature."""
    checksum = 0
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            checksum = zlib.crc32(piece, checksum)
    return checksum


def _checksum(states: list[dict[str, object]]) -> int:
    """A checksum of what the manifest says, so that no damage of it goes unnoticed."""
    return zlib.crc32(json.dumps(states, sort_keys=True).encode())


def _state(state: Mapping[str, Mapping[str, object]]) -> Publication:
    projects = {str(name): PublishedProject(**entry) for name, entry in state["projects"].items()}  # type: ignore[arg-type]
    return Publication(
        file=Fingerprint(**state["file"]),  # type: ignore[arg-type]
        projects=projects,
        left_out={str(name): str(run) for name, run in state["left_out"].items()},
        compact_size=int(state["compact_size"]),  # type: ignore[call-overload]
        block_size=int(state["block_size"]),  # type: ignore[call-overload]
    )
