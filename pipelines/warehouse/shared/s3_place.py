"""S3, or a server that speaks its protocol, as the place that all machines share."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipelines.store_errors import ObjectDamaged, SharedPlaceUnusable
from pipelines.warehouse.database.connection import private_files
from pipelines.warehouse.database.file_errors import of_the_system
from pipelines.warehouse.database.object_storage import ObjectStorage
from pipelines.warehouse.shared.digest import Digest, digest_of, new_file, pump
from pipelines.warehouse.shared.folder_place import difference
from pipelines.warehouse.shared.names import in_parts, on_its_way, parts_of

# DuckDB holds what it sends two to three times: parts of this size keep a load below half a gigabyte.
PART = 64 << 20


class S3Place:
    """Objects below one s3:// URL; see SharedPlace. A large file is several objects, one after the other in memory."""

    def __init__(self, storage: ObjectStorage, *, part: int = PART) -> None:
        """`part` is the greatest size of an object, in bytes; one part at a time lies beside the local file."""
        self._storage = storage
        self._part = part

    def put(self, local: Path, name: str, digest: Digest) -> str:
        """Write a file as one object or several."""
        count = -(-digest.size // self._part) or 1
        if count == 1:
            with _errors_of_the_disk(local):
                self._storage.put(local, name)
                self._check(name, digest_of(local), digest)
            return name
        recorded, seen, size = in_parts(name, count), hashlib.sha256(), 0
        with _errors_of_the_disk(local), _beside(local) as piece, local.open("rb") as source:
            for key in parts_of(recorded):
                with piece.open("wb") as file:
                    size += pump(source, seen, file, self._part)
                self._storage.put(piece, key)
        self._check(name, Digest(size, seen.hexdigest()), digest)
        return recorded

    def get(self, recorded: str, local: Path, digest: Digest) -> None:
        """Write one object or several into a file."""
        received, size = hashlib.sha256(), 0
        with _errors_of_the_disk(local), _beside(local) as piece, new_file(local) as file:
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
        with TemporaryDirectory() as folder:
            probe = Path(folder, "probe")
            probe.write_text("written")
            self._storage.put(probe, name)
            self._storage.get(name, probe)
            self._storage.delete([name])

    def close(self) -> None:
        """Close the connection."""
        self._storage.close()

    def _check(self, name: str, found: Digest, expected: Digest) -> None:
        if found != expected:
            raise ObjectDamaged(place=f"{self._storage.url}/{name}", found="the file changed while it was copied there")


@contextmanager
def _beside(local: Path) -> Iterator[Path]:
    """A private file for one part of a file on its way, removed afterwards; see names.on_its_way."""
    piece = on_its_way(local, secrets.token_hex(4))
    try:
        with private_files():
            yield piece
    finally:
        piece.unlink(missing_ok=True)


@contextmanager
def _errors_of_the_disk(local: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        found = of_the_system(problem)
        raise found or SharedPlaceUnusable(
            place=str(local), reason=problem.strerror or "the disk failed", remedy="Try again."
        ) from None
