"""`dagster dev` from the root of the repository, driven in a real headless Chromium: what a person would click."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from pipelines.demo.in_process import nightly_instance
from redcap_source import RedcapClient, Token
from redcap_source.simulator import Simulator, make_study
from tests.support.root import ROOT

pytestmark = pytest.mark.browser

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]


def wait_for(what, seconds, found):
    """Poll until something is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(1)
    raise AssertionError(f"{what} did not come within {seconds} s")


def graphql(url, query):
    """One GraphQL answer; None while the server is starting."""
    request = urllib.request.Request(
        f"{url}/graphql", json.dumps({"query": query}).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())["data"]
    except OSError:
        return None


@pytest.fixture(scope="module")
def ui(tmp_path_factory):
    """The Dagster UI over one simulated study; its URL and the folder of everything."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    folder = tmp_path_factory.mktemp("ui")
    with Simulator() as simulator:
        study = simulator.add_project(make_study("repeating", records=10), name="asthma_registry")
        (folder / "projects.yaml").write_text(
            f"servers: {{sim: {{url: {simulator.url}}}}}\n"
            "projects: {asthma_registry: {token: {env: TOKEN}, writeback: {fields: [height]}}}\n"
        )
        with nightly_instance(folder / "dagster"):
            pass
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        environment = {
            **os.environ,
            "TOKEN": study.token,
            "REDCAP_WAREHOUSE_CONFIG": str(folder / "projects.yaml"),
            "DAGSTER_HOME": str(folder / "dagster"),
        }
        command = [str(Path(sys.executable).parent / "dagster"), "dev", "--host", "127.0.0.1", "--port", str(port)]
        with (folder / "dev.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, start_new_session=True
            )
            url = f"http://127.0.0.1:{port}"
            try:
                wait_for("the UI", 90, lambda: graphql(url, "{ version }"))
                yield url, folder, study
            finally:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(30)


def test_a_person_materializes_a_project_and_sees_the_schedule_running(ui):
    from playwright.sync_api import sync_playwright

    url, folder, _ = ui
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.goto(f"{url}/asset-groups", wait_until="domcontentloaded")
        page.get_by_role("button", name="Materialize all").first.click(timeout=30_000)
        page.get_by_role("button", name="All", exact=True).click(timeout=15_000)
        page.get_by_role("button", name="Launch").last.click(timeout=15_000)
        wait_for("the run", 120, lambda: statuses(url) == ["SUCCESS"])
        page.goto(f"{url}/assets/redcap/records", wait_until="domcontentloaded")
        page.get_by_text("rows_by_instrument").wait_for(timeout=30_000)
        page.screenshot(path=str(folder / "records.png"))
        assert page.get_by_text("asthma_registry").count() > 0
        page.goto(f"{url}/automation", wait_until="domcontentloaded")
        page.get_by_text("nightly").first.wait_for(timeout=30_000)
        browser.close()
    assert (folder / "warehouse" / "warehouse.duckdb").exists()
    schedules = graphql(
        url,
        '{ schedulesOrError(repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "redcap"}) '
        "{ ... on Schedules { results { name scheduleState { status } } } } }",
    )
    assert schedules["schedulesOrError"]["results"] == [{"name": "nightly", "scheduleState": {"status": "RUNNING"}}]


def test_a_person_writes_cleaned_values_back_from_the_launchpad(ui):
    from playwright.sync_api import sync_playwright

    url, folder, study = ui
    record = study.records()[0]
    cells = f"record,event,field,new_value,reason\n{record},baseline_arm_1,height,191,measured again\n"
    (folder / "cells.csv").write_text(cells)
    proposing = [sys.executable, "-m", "pipelines.cli", "propose", "asthma_registry", str(folder / "cells.csv")]
    subprocess.run([*proposing, "--config", str(folder / "projects.yaml")], check=True, capture_output=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        for apply in (False, True):
            before = len(statuses(url))
            page.goto(f"{url}/locations/redcap/jobs/write_back/playground", wait_until="domcontentloaded")
            page.get_by_placeholder("Partition").fill("asthma_registry", timeout=30_000)
            page.keyboard.press("Enter")
            if apply:
                page.locator(".CodeMirror").first.click()
                page.keyboard.press("Control+A")
                page.keyboard.insert_text("ops: {redcap__writeback: {config: {apply: true}}}")
            page.get_by_role("button", name="Launch Run").click(timeout=15_000)
            wait_for("the run", 120, lambda before=before: len(statuses(url)) > before and done(url))
            assert "191" in exported(study, record) or not apply
            assert apply or "191" not in exported(study, record)
        page.goto(f"{url}/assets/redcap/writeback", wait_until="domcontentloaded")
        page.get_by_text("confirmed", exact=True).wait_for(timeout=30_000)
        page.screenshot(path=str(folder / "writeback.png"))
        # Counts are shown, and the value itself nowhere.
        assert page.get_by_text("191").count() == 0
        browser.close()


def done(url):
    """Whether every run has ended, and ended well."""
    return set(statuses(url)) == {"SUCCESS"}


def exported(study, record):
    """What REDCap holds of a record, as text."""
    with RedcapClient(study.site.url, Token(study.token)) as client:
        return json.dumps(client.export_records(records=[record]).to_dict())


def statuses(url):
    """How the runs stand."""
    answer = graphql(url, "{ runsOrError { ... on Runs { results { status } } } }")
    return [run["status"] for run in answer["runsOrError"]["results"]] if answer else []
