"""Turns validation errors into sentences, each with its key and line.

A sentence continues after the key: `projects.heart.server is missing.`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pipelines.config.names import did_you_mean, list_names, show_name
from pipelines.config.schema import (
    Narrowing,
    ProjectEntry,
    ProjectsFile,
    PublishedEntry,
    Section,
    ServerEntry,
    StoreEntry,
    TokenEntry,
    WritebackEntry,
)
from pipelines.config.yaml_reader import NEVER_HERE, Document, Key, Problem
from pipelines.errors import ConfigError


def validated(content: object) -> tuple[ProjectsFile | None, list[Problem]]:
    """The file as its model (None if it does not validate), and its problems."""
    errors: list[ErrorDetails] = []
    file = None
    try:
        file = ProjectsFile.model_validate(content)
    except ValidationError as found:
        errors = found.errors(include_input=False, include_url=False)
    return file, [*(_explained(error) for error in errors), *_reference_problems(content)]


def _reference_problems(content: object) -> Iterator[Problem]:
    """Problems between entries, which no model of a single entry can see.

    They are found in the plain values, so that they are reported together with those of the models.
    """
    servers, projects = (_section(content, name) for name in ("servers", "projects"))
    for name, project in projects.items():
        if not isinstance(project, dict):
            continue
        key = ("projects", name, "server")
        server = project.get("server")
        if server is None and len(servers) > 1:
            yield Problem(key, f"is missing, and there are several servers. Name one of {list_names(servers)}.")
        elif isinstance(server, str) and servers and server not in servers:
            near = did_you_mean(server, servers)
            yield Problem(key, f"is not a server of this file.{near} The servers are {list_names(servers)}.")
        token = project.get("token")
        # An entry that is not a mapping, or has unknown keys, is reported by the models.
        if isinstance(token, dict) and token.keys() <= TokenEntry.model_fields.keys() and _given(token) != 1:
            yield Problem(("projects", name, "token"), "needs exactly one of env, keyring and file.")
    published = _section(content, "published")
    mode = published.get("mode", PublishedEntry.model_fields["mode"].default)
    # A mode that is none is reported by the models.
    if published.get("group") and isinstance(mode, str) and re.fullmatch("0[0-7]0[0-7]", mode):
        sentence = 'has no effect, because the mode does not let a group read. Add mode: "0640", or remove the group.'
        yield Problem(("published", "group"), sentence)
    if isinstance(content, dict) and "store" in content and content["store"] is None:
        # Files on this machine are what nobody meant who wrote the key.
        yield Problem(("store",), f"is empty. {_EXAMPLES['store']}")
    if published and _section(content, "store"):
        sentence = "has no effect on a store: who may read it is decided by the roles of its database and the rights to"
        yield Problem(("published",), f"{sentence} its data. Remove published.")


def _section(content: object, name: str) -> dict[str, object]:
    section = content.get(name) if isinstance(content, dict) else None
    return section if isinstance(section, dict) else {}


def _given(entry: Mapping[str, object]) -> int:
    return sum(value is not None for value in entry.values())


def _explained(error: ErrorDetails) -> Problem:
    """One of pydantic's errors as a Problem."""
    key = tuple(str(part + 1) if isinstance(part, int) else part for part in error["loc"] if part != "[key]")
    limits: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "refused":
            return Problem(key, limits["sentence"])
        case "missing" if key == ("store", "catalog", "env"):
            return Problem(key[:2], _CATALOG)
        case "missing":
            return Problem(key, f"is missing. {_EXAMPLES.get(key[-1], '')}".strip())
        case "extra_forbidden":
            return _unknown_key(key)
        case "literal_error" if key[-1] == "files":
            return Problem(key, "may only be none: loading files is not supported by this version yet.")
        case "literal_error":
            return Problem(key, f"must be {limits['expected']}.".replace("'", ""))
        case "too_short" | "string_too_short":
            return Problem(key, f"is empty. {_EXAMPLES.get(key[-1] if key else '', 'Give it a value.')}")
        case "greater_than_equal":
            return Problem(key, f"must be at least {limits['ge']:g}.")
        case "less_than_equal":
            return Problem(key, f"must be at most {limits['le']:g}.{_WHY.get(key[-1], '')}")
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return Problem(key, "must be a whole number.")
        case "float_parsing" | "float_type" | "finite_number":
            return Problem(key, "must be a number, such as 0.2.")
        case "bool_parsing" | "bool_type":
            return Problem(key, "must be true or false.")
        case "string_type":
            return Problem(key, "must be one text value. Give it one, or remove the key.")
        case "tuple_type":
            return Problem(key, "must be a list, such as [demographics, visits].")
        case "model_type" | "dict_type" if key and key[-1] == "token":
            return Problem(key, f"does not say where the token is. {NEVER_HERE}")
        case "model_type" | "dict_type" if key == ("store", "catalog"):
            return Problem(key, _CATALOG)
        case "model_type" | "dict_type":
            return Problem(key, f"must hold keys with values. {_EXAMPLES.get(key[-1] if key else '', '')}".strip())
        case other:
            return Problem(key, f"is not accepted ({other}).")


_CATALOG = (
    "does not name an environment variable. The URL of the catalog holds a password, which is never in this file. "
    "Write it like {env: WAREHOUSE_CATALOG}, and set the variable."
)


_EXAMPLES = {
    "store": "Write it like {catalog: {env: WAREHOUSE_CATALOG}, data: s3://bucket/redcap}.",
    "catalog": "Write it like {env: WAREHOUSE_CATALOG}.",
    "data": "Write it like s3://bucket/redcap, or the path of a folder that all machines share.",
    "servers": "For instance: servers: {campus: {url: https://redcap.example.edu/api/}}",
    "projects": "For instance: projects: {heart_study: {token: {env: REDCAP_TOKEN_HEART}}}",
    "url": "Write it like https://redcap.example.edu/api/.",
    "token": "Write it like {env: REDCAP_TOKEN_HEART}; {keyring: service/user} and {file: path} do as well.",
    "instruments": "Write it like [demographics, visits].",
    "fields": "Write it like [weight, visit_date].",
    "writeback": "Write it like {fields: [weight, visit_date]}.",
    "published": 'Write it like {mode: "0640", group: redcap-readers}.',
    "include": "Write it like {instruments: [demographics, visits]}.",
    "exclude": "Write it like {instruments: [demographics, visits]}.",
}


_WHY = {"requests_per_minute": " Above that REDCap bans the address."}


def _unknown_key(key: Key) -> Problem:
    *around, name = key
    known = _known_keys(tuple(around))
    if around and around[-1] == "token":
        return Problem(tuple(around), f"has an unknown key. It takes one of {list_names(known)}.")
    if tuple(around) == ("store", "catalog"):
        return Problem(tuple(around), _CATALOG)
    near = did_you_mean(name, known)
    elsewhere = next((place for place, model in _PLACES.items() if not near and name in model.model_fields), "")
    if elsewhere:
        return Problem(key, f"does not belong here, but {elsewhere}.")
    return Problem(key, f"is not a known key.{near or f' Known here: {list_names(known)}.'}")


_PLACES: dict[str, type[Section]] = {
    "at the top of the file": ProjectsFile,
    "in an entry of servers": ServerEntry,
    "in an entry of projects": ProjectEntry,
    "under token": TokenEntry,
    "under include or exclude": Narrowing,
    "under writeback": WritebackEntry,
    "under published": PublishedEntry,
    "under store": StoreEntry,
}


def _known_keys(around: Key) -> Iterable[str]:
    model: type[Section] = ProjectsFile
    match around:
        case ("published",):
            model = PublishedEntry
        case ("store",):
            model = StoreEntry
        case ("servers", _):
            model = ServerEntry
        case ("projects", _):
            model = ProjectEntry
        case ("projects", _, "token"):
            model = TokenEntry
        case ("projects", _, "include" | "exclude"):
            model = Narrowing
        case ("projects", _, "writeback"):
            model = WritebackEntry
    return model.model_fields


def problem_lines(problems: Iterable[Problem], document: Document, shown: str) -> list[str]:
    """Each problem as one line, in the order of the file."""
    placed = sorted(((p.line or document.line(p.key), p) for p in problems), key=lambda pair: pair[0])
    sentences = (
        str(ConfigError(f"{_dotted(problem.key)} {problem.sentence}", where=f"{shown} line {line}"))
        for line, problem in placed
    )
    return list(dict.fromkeys(sentences))


def _dotted(key: Key) -> str:
    if key[2:3] == ("token",) and not TokenEntry.model_fields.keys() >= set(key[3:]):
        # The key in place of `env` may be the secret itself.
        key = key[:3]
    if key[:2] == ("store", "catalog"):
        # So may a key beside `env`.
        key = key[: 3 if key[2:] == ("env",) else 2]
    return ".".join(show_name(part) for part in key) or "the file"


def related(one: Key, other: Key) -> bool:
    """Whether one key is the other or contains it."""
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]
