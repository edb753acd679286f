"""Where the body of an answer is written: to memory or to a file, within limits.

A sink takes the body of one attempt. Not here: bodies that are parsed while they arrive (protocol/json_stream.py).
"""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from redcap_source import errors
from redcap_source.errors import RequestContext

# The default limits: the longest body that is read into memory, and the longest that is written to a file.
MEMORY_LIMIT = 512 * 2**20
FILE_LIMIT = 64 * 2**30
# How many bytes are written between two checks of the free disk space.
_CHECK_EVERY = 1 << 25


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Received:
    """The facts about a complete answer; `seconds` and `bytes` are those of the attempt that succeeded.

    `server_date` is the server's own clock at that moment, to the second. `sha256` is of the bytes as written;
    None if the body was not written to a file. `file_name` is a downloaded file's name in REDCap.
    """

    status: int
    bytes: int
    seconds: float
    attempts: int
    server_date: datetime | None
    content_type: str
    sha256: str | None = None
    file_name: str = field(default="", repr=False)


class Sink(Protocol):
    """Takes the body of one attempt, in pieces."""

    def write(self, data: bytes, /) -> object:
        """Take the next piece."""

    def finish(self) -> None:
        """The body is complete: keep it."""

    def discard(self) -> None:
        """The attempt failed: remove what was written."""


class MemorySink:
    """Holds a body in memory, up to a limit."""

    def __init__(self, limit: int, context: RequestContext) -> None:
        """`limit` in bytes; `context` is what the error names."""
        self._limit = limit
        self._context = context
        self._body = bytearray()

    @property
    def body(self) -> bytes:
        """What was written."""
        return bytes(self._body)

    def write(self, data: bytes) -> None:
        """Take the next piece; AnswerTooLong beyond the limit."""
        if len(self._body) + len(data) > self._limit:
            raise errors.AnswerTooLong.beyond(self._context, self._limit)
        self._body += data

    def finish(self) -> None:
        """Nothing to do."""

    def discard(self) -> None:
        """Drop what was written."""
        self._body.clear()


class FileSink:
    """Writes a body to a file that only its owner may read; a failed attempt leaves no file.

    It writes no more than its limit, and stops when less than a tenth remains of the disk space that was free at the
    start, because others need space on that disk, too.
    """

    def __init__(self, path: Path, context: RequestContext, limit: int, *, free: Callable[[Path], int] = _free) -> None:
        """An existing file is replaced from the first byte on; a symbolic link is an OSError.

        `limit` in bytes; `context` is what errors name; `free` returns the free bytes of a folder's disk.
        """
        self._path = path
        self._context, self._limit = context, limit
        self._free, self._floor = free, free(path.parent) // 10
        self._size, self._check_at = 0, _CHECK_EVERY
        self._hash = hashlib.sha256()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        os.fchmod(descriptor, 0o600)
        self._file = os.fdopen(descriptor, "wb", buffering=1 << 18)

    @property
    def sha256(self) -> str:
        """The hash of what was written."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> None:
        """Write the next piece; AnswerTooLong beyond the limit, or where the disk runs short."""
        self._size += len(data)
        if self._size > self._limit:
            raise errors.AnswerTooLong.beyond(self._context, self._limit)
        if self._size > self._check_at:
            self._check_disk()
        self._hash.update(data)
        self._file.write(data)

    def _check_disk(self) -> None:
        self._check_at = self._size + _CHECK_EVERY
        left = self._free(self._path.parent)
        if left < self._floor:
            detail = f"{self._size:,} bytes were received, and the disk has {left:,} bytes left."
            raise errors.AnswerTooLong(self._context, status=200, detail=detail)

    def finish(self) -> None:
        """Close the file; it is complete."""
        self._file.close()

    def discard(self) -> None:
        """Close and remove the file."""
        try:
            self._file.close()
        finally:
            # On a full disk the last flush fails, too; the part that was written is removed all the same.
            self._path.unlink(missing_ok=True)
