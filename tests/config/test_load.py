"""projects.yaml: what is accepted, and how each mistake is reported."""

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import dagster as dg
import jsonschema
import keyring
import pytest
import yaml
from keyring.backend import KeyringBackend
from keyring.backends import fail

from pipelines.config import schema
from pipelines.config.load import load_config
from pipelines.config.schema import (
    CatalogEntry,
    ProjectEntry,
    ProjectsFile,
    PublishedEntry,
    ServerEntry,
    StoreEntry,
    TokenEntry,
    WritebackEntry,
)
from pipelines.config.settings import WritebackConfig
from pipelines.errors import ConfigError
from pipelines.sharing import PRIVATE, Sharing
from tests.support.root import ROOT

DOC = ROOT / "docs" / "howto" / "configure.md"
DOC_EXAMPLES = re.findall(r"```yaml\n(.*?)```", DOC.read_text(encoding="utf-8"), flags=re.DOTALL)
CANARY = "CAFE0123456789ABCDEF0123456789AB"  # the shape of a token
SECRET = "s3cret-canary-7731"  # a secret without that shape

SERVERS = "servers: {campus: {url: https://redcap.example.edu/api/}}\n"
PROJECTS = "projects: {heart_study: {token: {env: REDCAP_TOKEN_HEART}}}\n"
SHORTEST = SERVERS + PROJECTS


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "projects.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path)

    return load


@pytest.fixture
def complaint(load, tmp_path):
    """The message about a file, with the file's folder left out."""

    def complaint(text):
        with pytest.raises(ConfigError) as refused:
            load(text)
        # A context would carry the file's text into tracebacks.
        assert refused.value.__context__ is None
        return str(refused.value).replace(f"{tmp_path}/", "")

    return complaint


def server(entry):
    return f"servers: {{campus: {{{entry}}}}}\n{PROJECTS}"


def project(entry, name="heart_study"):
    return f"{SERVERS}projects: {{{name}: {{token: {{env: A}}, {entry}}}}}\n"


def token(entry):
    return f"{SERVERS}projects:\n  heart_study:\n    token: {entry}\n"


# --- What is accepted ---


def test_the_shortest_file_gets_every_default(load, tmp_path):
    config = load(SHORTEST)
    heart = config.project("heart_study")
    assert (config.path, config.warehouse) == (tmp_path / "projects.yaml", tmp_path / "warehouse")
    assert (config.schedule, config.time_zone) == ("0 2 * * *", "UTC")
    assert (config.deletion_limit, config.memory_limit) == (0.2, None)
    assert heart.server is config.servers["campus"]
    assert (heart.server.requests_per_minute, heart.server.concurrency) == (120, 2)
    assert (heart.server.ca_bundle, heart.server.time_zone) == (None, None)
    assert (heart.project_id, heart.identifiers, heart.files) == (None, "keep", "none")
    assert (heart.include, heart.exclude, heart.full_refresh_every) == (None, None, timedelta(days=7))


CONTRACT = """\
warehouse: ../lake
schedule: "0 2 * * *"
time_zone: America/Chicago
servers:
  campus:
    url: https://redcap.example.edu/api/
    ca_bundle: /etc/ssl/campus.pem
    requests_per_minute: 600
    concurrency: 4
    time_zone: America/Chicago
  other: {url: "http://127.0.0.1:8080/api/"}
projects:
  heart_study:
    server: campus
    token: {env: REDCAP_TOKEN_HEART}
    project_id: 1234
    identifiers: hash
    full_refresh_every: 12 hours
    include: {instruments: [demographics, no, 007]}
    exclude: {instruments: [visits]}
    files: none
"""


def test_every_key_of_the_contract_is_read(load, tmp_path):
    config = load(CONTRACT)
    heart = config.projects["heart_study"]
    assert config.warehouse == tmp_path / ".." / "lake"
    assert heart.server.ca_bundle == Path("/etc/ssl/campus.pem")
    assert (heart.server.requests_per_minute, heart.server.concurrency) == (600, 4)
    assert (config.time_zone, heart.server.time_zone) == ("America/Chicago", "America/Chicago")
    assert (heart.project_id, heart.identifiers) == (1234, "hash")
    assert heart.full_refresh_every == timedelta(hours=12)
    # Names are what stands there, not what YAML 1.1 makes of `no` and 007.
    assert heart.include.instruments == ("demographics", "no", "007")
    assert heart.exclude.instruments == ("visits",)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\ufeff" + SHORTEST, id="byte-order mark"),
        pytest.param(SHORTEST.replace("\n", "\r\n"), id="Windows line ends"),
        pytest.param(project("identifiers: keep", name="no"), id="a name YAML reads as false"),
        pytest.param(project("identifiers: keep", name="x" * 50), id="50 characters"),
        pytest.param(server("url: 'http://localhost:1/api/'"), id="plain http to localhost"),
        pytest.param(server("url: 'http://[::1]:1/api/'"), id="plain http to ::1"),
        pytest.param(json.dumps(yaml.safe_load(SHORTEST)), id="JSON"),
        pytest.param("deletion_limit: 0\n" + SHORTEST, id="no record may vanish"),
        pytest.param("memory_limit: 1.5 GB\n" + SHORTEST, id="memory in GB"),
    ],
)
def test_also_accepted(load, text):
    assert len(load(text).projects) == 1


def test_settings_can_be_shared_by_an_anchor(load):
    config = load(
        SERVERS + "projects:\n"
        "  a: &usual {token: {env: A}, identifiers: drop, project_id: 1}\n"
        "  b: {<<: *usual, token: {env: B}, project_id: 2}\n"
    )
    assert [(p.token.name, p.identifiers, p.project_id) for p in config.projects.values()] == [
        ("A", "drop", 1),
        ("B", "drop", 2),
    ]


@pytest.mark.parametrize(
    ("text", "duration"),
    [("1 day", timedelta(days=1)), ("2 weeks", timedelta(weeks=2)), ("12hours", timedelta(hours=12))],
)
def test_durations(load, text, duration):
    assert load(project(f"full_refresh_every: {text}")).project("heart_study").full_refresh_every == duration


@pytest.mark.parametrize("example", DOC_EXAMPLES)
def test_the_examples_of_the_howto_work(load, example):
    assert load(example).projects
    jsonschema.validate(yaml.safe_load(example), json.loads(schema.json_schema()))


def test_the_howto_names_every_key_and_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*?) \|$", DOC.read_text(encoding="utf-8"), flags=re.MULTILINE))
    durations = {"full_refresh_every": "7 days", "max_age": "36 hours"}
    for model in (ProjectsFile, PublishedEntry, StoreEntry, ServerEntry, ProjectEntry, WritebackEntry):
        for key, field in model.model_fields.items():
            assert key in rows, f"{key} is not in {DOC.name}"
            default = durations.get(key, field.default)
            if isinstance(default, str | int | float) and key != "time_zone":
                assert rows[key].strip('`"') == (str(default).lower() if default is False else str(default)), key


# --- Who may read what is published ---


@pytest.mark.parametrize(
    ("entry", "sharing"),
    [
        ("", PRIVATE),
        ("published: {}", PRIVATE),
        ('published: {mode: "0600", group: ""}', PRIVATE),
        ('published: {mode: "0640", group: redcap-readers}', Sharing(0o640, "redcap-readers")),
        ("published: {mode: '0644'}", Sharing(0o644)),
        (
            "published: {mode: '0440', group: 'HOSPITAL\\readers of redcap'}",
            Sharing(0o440, "HOSPITAL\\readers of redcap"),
        ),
        # The file is read as text, so nothing becomes of the digits what YAML makes of them.
        ("published: {mode: 0640, group: 1005}", Sharing(0o640, "1005")),
    ],
)
def test_who_may_read_the_published_file_is_its_owner_unless_it_is_shared(load, entry, sharing):
    assert load(f"{entry}\n{SHORTEST}").published == sharing


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("mode: 640", 'mode is not a mode of four octal digits. Write it in quotes, like "0640"'),
        ("mode: 416", "mode is not a mode of four octal digits."),
        ("mode: '0o640'", "mode is not a mode of four octal digits."),
        ("mode: '0680'", "mode is not a mode of four octal digits."),
        ("mode: rw-r-----", "mode is not a mode of four octal digits."),
        ("mode: '4640'", "mode is not a mode of four octal digits."),
        ("mode:", "mode must be one text value."),
        ("mode: [0640]", "mode must be one text value."),
        ("mode: '0750'", "mode makes the file executable, and a database is no program."),
        ("mode: '0646'", "mode lets every user change what all others read."),
        ("mode: '0660'", "mode lets its group change what all others read."),
        ("mode: '0040'", "mode does not let the file's owner read it, who publishes."),
        ("group: redcap-readers", 'group has no effect, because the mode does not let a group read. Add mode: "0640"'),
        ("mode: '0604', group: redcap-readers", "group has no effect"),
        ("mode: '0640', group: ' '", "group is not the name of a group. Write it like redcap-readers."),
        ("mode: '0640', group: 'redcap:readers'", "group is not the name of a group."),
        ("mode: '0640', groups: x", "groups is not a known key. Did you mean group?"),
    ],
)
def test_mistakes_about_who_may_read_are_reported_with_the_remedy(complaint, entry, sentence):
    told = complaint(f"{SHORTEST}published:\n  {{{entry}}}\n")
    assert f"projects.yaml line 4: published.{sentence}" in told
    assert "\n" not in told


def test_a_mode_at_the_top_of_the_file_belongs_elsewhere(complaint):
    assert "line 1: mode does not belong here, but under published." in complaint("mode: '0640'\n" + SHORTEST)
    told = complaint("published: '0640'\n" + SHORTEST)
    assert 'published must hold keys with values. Write it like {mode: "0640", group: redcap-readers}.' in told


# --- Write-back ---


def test_nothing_may_be_written_back_unless_it_is_named(load):
    assert load(SHORTEST).project("heart_study").writeback == WritebackConfig()
    assert load(project("writeback: {}")).project("heart_study").writeback.fields == ()


def test_what_may_be_written_back_is_read(load):
    entry = (
        "writeback: {fields: [weight, no], instruments: [visits], max_cells: 50, max_record_share: 0.5, "
        "max_age: 2 days, new_records: yes}"
    )
    assert load(project(entry)).project("heart_study").writeback == WritebackConfig(
        fields=("weight", "no"),
        instruments=("visits",),
        max_cells=50,
        max_record_share=0.5,
        max_age=timedelta(days=2),
        new_records=True,
    )


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("feilds: [weight]", "writeback.feilds is not a known key. Did you mean fields?"),
        ("fields: weight", "writeback.fields must be a list"),
        ("max_cells: -1", "writeback.max_cells must be at least 0."),
        ("max_cells: many", "writeback.max_cells must be a whole number."),
        ("max_record_share: 2", "writeback.max_record_share must be at most 1."),
        ("max_age: soon", "writeback.max_age is not a duration."),
        ("new_records: perhaps", "writeback.new_records must be true or false."),
        ("max_cells: 1, token: {env: A}", "writeback.token does not belong here, but in an entry of projects."),
    ],
)
def test_mistakes_about_write_back_are_reported_with_the_remedy(complaint, entry, sentence):
    assert f"projects.heart_study.{sentence}" in complaint(project(f"writeback: {{{entry}}}"))


def test_a_field_to_write_may_be_named_outside_of_write_back_by_mistake(complaint):
    told = complaint(project("max_cells: 5"))
    assert "projects.heart_study.max_cells does not belong here, but under writeback." in told


# --- Where the file is looked for ---


def test_the_argument_goes_before_the_variable_and_that_before_the_working_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("projects", "variable", "argument"):
        (tmp_path / f"{name}.yaml").write_text(SHORTEST)
    variable = {"REDCAP_WAREHOUSE_CONFIG": "variable.yaml"}
    assert load_config("argument.yaml", variable).path == tmp_path / "argument.yaml"
    assert load_config(None, variable).path == tmp_path / "variable.yaml"
    assert load_config(None, {}).path == tmp_path / "projects.yaml"
    assert load_config(None, {"REDCAP_WAREHOUSE_CONFIG": ""}).path == tmp_path / "projects.yaml"


def test_relative_paths_are_relative_to_the_file_even_behind_a_link(tmp_path):
    (tmp_path / "..data_1").mkdir()
    (tmp_path / "..data_1" / "projects.yaml").write_text(SHORTEST)
    (tmp_path / "projects.yaml").symlink_to(tmp_path / "..data_1" / "projects.yaml")
    assert load_config(tmp_path / "projects.yaml").warehouse == tmp_path / "warehouse"


def test_a_missing_file_shows_how_to_begin(tmp_path, monkeypatch, load):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as refused:
        load_config(None, {})
    message = str(refused.value)
    assert message.startswith(f"projects.yaml: there is no such file ({tmp_path / 'projects.yaml'}).")
    assert "redcap-warehouse demo" in message
    assert load("".join(line + "\n" for line in message.splitlines() if line.startswith("    "))).projects


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b"# only a comment\n", "the file is empty"),
        (b"warehouse: \xe7\n", "it is not UTF-8 text"),
        (b"warehouse: \x07\n", "this is not YAML"),
        (b"- campus\n", "line 1: the file must hold keys with values"),
    ],
)
def test_a_file_that_is_no_configuration(complaint, content, problem):
    assert problem in complaint(content)


def test_a_folder_is_not_a_configuration(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path)


# --- Mistakes, each told with line, key and remedy ---


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("servers:\n  campus: {url: x\nprojects:\n", "line 3, column 9"),
        ("servers:\n\tcampus: x\n", "line 2, column 1"),
        ("schedule: * * * * *\n", "line 1, column 12"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1"),
        (f"token: *{CANARY}\n", "line 1, column 8"),
    ],
)
def test_broken_yaml_is_reported_with_line_and_column(complaint, text, place):
    message = complaint(text)
    assert message.startswith(f"projects.yaml {place}: this is not YAML: ")
    assert "\n" not in message and CANARY not in message


@pytest.mark.parametrize("text", ["[" * 5000, "a: &a [*a]", "a: &a {<<: *a}", "a: &a {<<: [*a, *a]}"])
def test_endless_nesting_is_refused(complaint, text):
    assert "endless" in complaint(text) or "nested too deep" in complaint(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        # Keys.
        ("warehose: x\n" + SHORTEST, "line 1: warehose is not a known key. Did you mean warehouse?"),
        (project("identifers: keep"), "line 2: projects.heart_study.identifers is not a known key. Did you mean ident"),
        (project("xyz: 1"), "projects.heart_study.xyz is not a known key. Known here: server, token, project_id"),
        (project("url: x"), "projects.heart_study.url does not belong here, but in an entry of servers."),
        (SHORTEST + PROJECTS, "line 3: projects is given twice, first on line 2."),
        (project("files: none, files: none"), "projects.heart_study.files is given twice, first on line 2."),
        ("[a]: b\n" + SHORTEST, "line 1: the file has a key that is not plain text."),
        ("warehouse: !env X\n" + SHORTEST, "line 1: warehouse has a tag"),
        # Sections.
        (PROJECTS, "line 1: servers is missing. For instance: servers: {campus:"),
        (SERVERS, "line 1: projects is missing. For instance: projects: {heart_study:"),
        (SERVERS + "projects: {}\n", "line 2: projects is empty."),
        (SERVERS + "projects:\n", "line 2: projects must hold keys with values."),
        (SERVERS + "projects: [heart_study]\n", "line 2: projects must hold keys with values."),
        (SERVERS + "projects:\n  heart_study:\n", "line 3: projects.heart_study must hold keys with values."),
        (SERVERS + "projects:\n  heart_study: {}\n", "line 3: projects.heart_study.token is missing."),
        # Top.
        ("warehouse:\n" + SHORTEST, "warehouse must be one text value."),
        ("warehouse: ''\n" + SHORTEST, "warehouse is empty."),
        ("time_zone: America/Chicgo\n" + SHORTEST, "time_zone is not a time zone. Did you mean America/Chicago?"),
        ("time_zone: America\n" + SHORTEST, "time_zone is not a time zone."),
        ("time_zone: ../../etc/passwd\n" + SHORTEST, "time_zone is not a time zone."),
        ("deletion_limit: 20%\n" + SHORTEST, "deletion_limit must be a number, such as 0.2."),
        ("deletion_limit: 20\n" + SHORTEST, "deletion_limit must be at most 1."),
        ("deletion_limit: nan\n" + SHORTEST, "deletion_limit must be a number"),
        ("memory_limit: 384\n" + SHORTEST, "memory_limit is not an amount of memory."),
        # Servers.
        (server("concurrency: 2"), "servers.campus.url is missing. Write it like https://"),
        (server("url: 'https://h/api/', concurrency: 5"), "servers.campus.concurrency must be at most 4."),
        (server("url: 'https://h/api/', concurrency: two"), "servers.campus.concurrency must be a whole number."),
        (server("url: 'https://h/api/', requests_per_minute: 0"), "requests_per_minute must be at least 1."),
        (
            server("url: 'https://h/api/', requests_per_minute: 601"),
            "requests_per_minute must be at most 600. Above that REDCap bans the address.",
        ),
        ("servers: {a b: {url: 'https://h/api/'}}\n" + PROJECTS, "servers.a b is not a usable name."),
        # Projects.
        (
            project("server: kampus"),
            "server is not a server of this file. Did you mean campus? The servers are campus.",
        ),
        (project("project_id: heart"), "project_id must be a whole number."),
        (project("project_id: 0"), "project_id must be at least 1."),
        (project("identifiers: hide"), "identifiers must be keep, drop or hash."),
        (project("files: metadata"), "files may only be none: loading files is not supported by this version yet."),
        (project("files: download"), "files may only be none: loading files is not supported by this version yet."),
        (project("full_refresh_every: weekly"), "full_refresh_every is not a duration. Write it like 7 days"),
        (project("full_refresh_every: 0 days"), "full_refresh_every is not a duration."),
        (project("full_refresh_every: [7]"), "full_refresh_every is not a duration."),
        (project("include: [visits]"), "include must hold keys with values. Write it like {instruments: ["),
        (project("include: {}"), "projects.heart_study.include.instruments is missing. Write it like ["),
        (project("include: {instruments: visits}"), "instruments must be a list, such as ["),
        (project("include: {instruments: []}"), "instruments is empty."),
        (project("exclude: {instruments: [a, {}]}"), "exclude.instruments.2 must be one text value."),
    ],
)
def test_a_mistake_is_reported_with_its_line_and_remedy(complaint, text, message):
    told = complaint(text)
    assert message in told
    assert re.match(r"projects\.yaml line \d+: ", told)
    assert "\n" not in told, "one mistake is one line"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://h.example", "does not end with /api/. It should be https://h.example/api/."),
        ("https://h.example/api", "It should be https://h.example/api/."),
        ("https://h.example/redcap/", "It should be https://h.example/redcap/api/."),
        ("https://h.example/redcap/API/", "It should be https://h.example/redcap/api/."),
        ("https://h.example:8443/api/index.php", "It should be https://h.example:8443/api/."),
        ("https://h.example/redcap/redcap_v14.5.2/API/help.php", "It should be https://h.example/redcap/api/."),
        ("http://h.example/api/", "is plain http, so tokens and data would be sent unencrypted. Write https://."),
        ("http://127.0.0.1.example/api/", "is plain http"),
        ("h.example/api/", "is not a URL. Write it like https://redcap.example.edu/api/."),
        ("ftp://h.example/api/", "is not a URL."),
        ("https:///api/", "is not a URL."),
        ("https://h.example:99999/api/", "is not a URL."),
        ("https://[::1/api/", "is not a URL."),
        ("https://h.example/a b/api/", "is not a URL."),
        (f"https://me:{SECRET}@h.example/api/", "has a user name or password in it."),
        (f"https://h.example/api/?key={SECRET}", "has a ? or # in it. End it with /api/."),
    ],
)
def test_a_url_that_cannot_be_right(complaint, url, message):
    told = complaint(server(f"url: '{url}'"))
    assert f"line 1: servers.campus.url {message}" in told or message in told
    assert SECRET not in told and "\n" not in told


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Heart", "cannot be the name of an SQL schema."),
        ("1st", "cannot be the name of an SQL schema."),
        ("_x", "cannot be the name of an SQL schema."),
        ("heart-study", "cannot be the name of an SQL schema."),
        ("hérz", "cannot be the name of an SQL schema."),
        ('"x\\n"', "cannot be the name of an SQL schema."),
        ("x" * 51, "is a name of 51 characters. Use at most 50."),
        ("redcap", "is the name of one of the warehouse's own schemas."),
        ("main", "is the name of one of the warehouse's own schemas."),
        ("warehouse", "is the name of one of the warehouse's own schemas."),
        ("heart_raw", "ends with _raw"),
        ("heart_labels", "ends with _labels"),
        ("heart_history", "ends with _history"),
    ],
)
def test_a_name_that_cannot_be_a_schema(complaint, name, message):
    assert message in complaint(project("files: none", name=name))


def test_among_several_servers_one_has_to_be_named(complaint):
    text = "servers: {a: {url: 'https://a/api/'}, b: {url: 'https://b/api/'}}\n" + PROJECTS
    assert "line 2: projects.heart_study.server is missing, and there are several servers. Name one of a, b." in (
        complaint(text)
    )


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(complaint):
    told = complaint(
        "time_zone: nowhere\n"
        "servers:\n"
        "  campus: {url: 'http://h.example/api/'}\n"
        "projects:\n"
        "  Heart: {token: {env: A}}\n"
        "  sleep: {token: {env: A}}\n"
        "  sleep: {token: {env: A}}\n"
        "  gait: {token: {env: A}, server: x}\n"
    )
    assert [line.partition(": ")[0] for line in told.splitlines()] == [
        f"projects.yaml line {n}" for n in (1, 3, 5, 7, 8)
    ]


# --- Schedules ---


@pytest.mark.parametrize(
    "cron",
    [
        *("0 2 * * *", "*/15 0-6 * * 1-5", "0,30 2 1,15 * *", "0 2 * jan-mar,DEC mon", "5 4 29 2 *", "0 0 * * 7"),
        *("0 2 31 1,4 *", "59 23 31 12 *", "0-30/10 * * * *", "@daily", "@midnight", "@weekly", "@hourly"),
    ],
)
def test_a_schedule_we_accept_is_one_dagster_accepts(load, cron):
    assert load(f'schedule: "{cron}"\n{SHORTEST}').schedule == cron
    dg.ScheduleDefinition(name="nightly", job_name="nightly", cron_schedule=cron)


@pytest.mark.parametrize(
    ("cron", "message"),
    [
        ("0 2 * *", "has 4 fields instead of 5"),
        ("0 0 2 * * *", "has 6 fields instead of 5"),
        ("nightly", "has 1 field instead of 5"),
        ("@reboot", "has 1 field instead of 5"),
        ("60 2 * * *", "has no minute that cron knows"),
        ("0 24 * * *", "has no hour that cron knows"),
        ("0 2 0 * *", "has no day of the month that cron knows"),
        ("0 2 * 13 *", "has no month that cron knows"),
        ("0 2 * * 8", "has no day of the week that cron knows"),
        ("0 2 * * someday", "has no day of the week that cron knows"),
        ("0 5-2 * * *", "has no hour that cron knows"),
        ("*/0 2 * * *", "has no minute that cron knows"),
        ("*/ 2 * * *", "has no minute that cron knows"),
        ("5/10 2 * * *", "has no minute that cron knows"),
        ("1, 2 * * *", "has no minute that cron knows"),
        ("² 2 * * *", "has no minute that cron knows"),
        ("99999999999999999999 2 * * *", "has no minute that cron knows"),
        ("0 2 30 2 *", "names a day that its months do not have"),
        ("0 2 31 apr,jun *", "names a day that its months do not have"),
    ],
)
def test_a_schedule_that_would_not_run_is_refused(complaint, cron, message):
    assert f"line 1: schedule {message}" in complaint(f'schedule: "{cron}"\n{SHORTEST}')


# --- Tokens ---


def test_a_project_is_found_by_its_name_or_the_names_are_reported(load):
    with pytest.raises(ConfigError, match=r"no project hart_study. Did you mean heart_study\? It has: heart_study\."):
        load(SHORTEST).project("hart_study")


@pytest.mark.parametrize(
    "entry",
    [
        *(CANARY, f'"{CANARY}"', f"' {CANARY} '", SECRET, f"[{CANARY}]", f"[{SECRET}]", "1" * 32, f"!t {CANARY}"),
        *(f"{{env: {CANARY}}}", f"{{env: {CANARY[:-1]}}}", f"{{env: {SECRET}}}", f"{{env: [{SECRET}]}}"),
        *(f"{{file: {CANARY}}}", f"{{keyring: {CANARY}}}", f"{{keyring: {SECRET}}}", f"{{{SECRET}: x}}"),
        *(f"{{{CANARY}: }}", f"{{token: {SECRET}}}", f"{{env: A, {SECRET}: {CANARY}}}", f"&a {SECRET}"),
        f"{{env: A}}\n    {CANARY}: {SECRET}",
    ],
)
def test_a_token_in_clear_is_refused_and_never_repeated(complaint, entry):
    told = complaint(token(entry))
    assert re.match(r"projects.yaml line [45]: projects.heart_study", told)
    for secret in (CANARY, CANARY[:-1], SECRET, "1" * 32):
        assert secret not in told


def test_a_token_in_clear_comes_with_the_way_out(complaint):
    assert complaint(token(SECRET)) == (
        "projects.yaml line 4: projects.heart_study.token does not say where the token is. "
        "Tokens are never written here: use {env: NAME}, {keyring: service/user} or {file: path}."
    )


def scalars(node):
    if isinstance(node, yaml.ScalarNode):
        yield node
    for child in node.value if not isinstance(node, yaml.ScalarNode) else ():
        for part in child if isinstance(child, tuple) else (child,):
            yield from scalars(part)


@pytest.mark.parametrize("place", range(len(list(scalars(yaml.compose(CONTRACT))))))
def test_a_token_anywhere_in_the_file_is_refused_and_never_repeated(complaint, place):
    mark = list(scalars(yaml.compose(CONTRACT)))[place]
    told = complaint(f"{CONTRACT[: mark.start_mark.index]}{CANARY}{CONTRACT[mark.end_mark.index :]}")
    assert "looks like a token" in told
    assert CANARY not in told


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{}", "token needs exactly one of env, keyring and file."),
        ("{env: A, file: b}", "token needs exactly one of env, keyring and file."),
        ("{env: }", "token needs exactly one of env, keyring and file."),
        ("{env: $A}", "token.env is not the name of an environment variable."),
        ("{keyring: redcap}", "token.keyring does not name a service and a user."),
        ("{evn: A}", "token has an unknown key. It takes one of env, keyring, file."),
    ],
)
def test_a_token_source_that_is_none(complaint, entry, message):
    told = complaint(token(entry))
    assert f"line 4: projects.heart_study.{message}" in told
    assert "\n" not in told


def test_a_token_is_read_from_the_environment(load):
    read = load(SHORTEST).project("heart_study").token.read({"REDCAP_TOKEN_HEART": f"{CANARY}\n"})
    assert read.reveal() == CANARY
    assert CANARY not in repr(read)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "which is not set. Set it where the load runs"),
        ({"REDCAP_TOKEN_HEART": ""}, "which is empty. Set it where the load runs"),
        ({"REDCAP_TOKEN_HEART": CANARY[:-1]}, "which does not hold one: a REDCap token is 32 hexadecimal digits"),
        ({"REDCAP_TOKEN_HEART": f"{CANARY} {CANARY}"}, "which does not hold one"),
        ({"REDCAP_TOKEN_HEART": SECRET}, "which does not hold one"),
    ],
)
def test_a_variable_without_a_token_is_reported_by_name(load, environment, message):
    source = load(SHORTEST).project("heart_study").token
    with pytest.raises(ConfigError) as refused:
        source.read(environment)
    told = str(refused.value)
    assert "line 2: project heart_study takes its token from the environment variable REDCAP_TOKEN_HEART, " in told
    assert message in told
    assert CANARY[:-1] not in told and SECRET not in told


@pytest.fixture
def token_file(tmp_path):
    path = tmp_path / "heart.token"
    path.touch(mode=0o600)
    path.write_text(f"{CANARY}\n")
    return path


def test_a_token_is_read_from_a_file_beside_the_configuration(load, token_file):
    assert load(token("{file: heart.token}")).project("heart_study").token.read({}).reveal() == CANARY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_token_file_that_others_may_use_is_refused(load, token_file, mode):
    token_file.chmod(mode)
    with pytest.raises(ConfigError, match=f"its mode is {mode:04o}.*chmod 600 {token_file}") as refused:
        load(token("{file: heart.token}")).project("heart_study").token.read({})
    assert CANARY not in str(refused.value)


def test_a_token_file_that_is_not_there_is_reported(load):
    with pytest.raises(ConfigError, match=r"line 4: project heart_study takes its token from the file .*/gone, which"):
        load(token("{file: gone}")).project("heart_study").token.read({})


def test_a_file_that_holds_no_token_is_refused_without_being_quoted(load, token_file):
    token_file.write_bytes(b"\xff" + SECRET.encode())
    with pytest.raises(ConfigError, match="does not hold one") as refused:
        load(token("{file: heart.token}")).project("heart_study").token.read({})
    assert SECRET not in str(refused.value)


class InMemory(KeyringBackend):
    """A keyring that ends with the test."""

    priority = 1

    def __init__(self):
        super().__init__()
        self.held = {}

    def get_password(self, service, username):
        return self.held.get((service, username))

    def set_password(self, service, username, password):
        self.held[service, username] = password


@pytest.fixture
def use_keyring():
    before = keyring.get_keyring()
    yield keyring.set_keyring
    keyring.set_keyring(before)


def test_a_token_is_read_from_the_keyring(load, use_keyring):
    use_keyring(InMemory())
    keyring.set_password("redcap/campus", "heart", CANARY)
    assert load(token("{keyring: redcap/campus/heart}")).project("heart_study").token.read({}).reveal() == CANARY


@pytest.mark.parametrize(
    ("backend", "message"),
    [
        (InMemory, "which has no such entry. Store the token with `keyring set redcap heart`."),
        (fail.Keyring, "which cannot be opened (NoKeyringError)."),  # a machine without any
    ],
)
def test_a_keyring_without_the_token_is_reported(load, use_keyring, backend, message):
    use_keyring(backend())
    with pytest.raises(ConfigError, match=re.escape(f"from the keyring entry redcap/heart, {message}")):
        load(token("{keyring: redcap/heart}")).project("heart_study").token.read({})


def test_without_the_keyring_package_the_extra_is_named(load, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(ConfigError, match="pip install keyring"):
        load(token("{keyring: redcap/heart}")).project("heart_study").token.read({})


# --- Around it ---


def test_the_shipped_schema_is_up_to_date():
    assert schema.SCHEMA.read_text(encoding="utf-8") == schema.json_schema(), "Run python -m pipelines.config"


@pytest.mark.parametrize(
    "text",
    [
        "warehose: x\n" + SHORTEST,
        SERVERS,
        token("{}"),
        token(SECRET),
        token("{env: A, file: b}"),
        project("identifiers: hide"),
        project("full_refresh_every: weekly"),
        project("files: none", name="Heart"),
        "published: {mode: '0660'}\n" + SHORTEST,
        "published: {mode: 640}\n" + SHORTEST,
        "store: {data: /srv/redcap}\n" + SHORTEST,
        "store: {catalog: postgresql://host/db, data: /srv/redcap}\n" + SHORTEST,
    ],
)
def test_the_schema_marks_mistakes_in_an_editor(text):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), json.loads(schema.json_schema()))


def test_the_schema_describes_every_key():
    for model in (ProjectsFile, PublishedEntry, StoreEntry, CatalogEntry, ServerEntry, ProjectEntry, TokenEntry):
        assert all(field.description for field in model.model_fields.values())


def test_loading_imports_nothing_heavy(tmp_path):
    (tmp_path / "projects.yaml").write_text(SHORTEST)
    program = (
        "import sys; from pipelines.config import load_config; load_config();"
        "print({m.split('.')[0] for m in sys.modules} & {'dagster', 'duckdb', 'httpx', 'pandas', 'redcap_source'})"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


# --- Files that are meant to do harm, or look as if ---


@pytest.mark.parametrize("levels", [pytest.param(6, marks=pytest.mark.fuzz), 9])
def test_aliases_that_repeat_each_other_endlessly_are_refused_at_once(complaint, levels):
    # Written out, nine levels of nine are 400 million values.
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    told = complaint("\n".join(lines) + "\n" + SHORTEST)
    assert "the file expands to over 100,000 values" in told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f'warehouse: "lake\\0"\n{SHORTEST}', r"line 1: warehouse contains a non-printable character (\x00)."),
        (f'warehouse: "lake\\e[31m"\n{SHORTEST}', r"line 1: warehouse contains a non-printable character (\x1b)."),
        (project('include: {instruments: ["a\\u202eb"]}'), r"contains a non-printable character (\u202e)."),
        (f'"ware\\e[31mhouse": x\n{SHORTEST}', r"has a key with a non-printable character (\x1b)."),
        ("servers: {campus: {url: https://redcap.example.edu/api/}}\n!<\x1b[31m> x: 1\n", "not YAML"),
    ],
)
def test_a_character_that_nobody_sees_is_refused_and_never_echoed(complaint, text, told):
    message = complaint(text)
    assert told in message
    assert message.replace("\n", "").isprintable()
