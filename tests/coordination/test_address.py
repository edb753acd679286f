"""URLs of PostgreSQL: which are refused, and that nothing of a password is ever said."""

from __future__ import annotations

import copy
import pickle

import pytest

from pipelines.coordination.address import HIDDEN, Address
from pipelines.errors import ConfigError

SECRET = "Zebulon1867"


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{SECRET}@host/db",
        f"host=host password={SECRET}",
        SECRET,
        f"postgresql://user:{SECRET}",
        f"postgresql://user:{SECRET}@",
        f"postgresql://user:{SECRET}@:5432/db",
        f"postgresql://user:x@{SECRET}@host/db",
        f"postgresql://user:{SECRET}/x@host/db",
        f"postgresql://user:x?{SECRET}@host/db",
        f"postgresql://user:x#{SECRET}@host/db",
        f"postgresql://user:{SECRET}%zz@host/db",
        f"postgresql://user:x@host:{SECRET}/db",
    ],
)
def test_a_url_that_the_driver_would_read_in_another_way_is_refused_and_not_quoted(url):
    with pytest.raises(ConfigError) as refused:
        Address(url)
    assert SECRET not in str(refused.value)
    assert "postgresql://USER:PASSWORD@HOST:PORT/DATABASE" in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:secret@host/db",
        "postgres://user:a:b%40c@host:5432/db?sslmode=require",
        "postgresql://user:secret@[::1]:5432/db",
        "postgresql://user:secret@one,two:5433/db?target_session_attrs=read-write",
        "postgresql://host/db?user=user&password=secret",
        "postgresql://user:secret@/db?host=/run/postgresql",
        "postgresql:///db",
    ],
)
def test_urls_of_postgresql_are_taken_as_they_are(url):
    assert Address(url).reveal() == url


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("postgresql://user:Zebulon%401867@host/db", ["Zebulon%401867", "Zebulon@1867"]),
        ("postgresql://host/db?user=u&password=Zebulon1867", ["Zebulon1867"]),
        ("postgresql://host/db?sslpassword=Zebulon1867", ["Zebulon1867"]),
    ],
)
def test_a_message_that_quotes_the_password_is_left_out(url, secrets):
    address = Address(url)
    for secret in secrets:
        assert address.shown(f"the server said {secret}!") == HIDDEN
    several = "at one: Connection  refused\n\tIs the server running on that host?\nat another: timeout.\n"
    assert address.shown(several) == "at one: Connection refused; at another: timeout"


def test_a_url_is_in_no_repr_copy_or_pickle():
    address = Address(f"postgresql://user:{SECRET}@host/db")
    assert SECRET not in f"{address!r} {address} {[address]}"
    for taken in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            taken(address)
