"""Parses the options of `simulate` that contain names, such as NAME=VALUE."""

from __future__ import annotations

from pipelines.errors import ConfigError
from redcap_source.simulator.contents import UserToken

RECORDS = 100


def pairs(option: str, values: list[str] | None) -> list[tuple[str, str]]:
    """NAME=VALUE, each of them."""
    found = []
    for value in values or []:
        name, equals, rest = value.partition("=")
        if not (name and equals and rest):
            raise ConfigError(f"{option} takes NAME=VALUE.", remedy="For instance: --load study=study.xml")
        found.append((name, rest))
    return found


def studies(values: list[str] | None, records: list[str] | None) -> list[tuple[str, str, int]]:
    """Name, kind and number of records of each [NAME=]KIND; --records is N for all, or NAME=N for one."""
    named = [(name, kind or name) for name, _, kind in (value.partition("=") for value in values or [])]
    common, own = RECORDS, dict[str, int]()
    for value in records or []:
        name, equals, number = value.rpartition("=")
        if not number.isdecimal() or bool(equals) != bool(name):
            raise ConfigError("--records takes N or NAME=N.", remedy="For instance: --records registry_07=2000")
        if name:
            own[name] = int(number)
        else:
            common = int(number)
    unknown = [name for name in own if name not in dict(named)]
    if unknown:
        raise ConfigError(f"--records names '{unknown[0]}', but there is no --study of that name.")
    return [(name, kind, own.get(name, common)) for name, kind in named]


def users(values: list[str] | None) -> list[UserToken]:
    """PROJECT:NAME[:ROLE|GROUP]…, each of them."""
    found = []
    for value in values or []:
        project, *rest = value.split(":")
        if not project or not rest or not all(rest):
            raise ConfigError("--user takes PROJECT:NAME[:ROLE|GROUP].", remedy="For instance: --user heart:kim:site_a")
        found.append(UserToken(project, rest[0], tuple(rest[1:])))
    return found
