"""Validators of single values of projects.yaml: each returns the value, or raises what is wrong and how to write it."""

from __future__ import annotations

import ipaddress
import re
import zoneinfo
from datetime import timedelta
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from pipelines.config.names import did_you_mean, show_name
from pipelines.project_names import LONGEST, PATTERN, RESERVED, RESERVED_ENDINGS


def refused_value(problem: str, remedy: str = "") -> PydanticCustomError:
    """The error of a validator; its sentence continues after the key's name."""
    # pydantic interprets braces in a template, so the sentence is passed as a value.
    return PydanticCustomError("refused", "{sentence}", {"sentence": f"{problem} {remedy}".strip()})


def check_url(text: str) -> str:
    """The URL of an API: https (or http to this machine), without user, query or fragment, ending with /api/."""
    try:
        url = urlsplit(text)
        host, _ = url.hostname, url.port
    except ValueError:
        host = None
    if not host or url.scheme not in ("http", "https") or re.search(r"\s", text):
        raise refused_value("is not a URL.", "Write it like https://redcap.example.edu/api/.")
    if url.username is not None or url.password is not None:
        raise refused_value("has a user name or password in it.", "Remove it; REDCap needs only the token.")
    if url.query or url.fragment:
        raise refused_value("has a ? or # in it.", "End it with /api/.")
    if url.scheme == "http" and not is_loopback(host):
        raise refused_value("is plain http, so tokens and data would be sent unencrypted.", "Write https://.")
    if not url.path.endswith("/api/"):
        # The address that a browser shows, and people paste, continues with the version's folder or a page.
        base = re.sub(r"(/api)?(/(redcap_v\d.*|[^/]*\.php.*))?/*$", "", url.path, flags=re.IGNORECASE)
        raise refused_value(
            "does not end with /api/.", f"It should be {show_name(f'{url.scheme}://{url.netloc}{base}')}/api/."
        )
    return text


def is_loopback(host: str) -> bool:
    """Whether the host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _time_zone(text: str) -> str:
    try:
        zoneinfo.ZoneInfo(text)
    except (KeyError, ValueError, OSError):  # unknown, a path, a folder of the time zone database
        near = did_you_mean(text, zoneinfo.available_timezones())
        raise refused_value(f"is not a time zone.{near}", "Write it like America/Chicago or UTC.") from None
    return text


DURATION = r"^\s*([1-9]\d{0,3})\s*(hour|day|week)s?\s*$"


def _duration(value: object) -> timedelta:
    found = re.fullmatch(DURATION, value) if isinstance(value, str) else None
    if found is None:
        raise refused_value("is not a duration.", "Write it like 7 days, 12 hours or 2 weeks.")
    return timedelta(**{f"{found[2]}s": int(found[1])})


def project_name(name: str) -> str:
    """A name that can be an SQL schema beside those of the warehouse."""
    if not re.fullmatch(PATTERN, name):
        raise refused_value(
            "cannot be the name of an SQL schema.",
            "Begin with a small letter and use only small letters, digits and underscores.",
        )
    if len(name) > LONGEST:
        raise refused_value(f"is a name of {len(name)} characters.", f"Use at most {LONGEST}.")
    if name in RESERVED:
        raise refused_value("is the name of one of the warehouse's own schemas.", "Choose another name.")
    if ending := next((e for e in RESERVED_ENDINGS if name.endswith(e)), ""):
        raise refused_value(f"ends with {ending}, as the further schemas of a project do.", "Choose another name.")
    return name


def server_name(name: str) -> str:
    """A name of letters, digits, - and _."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name):
        raise refused_value("is not a usable name.", "Begin with a letter and use only letters, digits, - and _.")
    return name


def variable(text: str) -> str:
    """The name of an environment variable."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise refused_value("is not the name of an environment variable.", "Write it like {env: REDCAP_TOKEN_HEART}.")
    return text


def catalog_variable(text: str) -> str:
    """The name of the environment variable with the URL of the store's catalog."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        raise refused_value("is not the name of an environment variable.", "Write it like {env: WAREHOUSE_CATALOG}.")
    return text


def data_place(text: str) -> str:
    """s3://bucket or s3://bucket/prefix, or the path of a folder."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    if scheme != "s3":
        raise refused_value("is neither a folder nor s3://….", "Write it like s3://bucket/redcap or /srv/redcap.")
    bucket, _, prefix = rest.partition("/")
    if "@" in bucket:
        raise refused_value(
            "has a user name or password in it.", "Remove it; the keys are in AWS_ACCESS_KEY_ID and the like."
        )
    is_bucket = re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket)
    if not is_bucket or re.search(r"[?#*\s\\]|//|(^|/)\.\.?(/|$)", prefix):
        raise refused_value("does not name a bucket and a prefix.", "Write it like s3://bucket/redcap.")
    return text


def keyring_entry(text: str) -> str:
    """service/user, both not blank."""
    service, _, user = text.rpartition("/")
    if not service.strip() or not user.strip():
        raise refused_value("does not name a service and a user.", "Write it like {keyring: redcap/heart_study}.")
    return text


def _mode(text: str) -> str:
    """A mode for a file that others than its owner only read."""
    remedy = 'Write it in quotes, like "0640" for a group of readers.'
    if not re.fullmatch("0[0-7]{3}", text):
        raise refused_value("is not a mode of four octal digits.", remedy)
    mode = int(text, 8)
    if mode & 0o111:
        raise refused_value("makes the file executable, and a database is no program.", remedy)
    if writers := "every user" if mode & 0o002 else "its group" if mode & 0o020 else "":
        raise refused_value(
            f"lets {writers} change what all others read. DuckDB also opens a file for writing wherever it may, which "
            "keeps other readers out.",
            remedy,
        )
    if not mode & 0o400:
        raise refused_value("does not let the file's owner read it, who publishes.", remedy)
    return text


MODE = "^0[46][04][04]$"


Mode = Annotated[str, AfterValidator(_mode), Field(json_schema_extra={"pattern": MODE}, examples=["0640"])]


def group_name(text: str) -> str:
    """The name of a group, or its number; empty for none. Whether there is such a group is found out later."""
    if text and (text != text.strip() or re.search("[:,/]", text)):
        raise refused_value("is not the name of a group.", "Write it like redcap-readers.")
    return text


def _memory(text: str) -> str:
    if not re.fullmatch(MEMORY, text):
        raise refused_value("is not an amount of memory.", 'Write it like "256MB" or "2GB".')
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
