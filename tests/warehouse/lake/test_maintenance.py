"""Maintenance makes a lake smaller and changes nothing that readers find today."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.lake import everything_in

pytestmark = pytest.mark.lake
NOTHING = timedelta(seconds=-60)
"""Also what was just written is old enough."""


def on_disk(lake) -> set[Path]:
    return set(Path(lake.data).rglob("*.parquet"))


def test_nights_are_merged_old_snapshots_end_and_files_of_the_dead_are_deleted(site, publishing):
    study = site.study(records=2)
    note = next(f.field_name for f in study.project.dictionary.fields[1:] if f.field_type == "notes")
    site.load()
    into = publishing(study=site.warehouse.mirror("study"))
    into.publish()
    for night in range(2):
        study.save("1", {note: f"night {night}"})
        site.load()
        into.publish()
    found = everything_in(into.lake)
    left = Path(into.lake.data) / "study" / "dead.parquet"
    left.write_bytes(next(iter(on_disk(into.lake))).read_bytes())

    kept = into.publisher.maintain()
    assert kept.snapshots >= kept.snapshots_before and kept.deleted == 0, "a month is kept, and a day waited"
    assert left.exists() and everything_in(into.lake) == found

    an_hour_ago = time.time() - 3600
    os.utime(left, (an_hour_ago, an_hour_ago))
    before = on_disk(into.lake)
    done = into.publisher.maintain(keep=NOTHING, longest=NOTHING)
    assert done.snapshots < done.snapshots_before and done.files < kept.files_before
    assert not left.exists() and len(on_disk(into.lake)) <= len(before) - done.deleted
    assert everything_in(into.lake) == found
    site.load()
    assert not into.publish().failed, "and publishing goes on"
