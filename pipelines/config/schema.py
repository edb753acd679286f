"""The models that projects.yaml is validated against, and the JSON schema for editors."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from pipelines.config.cron import cron
from pipelines.config.settings import Identifiers
from pipelines.config.values import (
    Duration,
    Memory,
    Mode,
    Text,
    TimeZone,
    catalog_variable,
    check_url,
    data_place,
    group_name,
    keyring_entry,
    project_name,
    server_name,
    variable,
)

SCHEMA = Path(__file__).parent.parent / "projects.schema.json"


class Section(BaseModel):
    """A mapping of the file: unknown keys are errors, and no error quotes a value."""

    # Only the whole file is ever validated, so its sections need no validators of their own.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class Narrowing(Section):
    """Some of a project's instruments."""

    instruments: tuple[Text, ...] = Field(min_length=1, description="Names of instruments, as in the data dictionary.")


class TokenEntry(Section):
    """Where the project's API token is; the token itself is never in this file."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    env: Annotated[Text, AfterValidator(variable)] | None = Field(
        default=None, description="Name of the environment variable that holds the token."
    )
    keyring: Annotated[Text, AfterValidator(keyring_entry)] | None = Field(
        default=None, description="service/user of the entry in the system's keyring."
    )
    file: Text | None = Field(
        default=None, description="Path of a file that holds only the token and that only its owner may read."
    )


class ServerEntry(Section):
    """A REDCap server."""

    url: Annotated[str, AfterValidator(check_url)] = Field(
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


class WritebackEntry(Section):
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
    new_records: bool = Field(default=False, description="Whether records that REDCap does not have may be created.")


class ProjectEntry(Section):
    """A REDCap project; its name becomes the name of its SQL schema."""

    server: Text | None = Field(
        default=None, description="One of the servers; may be left out when there is exactly one."
    )
    token: TokenEntry = Field(description="Where the API token is: {env: …}, {keyring: …} or {file: …}.")
    project_id: int | None = Field(
        default=None, ge=1, description="REDCap's number of the project; a token of any other project is rejected."
    )
    identifiers: Identifiers = Field(
        default="keep", description="What happens to fields that the dictionary marks as identifiers."
    )
    full_refresh_every: Duration = Field(
        default=timedelta(days=7),
        description="How often every record is compared, even if REDCap's log shows no change.",
        json_schema_extra={"default": "7 days"},
    )
    include: Narrowing | None = Field(default=None, description="Load only these instruments.")
    exclude: Narrowing | None = Field(default=None, description="Load all but these instruments.")
    files: Literal["none"] = Field(default="none", description="Uploaded files; this version loads none.")
    writeback: WritebackEntry | None = Field(default=None, description="What may be written back; nothing without it.")


class PublishedEntry(Section):
    """Who may read the published file, warehouse.duckdb."""

    mode: Mode = Field(default="0600", description="The file's mode: four octal digits in quotes.")
    group: Annotated[str, AfterValidator(group_name)] = Field(
        default="", description="The file's group; empty for the one that the system gives to new files."
    )


class CatalogEntry(Section):
    """Where the URL of the store's catalog is; the URL itself, which holds a password, is never in this file."""

    env: Annotated[Text, AfterValidator(catalog_variable)] = Field(
        description="Name of the environment variable that holds it: postgresql://user:password@host/database."
    )


class StoreEntry(Section):
    """A store that several machines share, in place of files on this one."""

    catalog: CatalogEntry = Field(description="Where the URL of a PostgreSQL database is: {env: …}.")
    data: Annotated[Text, AfterValidator(data_place)] = Field(
        description="Where the data are: s3://bucket/prefix, or a folder that all machines share.",
        examples=["s3://bucket/redcap"],
    )


class ProjectsFile(Section):
    """Configuration of REDCap Warehouse: projects.yaml."""

    warehouse: Text = Field(
        default="warehouse", description="Folder of the warehouse, created for its owner only; relative to this file."
    )
    schedule: Annotated[str, AfterValidator(cron)] = Field(
        default="0 2 * * *", description="When the nightly load starts: a cron line of five fields, in time_zone."
    )
    time_zone: TimeZone = Field(default="UTC", description="Time zone of the schedule.")
    deletion_limit: float = Field(
        default=0.2,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Share of a project's records that may disappear between two loads; above it the load is refused.",
    )
    memory_limit: Memory | None = Field(
        default=None,
        description="Memory of one load's database; by default 256MB, and more where a table is very wide.",
    )
    published: PublishedEntry | None = Field(
        default=None, description="Who may read warehouse.duckdb; only its owner without it."
    )
    store: StoreEntry | None = Field(
        default=None, description="A store that several machines share; files on this machine without it."
    )
    servers: dict[Annotated[str, AfterValidator(server_name)], ServerEntry] = Field(
        min_length=1, description="The REDCap servers, by a name of your choice."
    )
    projects: dict[Annotated[str, AfterValidator(project_name)], ProjectEntry] = Field(
        min_length=1,
        description="The REDCap projects, by the names of their SQL schemas.",
        json_schema_extra={"propertyNames": {"pattern": "^[a-z][a-z0-9_]*$", "maxLength": 50}},
    )


def json_schema() -> str:
    """The models as a JSON schema, with which editors check and complete the file."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **ProjectsFile.model_json_schema(),
        "title": "projects.yaml of REDCap Warehouse",
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
