"""Read projects.yaml into a Config, or raise one ConfigError that names every problem in it.

Three steps: YAML becomes plain text values and the line of each key (yaml_reader.py); the models, which are also the
JSON schema for editors, check them (schema.py, problems.py); here, what refers to something else (a project's server,
relative paths) is resolved. Tokens are never in the file: a TokenSource knows where one is and reads it when a client
is opened. Not here: whether REDCap has the instruments and fields that the file names.

No message quotes a value, because a misplaced value may be a token; in names, what looks like a token is masked.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.config.problems import problem_lines, related, validated
from pipelines.config.schema import (
    Narrowing,
    ProjectEntry,
    ProjectsFile,
    PublishedEntry,
    ServerEntry,
    StoreEntry,
    TokenEntry,
    WritebackEntry,
)
from pipelines.config.settings import Config, InstrumentSelection, ProjectConfig, ServerConfig, WritebackConfig
from pipelines.config.store import CatalogSource, StoreConfig
from pipelines.config.tokens import TokenSource
from pipelines.config.values import is_loopback
from pipelines.config.yaml_reader import VARIABLE, Document, parse, read_file_text
from pipelines.errors import ConfigError
from pipelines.sharing import PRIVATE, Sharing


def load_config(path: Path | str | None = None, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in `path`, else in $REDCAP_WAREHOUSE_CONFIG, else in ./projects.yaml.

    ConfigError names every problem of the file, one a line.
    """
    shown = Path(path or environment.get(VARIABLE) or "projects.yaml")
    document = parse(read_file_text(shown), str(shown))
    file, problems = validated(document.content)
    # One mistake often breaks a second rule; the problem found first, closer to the text, is the cause.
    causes = document.problems
    problems = [*causes, *(p for p in problems if not any(related(p.key, cause.key) for cause in causes))]
    if file is None or problems:
        raise ConfigError("\n".join(problem_lines(problems, document, str(shown))))
    return _config(file, shown, document)


def _config(file: ProjectsFile, shown: Path, document: Document) -> Config:
    # Not resolve(): a mounted configuration is often a symbolic link into a folder that changes its name.
    path = shown.absolute()
    servers = {name: _server(name, entry, path.parent) for name, entry in file.servers.items()}
    only_server = next(iter(servers.values()))
    projects = {
        name: _project(
            name,
            entry,
            server=servers[entry.server] if entry.server else only_server,
            token=_token(name, entry.token, path.parent, f"{shown} line {document.line(('projects', name, 'token'))}"),
        )
        for name, entry in file.projects.items()
    }
    return Config(
        path=path,
        warehouse=_beside(path.parent, file.warehouse),
        schedule=file.schedule,
        time_zone=file.time_zone,
        deletion_limit=file.deletion_limit,
        memory_limit=file.memory_limit,
        servers=servers,
        projects=projects,
        published=_sharing(file.published),
        store=_store(file.store, path.parent, f"{shown} line {document.line(('store', 'catalog'))}"),
    )


def _beside(folder: Path, text: str) -> Path:
    """A path of the file, relative to the file's folder."""
    return folder / Path(text).expanduser()


def _server(name: str, entry: ServerEntry, folder: Path) -> ServerConfig:
    return ServerConfig(
        name=name,
        url=entry.url,
        ca_bundle=_beside(folder, entry.ca_bundle) if entry.ca_bundle else None,
        requests_per_minute=_requests_per_minute(entry),
        concurrency=entry.concurrency,
        time_zone=entry.time_zone,
    )


def _requests_per_minute(entry: ServerEntry) -> int | None:
    """The file's value, else the default; no limit for a server on this machine, if the file sets none."""
    is_set = "requests_per_minute" in entry.model_fields_set
    return None if not is_set and is_loopback(urlsplit(entry.url).hostname or "") else entry.requests_per_minute


def _project(name: str, entry: ProjectEntry, *, server: ServerConfig, token: TokenSource) -> ProjectConfig:
    return ProjectConfig(
        name=name,
        server=server,
        token=token,
        project_id=entry.project_id,
        identifiers=entry.identifiers,
        full_refresh_every=entry.full_refresh_every,
        include=_selection(entry.include),
        exclude=_selection(entry.exclude),
        files=entry.files,
        writeback=_writeback(entry.writeback or WritebackEntry()),
    )


def _sharing(entry: PublishedEntry | None) -> Sharing:
    return PRIVATE if entry is None else Sharing(int(entry.mode, 8), entry.group)


def _store(entry: StoreEntry | None, folder: Path, where: str) -> StoreConfig | None:
    if entry is None:
        return None
    # DuckDB is given the path as it is, so that it must not change with the current folder.
    data = entry.data if entry.data.startswith("s3://") else os.path.normpath(_beside(folder, entry.data))
    return StoreConfig(CatalogSource(entry.catalog.env, where), data.rstrip("/") or "/")


def _selection(entry: Narrowing | None) -> InstrumentSelection | None:
    return None if entry is None else InstrumentSelection(entry.instruments)


def _writeback(entry: WritebackEntry) -> WritebackConfig:
    return WritebackConfig(
        fields=entry.fields,
        instruments=entry.instruments,
        max_cells=entry.max_cells,
        max_record_share=entry.max_record_share,
        max_age=entry.max_age,
        new_records=entry.new_records,
    )


def _token(project: str, entry: TokenEntry, folder: Path, where: str) -> TokenSource:
    if entry.env is not None:
        return TokenSource("env", entry.env, project, where)
    if entry.keyring is not None:
        return TokenSource("keyring", entry.keyring, project, where)
    return TokenSource("file", str(_beside(folder, entry.file or "")), project, where)
