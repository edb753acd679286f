"""The names of files in the shared place. Pure.

mirrors/<project>/<version>-<first 16 digits of its SHA-256>-<random>.duckdb

A file is written once and never overwritten: every attempt has a name of its own. One that is larger than a part may be
is written as several, `….duckdb.1of3` and so on; what is recorded is then `….duckdb.of3`. Put together in the order of
their numbers, the parts are the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

KEPT_VERSIONS = 3
_VERSION = re.compile(r"(\d{8,})-[0-9a-f]{16}-[0-9a-f]{8}\.duckdb")
_PARTS = re.compile(r"\.of(\d+)$")


def folder_of(project: str) -> str:
    """Where the versions of a project are, with a slash at the end."""
    return f"mirrors/{project}/"


def version_name(project: str, version: int, sha256: str, random: str) -> str:
    """The name for one attempt to write a version; `random` is eight hexadecimal digits."""
    return f"{folder_of(project)}{version:08d}-{sha256[:16]}-{random}.duckdb"


def in_parts(name: str, count: int) -> str:
    """What is recorded of a file that was written in parts."""
    return f"{name}.of{count}"


def parts_of(recorded: str) -> list[str]:
    """The files that a recorded name stands for, in their order."""
    found = _PARTS.search(recorded)
    if found is None:
        return [recorded]
    count, name = int(found[1]), recorded[: found.start()]
    return [f"{name}.{number:0{len(str(count))}d}of{count}" for number in range(1, count + 1)]


def on_its_way(local: Path, random: str, kind: str = "incoming") -> Path:
    """A hidden name beside a local file, for what is on its way to or from the shared place.

    Files of the kind `incoming` belong to who holds the project, and the next holder removes them; those of the kind
    `reading` belong to readers. What is on its way for such a file is of its kind.
    """
    hidden = local.name.startswith(".")
    return local.with_name(f"{'' if hidden else '.'}{local.name}.{random}{local.suffix if hidden else f'.{kind}'}")


def superseded(names: Iterable[str], *, version: int, recorded: str, kept: int = KEPT_VERSIONS) -> list[str]:
    """Which files of a project nobody needs any more, now that `version` is recorded under a name.

    Versions older than the newest `kept`; and of the newest whatever else has its number: attempts that ended before
    they were recorded. Files that are no version, and versions of higher numbers, are left alone.
    """
    needed, found = set(parts_of(recorded)), []
    for name in names:
        number = _VERSION.search(name)
        if number is None or name in needed:
            continue
        if int(number[1]) == version or int(number[1]) <= version - kept:
            found.append(name)
    return found
