"""What DuckDB is told of a lake: no part of the catalog's URL that may be secret is in a statement."""

import pytest

from pipelines.errors import ConfigError
from pipelines.warehouse.lake.address import Lake

URL = "postgresql://loader:p%40ss%2Fword@db.example:5433/redcap?sslmode=verify-full&sslrootcert=/etc/a b.pem"


def test_the_parts_of_the_url_become_a_secret_and_the_rest_a_connection_string():
    lake = Lake(URL, "s3://bucket/redcap")
    assert lake.secret == {
        "host": "db.example", "port": "5433", "user": "loader", "password": "p@ss/word", "dbname": "redcap"
    }  # fmt: skip
    assert "sslmode='verify-full' sslrootcert='/etc/a b.pem'" in lake.options
    assert "tcp_user_timeout='15000'" in lake.options and "connect_timeout='10'" in lake.options
    for secret in ("loader", "p@ss", "p%40ss", "db.example"):
        assert secret not in lake.options


def test_no_repr_shows_the_url():
    assert "loader" not in repr(Lake(URL, "s3://bucket/redcap")) and "p%40ss" not in repr(Lake(URL, "/data"))


def test_what_the_url_says_counts_more_than_what_is_usual():
    lake = Lake("postgresql://h/d?connect_timeout=3&host=/run/postgresql", "/data")
    assert "connect_timeout='3'" in lake.options and "connect_timeout='10'" not in lake.options
    assert lake.secret == {"host": "/run/postgresql", "dbname": "d"}


def test_several_hosts_and_an_address_with_colons_are_understood():
    assert Lake("postgresql://a:1,b:2/d", "/data").secret == {"host": "a,b", "port": "1,2", "dbname": "d"}
    assert Lake("postgresql://[::1]:5/d", "/data").secret == {"host": "::1", "port": "5", "dbname": "d"}


@pytest.mark.parametrize(
    "url", ["mysql://canary@h/d", "canary", "postgresql://u:canary@h:x/d", "postgresql://[canary/d"]
)
def test_what_is_no_url_is_refused_without_being_quoted(url):
    with pytest.raises(ConfigError) as refused:
        assert Lake(url, "/data").secret
    assert "canary" not in str(refused.value)


def test_a_password_that_would_be_shown_is_refused():
    with pytest.raises(ConfigError, match="sslpassword") as refused:
        assert Lake("postgresql://h/d?sslpassword=canary", "/data").secret
    assert "canary" not in str(refused.value)


def test_the_place_of_the_data_ends_with_one_slash():
    assert Lake("postgresql://h/d", "s3://bucket/redcap/").data_path == "s3://bucket/redcap/"
    assert Lake("postgresql://h/d", "/data").data_path == "/data/"
    assert Lake("postgresql://h/d", "s3://bucket").in_bucket and not Lake("postgresql://h/d", "/s3").in_bucket
