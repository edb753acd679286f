"""The structure of the last load, kept in the mirror for loads in which nothing can have changed it.

It is written in the transaction that brings the mirror's tables to it, so the two never differ. Not here: when it may
be used (pipelines/sync/known_structure.py).
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.rows import one
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.structure import Structure
from redcap_source import model

# The attributes of Structure that are rows of answers. The dictionary is not among them: every load reads it, so its
# digest suffices, and it may have many thousand rows.
ROWS: Mapping[str, type[model.ApiRow]] = {
    "export_field_names": model.ExportFieldName,
    "instruments": model.Instrument,
    "arms": model.Arm,
    "events": model.Event,
    "form_event_mapping": model.FormEvent,
    "repeating": model.RepeatingForm,
    "users": model.User,
    "user_roles": model.UserRole,
    "user_role_assignments": model.RoleAssignment,
    "data_access_groups": model.DataAccessGroup,
    "data_access_group_assignments": model.DataAccessGroupAssignment,
}

# The attributes that are read from keys of their own.
_NAMES: Mapping[type[model.ApiRow], tuple[str, ...]] = {
    kind: tuple(cell.name for cell in dataclasses.fields(kind) if cell.name not in ("extra", "rights"))
    for kind in (*ROWS.values(), model.ProjectInfo, model.Field)
}


@dataclass(frozen=True, slots=True)
class KnownStructure:
    """A project's structure as a load read it, without its dictionary, of which only a digest is known."""

    structure: Structure
    dictionary_digest: str
    columns: tuple[str, ...]
    """The columns of a flat answer then."""


def known_structure(structure: Structure, columns: Iterable[str]) -> KnownStructure:
    """What to remember of a structure and of the columns of a flat answer."""
    return KnownStructure(
        dataclasses.replace(structure, fields=()), digest_of_dictionary(structure.fields), tuple(columns)
    )


def digest_of_dictionary(fields: Iterable[model.Field]) -> str:
    """Another one for every dictionary that differs in anything."""
    values = attrgetter(*_NAMES[model.Field], "extra")
    return hashlib.sha256(json.dumps(list(map(values, fields)), sort_keys=True).encode()).hexdigest()


def read_known_structure(connection: Connection, key: str) -> KnownStructure | None:
    """What was stored under the key; None if nothing was, or if it cannot be read."""
    row = one(connection, statements("state")["read_known_structure"], {"key": key})
    return None if row is None else from_text(row[0])


def save_known_structure(connection: Connection, key: str, known: KnownStructure | None) -> None:
    """Store the structure in place of any other; with None the next load has to read it. In the caller's transaction.

    What is stored already is not written again.
    """
    state, content = statements("state"), None if known is None else as_text(known)
    row = one(connection, state["read_known_structure"], {"key": key})
    if content is not None and row is not None and row[0] == content:
        return
    connection.execute(state["forget_known_structure"])
    if content is not None:
        connection.execute(state["save_known_structure"], {"key": key, "content": content})


def as_text(known: KnownStructure) -> str:
    """The structure as JSON: rows as REDCap sends them, so that reading them is the same as reading an answer."""
    structure = known.structure
    return json.dumps(
        {
            "version": structure.version,
            "project": _as_sent(structure.project),
            "not_readable": structure.not_readable,
            "rows": {name: [_as_sent(row) for row in getattr(structure, name)] for name in ROWS},
            "dictionary_digest": known.dictionary_digest,
            "columns": known.columns,
        }
    )


def from_text(text: str) -> KnownStructure | None:
    """The structure of a JSON text; None if the text is not one."""
    try:
        parts = json.loads(text)
        rows = {name: tuple(map(kind.from_row, parts["rows"][name])) for name, kind in ROWS.items()}
        structure = Structure(
            version=parts["version"],
            project=model.ProjectInfo.from_row(parts["project"]),
            fields=(),
            not_readable=tuple(parts["not_readable"]),
            **rows,  # type: ignore[arg-type]
        )
        return KnownStructure(structure, parts["dictionary_digest"], tuple(parts["columns"]))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _as_sent(row: Any) -> dict[str, Any]:
    named = {name: value for name in _NAMES[type(row)] if (value := getattr(row, name)) is not None}
    return {**named, **getattr(row, "rights", {}), **row.extra}
