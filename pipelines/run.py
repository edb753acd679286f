"""One run over one project: its id and its clock, and how its client, its mirror and its staging folder are opened.

Not here: what a run does once these are open (sync, writeback).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pipelines.config.settings import Config, ProjectConfig
from pipelines.errors import ConfigError, MirrorLost, WarehouseDamaged
from pipelines.interrupts import interrupted
from pipelines.store import open_store
from pipelines.warehouse.database.connection import Connection, private_folder, remove_database
from pipelines.warehouse.mirror.identity import damaged, mirror_lost, refusal
from pipelines.warehouse.mirror.mirror import Mirror
from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.mirror.rows.hash_key import read_hash_key
from pipelines.warehouse.mirror.rows.history import RunStamp
from pipelines.warehouse.staging.verify import open_verifier
from pipelines.warehouse.store.protocol import Store
from redcap_source import RedcapClient

# The longest answer that is accepted: a chunk aims at 5 MB, and the list of ten million rows' records is about 700 MB.
ANSWER_LIMIT = 2**30

# What is read into memory: the dictionary of fifteen thousand fields is about 20 MB.
STRUCTURE_LIMIT = 2**27

Now = Callable[[], datetime]
Sleep = Callable[[float], None]
# Seconds on a clock that is never set: what a run measures the server's answers with.
Stopwatch = Callable[[], float]


def utc_now() -> datetime:
    """The time now, as the warehouse stores times: UTC without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def new_run_id(now: Now = utc_now) -> str:
    """A name for a run that sorts by time and never repeats."""
    return f"{now():%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


class ProjectRun:
    """One run over one project; it opens what the run works with, and stamps what the run writes."""

    def __init__(
        self,
        config: Config,
        project: ProjectConfig,
        *,
        run_id: str,
        staging: str | None = None,
        start_over: bool = False,
        now: Now = utc_now,
        sleep: Sleep = time.sleep,
        stopwatch: Stopwatch = time.monotonic,
        answer_limit: int = ANSWER_LIMIT,
        store: Store | None = None,
    ) -> None:
        """`staging` names the folder where steps find each other's work, if that is not the run's id.

        `start_over` discards the project's mirror, history included, when the run first opens it. How fast the server
        is by the `stopwatch` decides how much each request asks for. `answer_limit` is the longest answer that is
        accepted from REDCap, in bytes. Without a `store`, that of the configuration is opened, and closed with the run.
        """
        self.config = config
        self.project = project
        self._opens_store = store is None
        self.store = store or open_store(config)
        self.folder = self.store.folder
        """This machine's own folder."""
        self.staging = self.folder.staging(project.name, staging or run_id)
        self.now = now
        self.sleep = sleep
        self.stopwatch = stopwatch
        self.answer_limit = answer_limit
        self.stamp = RunStamp(project.name, run_id, now())
        """What marks the rows that this run writes."""
        self._start_over = start_over

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Closing may wait for a connection, which after a signal nobody does: the process ends anyway.
        if self._opens_store and not interrupted():
            self.store.close()

    @contextmanager
    def client(self) -> Iterator[RedcapClient]:
        """A client of the project; all clients of a server share its rate limit."""
        client = open_client(
            self.project,
            self.store,
            sleep=self.sleep,
            stopwatch=self.stopwatch,
            answer_limit=self.answer_limit,
        )
        try:
            yield client
        finally:
            # A signal may have left a lock of the HTTP library locked, for which closing would wait for ever. The
            # process ends anyway, and its connections with it.
            if not interrupted():
                client.close()

    @contextmanager
    def verifier(self) -> Iterator[Connection]:
        """The staging folder, and a connection that verifies the answers in it."""
        private_folder(self.staging)
        with open_verifier(self.staging) as connection:
            yield connection

    @contextmanager
    def mirror(
        self, *, with_published: bool = False, readable: Sequence[Path] = (), goes_on: bool = False
    ) -> Iterator[Mirror]:
        """The project's mirror, locked: no other run opens it meanwhile.

        The published warehouse, if `with_published`, and the `readable` files can be read from SQL beside it. `goes_on`
        says that a later step of this run, in this process, opens it again. Raises MirrorLost if the project's mirror
        has been lost, and HashKeyUnusable if identifiers could not be hashed with the same key as before.
        """
        name = self.project.name
        with self.store.mirrors.working(name, self.stamp.run_id, goes_on=goes_on) as path:
            # Only once per run: the later steps continue with the new file.
            discard, self._start_over = self._start_over, False
            if discard:
                self._discard(path)
            with self._opened(path, readable, with_published=with_published, new=discard) as mirror:
                if self.project.identifiers == "hash":
                    hash_key = read_hash_key(self.store, name, mirror.connection)
                    self.stamp = replace(self.stamp, hash_key=hash_key)
                yield mirror

    def _discard(self, path: Path) -> None:
        """Remove the project's mirror and what belongs to it: a load of it that waits to be published is no more."""
        self.store.marks.unmark(self.project.name)
        self.folder.clear_staging(self.project.name)
        remove_database(path)

    @contextmanager
    def _opened(self, path: Path, readable: Sequence[Path], *, with_published: bool, new: bool) -> Iterator[Mirror]:
        name, published = self.project.name, self.store.published

        def refuse(found: str) -> MirrorLost | None:
            place = self.store.mirrors.place(name)
            return refusal(name, place, found, published=published.projects(), waiting=self.store.marks.waiting())

        try:
            with open_mirror(
                path,
                name,
                staging=self.folder.work / "staging",
                memory_limit=self.config.memory_limit,
                refuse=refuse,
                start_over=new,
                replaces=published.source(name) if new else None,
                published=published.attach if with_published else None,
                readable=readable,
            ) as mirror:
                yield mirror
        except WarehouseDamaged as problem:
            if problem.path != path:
                raise
            place, waiting = self.store.mirrors.place(name), self.store.marks.waiting()
            lost = mirror_lost(name, place, damaged(problem), published=published.projects(), waiting=waiting)
            raise lost from None


def open_client(
    project: ProjectConfig,
    store: Store,
    *,
    sleep: Sleep = time.sleep,
    stopwatch: Stopwatch = time.monotonic,
    answer_limit: int = ANSWER_LIMIT,
) -> RedcapClient:
    """A client for the project; its token is read now, and only the client has it."""
    server = project.server
    if server.ca_bundle is not None and not server.ca_bundle.is_file():
        raise ConfigError(
            f"the certificate file {server.ca_bundle} does not exist.",
            where=f"projects.yaml, servers.{server.name}.ca_bundle",
            remedy="Give the path of the PEM file, or leave the key out if the usual authorities signed the server.",
        )
    rate_limit = store.rate_limiter(server.url, server.requests_per_minute, server.concurrency, sleep)
    return RedcapClient(
        server.url,
        project.token.read(),
        project=project.name,
        ca_bundle=server.ca_bundle,
        rate_limit=rate_limit,
        sleep=sleep,
        clock=stopwatch,
        memory_limit=min(answer_limit, STRUCTURE_LIMIT),
        file_limit=answer_limit,
    )
