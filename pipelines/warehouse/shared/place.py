"""The place that all machines share: what can be done there, and which kind of place a configuration names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from pipelines.errors import ConfigError
from pipelines.warehouse.shared.digest import Digest


class SharedPlace(Protocol):
    """Files that all machines can read and write, by name; none is ever overwritten.

    Every method raises SharedPlaceUnusable if the place fails; what was there before is then unchanged.
    """

    def put(self, local: Path, name: str, digest: Digest) -> str:
        """Write a local file whole, and prove that it arrived; returns the name to record, which `get` takes.

        Interrupted, it leaves only files that no recorded name stands for.
        """

    def get(self, recorded: str, local: Path, digest: Digest) -> None:
        """Write what was recorded into a local file, which did not exist; it is removed again if anything is wrong.

        Raises ObjectMissing if it is not there, ObjectDamaged if it has not the digest.
        """

    def names(self, prefix: str) -> list[str]:
        """The names of the files whose names begin with a prefix that ends with a slash."""

    def delete(self, names: list[str]) -> None:
        """Delete files; those that do not exist are passed over."""

    def check_writable(self) -> None:
        """Write a small file, read it, and delete it."""

    def close(self) -> None:
        """Close connections to the place, if there are any."""


def open_place(data: str, *, environment: Mapping[str, str] | None = None) -> SharedPlace:
    """The place that `store.data` of projects.yaml names: an s3:// URL or a folder.

    Keys for S3 are in the `environment`, that of this process by default.
    """
    if data.startswith("s3://"):
        # With DuckDB, which a folder does not need.
        from pipelines.warehouse.database.object_storage import ObjectStorage, s3_settings
        from pipelines.warehouse.shared.s3_place import S3Place

        if not data.removeprefix("s3://").split("/")[0] or any(sign in data for sign in "*?[]{}\\"):
            raise ConfigError(
                "is not an s3:// URL that can be used.",
                where="projects.yaml, store.data",
                remedy="Give s3://bucket or s3://bucket/prefix, without any of * ? [ ] { } \\.",
            )
        return S3Place(ObjectStorage(data, s3_settings(os.environ if environment is None else environment)))
    from pipelines.warehouse.shared.folder_place import FolderPlace

    return FolderPlace(Path(data))
