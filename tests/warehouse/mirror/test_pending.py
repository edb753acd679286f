"""Which records a night has to read, given the census of this night and of the nights before."""

import random
from contextlib import ExitStack
from datetime import datetime

import pytest

from pipelines.warehouse.mirror.open import open_mirror
from pipelines.warehouse.staging.census import Census


@pytest.fixture
def mirrors(tmp_path):
    with ExitStack() as opened:
        yield lambda name: opened.enter_context(open_mirror(tmp_path / f"{name}.duckdb", "study"))


def census(seen, *, whole=True, covering=()):
    return Census(tuple(seen), tuple(seen.values()), {}, whole, covering)


def hold(mirror, *records):
    """The mirror has these records, and nothing is pending."""
    mirror.connection.execute("DELETE FROM redcap.records; DELETE FROM state.todo")
    for record in records:
        at = datetime(2026, 1, 1)
        mirror.connection.execute(
            "INSERT INTO redcap.records VALUES ('study', $record, $at, $at, NULL, NULL)", {"record": record, "at": at}
        )


def plan(mirror, found, changed=(), *, everything=False):
    return mirror.pending.plan(found, changed, everything=everything, upto=None)


def test_records_are_read_if_they_are_new_or_seen_otherwise_or_changed(mirrors):
    mirror = mirrors("study")
    assert plan(mirror, census({"1": "a", "2": "a", "3": "a"})) == ("1", "2", "3")
    hold(mirror, "1", "2", "3")
    assert plan(mirror, census({"3": "a", "1": "b", "2": "a", "4": "a"}), ["2", "gone"]) == ("1", "2", "4")


def test_the_same_census_again_is_not_stored_again(mirrors):
    mirror = mirrors("study")
    for _ in range(2):
        plan(mirror, census({"1": "a", "2": "a"}))
        hold(mirror, "1", "2")
        # Were the census stored again, this row would be gone.
        mirror.connection.execute(
            "INSERT INTO state.census SELECT '9', 'z', NULL WHERE NOT EXISTS (FROM state.census WHERE record = '9')"
        )
    assert plan(mirror, census({"1": "a", "2": "a"}), ["2"]) == ("2",)
    assert mirror.connection.execute("SELECT record FROM state.census ORDER BY ALL").fetchall() == [
        ("1",),
        ("2",),
        ("9",),
    ]


def test_with_the_same_census_a_record_that_the_mirror_lacks_is_read_and_what_is_pending_stays(mirrors):
    mirror = mirrors("study")
    seen = {"1": "a", "2": "a", "3": "a"}
    plan(mirror, census(seen))
    hold(mirror, "1", "2")
    mirror.pending.requeue(["2"])
    assert plan(mirror, census(seen)) == ("2", "3")
    assert mirror.pending.count() == 2
    hold(mirror, "1", "2", "3")
    assert plan(mirror, census(seen)) == ()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(1, 10))])
def test_any_sequence_of_censuses_gives_the_list_that_comparing_all_of_them_gives(mirrors, seed):
    chance = random.Random(seed)
    quick, slow = mirrors("quick"), mirrors("slow")
    seen = {}
    for _ in range(25):
        for _ in range(chance.choice((0, 0, 1, 2))):
            seen[str(chance.randrange(6))] = chance.choice("ab")
        if seen and chance.random() < 0.2:
            del seen[chance.choice(list(seen))]
        found = census(dict(seen), whole=chance.random() < 0.3, covering=chance.choice(((), ("one",))))
        changed = chance.sample(sorted(seen), min(len(seen), chance.choice((0, 0, 1))))
        everything = chance.random() < 0.1
        slow.connection.execute("DELETE FROM state.census_digest")
        lists = [plan(mirror, found, changed, everything=everything) for mirror in (quick, slow)]
        assert lists[0] == lists[1]
        assert quick.pending.count() == slow.pending.count() == len(lists[0])
        left = chance.sample(lists[0], min(len(lists[0]), chance.choice((0, 0, 1))))
        for mirror in (quick, slow):
            hold(mirror, *(record for record in seen if record not in left))
            mirror.pending.requeue(left)
