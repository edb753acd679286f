"""The store that several machines share: where its catalog's address is, and where its data are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from pipelines.config.names import show_name
from pipelines.errors import ConfigError

SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class CatalogSource:
    """The environment variable that holds the URL of the catalog; the URL is read on demand and not kept.

    `where` is the line of the file, for messages.
    """

    name: str
    where: str

    def read(self, environment: Mapping[str, str] = os.environ) -> str:
        """The URL of a PostgreSQL database; ConfigError, which quotes no part of it, if there is none."""
        text = environment.get(self.name, "").strip()
        if not text:
            state = "empty" if self.name in environment else "not set"
            raise self._problem(f"which is {state}.")
        try:
            url = urlsplit(text)
            is_address = url.scheme in SCHEMES and bool(url.path.strip("/"))
        except ValueError:
            is_address = False
        if not is_address:
            raise self._problem("which does not hold the URL of a PostgreSQL database.")
        return text

    def _problem(self, problem: str) -> ConfigError:
        return ConfigError(
            f"the store takes the URL of its catalog from the environment variable {show_name(self.name)}, {problem}",
            where=self.where,
            remedy="Set it to postgresql://user:password@host/database wherever redcap-warehouse runs.",
        )


@dataclass(frozen=True, slots=True)
class StoreConfig:
    """A store that several machines share."""

    catalog: CatalogSource
    data: str
    """The path of a folder that all machines share, or s3://bucket/prefix."""

    @property
    def in_bucket(self) -> bool:
        """Whether the data are in a bucket of S3."""
        return self.data.startswith("s3://")
