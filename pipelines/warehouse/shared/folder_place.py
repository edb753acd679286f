"""A folder that all machines share, such as a network drive."""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

from pipelines.store_errors import ObjectDamaged, ObjectMissing, SharedPlaceUnusable
from pipelines.warehouse.database.connection import private_files, private_folder, sync_to_disk
from pipelines.warehouse.database.file_errors import reason_of
from pipelines.warehouse.shared.digest import Digest, copied, new_file


class FolderPlace:
    """Files below one folder, readable by their owner only; see SharedPlace.

    A file appears under its name only when it is complete and on the disk.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, local: Path, name: str, digest: Digest) -> str:
        """Copy a file into the folder."""
        target = self.folder / name
        begun = target.with_name(f"{target.name}.{secrets.token_hex(4)}.begun")
        try:
            with private_files():
                private_folder(target.parent)
            with local.open("rb") as source, new_file(begun) as file:
                if copied(source, file) != digest:
                    raise ObjectDamaged(place=str(target), found="the file changed while it was copied there")
            if (size := begun.stat().st_size) != digest.size:
                begun.unlink()
                raise ObjectDamaged(place=str(target), found=f"{size} of {digest.size} bytes arrived there")
            begun.rename(target)
            sync_to_disk(target.parent)
        except OSError as problem:
            raise self._unusable(target, problem) from None
        return name

    def get(self, recorded: str, local: Path, digest: Digest) -> None:
        """Copy a file out of the folder."""
        source = self.folder / recorded
        try:
            content = source.open("rb")
        except FileNotFoundError:
            raise ObjectMissing(place=str(source)) from None
        except OSError as problem:
            raise self._unusable(source, problem) from None
        try:
            with content, new_file(local) as file:
                if (found := copied(content, file)) != digest:
                    raise ObjectDamaged(place=str(source), found=difference(found, digest))
        except OSError as problem:
            raise self._unusable(source, problem) from None

    def names(self, prefix: str) -> list[str]:
        """The names of the files in one folder, unfinished ones included."""
        try:
            found = sorted(path for path in (self.folder / prefix).glob("*") if path.is_file())
        except OSError as problem:
            raise self._unusable(self.folder / prefix, problem) from None
        return [f"{prefix}{path.name}" for path in found]

    def delete(self, names: list[str]) -> None:
        """Remove files."""
        for name in names:
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError as problem:
                raise self._unusable(self.folder / name, problem) from None

    def check_writable(self) -> None:
        """Write a small file, read it, and delete it."""
        probe = self.folder / f".writable-{secrets.token_hex(4)}"
        try:
            with private_files():
                private_folder(self.folder)
                probe.write_text("written")
            probe.read_text()
        except OSError as problem:
            raise self._unusable(self.folder, problem) from None
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)

    def close(self) -> None:
        """Nothing is open."""

    def _unusable(self, path: Path, problem: OSError) -> SharedPlaceUnusable:
        return SharedPlaceUnusable(
            place=str(path), reason=reason_of(problem), remedy="Fix the cause on the shared drive, then try again."
        )


def difference(found: Digest, expected: Digest) -> str:
    """How a file differs from what was recorded of it."""
    if found.size != expected.size:
        return f"it has {found.size} bytes instead of {expected.size}"
    return "its content does not match its checksum"
