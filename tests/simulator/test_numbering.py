"""The id that auto-numbering gives the next record."""

from __future__ import annotations

from dataclasses import replace

import pytest

from redcap_source.simulator import Simulator
from redcap_source.simulator.rules.numbering import next_record_id
from redcap_source.simulator.state.records import Record, RecordStore
from tests.simulator.grids import classic


@pytest.mark.parametrize(
    ("ids", "outside", "inside"),
    [
        ((), "1", "7-1"),
        (("1", "9", "10"), "11", "7-1"),
        (("a", "3", "7-4", "7-x"), "4", "7-5"),
        (("7-9", "7-10", "8-30"), "1", "7-11"),
    ],
)
def test_the_next_id_counts_the_ids_of_the_users_group(ids, outside, inside):
    handle = Simulator().add_project(classic(), name="study")
    handle.add_user("kim", dag="site_x")
    project = handle.project
    project.groups["site_x"] = replace(project.groups["site_x"], group_id=7)
    project.records = RecordStore(map(Record, ids))
    assert next_record_id(project, project.api_user) == outside
    assert next_record_id(project, "kim") == inside
