"""Who made a change, as far as REDCap's log says: which of its words sign which cells."""

from datetime import datetime

import pytest

from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.sql import statements

AT = datetime(2026, 3, 10, 12, 0)
BEFORE, SINCE = (datetime(2026, 3, 10, hour, 0) for hour in (11, 13))
DAG = "redcap_data_access_group"


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    with open_mirror(tmp_path_factory.mktemp("history") / "study.duckdb", "study") as mirror:
        yield mirror


@pytest.fixture
def mirror(opened):
    """A mirror in which nothing is left of the test before."""
    opened.connection.execute("BEGIN")
    yield opened
    opened.connection.execute("ROLLBACK")


def changed(mirror, field, change="update", *, record="1", run="run2", instance=None, origin="redcap", by=None):
    values = {"record": record, "field": field, "change": change, "run": run, "instance": instance}
    mirror.connection.execute(
        "INSERT INTO redcap.record_changes (project, record, field, change, run_id, instance, origin, changed_by) "
        "VALUES ('study', $record, $field, $change, $run, $instance, $origin, $by)",
        {**values, "origin": origin, "by": by},
    )


def logged(mirror, what, columns=(), *, record="1", user="ann", at=AT, instance=None):
    mirror.connection.execute(
        "INSERT INTO state.logged VALUES ($record, $what, $columns, $instance, NULL, $user, $at)",
        {"record": record, "what": what, "columns": list(columns), "instance": instance, "user": user, "at": at},
    )


def signed(mirror):
    mirror.connection.execute(statements("audit_log")["sign_changes"], {"run_id": "run2"})
    return mirror.connection.execute("SELECT changed_by, changed_at FROM redcap.record_changes").fetchall()


@pytest.mark.parametrize(
    ("field", "change", "what", "columns"),
    [
        ("town", "update", "saved", ("age", "town")),
        ("town", "update", "randomized", ("town",)),
        ("town", "delete", "deleted", ()),
        ("record_id", "rename", "renamed", ()),
        (DAG, "update", "group", ()),
    ],
)
def test_a_change_is_signed_by_whoever_the_log_says_made_it(mirror, field, change, what, columns):
    changed(mirror, field, change)
    logged(mirror, what, columns)
    logged(mirror, what, columns, record="2", user="bob", at=SINCE)
    assert signed(mirror) == [("ann", AT)]


@pytest.mark.parametrize(
    ("field", "change", "what", "columns"),
    [
        ("town", "update", "saved", ("age",)),
        ("town", "update", "randomized", ("age",)),
        ("town", "update", "locked", ("town",)),
        ("town", "update", "deleted", ()),
        ("town", "update", "renamed", ()),
        ("town", "update", "group", ()),
        ("town", "delete", "renamed", ()),
        ("record_id", "rename", "deleted", ()),
    ],
)
def test_words_about_something_else_sign_nothing(mirror, field, change, what, columns):
    changed(mirror, field, change)
    logged(mirror, what, columns)
    assert signed(mirror) == [(None, None)]


@pytest.mark.parametrize("other", [{"run": "run1"}, {"origin": "writeback"}, {"record": "2"}, {"instance": "2"}])
def test_a_change_of_another_run_origin_record_or_instance_is_not_signed(mirror, other):
    changed(mirror, "town", **other)
    logged(mirror, "saved", ("town",))
    assert signed(mirror) == [(None, None)]


def test_what_is_signed_already_stays_so(mirror):
    changed(mirror, "town", by="carol")
    logged(mirror, "saved", ("town",))
    assert signed(mirror) == [("carol", None)]


def test_the_latest_of_several_signs(mirror):
    changed(mirror, "town", instance="2")
    for user, at in (("before", BEFORE), ("since", SINCE), ("ann", AT)):
        logged(mirror, "saved", ("town",), user=user, at=at, instance="2")
    logged(mirror, "saved", ("town",), user="first instance", at=datetime(2026, 3, 11))
    assert signed(mirror) == [("since", SINCE)]
