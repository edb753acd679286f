"""The reverse asset in a real Dagster run: a dry run unless told, counts only, checks that speak up."""

import dagster as dg
import pytest

from pipelines.config.load import load_config
from pipelines.definitions import make_definitions
from pipelines.defs.jobs import WRITEBACK
from pipelines.demo.in_process import nightly_instance, run_nightly
from pipelines.store import open_store
from pipelines.warehouse.published.query import query
from pipelines.writeback import ProposalOptions, propose_rows
from redcap_source.simulator import Simulator
from tests.support.load_site import Site

CANARY = "Kanarienstadt"


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """A study after its first night, with one field that may be written back."""
    with Simulator() as simulator:
        site = Site(simulator, tmp_path, monkeypatch)
        handle = site.study("classic", 12)
        path = site.path
        path.write_text(path.read_text().replace("TOKEN_STUDY}}", "TOKEN_STUDY}, writeback: {fields: [town]}}"))
        config = load_config(path)
        with nightly_instance(tmp_path / "dagster") as instance:
            assert run_nightly(config, "study", instance) == []
            yield config, instance, handle, handle.records()[0]


def run(config, instance, **chosen):
    job = make_definitions(config).resolve_job_def(WRITEBACK)
    return job.execute_in_process(
        partition_key="study",
        instance=instance,
        raise_on_error=False,
        run_config={"ops": {"redcap__writeback": {"config": chosen}}},
    )


def town(handle, record):
    return next(values["town"] for values in handle.project.records.get(record).slots.values() if "town" in values)


def metadata(result):
    (materialization,) = result.asset_materializations_for_node("redcap__writeback")
    return {name: value.value for name, value in materialization.metadata.items()}


def propose(config, record, value, batch):
    options = ProposalOptions(batch=batch, author="me")
    rows = [{"record": record, "field": "town", "new_value": value}]
    assert propose_rows(config, config.project("study"), rows, options).accepted == 1


def test_it_is_a_dry_run_unless_told_then_writes_without_showing_a_value_and_leaves_a_conflict(loaded, capfd):
    config, instance, handle, record = loaded
    propose(config, record, CANARY, "towns")
    result = run(config, instance)
    assert result.success
    assert (metadata(result)["dry_run"], metadata(result)["write"]) == (True, 1)
    assert town(handle, record) != CANARY
    result = run(config, instance, apply=True)
    assert result.success
    assert town(handle, record) == CANARY
    assert {name: metadata(result)[name] for name in ("sent", "confirmed", "conflict")} == {
        "sent": 1,
        "confirmed": 1,
        "conflict": 0,
    }
    assert all(check.passed for check in result.get_asset_check_evaluations())
    told = str([event.to_json() if hasattr(event, "to_json") else event for event in result.all_events])
    assert CANARY not in told + capfd.readouterr().err
    with open_store(config) as store, store.published.open() as connection:
        found = query(
            connection, "SELECT origin, changed_by FROM redcap.record_changes WHERE new_value = 'Kanarienstadt'"
        )
    assert found.rows == [("writeback", "me")]
    # The next night finds nothing new in what was written.
    assert run_nightly(config, "study", instance) == []
    with open_store(config) as store, store.published.open() as connection:
        again = query(connection, "SELECT count(*) FROM redcap.record_changes WHERE new_value = 'Kanarienstadt'")
    assert again.rows == [(1,)]

    # A conflict stays, and the check says so.
    propose(config, record, "Maschinenstadt", "more towns")
    handle.save(record, {"town": "Menschenhand"})
    result = run(config, instance, apply=True)
    assert town(handle, record) == "Menschenhand"
    checks = {check.check_name: check.passed for check in result.get_asset_check_evaluations()}
    assert checks == {"no_conflicts": False, "all_confirmed": True}


def test_the_nightly_job_writes_nothing_back(house):
    job = make_definitions(house.config).resolve_job_def("nightly_load")
    assert not [key for key in job.asset_layer.executable_asset_keys if key == dg.AssetKey(["redcap", "writeback"])]
