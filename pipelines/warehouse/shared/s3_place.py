"""S3, or a server that speaks its protocol, as the place that all machines share."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import ObjectDamaged, SharedPlaceUnusable
from pipelines.warehouse.database.connection import private_files, private_folder
from pipelines.warehouse.database.file_errors import of_the_system
from pipelines.warehouse.database.object_storage import ObjectStorage
from pipelines.warehouse.shared.digest import Digest, digest_of, new_file, pump
from pipelines.warehouse.shared.folder_place import difference
from pipelines.warehouse.shared.names import in_parts, parts_of

# DuckDB holds what it sends two to three times: parts of this size keep a load below half a gigabyte.
PART = 64 << 20


class S3Place:
    """Objects below one s3:// URL; see SharedPlace. A large file is several objects, one after the other in memory."""

    def __init__(self, storage: ObjectStorage, scratch: Path, *, part: int = PART) -> None:
        """`scratch` is a local folder for one part of a large file at a time; `part` its greatest size in bytes."""
        self._storage = storage
        self._scratch = scratch
        self._part = part

    def put(self, local: Path, name: str, digest: Digest) -> str:
        """Write a file as one object or several."""
        count = -(-digest.size // self._part) or 1
        if count == 1:
            with self._disk():
                self._storage.put(local, name)
                self._check(name, digest_of(local), digest)
            return name
        recorded, seen, size = in_parts(name, count), hashlib.sha256(), 0
        with self._disk(), self._piece() as piece, local.open("rb") as source:
            for key in parts_of(recorded):
                with piece.open("wb") as file:
                    size += pump(source, seen, file, self._part)
                self._storage.put(piece, key)
        self._check(name, Digest(size, seen.hexdigest()), digest)
        return recorded

    def get(self, recorded: str, local: Path, digest: Digest) -> None:
        """Write one object or several into a file."""
        received, size = hashlib.sha256(), 0
        with self._disk(), self._piece() as piece, new_file(local) as file:
            for key in parts_of(recorded):
                self._storage.get(key, piece)
                with piece.open("rb") as content:
                    size += pump(content, received, file)
            found = Digest(size, received.hexdigest())
            if found != digest:
                raise ObjectDamaged(place=f"{self._storage.url}/{recorded}", found=difference(found, digest))

    def names(self, prefix: str) -> list[str]:
        """The names of the objects whose names begin with a prefix."""
        return sorted(self._storage.sizes(prefix))

    def delete(self, names: list[str]) -> None:
        """Delete objects."""
        self._storage.delete(names)

    def check_writable(self) -> None:
        """Write a small object, read it, and delete it."""
        name = f".writable-{secrets.token_hex(4)}"
        with self._disk(), self._piece() as piece:
            piece.write_text("written")
            self._storage.put(piece, name)
            self._storage.get(name, piece)
            self._storage.delete([name])

    def close(self) -> None:
        """Close the connection."""
        self._storage.close()

    def _check(self, name: str, found: Digest, expected: Digest) -> None:
        if found != expected:
            raise ObjectDamaged(place=f"{self._storage.url}/{name}", found="the file changed while it was copied there")

    @contextmanager
    def _piece(self) -> Iterator[Path]:
        """A local file for one part, removed afterwards."""
        piece = private_folder(self._scratch) / f".part-{secrets.token_hex(4)}"
        try:
            with private_files():
                yield piece
        finally:
            piece.unlink(missing_ok=True)

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Errors of the local disk as ours."""
        try:
            yield
        except OSError as problem:
            found = of_the_system(problem)
            raise found or SharedPlaceUnusable(
                place=str(self._scratch), reason=problem.strerror or "the disk failed", remedy="Try again."
            ) from None
