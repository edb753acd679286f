"""One publish for all projects of a night: each is reported once, when its own rows are readable, whoever died."""

import dagster as dg
import pytest

from pipelines.defs.asset_specs import key
from pipelines.warehouse.publishing.publish import publish
from tests.support.dagster_house import failures, look, the_night

pytestmark = pytest.mark.filterwarnings("ignore::dagster.PreviewWarning", "ignore::dagster.BetaWarning")


def materialized(house, result):
    """The projects of which the run materialized `published`, with what it says of each."""
    events = [entry.dagster_event for entry in house.instance.all_logs(result.run_id) if entry.dagster_event]
    found = [event.materialization for event in events if event.is_step_materialization]
    return {event.partition: event.metadata for event in found if event.asset_key == key("published")}


def checks_of(house, project):
    """The latest results of the checks of `published`, as the UI shows them."""
    found = {}
    for name in ("every_record_is_there", "published_rows_match_the_mirror"):
        [record] = house.instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(key("published"), name), limit=1, partition_filter=_partition(project)
        )
        found[name] = (record.status.value, record.run_id)
    return found


def _partition(project):
    from dagster._core.storage.event_log.base import PartitionKeyFilter

    return PartitionKeyFilter(key=project)


def test_a_night_of_several_projects_publishes_once_and_reports_each(house):
    nights = [house.run(project, tags=the_night()) for project in ("study", "other")]
    assert all(night.success for night in nights)
    assert [materialized(house, night) for night in nights] == [{}, {}]
    assert not house.folder.database.exists()
    published = house.publish()
    assert published.success
    loads = dict(house.rows("SELECT project, run_id FROM redcap.sync_runs"))
    assert loads == {"study": nights[0].run_id, "other": nights[1].run_id}
    told = materialized(house, published)
    assert {project: metadata["load_run"].value for project, metadata in told.items()} == loads
    assert house.instance.get_materialized_partitions(key("published")) == {"study", "other"}
    for project in loads:
        assert set(checks_of(house, project).values()) == {("SUCCEEDED", published.run_id)}
    assert "No load waits" in look(house).skip_message
    assert materialized(house, house.publish()) == {}


def test_a_project_that_another_publish_took_along_is_reported_too(second_night):
    house = second_night
    assert house.run("study", tags=the_night()).success
    # As if a run of the job had been killed before it could report, or a run by hand had published what waited.
    publish(house.folder)
    assert house.folder.unpublished() == {}
    assert look(house).run_requests
    assert materialized(house, house.publish()).keys() == {"study"}
    assert "No load waits" in look(house).skip_message


def test_what_is_wrong_fails_the_run_and_says_all_of_it(second_night):
    house = second_night
    with house.folder.database.open("r+b") as file:
        file.truncate(5000)
    # The study's two records together are too much for the server, and then one of them alone, which is tried thrice.
    house.simulator.faults.add("memory", content="record", nth=4, times=4)
    assert house.run("other", tags=the_night()).success
    result = house.publish()
    assert failures(result) == ["other: REDCap lists 2 records, the warehouse holds 1; 1 is quarantined."]
    assert checks_of(house, "other") == {
        "every_record_is_there": ("FAILED", result.run_id),
        "published_rows_match_the_mirror": ("SUCCEEDED", result.run_id),
    }
    told = materialized(house, result)
    assert told.keys() == {"other"}
    assert told["other"]["made_again_because"].value.startswith("it had 5,000 bytes instead of ")
    assert house.rows("SELECT count(*) FROM study.intake") == [(10,)]


def test_a_file_that_somebody_changed_fails_the_check_which_says_what_to_do(second_night):
    house = second_night
    house.folder.database.write_bytes(b"something else")
    [check] = house.check("published_rows_match_the_mirror").get_asset_check_evaluations()
    assert not check.passed
    assert "it had 14 bytes instead of " in check.description
    assert "Run `redcap-warehouse publish`" in check.description
