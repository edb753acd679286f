"""What a run holds while it is under way, where several machines share the warehouse."""

import dagster as dg
import pytest
from dagster._core.storage.tags import RETRY_STRATEGY_TAG

from pipelines.config.load import load_config
from pipelines.coordination import Coordination
from pipelines.definitions import make_definitions
from pipelines.defs.resources import WarehouseResource
from pipelines.defs.shared.dead_runs import SENSOR
from tests.support.postgres import ask

KNOWN = "SELECT run FROM redcap_warehouse.runs"


def executed(path, database, *, fails: bool = False, shared: bool = True):
    """A run of one step, which looks what is known of its run; returns its result and what it saw."""
    seen = []

    @dg.op
    def look(context: dg.OpExecutionContext, warehouse: WarehouseResource) -> None:
        with Coordination(database) as other:
            seen.append((other.lost_runs(), ask(database, KNOWN)))
        if fails:
            raise dg.Failure("it fails", allow_retries=False)

    @dg.job(resource_defs={"warehouse": WarehouseResource(config_path=str(path), shared=shared)})
    def one_step() -> None:
        look()

    with dg.DagsterInstance.ephemeral() as instance:
        result = one_step.execute_in_process(instance=instance, raise_on_error=False)
        return result, seen, instance.get_run_by_id(result.run_id)


@pytest.mark.lake
@pytest.mark.parametrize("fails", [False, True])
def test_a_run_is_known_while_it_is_under_way_and_no_longer(shared_path, database, fails):
    result, [(lost, known)], run = executed(shared_path, database, fails=fails)
    assert result.success is not fails
    assert [lost, known] == [{}, [(result.run_id,)]]
    assert ask(database, KNOWN) == []
    # Another machine has no files of this one.
    assert run.tags[RETRY_STRATEGY_TAG] == "ALL_STEPS"


def test_a_run_that_cannot_say_that_it_is_under_way_does_not_begin_and_shows_no_password(
    shared_path, database, monkeypatch
):
    without = database.replace("dagster@", "dagster:sesame@").rpartition("/")[0]
    monkeypatch.setenv("CATALOG", f"{without}/is_not_there")
    result, seen, _ = executed(shared_path, database)
    assert [result.success, seen] == [False, []]
    told = str(result.all_events)
    assert 'database "is_not_there" does not exist' in told
    assert "sesame" not in told


def test_a_warehouse_of_one_machine_holds_nothing_and_has_no_sensor_for_dead_runs(shared_path, database, house):
    result, [(_, known)], run = executed(shared_path, database, shared=False)
    assert result.success
    assert known == []
    assert RETRY_STRATEGY_TAG not in run.tags
    names = [
        [sensor.name for sensor in make_definitions(config).sensors]
        for config in (house.config, load_config(shared_path))
    ]
    assert [SENSOR in sensors for sensors in names] == [False, True]
