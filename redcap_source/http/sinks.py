"""Where the body of an answer goes, and what is known once it has gone there.

A sink takes one attempt's body and is thrown away with it: memory and files here, rows in rows.py.
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

# The longest body that is taken into memory, and the longest that is written to a file, unless told otherwise.
MEMORY_LIMIT = 512 * 2**20
FILE_LIMIT = 64 * 2**30
# How many bytes are written between two looks at the free disk.
_LOOK_EVERY = 1 << 25


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Received:
    """What is known of a body that was passed on whole; `seconds` and `bytes` are of the attempt that succeeded.

    `server_date` is the server's own clock at that moment, to the second. `sha256` is of the bytes as written;
    None where the body was not written to a file. `file_name` is what REDCap calls a downloaded file.
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
    """Takes a body in pieces."""

    def write(self, data: bytes, /) -> object:
        """Take the next piece."""

    def finish(self) -> None:
        """The body is whole: make it last."""

    def discard(self) -> None:
        """The attempt failed: leave nothing behind."""


class MemorySink:
    """Holds a body in memory, up to a limit."""

    def __init__(self, limit: int, context: RequestContext) -> None:
        """`limit` in bytes; `context` is what the error names."""
        self._limit = limit
        self._context = context
        self._body = bytearray()

    @property
    def body(self) -> bytes:
        """What came."""
        return bytes(self._body)

    def write(self, data: bytes) -> None:
        """Take the next piece; AnswerTooLong beyond the limit."""
        if len(self._body) + len(data) > self._limit:
            raise errors.AnswerTooLong.beyond(self._context, self._limit)
        self._body += data

    def finish(self) -> None:
        """Nothing is left to do."""

    def discard(self) -> None:
        """Forget what came."""
        self._body.clear()


class FileSink:
    """Writes a body to a file that only its owner may read; a failed attempt leaves no file.

    It takes no more than its limit, and leaves a tenth free of what the disk had free when it began: whatever else
    lives there needs room as well.
    """

    def __init__(self, path: Path, context: RequestContext, limit: int, *, free: Callable[[Path], int] = _free) -> None:
        """An existing file is replaced from the first byte on; a symbolic link is refused.

        `limit` in bytes; `context` is what errors name; `free` tells how many bytes a folder's disk has left.
        """
        self._path = path
        self._context, self._limit = context, limit
        self._free, self._floor = free, free(path.parent) // 10
        self._size, self._look_at = 0, _LOOK_EVERY
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
        if self._size > self._look_at:
            self._look()
        self._hash.update(data)
        self._file.write(data)

    def _look(self) -> None:
        self._look_at = self._size + _LOOK_EVERY
        left = self._free(self._path.parent)
        if left < self._floor:
            came = f"{self._size:,} bytes were received, and the disk has {left:,} bytes left."
            raise errors.AnswerTooLong(self._context, status=200, detail=came)

    def finish(self) -> None:
        """Close the file; it is whole."""
        self._file.close()

    def discard(self) -> None:
        """Close and remove the file."""
        try:
            self._file.close()
        finally:
            # A full disk makes the last flush fail, too; the part that was written goes all the same.
            self._path.unlink(missing_ok=True)
