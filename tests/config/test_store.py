"""The store of several machines in projects.yaml: what is accepted, and that no part of a URL is ever shown."""

import pytest

from pipelines.config.load import load_config
from pipelines.config.store import CatalogSource
from pipelines.errors import ConfigError

SHORTEST = (
    "servers: {campus: {url: https://redcap.example.edu/api/}}\nprojects: {heart: {token: {env: REDCAP_TOKEN_HEART}}}\n"
)
URL = "postgresql://loader:canary-7731@db.example.edu/warehouse"


def load(folder, entry):
    path = folder / "projects.yaml"
    path.write_text(f"{SHORTEST}{entry}\n")
    return load_config(path)


def complaint(folder, entry):
    with pytest.raises(ConfigError) as refused:
        load(folder, entry)
    assert "canary" not in str(refused.value)
    return str(refused.value)


def test_without_a_store_there_are_files(tmp_path):
    assert load(tmp_path, "").store is None


@pytest.mark.parametrize(
    ("data", "expected", "in_bucket"),
    [
        ("s3://bucket/redcap", "s3://bucket/redcap", True),
        ("s3://bucket/redcap/", "s3://bucket/redcap", True),
        ("s3://bucket", "s3://bucket", True),
        ("/srv/redcap/", "/srv/redcap", False),
        ("../shared", "{parent}/shared", False),
    ],
)
def test_data_are_in_a_bucket_or_in_a_folder_beside_the_file(tmp_path, data, expected, in_bucket):
    store = load(tmp_path, f"store: {{catalog: {{env: WAREHOUSE_CATALOG}}, data: {data}}}").store
    assert (store.data, store.in_bucket) == (expected.format(parent=tmp_path.parent), in_bucket)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_the_url_is_read_when_it_is_asked_for_and_never_shown(tmp_path, scheme):
    config = load(tmp_path, "store: {catalog: {env: WAREHOUSE_CATALOG}, data: /srv}")
    url = URL.replace("postgresql", scheme)
    assert config.store.catalog.read({"WAREHOUSE_CATALOG": f" {url}\n"}) == url
    assert "canary" not in repr(config)


@pytest.mark.parametrize(
    ("environment", "state"),
    [
        ({}, "not set"),
        ({"W": " "}, "empty"),
        ({"W": "mysql://loader:canary@db/warehouse"}, "does not hold the URL of a PostgreSQL database"),
        ({"W": "postgresql://loader:canary@db"}, "does not hold the URL of a PostgreSQL database"),
        ({"W": "postgresql://loader:canary@[db/warehouse"}, "does not hold the URL of a PostgreSQL database"),
        ({"W": "host=db password=canary"}, "does not hold the URL of a PostgreSQL database"),
    ],
)
def test_a_variable_without_a_url_is_named_with_its_line_and_quotes_nothing(environment, state):
    with pytest.raises(ConfigError) as refused:
        CatalogSource("W", "projects.yaml line 3").read(environment)
    told = str(refused.value)
    assert "projects.yaml line 3: the store takes the URL of its catalog from the environment variable W" in told
    assert state in told
    assert "canary" not in told
    assert refused.value.__context__ is None


@pytest.mark.parametrize("entry", [URL, f"{{{URL}}}", f"{{url: '{URL}'}}", f"{{env: W, '{URL}': x}}", "{}"])
def test_a_url_in_the_file_is_refused_with_the_reason(tmp_path, entry):
    told = complaint(tmp_path, f"store: {{catalog: {entry}, data: /srv}}")
    assert "line 3: store.catalog does not name an environment variable. The URL of the catalog holds a" in told
    assert "\n" not in told


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("store:", "store is empty. Write it like {catalog: {env: WAREHOUSE_CATALOG}, data: s3://bucket/redcap}."),
        ("store: s3://bucket", "store must hold keys with values."),
        ("store: {catalog: {env: W}}", "store.data is missing. Write it like s3://bucket/redcap"),
        ("store: {data: /srv}", "store.catalog is missing. Write it like {env: WAREHOUSE_CATALOG}."),
        (f"store: {{catalog: {{env: '{URL}'}}, data: /srv}}", "store.catalog.env is not the name of an environment"),
        ("store: {catalog: {env: W}, data: ''}", "store.data is empty."),
        ("store: {catalog: {env: W}, data: 'https://bucket/x'}", "store.data is neither a folder nor s3://"),
        ("store: {catalog: {env: W}, data: 's3://key:canary@bucket/x'}", "store.data has a user name or password"),
        ("store: {catalog: {env: W}, data: 's3://b'}", "store.data does not name a bucket and a prefix."),
        ("store: {catalog: {env: W}, data: 's3://bucket/a?b'}", "store.data does not name a bucket and a prefix."),
        ("store: {catalog: {env: W}, data: 's3://bucket/../a'}", "store.data does not name a bucket and a prefix."),
        ("store: {catalog: {env: W}, data: /srv, dta: x}", "store.dta is not a known key. Did you mean data?"),
        ("catalog: {env: W}", "catalog does not belong here, but under store."),
    ],
)
def test_a_mistake_in_the_store_is_reported_with_the_remedy(tmp_path, entry, sentence):
    told = complaint(tmp_path, entry)
    assert f"line 3: {sentence}" in told
    assert "\n" not in told


def test_a_file_mode_has_no_effect_on_a_store_and_is_refused(tmp_path):
    told = complaint(tmp_path, "store: {catalog: {env: W}, data: /srv}\npublished: {mode: '0640'}")
    assert "line 4: published has no effect on a store" in told
