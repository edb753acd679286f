"""Keeps the speed of each server from one load to the next: two numbers, in a private file beside its rate limit."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from pathlib import Path

from pipelines.extract.speed.server_speed import ServerSpeed
from pipelines.warehouse.database.connection import private_files

# Figures outside these are not a server's.
_MOST_SECONDS_A_REQUEST = 600.0
_MOST_SECONDS_A_CELL = 0.1


def read_speed(folder: Path, url: str) -> ServerSpeed | None:
    """The speed that an earlier load found; None if there is none, or if the file is damaged."""
    try:
        kept = json.loads(_path(folder, url).read_text(encoding="ascii"))
        speed = ServerSpeed(float(kept["seconds_a_request"]), float(kept["seconds_a_cell"]))
    except (OSError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        return None
    figures = ((speed.request, _MOST_SECONDS_A_REQUEST), (speed.cell, _MOST_SECONDS_A_CELL))
    return speed if all(math.isfinite(value) and 0 <= value <= most for value, most in figures) else None


def save_speed(folder: Path, url: str, speed: ServerSpeed) -> None:
    """Keep the speed for the next load; a disk that cannot is no reason for a load to fail."""
    path = _path(folder, url)
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    try:
        with private_files():
            unfinished.write_text(
                json.dumps({"seconds_a_request": speed.request, "seconds_a_cell": speed.cell}), encoding="ascii"
            )
            unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)


def _path(folder: Path, url: str) -> Path:
    return folder / f"speed-{hashlib.sha256(url.encode()).hexdigest()[:16]}.json"
