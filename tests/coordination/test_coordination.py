"""Working versions, marks and the hash key, over a real PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from pipelines.errors import Superseded
from tests.support.postgres import ask


def check_in(coordination, after, name="a", project="alpha", **more):
    values = {"object": name, "sha256": "f" * 64, "size": 1234, "run_id": "run-1", "status": None} | more
    return coordination.check_in(project, after=after, **values)


def test_a_version_that_was_checked_in_is_what_other_machines_continue(machine):
    one, two = machine("one"), machine("two")
    assert one.working("alpha") is None
    assert check_in(one, 0, status={"records": 12, "last_good": datetime(2026, 1, 2, tzinfo=UTC)}) == 1
    found = two.working("alpha")
    assert (found.version, found.object, found.sha256, found.bytes) == (1, "a", "f" * 64, 1234)
    assert (found.run_id, found.loader) == ("run-1", "one:1")
    assert found.status == {"records": 12, "last_good": "2026-01-02T00:00:00+00:00"}
    assert check_in(two, 1, "b") == 2
    assert one.working("alpha").status["records"] == 12
    assert two.all_working() == {"alpha": one.working("alpha")}


def test_a_status_with_characters_that_postgresql_cannot_keep_stops_no_check_in(machine):
    one = machine()
    check_in(one, 0, status={"message": "a\0b\ud800c \\u0000 é", "not_readable": ("x\0",)})
    assert one.working("alpha").status == {"message": "a\ufffdb?c \\u0000 é", "not_readable": ["x\ufffd"]}


def test_a_version_that_is_no_longer_the_newest_is_refused(machine):
    one, two = machine("one"), machine("two")
    check_in(one, 0)
    check_in(one, 1, "b")
    with pytest.raises(Superseded, match=r"began with version 1 .* and version 2 was checked in"):
        check_in(two, 1, "c")
    with pytest.raises(Superseded, match="began with no mirror"):
        check_in(two, 0, "c")
    with pytest.raises(Superseded):
        check_in(two, 3, "c")
    assert two.working("alpha").object == "b"


def test_of_many_check_ins_of_one_version_one_is_accepted(machine):
    machines, outcomes = [machine(str(number)) for number in range(6)], []

    def try_one(coordination):
        try:
            outcomes.append(check_in(coordination, 0, coordination.loader))
        except Superseded:
            outcomes.append(None)

    threads = [threading.Thread(target=try_one, args=[coordination]) for coordination in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(outcomes, key=str) == [1, *[None] * 5]


def test_a_check_in_that_is_repeated_is_recognised_by_its_object(machine, database):
    one = machine()
    check_in(one, 0)
    assert check_in(one, 0) == 1
    assert one.working("alpha").version == 1
    assert check_in(one, 1, "b") == 2
    assert check_in(one, 1, "b") == 2
    with pytest.raises(Superseded):
        check_in(one, 0, "a")


def test_what_is_forgotten_is_gone_and_its_old_versions_continue_nothing(machine, database):
    one = machine()
    check_in(one, 0, status={"message": "Zebulon"})
    one.mark_loaded("alpha", "run-1")
    one.mark_published("alpha", "run-0", 1, {"rows": 3})
    one.forget("alpha")
    assert one.working("alpha") is None
    assert one.all_working() == {}
    assert one.unpublished() == {}
    assert "Zebulon" not in str(ask(database, "SELECT * FROM redcap_warehouse.projects"))
    with pytest.raises(Superseded):
        check_in(one, 1, "b")
    assert check_in(one, 0, "b") == 3
    assert one.working("alpha").published is None


def test_marks_say_what_waits_and_a_later_load_keeps_its_own(machine):
    one = machine()
    one.mark_loaded("beta", "run-2")
    one.mark_loaded("alpha", "run-1")
    assert one.unpublished() == {"alpha": "run-1", "beta": "run-2"}
    one.mark_loaded("alpha", "run-3")
    one.mark_published("alpha", "run-1", 1, None)
    assert one.unpublished() == {"alpha": "run-3", "beta": "run-2"}
    one.unmark("beta")
    one.mark_published("alpha", "run-3", 2, None)
    assert one.unpublished() == {}


def test_what_was_published_is_kept_and_an_earlier_publish_does_not_replace_it(machine):
    one = machine()
    check_in(one, 0)
    one.mark_published("alpha", "run-1", 7, {"rows": 7})
    one.mark_published("alpha", "run-0", 6, {"rows": 6})
    found = one.working("alpha")
    assert (found.published_version, found.published) == (7, {"rows": 7})


def test_the_first_hash_key_stays(machine):
    one, two = machine(), machine()
    assert one.hash_key() is None
    assert one.make_hash_key("first") == "first"
    assert two.make_hash_key("second") == "first"
    assert two.hash_key() == "first"
