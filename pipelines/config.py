"""Read projects.yaml: text becomes a Config, or one ConfigError that names every problem in it.

Three steps: YAML becomes plain text values and the line of each key; the models below, which are also the JSON schema
for editors, check them; what refers to something else (a project's server, relative paths) is resolved. Tokens are
never in the file: a TokenSource says where one is and reads it when a client is opened. What a REDCap project really
contains is not known here.

No message quotes a value, because a misplaced value may be a token; in names, what is like a token is masked.
"""

from __future__ import annotations

import difflib
import ipaddress
import json
import os
import re
import stat
import zoneinfo
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema
from pydantic_core import ErrorDetails, PydanticCustomError

from pipelines.errors import ConfigError
from pipelines.project_names import LONGEST, PATTERN, RESERVED, RESERVED_ENDINGS
from pipelines.wording import counted, printable, unseen

if TYPE_CHECKING:
    from redcap_source import Token

VARIABLE = "REDCAP_WAREHOUSE_CONFIG"
SCHEMA = Path(__file__).with_name("projects.schema.json")
SCHEMA_COMMAND = "python -m pipelines.config"

EXAMPLE = """\
    servers: {campus: {url: https://redcap.example.edu/api/}}
    projects:
      heart_study: {token: {env: REDCAP_TOKEN_HEART}}"""

Identifiers = Literal["keep", "drop", "hash"]
Key = tuple[str, ...]


# --- What the rest of the warehouse sees ---


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """A REDCap server, and how fast it may be asked."""

    name: str
    url: str
    ca_bundle: Path | None
    requests_per_minute: int | None
    """None for no limit: a simulator on this machine, unless the file sets one."""
    concurrency: int
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class TokenSource:
    """Where a project's token is; the token itself is read on demand and kept nowhere."""

    kind: Literal["env", "keyring", "file"]
    name: str
    project: str
    where: str

    def read(self, environment: Mapping[str, str] = os.environ) -> Token:
        """The token; ConfigError, which never quotes it, if there is none or it cannot be one."""
        from redcap_source import Token

        match self.kind:
            case "env":
                text = self._from_environment(environment)
            case "keyring":
                text = self._from_keyring()
            case "file":
                text = self._from_file()
        text = text.strip()
        if not _TOKEN.fullmatch(text):
            raise self._problem(
                f"which does not hold one: a REDCap token is 32 hexadecimal digits, this is {len(text)} characters.",
                "Copy it again from the project's API page in REDCap.",
            )
        return Token(text)

    def _from_environment(self, environment: Mapping[str, str]) -> str:
        text = environment.get(self.name)
        if not text:
            state = "not set" if text is None else "empty"
            raise self._problem(
                f"which is {state}.", "Set it where the load runs; the token is on the project's API page in REDCap."
            )
        return text

    def _from_keyring(self) -> str:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            raise self._problem(
                "but the keyring package is not installed.",
                "Run `pip install keyring` in the environment that redcap-warehouse runs in.",
            ) from None
        service, _, user = self.name.rpartition("/")
        try:
            text = keyring.get_password(service, user)
        except KeyringError as error:
            raise self._problem(
                f"which cannot be opened ({type(error).__name__}).",
                "Unlock it, or take the token from an environment variable or a file on machines without one.",
            ) from None
        if text is None:
            raise self._problem(
                "which has no such entry.", f"Store the token with `keyring set {_shown(service)} {_shown(user)}`."
            )
        return text

    def _from_file(self) -> str:
        try:
            with Path(self.name).open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                content = file.read(1000)
        except OSError as error:
            raise self._problem(
                f"which cannot be read ({error.strerror}).", "Write the token, and nothing else, into that file."
            ) from None
        if os.name == "posix" and mode & 0o077:
            raise self._problem(
                f"which others on this machine may use (its mode is {stat.S_IMODE(mode):04o}).",
                f"Run `chmod 600 {_shown(self.name)}`; a secret mounted into a container needs mode 0400.",
            )
        return content.decode("ascii", errors="replace")

    def _problem(self, problem: str, remedy: str) -> ConfigError:
        source = {"env": "environment variable", "keyring": "keyring entry", "file": "file"}[self.kind]
        return ConfigError(
            f"project {self.project} takes its token from the {source} {_shown(self.name)}, {problem}",
            where=self.where,
            remedy=remedy,
        )


@dataclass(frozen=True, slots=True)
class WritebackConfig:
    """What may be written back to a project; nothing unless fields or instruments are named."""

    fields: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()
    max_cells: int = 1000
    max_record_share: float = 0.2
    max_age: timedelta = timedelta(hours=36)
    new_records: bool = False


@dataclass(frozen=True, slots=True)
class ProjectConfig:
    """A REDCap project: where it is, who we are there, and which part of it is wanted."""

    name: str
    server: ServerConfig
    token: TokenSource
    project_id: int | None
    identifiers: Identifiers
    full_refresh_every: timedelta
    include: Narrowing | None
    exclude: Narrowing | None
    files: Literal["none"]
    writeback: WritebackConfig = WritebackConfig()


@dataclass(frozen=True, slots=True)
class Config:
    """A projects.yaml that can be used."""

    path: Path
    warehouse: Path
    schedule: str
    time_zone: str
    deletion_limit: float
    memory_limit: str | None
    """None where what a database needs is found out by itself."""
    servers: Mapping[str, ServerConfig]
    projects: Mapping[str, ProjectConfig]

    def project(self, name: str) -> ProjectConfig:
        """The project of that name; ConfigError, which lists the names there are, if there is none."""
        if name in self.projects:
            return self.projects[name]
        raise ConfigError(
            f"there is no project {_shown(name)}.{_did_you_mean(name, self.projects)}",
            where=str(self.path),
            remedy=f"It has: {', '.join(self.projects)}.",
        )


def load_config(path: Path | str | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in `path`, else in $REDCAP_WAREHOUSE_CONFIG, else in ./projects.yaml."""
    shown = Path(path or environment.get(VARIABLE) or "projects.yaml")
    document = _parse(_text(shown), str(shown))
    file, problems = _validated(document.content)
    # One mistake often breaks a second rule: what was found first, nearer to the text, is the cause.
    causes = document.problems
    problems = [*causes, *(p for p in problems if not any(_related(p.key, cause.key) for cause in causes))]
    if file is None or problems:
        raise ConfigError("\n".join(_sentences(problems, document, str(shown))))
    return _resolved(file, shown, document)


# --- What stands in the file ---


def _refused(problem: str, remedy: str = "") -> PydanticCustomError:
    # Braces in a template are pydantic's; the sentence goes in as a value.
    return PydanticCustomError("refused", "{sentence}", {"sentence": f"{problem} {remedy}".strip()})


def _url(text: str) -> str:
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https") or re.search(r"\s", text):
        raise _refused("is not a URL.", "Write it like https://redcap.example.edu/api/.")
    if url.username is not None or url.password is not None:
        raise _refused("has a user name or password in it.", "Remove it; REDCap needs only the token.")
    if url.query or url.fragment:
        raise _refused("has a ? or # in it.", "End it with /api/.")
    if url.scheme == "http" and not _is_loopback(host):
        raise _refused("is plain http, so tokens and data would travel in clear.", "Write https://.")
    if not url.path.endswith("/api/"):
        # People paste what the browser shows, which goes on with the version's folder or a page.
        base = re.sub(r"(/api)?(/(redcap_v\d.*|[^/]*\.php.*))?/*$", "", url.path, flags=re.IGNORECASE)
        raise _refused("does not end with /api/.", f"It should be {_shown(f'{url.scheme}://{url.netloc}{base}')}/api/.")
    return text


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _time_zone(text: str) -> str:
    try:
        zoneinfo.ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder of the time zone database
        near = _did_you_mean(text, zoneinfo.available_timezones())
        raise _refused(f"is not a time zone.{near}", "Write it like America/Chicago or UTC.") from None
    return text


CRON_FIELDS = (
    ("minute", range(60), ""),
    ("hour", range(24), ""),
    ("day of the month", range(1, 32), ""),
    ("month", range(1, 13), "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("day of the week", range(8), "sun mon tue wed thu fri sat"),
)
CRON_WORDS = ("@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually")
LONGEST_MONTH = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}


def _cron(text: str) -> str:
    """A cron line that Dagster accepts; checked here because importing Dagster takes a second."""
    if text in CRON_WORDS:
        return text
    parts = text.split()
    remedy = 'Write it like "0 2 * * *", which is two o\'clock every night.'
    if len(parts) != 5:
        raise _refused(
            f"has {counted(len(parts), 'field')} instead of 5 (minute, hour, day, month, day of the week).", remedy
        )
    times = []
    for part, (name, allowed, words) in zip(parts, CRON_FIELDS, strict=True):
        values = _cron_field(part.lower(), allowed, words.split())
        if not values:
            raise _refused(f"has no {name} that cron knows.", remedy)
        times.append(values)
    _, _, days, months, _ = times
    if min(days) > max(LONGEST_MONTH.get(month, 31) for month in months):
        raise _refused("names a day that its months do not have, so it would never run.", remedy)
    return text


def _cron_field(text: str, allowed: range, words: list[str]) -> set[int]:
    """The numbers a field stands for; none if it cannot be read."""
    numbers = {word: str(allowed[i]) for i, word in enumerate(words)}
    values: set[int] = set()
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, dash, last = (numbers.get(bound, bound) for bound in span.partition("-"))
        if span == "*":
            first, last = str(allowed[0]), str(allowed[-1])
        elif not dash:
            last = first
        if not all(n.isascii() and n.isdigit() for n in (first, last, step if slash else "1")):
            return set()
        # A step after a single number is read differently by different crons.
        if (slash and span != "*" and not dash) or int(step or 1) not in range(1, allowed[-1] + 1):
            return set()
        chosen = range(int(first), int(last) + 1, int(step or 1))
        if not chosen or chosen[0] not in allowed or chosen[-1] not in allowed:
            return set()
        values.update(chosen)
    return values


DURATION = r"^\s*([1-9]\d{0,3})\s*(hour|day|week)s?\s*$"


def _duration(value: object) -> timedelta:
    found = re.fullmatch(DURATION, value) if isinstance(value, str) else None
    if found is None:
        raise _refused("is not a duration.", "Write it like 7 days, 12 hours or 2 weeks.")
    return timedelta(**{f"{found[2]}s": int(found[1])})


def _project_name(name: str) -> str:
    if not re.fullmatch(PATTERN, name):
        raise _refused(
            "cannot be the name of an SQL schema.",
            "Begin with a small letter and use only small letters, digits and underscores.",
        )
    if len(name) > LONGEST:
        raise _refused(f"is a name of {len(name)} characters.", f"Use at most {LONGEST}.")
    if name in RESERVED:
        raise _refused("is the name of a schema that the warehouse itself has.", "Choose another name.")
    if ending := next((e for e in RESERVED_ENDINGS if name.endswith(e)), ""):
        raise _refused(f"ends with {ending}, as the further schemas of a project do.", "Choose another name.")
    return name


def _server_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise _refused("is not a usable name.", "Begin with a letter and use only letters, digits, - and _.")
    return name


def _variable(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise _refused("is not the name of an environment variable.", "Write it like {env: REDCAP_TOKEN_HEART}.")
    return text


def _keyring_entry(text: str) -> str:
    service, _, user = text.rpartition("/")
    if not service.strip() or not user.strip():
        raise _refused("does not name a service and a user.", "Write it like {keyring: redcap/heart_study}.")
    return text


def _memory(text: str) -> str:
    if not re.fullmatch(MEMORY, text):
        raise _refused("is not an amount of memory.", 'Write it like "256MB" or "2GB".')
    return text


MEMORY = r"^[1-9]\d*(\.\d+)? ?([MG]i?B)$"

Memory = Annotated[str, AfterValidator(_memory), Field(json_schema_extra={"pattern": MEMORY})]
Text = Annotated[str, Field(min_length=1)]
TimeZone = Annotated[str, AfterValidator(_time_zone), Field(examples=["America/Chicago", "UTC"])]
Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION, "examples": ["7 days", "12 hours"]}),
]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Narrowing(_Section):
    """Some of a project's instruments."""

    instruments: tuple[Text, ...] = Field(min_length=1, description="Names of instruments, as in the data dictionary.")


class TokenEntry(_Section):
    """Where the project's API token is; the token itself is never written here."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: Annotated[Text, AfterValidator(_variable)] | None = Field(
        default=None, description="Name of the environment variable that holds the token."
    )
    keyring: Annotated[Text, AfterValidator(_keyring_entry)] | None = Field(
        default=None, description="service/user of the entry in the system's keyring."
    )
    file: Text | None = Field(
        default=None, description="Path of a file that holds only the token and that only its owner may read."
    )


class ServerEntry(_Section):
    """A REDCap server."""

    url: Annotated[str, AfterValidator(_url)] = Field(
        description="The server's API URL, ending with /api/. Plain http is only accepted to this machine.",
        examples=["https://redcap.example.edu/api/"],
    )
    ca_bundle: Text | None = Field(
        default=None, description="PEM file of the authority that signed the server's certificate."
    )
    requests_per_minute: int = Field(
        default=120,
        ge=1,
        le=600,
        description="One pace for all projects, runs and processes; REDCap bans an address above 600.",
    )
    concurrency: int = Field(default=2, ge=1, le=4, description="Requests at the same time.")
    time_zone: TimeZone | None = Field(
        default=None, description="Time zone of the server's clock; learned from the server when left out."
    )


class WritebackEntry(_Section):
    """What may be written back to a project, and how much at once."""

    fields: tuple[Text, ...] = Field(
        default=(), description="Names of fields that may be written; a checkbox with all its options."
    )
    instruments: tuple[Text, ...] = Field(
        default=(), description="Names of instruments whose every field may be written, the form status too."
    )
    max_cells: int = Field(default=1000, ge=0, description="Cells that may be written in one run.")
    max_record_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of the project's records that may be written in one run; five records always may.",
    )
    max_age: Duration = Field(
        default=timedelta(hours=36),
        description="How old the last good load may be.",
        json_schema_extra={"default": "36 hours"},
    )
    new_records: bool = Field(default=False, description="Whether records that REDCap does not have may be made.")


class ProjectEntry(_Section):
    """A REDCap project; its name becomes the name of its SQL schema."""

    server: Text | None = Field(
        default=None, description="One of the servers; may be left out when there is exactly one."
    )
    token: TokenEntry = Field(description="Where the API token is: {env: …}, {keyring: …} or {file: …}.")
    project_id: int | None = Field(
        default=None, ge=1, description="REDCap's number of the project; refuse to touch any other with this token."
    )
    identifiers: Identifiers = Field(
        default="keep", description="What is done with fields that the dictionary tags as identifiers."
    )
    full_refresh_every: Duration = Field(
        default=timedelta(days=7),
        description="How often every record is compared, whatever REDCap's log says.",
        json_schema_extra={"default": "7 days"},
    )
    include: Narrowing | None = Field(default=None, description="Load only these instruments.")
    exclude: Narrowing | None = Field(default=None, description="Load all but these instruments.")
    files: Literal["none"] = Field(default="none", description="Uploaded files; this version loads none.")
    writeback: WritebackEntry | None = Field(default=None, description="What may be written back; nothing without it.")


class ProjectsFile(_Section):
    """Configuration of REDCap Warehouse: projects.yaml."""

    warehouse: Text = Field(
        default="warehouse", description="Folder of the warehouse, created for its owner only; relative to this file."
    )
    schedule: Annotated[str, AfterValidator(_cron)] = Field(
        default="0 2 * * *", description="When the nightly load starts: a cron line of five fields, in time_zone."
    )
    time_zone: TimeZone = Field(default="UTC", description="Time zone of the schedule.")
    deletion_limit: float = Field(
        default=0.2,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of a project's records that may vanish in one night before the load refuses to go on.",
    )
    memory_limit: Memory | None = Field(
        default=None,
        description="Memory of one load's database; unless it is set, 256MB, and more where a table is very wide.",
    )
    servers: dict[Annotated[str, AfterValidator(_server_name)], ServerEntry] = Field(
        min_length=1, description="The REDCap servers, by a name of your choice."
    )
    projects: dict[Annotated[str, AfterValidator(_project_name)], ProjectEntry] = Field(
        min_length=1,
        description="The REDCap projects, by the name their SQL schema shall have.",
        json_schema_extra={"propertyNames": {"pattern": "^[a-z][a-z0-9_]*$", "maxLength": 50}},
    )


# --- From YAML to plain text, with lines ---


@dataclass(frozen=True, slots=True)
class _Problem:
    key: Key
    sentence: str
    line: int | None = None


@dataclass(frozen=True, slots=True)
class _Document:
    content: object
    lines: Mapping[Key, int]
    problems: tuple[_Problem, ...]

    def line(self, key: Key) -> int:
        """The line of the key, or of the nearest one around it that stands in the file."""
        return next((self.lines[key[:n]] for n in range(len(key), 0, -1) if key[:n] in self.lines), 1)


# Longer than any name made of hexadecimal digits alone, shorter than a token that was copied badly.
_LIKE_A_TOKEN = re.compile(r"[0-9A-Fa-f]{24,}")
_TOKEN = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{64}")
_NEVER_HERE = "Tokens are never written here: use {env: NAME}, {keyring: service/user} or {file: path}."
_DEEPEST = 8
# Many times what a thousand projects need, and reached in a second by aliases that repeat each other.
_MOST_VALUES = 100_000
_MERGE = "tag:yaml.org,2002:merge"


def _text(path: Path) -> str:
    problem = ""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problem = f"there is no such file ({path.absolute()})."
    except UnicodeDecodeError:
        problem = "it is not UTF-8 text."
    except OSError as error:
        problem = f"it cannot be read ({error.strerror})."
    # Raised out here so that no foreign exception, which may quote the file, travels with it.
    raise ConfigError(problem, where=str(path), remedy=_how_to_begin())


def _how_to_begin() -> str:
    return (
        f"Name another one with --config or ${VARIABLE}, or begin with these three lines:\n{EXAMPLE}\n"
        "To look around without a REDCap server, run `redcap-warehouse demo`."
    )


def _parse(text: str, shown: str) -> _Document:
    where, problem = shown, ""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{shown} line {mark.line + 1}, column {mark.column + 1}" if mark else shown
        problem = _shown(error.problem or "").replace("start any token", "stand there")
    except (yaml.YAMLError, RecursionError):
        problem = "it holds characters that do not belong in a text, or endless brackets"
    if problem:
        raise ConfigError(
            f"this is not YAML: {problem}.",
            where=where,
            remedy="Look at the indentation (spaces, no tabs), colons, brackets and quotes there; "
            "a text that begins with *, & or @ needs quotes.",
        )
    if node is None:
        raise ConfigError("the file is empty.", where=shown, remedy=_how_to_begin())
    reader = _Reader()
    content = reader.read(node, ())
    return _Document(content, reader.lines, tuple(reader.problems))


class _Reader:
    """Every scalar as the text that stands there, so that a name such as `no` or 007 is what it looks like."""

    def __init__(self) -> None:
        self.lines: dict[Key, int] = {}
        self.problems: list[_Problem] = []
        self._depth = 0
        self._read = 0

    def read(self, node: yaml.Node, key: Key) -> object:
        self.lines.setdefault(key, node.start_mark.line + 1)
        self._depth += 1
        value = self._value(node, key)
        self._depth -= 1
        return value

    def _value(self, node: yaml.Node, key: Key) -> object:
        self._read += 1
        if self._read > _MOST_VALUES:
            if self._read == _MOST_VALUES + 1:
                self._problem((), f"expands to over {counted(_MOST_VALUES, 'value')} through its aliases.", node)
        elif self._depth > _DEEPEST:  # an alias may contain itself
            self._problem(key, "is nested too deep.", node)
        elif not node.tag.startswith("tag:yaml.org,2002:"):
            self._problem(key, "has a tag (a word that begins with !). Tags mean nothing here; remove it.", node)
        elif isinstance(node, yaml.MappingNode):
            return self._mapping(node, key)
        elif isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*key, str(n))) for n, item in enumerate(node.value, start=1)]
        elif hidden := unseen(node.value):
            self._problem(key, f"contains a non-printable character ({hidden}). Remove it.", node)
        elif _LIKE_A_TOKEN.fullmatch(node.value.strip()):
            self._problem(key, f"holds what looks like a token. {_NEVER_HERE}", node)
        elif node.tag != "tag:yaml.org,2002:null":
            return str(node.value)
        return None

    def _mapping(self, node: yaml.MappingNode, key: Key) -> dict[str, object]:
        inherited: dict[str, object] = {}
        read: dict[str, object] = {}
        merges = [value for name, value in node.value if name.tag == _MERGE]
        for other in (part for m in merges for part in (m.value if isinstance(m, yaml.SequenceNode) else [m])):
            more = self.read(other, key)
            inherited = {**more, **inherited} if isinstance(more, dict) else inherited
        for name, value in ((name, value) for name, value in node.value if name.tag != _MERGE):
            if not isinstance(name, yaml.ScalarNode):
                self._problem(key, "has a key that is not plain text.", name)
            elif hidden := unseen(name.value):
                self._problem(key, f"has a key with a non-printable character ({hidden}). Remove it.", name)
            elif _LIKE_A_TOKEN.fullmatch(name.value.strip()):
                self._problem(key, f"has a key that looks like a token. {_NEVER_HERE}", name)
            elif name.value in read:
                first = self.lines[(*key, name.value)]
                self._problem((*key, name.value), f"stands twice, first on line {first}. Remove one of them.", name)
            else:
                self.lines[(*key, name.value)] = name.start_mark.line + 1
                read[name.value] = self.read(value, (*key, name.value))
        return {**inherited, **read}

    def _problem(self, key: Key, sentence: str, node: yaml.Node) -> None:
        self.problems.append(_Problem(key, sentence, node.start_mark.line + 1))


# --- Problems, in words ---


def _validated(content: object) -> tuple[ProjectsFile | None, list[_Problem]]:
    """The file as its model, and what is wrong with it."""
    errors: list[ErrorDetails] = []
    file = None
    try:
        file = ProjectsFile.model_validate(content)
    except ValidationError as found:
        errors = found.errors(include_input=False, include_url=False)
    return file, [*(_explained(error) for error in errors), *_reference_problems(content)]


def _reference_problems(content: object) -> Iterator[_Problem]:
    """What no model of a single entry can see; on plain values, so that it is told together with the rest."""
    servers, projects = (_section(content, name) for name in ("servers", "projects"))
    for name, project in projects.items():
        if not isinstance(project, dict):
            continue
        key = ("projects", name, "server")
        server = project.get("server")
        if server is None and len(servers) > 1:
            yield _Problem(key, f"is missing, and there are several servers. Name one of {_listed(servers)}.")
        elif isinstance(server, str) and servers and server not in servers:
            near = _did_you_mean(server, servers)
            yield _Problem(key, f"names no server of this file.{near} The servers are {_listed(servers)}.")
        token = project.get("token")
        # An entry that is no mapping, or has unknown keys, is explained by the models.
        if isinstance(token, dict) and token.keys() <= TokenEntry.model_fields.keys() and _given(token) != 1:
            yield _Problem(("projects", name, "token"), "needs exactly one of env, keyring and file.")


def _section(content: object, name: str) -> dict[str, object]:
    section = content.get(name) if isinstance(content, dict) else None
    return section if isinstance(section, dict) else {}


def _given(entry: Mapping[str, object]) -> int:
    return sum(value is not None for value in entry.values())


def _explained(error: ErrorDetails) -> _Problem:
    """One of pydantic's errors as a sentence that goes on from the key's name."""
    key = tuple(str(part + 1) if isinstance(part, int) else part for part in error["loc"] if part != "[key]")
    limits: dict[str, Any] = error.get("ctx", {})
    match error["type"]:
        case "refused":
            return _Problem(key, limits["sentence"])
        case "missing":
            return _Problem(key, f"is missing. {_EXAMPLES.get(key[-1], '')}".strip())
        case "extra_forbidden":
            return _unknown_key(key)
        case "literal_error" if key[-1] == "files":
            return _Problem(key, "may only be none: loading files is not supported by this version yet.")
        case "literal_error":
            return _Problem(key, f"has to be {limits['expected']}.".replace("'", ""))
        case "too_short" | "string_too_short":
            return _Problem(key, f"is empty. {_EXAMPLES.get(key[-1] if key else '', 'Give it a value.')}")
        case "greater_than_equal":
            return _Problem(key, f"has to be at least {limits['ge']:g}.")
        case "less_than_equal":
            return _Problem(key, f"has to be at most {limits['le']:g}.{_WHY.get(key[-1], '')}")
        case "int_parsing" | "int_type" | "int_from_float" | "int_parsing_size":
            return _Problem(key, "has to be a whole number.")
        case "float_parsing" | "float_type" | "finite_number":
            return _Problem(key, "has to be a number, such as 0.2.")
        case "bool_parsing" | "bool_type":
            return _Problem(key, "has to be true or false.")
        case "string_type":
            return _Problem(key, "has to be one text value. Give it one, or remove the key.")
        case "tuple_type":
            return _Problem(key, "has to be a list, such as [demographics, visits].")
        case "model_type" | "dict_type" if key and key[-1] == "token":
            return _Problem(key, f"does not say where the token is. {_NEVER_HERE}")
        case "model_type" | "dict_type":
            return _Problem(key, f"has to hold keys with values. {_EXAMPLES.get(key[-1] if key else '', '')}".strip())
        case other:
            return _Problem(key, f"is not accepted ({other}).")


_EXAMPLES = {
    "servers": "For instance: servers: {campus: {url: https://redcap.example.edu/api/}}",
    "projects": "For instance: projects: {heart_study: {token: {env: REDCAP_TOKEN_HEART}}}",
    "url": "Write it like https://redcap.example.edu/api/.",
    "token": "Write it like {env: REDCAP_TOKEN_HEART}; {keyring: service/user} and {file: path} do as well.",
    "instruments": "Write it like [demographics, visits].",
    "fields": "Write it like [weight, visit_date].",
    "writeback": "Write it like {fields: [weight, visit_date]}.",
    "include": "Write it like {instruments: [demographics, visits]}.",
    "exclude": "Write it like {instruments: [demographics, visits]}.",
}
_WHY = {"requests_per_minute": " Above that REDCap bans the address."}


def _unknown_key(key: Key) -> _Problem:
    *around, name = key
    known = _known_keys(tuple(around))
    if around and around[-1] == "token":
        return _Problem(tuple(around), f"has an unknown key. It takes one of {_listed(known)}.")
    near = _did_you_mean(name, known)
    elsewhere = next((home for home, model in _HOMES.items() if not near and name in model.model_fields), "")
    if elsewhere:
        return _Problem(key, f"does not belong here, but {elsewhere}.")
    return _Problem(key, f"is not a known key.{near or f' Known here: {_listed(known)}.'}")


_HOMES: dict[str, type[_Section]] = {
    "at the top of the file": ProjectsFile,
    "in an entry of servers": ServerEntry,
    "in an entry of projects": ProjectEntry,
    "under token": TokenEntry,
    "under include or exclude": Narrowing,
    "under writeback": WritebackEntry,
}


def _known_keys(around: Key) -> Iterable[str]:
    model: type[_Section] = ProjectsFile
    match around:
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


def _sentences(problems: Iterable[_Problem], document: _Document, shown: str) -> list[str]:
    """One line a problem, in the order of the file."""
    placed = sorted(((p.line or document.line(p.key), p) for p in problems), key=lambda pair: pair[0])
    sentences = (
        str(ConfigError(f"{_dotted(problem.key)} {problem.sentence}", where=f"{shown} line {line}"))
        for line, problem in placed
    )
    return list(dict.fromkeys(sentences))


def _dotted(key: Key) -> str:
    if key[2:3] == ("token",) and not TokenEntry.model_fields.keys() >= set(key[3:]):
        # What stands here in place of `env` may be the secret itself.
        key = key[:3]
    return ".".join(_shown(part) for part in key) or "the file"


def _related(one: Key, other: Key) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def _listed(names: Iterable[str]) -> str:
    return ", ".join(_shown(name) for name in names)


def _shown(text: str, *, longest: int = 300) -> str:
    """A name fit for a message: on one line, not endless, and with nothing in it that may be a token."""
    masked = _LIKE_A_TOKEN.sub("****", printable(" ".join(text.split())))
    return masked if len(masked) <= longest else f"{masked[:longest]}…"


# --- From the file's entries to what they refer to ---


def _resolved(file: ProjectsFile, shown: Path, document: _Document) -> Config:
    # Not resolve(): a mounted configuration is often a symbolic link into a folder that changes its name.
    path = shown.absolute()

    def beside(text: str) -> Path:
        return path.parent / Path(text).expanduser()

    servers = {
        name: ServerConfig(
            name=name,
            url=entry.url,
            ca_bundle=beside(entry.ca_bundle) if entry.ca_bundle else None,
            requests_per_minute=_pace(entry),
            concurrency=entry.concurrency,
            time_zone=entry.time_zone,
        )
        for name, entry in file.servers.items()
    }
    only_server = next(iter(servers.values()))

    def token(project: str, entry: TokenEntry) -> TokenSource:
        where = f"{shown} line {document.line(('projects', project, 'token'))}"
        if entry.env is not None:
            return TokenSource("env", entry.env, project, where)
        if entry.keyring is not None:
            return TokenSource("keyring", entry.keyring, project, where)
        return TokenSource("file", str(beside(entry.file or "")), project, where)

    projects = {
        name: ProjectConfig(
            name=name,
            server=servers[entry.server] if entry.server else only_server,
            token=token(name, entry.token),
            project_id=entry.project_id,
            identifiers=entry.identifiers,
            full_refresh_every=entry.full_refresh_every,
            include=entry.include,
            exclude=entry.exclude,
            files=entry.files,
            writeback=_writeback(entry.writeback or WritebackEntry()),
        )
        for name, entry in file.projects.items()
    }
    return Config(
        path=path,
        warehouse=beside(file.warehouse),
        schedule=file.schedule,
        time_zone=file.time_zone,
        deletion_limit=file.deletion_limit,
        memory_limit=file.memory_limit,
        servers=servers,
        projects=projects,
    )


def _writeback(entry: WritebackEntry) -> WritebackConfig:
    return WritebackConfig(
        fields=entry.fields,
        instruments=entry.instruments,
        max_cells=entry.max_cells,
        max_record_share=entry.max_record_share,
        max_age=entry.max_age,
        new_records=entry.new_records,
    )


def _pace(entry: ServerEntry) -> int | None:
    """What the file says, else the default; a simulator on this machine has nobody to be polite to."""
    chosen = "requests_per_minute" in entry.model_fields_set
    return None if not chosen and _is_loopback(urlsplit(entry.url).hostname or "") else entry.requests_per_minute


# --- The schema for editors ---


def json_schema() -> str:
    """The models as a JSON schema, for editors that check and complete while one types."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ProjectsFile.model_json_schema(),
        "title": "projects.yaml of REDCap Warehouse",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(json_schema(), encoding="utf-8")
