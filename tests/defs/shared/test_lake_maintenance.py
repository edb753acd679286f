"""The lake is maintained weekly, where there is one."""

import dagster as dg
import pytest

from pipelines.config.load import load_config
from pipelines.definitions import make_definitions
from pipelines.defs.shared.lake_maintenance import MAINTENANCE


def test_a_warehouse_of_files_has_nothing_to_maintain(house):
    assert not make_definitions(house.config).get_repository_def().has_job(MAINTENANCE)


def test_the_lake_is_maintained_at_noon_on_sundays(shared_path):
    definitions = make_definitions(load_config(shared_path))
    dg.Definitions.validate_loadable(definitions)
    schedule = definitions.resolve_schedule_def(MAINTENANCE)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert [schedule.cron_schedule, schedule.execution_timezone] == ["0 12 * * 0", "Europe/Berlin"]
    [job] = [job for job in definitions.resolve_all_job_defs() if job.name == MAINTENANCE]
    assert job.executor_def.name == "in_process"


@pytest.mark.lake
def test_the_job_reports_what_it_did_in_counts(shared_path, house):
    job = make_definitions(load_config(shared_path)).resolve_job_def(MAINTENANCE)
    result = job.execute_in_process(instance=house.instance, raise_on_error=False)
    assert result.success
    [done] = [event for event in result.all_events if event.is_successful_output]
    assert {"snapshots", "files", "deleted"} <= done.step_output_data.metadata.keys()
