"""Which names a project may have: each is an SQL schema of the published database and part of file names."""

from __future__ import annotations

import re

# `warehouse` is the name of the published database, and a schema of that name could not be distinguished from it.
RESERVED = ("redcap", "writeback", "warehouse", "main", "information_schema", "pg_catalog", "temp", "system")
RESERVED_ENDINGS = ("_labels", "_raw", "_history")
LONGEST = 50
PATTERN = r"[a-z][a-z0-9_]*"


def may_be_a_project(name: str) -> bool:
    """Whether projects.yaml can ever have had a project of this name; only such a name has data in a warehouse."""
    fits = re.fullmatch(PATTERN, name) is not None and len(name) <= LONGEST
    return fits and name not in RESERVED and not name.endswith(RESERVED_ENDINGS)
