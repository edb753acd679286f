"""Names of files that came from REDCap, made safe before anything is written under them.

The name in a header is whatever somebody once called a file: it may look like a path, hide control characters or be
longer than a file system allows, and it may name a participant. Bytes are moved by sinks.py and client.py.
"""

import os
import re
import secrets
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path

from redcap_source.http.sinks import Received

_MOST_BYTES = 200
# Windows opens devices under these names, whatever the extension.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.I)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A downloaded file: where it lies, and what REDCap calls it. Both stay out of the repr: names name people."""

    path: Path = field(repr=False)
    name: str = field(repr=False)
    received: Received


def announced_name(headers: Mapping[str, str]) -> str:
    """The file's name: of the Content-Disposition, else of the Content-Type, where REDCap puts it; else blank."""
    for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
        message = Message()
        message[header] = " ".join(headers.get(header, "").split())
        found = message.get_param(parameter, header=header)
        if isinstance(found, tuple):
            charset, _, text = found
            found = text.encode("latin-1", "replace").decode(charset or "utf-8", "replace")
        if found:
            return str(found)
    return ""


def safe_name(name: str) -> str:
    """A name that is one visible name in one folder on any system, as close to the given one as that allows."""
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(c for c in unicodedata.normalize("NFC", last) if unicodedata.category(c)[0] != "C")
    plain = re.sub(r'[<>:"|?*]', "_", visible).strip().strip(".").strip()
    if not plain:
        return "file"
    return _shortened(f"_{plain}" if _DEVICES.fullmatch(plain) else plain)


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MOST_BYTES:
        return name
    stem, dot, suffix = name.rpartition(".")
    if not dot or len(suffix.encode()) > 20:
        stem, dot, suffix = name, "", ""
    room = _MOST_BYTES - len((dot + suffix).encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip() + dot + suffix


def partial_path(folder: Path) -> Path:
    """Where a download lies until it is whole: a hidden name nobody else has."""
    return folder / f".{secrets.token_hex(8)}.partial"


def placed(partial: Path, folder: Path, name: str) -> Path:
    """Move a whole download to its name; one that is taken gets a number, never another's file."""
    for candidate in _candidates(safe_name(name)):
        target = folder / candidate
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        partial.replace(target)
        return target
    raise AssertionError("the numbers never end")


def _candidates(name: str) -> Iterator[str]:
    yield name
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    number = 2
    while True:
        yield f"{stem} ({number}){dot}{suffix}"
        number += 1
