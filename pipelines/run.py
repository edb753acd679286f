"""One run over one project: its id, its clock, and how its client is opened."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime

from pipelines.config.settings import ProjectConfig
from pipelines.errors import ConfigError
from pipelines.warehouse.folder import WarehouseFolder
from redcap_source import RateLimiter, RedcapClient

# The longest answer that is taken: a chunk aims at 5 MB, and the list of ten million rows' records is some 700 MB.
ANSWER_LIMIT = 2**30


# What is read into memory: the dictionary of fifteen thousand fields is some 20 MB.
STRUCTURE_LIMIT = 2**27


HALF_CHARACTERS = (
    "Some of REDCap's labels or values hold half a surrogate pair, which cannot be stored as a character. It is stored "
    "as its escape sequence, for example \\ud83d."
)


Now = Callable[[], datetime]


Sleep = Callable[[float], None]


def utc_now() -> datetime:
    """The time now, as the warehouse stores times: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def new_run_id(now: Now = utc_now) -> str:
    """A name for a run that sorts by time and never repeats."""
    return f"{now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def open_client(
    project: ProjectConfig,
    folder: WarehouseFolder,
    *,
    sleep: Sleep = time.sleep,
    answer_limit: int = ANSWER_LIMIT,
) -> RedcapClient:
    """A client for the project, its token read now and known to nobody else."""
    server = project.server
    if server.ca_bundle is not None and not server.ca_bundle.is_file():
        raise ConfigError(
            f"the certificate file {server.ca_bundle} is not there.",
            where=f"projects.yaml, servers.{server.name}.ca_bundle",
            remedy="Give the path of the PEM file, or leave the key out if the usual authorities signed the server.",
        )
    rate_limit = RateLimiter(
        server.requests_per_minute, server.concurrency, folder=folder.pace, name=server.url, sleep=sleep
    )
    return RedcapClient(
        server.url,
        project.token.read(),
        project=project.name,
        ca_bundle=server.ca_bundle,
        rate_limit=rate_limit,
        sleep=sleep,
        memory_limit=min(answer_limit, STRUCTURE_LIMIT),
        file_limit=answer_limit,
    )
