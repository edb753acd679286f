"""The AWS_ variables, and that no query of a connection shows the keys."""

import os

import pytest

from pipelines.errors import ConfigError
from pipelines.warehouse.database.connection import connect
from pipelines.warehouse.database.object_storage import S3Settings, s3_settings, use_s3

CANARY = "canary-of-a-secret-key"
KEYS = {"AWS_ACCESS_KEY_ID": "an-id", "AWS_SECRET_ACCESS_KEY": CANARY}


@pytest.mark.parametrize(
    ("more", "endpoint", "secure", "region"),
    [
        ({}, "", True, "us-east-1"),
        ({"AWS_DEFAULT_REGION": "eu-west-1"}, "", True, "eu-west-1"),
        ({"AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "eu-west-1"}, "", True, "eu-central-1"),
        ({"AWS_ENDPOINT_URL": "https://minio.example.org:9000/"}, "minio.example.org:9000", True, "us-east-1"),
        (
            {"AWS_ENDPOINT_URL": "https://all.example.org", "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:5000"},
            "127.0.0.1:5000",
            False,
            "us-east-1",
        ),
        ({"AWS_ENDPOINT_URL": "http://[::1]:5000"}, "[::1]:5000", False, "us-east-1"),
    ],
)
def test_the_usual_variables_say_where_s3_is(more, endpoint, secure, region):
    settings = s3_settings({**KEYS, **more})
    assert (settings.endpoint, settings.secure, settings.region) == (endpoint, secure, region)


@pytest.mark.parametrize("missing", list(KEYS))
def test_a_missing_key_is_named(missing):
    with pytest.raises(ConfigError, match=missing):
        s3_settings({name: value for name, value in KEYS.items() if name != missing})


@pytest.mark.parametrize(
    "url",
    ["http://minio.example.org", "http://127.0.0.1.example.org", f"https://me:{CANARY}@example.org", "ftp://x", "x:1"],
)
def test_an_endpoint_that_would_be_unsafe_or_is_none_is_refused_without_showing_it(url):
    with pytest.raises(ConfigError, match=r"AWS_ENDPOINT_URL") as refused:
        s3_settings({**KEYS, "AWS_ENDPOINT_URL": url})
    assert CANARY not in str(refused.value)


def test_settings_do_not_show_their_keys():
    assert CANARY not in repr(S3Settings("id", CANARY, CANARY))


@pytest.mark.lake
def test_no_query_shows_the_secret_key_or_the_session_token(monkeypatch):
    environment = {**KEYS, "AWS_SESSION_TOKEN": f"{CANARY}-token"}
    for name, value in environment.items():
        monkeypatch.setitem(os.environ, name, value)
    with connect() as connection:
        use_s3(connection, "s3://bucket/redcap", s3_settings(environment))
        for view in ("duckdb_secrets()", "duckdb_settings()", "duckdb_variables()", "duckdb_databases()"):
            shown = connection.execute(f"SELECT string_agg(row_::VARCHAR, '') FROM (FROM {view}) AS row_").fetchone()
            assert CANARY not in str(shown), view
        assert connection.execute("SELECT scope FROM duckdb_secrets()").fetchone() == (["s3://bucket/redcap"],)
