"""Whether a file is the one that was written: its size and its SHA-256, computed while it is copied."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipelines.warehouse.database.connection import private_files, sync_to_disk

# Larger pieces are not read faster.
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Digest:
    """Size in bytes and SHA-256 of a file."""

    size: int
    sha256: str


def digest_of(path: Path) -> Digest:
    """The digest of a file, which is read once."""
    with path.open("rb") as source:
        return copied(source, None)


def copied(source: BinaryIO, target: BinaryIO | None) -> Digest:
    """Copy an open file to another, if there is one; returns the digest of what was read."""
    seen = hashlib.sha256()
    size = pump(source, seen, target)
    return Digest(size, seen.hexdigest())


def pump(source: BinaryIO, seen: hashlib._Hash, target: BinaryIO | None, most: int | None = None) -> int:
    """Read a file to its end, or its next `most` bytes, into a digest and another file; returns how many bytes."""
    size = 0
    while piece := source.read(PIECE if most is None else min(PIECE, most - size)):
        seen.update(piece)
        size += len(piece)
        if target is not None:
            target.write(piece)
    return size


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A private file that did not exist, on the disk when the block ends; after any error it is removed again."""
    with private_files():
        file = path.open("xb")
    try:
        with file:
            yield file
        sync_to_disk(path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
