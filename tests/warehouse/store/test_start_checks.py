"""What is refused, and what is only told, before loads rely on a PostgreSQL and a shared place."""

from dataclasses import replace

import pytest

from pipelines.coordination import Checks
from pipelines.errors import WarehouseError
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.store.lake_store import LakeStore
from pipelines.warehouse.store.start_checks import judged
from tests.support.postgres import RunningPostgres

GOOD = Checks(
    version="15.18",
    version_number=150018,
    clock_difference=0.01,
    round_trip=0.001,
    sessions_kept=True,
    only_reads=False,
    may_create=True,
    may_change=True,
)


def test_a_postgresql_on_which_loads_can_rely_is_passed_in_silence():
    assert judged(GOOD) == ([], [])
    assert judged(replace(GOOD, may_create=False)) == ([], []), "the schema is there already"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": "11.22", "version_number": 110022}, "version 11.22"),
        ({"sessions_kept": False}, "session mode"),
        ({"only_reads": True, "may_create": False, "may_change": False}, "only reads"),
        ({"may_create": False, "may_change": False}, "Grant CREATE"),
        ({"clock_difference": -301.0}, "301 s behind this machine's. Set both by a time server."),
        ({"clock_difference": 900.0}, "900 s ahead of"),
    ],
)
def test_what_loads_cannot_rely_on_is_refused_in_one_line(change, told):
    [refused], warned = judged(replace(GOOD, **change))
    assert told in refused and "\n" not in refused
    assert warned == []


@pytest.mark.parametrize(("seconds", "round_trip", "warnings"), [(4.9, 0, 0), (6, 0, 1), (-299, 0, 1), (6, 4, 0)])
def test_a_small_difference_of_the_clocks_is_told_and_a_slow_answer_is_none(seconds, round_trip, warnings):
    refused, warned = judged(replace(GOOD, clock_difference=seconds, round_trip=round_trip))
    assert (refused, len(warned)) == ([], warnings)


@pytest.mark.lake
def test_everything_that_is_wrong_with_a_store_is_told_at_once_and_no_password(
    tmp_path, postgres: RunningPostgres, monkeypatch
):
    url = postgres.new_database(f"checks_{tmp_path.name}")
    (tmp_path / "file").touch()
    with LakeStore(WarehouseFolder(tmp_path / "one"), catalog=url, data=str(tmp_path / "shared")) as store:
        assert store.check() == []
    [sign] = [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]
    assert sign.parent == tmp_path / "shared" / "_store" and sign.stat().st_mode & 0o777 == 0o600
    with LakeStore(WarehouseFolder(tmp_path / "two"), catalog=url, data=str(tmp_path / "file" / "x")) as store:
        with pytest.raises(WarehouseError, match="cannot be used") as refused:
            store.check()
        assert "\n" not in str(refused.value)
