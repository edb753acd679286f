"""Names of files from REDCap, made safe before anything is written under them.

The name in a header is what a user called the file: it may look like a path, contain control characters, be longer
than a file system allows, or name a participant. Not here: writing the bytes (sinks.py).
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
# Windows treats these names as devices, whatever the extension.
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.I)


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A downloaded file: its path, and its name in REDCap. Neither is in the repr: file names can name people."""

    path: Path = field(repr=False)
    name: str = field(repr=False)
    received: Received


def announced_name(headers: Mapping[str, str]) -> str:
    """The file's name from the Content-Disposition, else from the Content-Type, where REDCap puts it; else blank."""
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
    """A visible name within one folder on any system, as close to the given one as possible."""
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
    """The path of a download until it is complete: hidden, and random."""
    return folder / f".{secrets.token_hex(8)}.partial"


def placed(partial: Path, folder: Path, name: str) -> Path:
    """Move a complete download to its name, with a number if the name is taken; no file is ever replaced."""
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
