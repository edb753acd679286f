"""A PostgreSQL of the test's own, from the programs that this machine has installed."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Where a program of the PostgreSQL server is; the test is skipped where there is none."""
    installed = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = shutil.which(name) or (str(installed[-1]) if installed else None)
    if found is None:
        pytest.skip(f"no PostgreSQL server on this machine ({name} is not installed)")
    return found


@contextmanager
def running_postgres(folder: Path) -> Iterator[str]:
    """The URL of a server that lives in `folder`, answers on loopback only and ends with the block."""
    initdb, postgres, isready = program("initdb"), program("postgres"), program("pg_isready")
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
        port = str(probe.getsockname()[1])
    settings = [
        f"unix_socket_directories={folder}",
        "listen_addresses=127.0.0.1",
        "fsync=off",
        "log_min_messages=fatal",
    ]
    command = [postgres, "-D", str(folder / "data"), "-p", port, *(word for s in settings for word in ("-c", s))]
    with subprocess.Popen(command, user=user, cwd=folder, stderr=subprocess.DEVNULL) as server:
        try:
            waiting = [isready, "--quiet", "--host=127.0.0.1", f"--port={port}", "--timeout=30"]
            while subprocess.run(waiting, check=False).returncode:
                assert server.poll() is None, "PostgreSQL did not start"
            yield f"postgresql://dagster@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
