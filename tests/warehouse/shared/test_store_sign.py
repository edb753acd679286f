"""The sign of a store in its place: without it nothing is written there, and nothing is loaded."""

from pathlib import Path

import pytest

from pipelines.errors import WarehouseError
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.store.lake_store import LakeStore
from tests.support.postgres import RunningPostgres, ask


@pytest.mark.lake
def test_another_place_than_that_of_the_store_is_refused_before_anything_is_made_there(
    tmp_path, postgres: RunningPostgres
):
    url, drive = postgres.new_database(f"sign_{tmp_path.name}"), tmp_path / "drive"

    def checked(data: Path) -> list[str]:
        with LakeStore(WarehouseFolder(tmp_path / "one"), catalog=url, data=str(data)) as store:
            return store.check()

    # As after a first check that was interrupted between the file and the note of it.
    for _ in range(2):
        assert checked(drive) == []
        ask(url, "UPDATE redcap_warehouse.store SET signed = false")
    assert checked(drive) == []
    drive.rename(tmp_path / "unmounted")
    for place in (drive, tmp_path / "another"):
        with pytest.raises(WarehouseError, match=r"Make sure that the drive is mounted, and that store\.data"):
            checked(place)
        assert not place.exists(), "it would look like the right one to whoever looks next"
    (tmp_path / "unmounted").rename(drive)
    assert checked(drive) == []
    for sign in (drive / "_store").iterdir():
        sign.rename(sign.with_name("of-another-store"))
    with pytest.raises(WarehouseError, match="it lacks the file _store/"):
        checked(drive)
