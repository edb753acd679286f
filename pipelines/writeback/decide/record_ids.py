"""Record ids that REDCap may take for one another. Pure.

REDCap stores ids as text, and it is not documented what its versions do with a blank at an end. It looks ids up with a
MySQL collation, which ignores letter case, accents and trailing blanks (REDCap API, section Keys: inferred). So what is
sent for an id that differs from an existing one in nothing else may be written into the existing record.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

_INVISIBLE = ("Cc", "Cf", "Zl", "Zp", "Zs")


def trimmed(record: str) -> str:
    """Return the id without invisible characters at its ends: blanks of any kind, tabs, marks without width."""
    first, last = 0, len(record)
    while first < last and _is_invisible(record[first]):
        first += 1
    while last > first and _is_invisible(record[last - 1]):
        last -= 1
    return record[first:last]


def _is_invisible(character: str) -> bool:
    return character.isspace() or unicodedata.category(character) in _INVISIBLE


def alike(record: str) -> str:
    """Return a form that is equal for two ids if REDCap may take one for the other."""
    if record.isascii():
        return trimmed(record).casefold()
    # Twice, because a folded text can fold again.
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", record).casefold())
    kept = (c for c in folded if unicodedata.category(c) not in ("Mn", "Cf"))
    return trimmed("".join(kept))


def taken_for(wanted: Iterable[str], existing: Iterable[str]) -> Mapping[str, str]:
    """Map each wanted id that does not exist to the existing one that REDCap may take it for, if there is one."""
    there = list(existing)
    known = set(there)
    by_form = {alike(record): record for record in there}
    return {record: by_form[form] for record in wanted if record not in known and (form := alike(record)) in by_form}


def look_alikes(records: Iterable[str]) -> frozenset[str]:
    """Return those of several ids that REDCap may take for one another."""
    by_form: dict[str, list[str]] = {}
    for record in dict.fromkeys(records):
        by_form.setdefault(alike(record), []).append(record)
    return frozenset(record for group in by_form.values() if len(group) > 1 for record in group)
