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

from pipelines.jobs import nightly_instance
from redcap_source.simulator import Simulator, make_study

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
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
            f"servers: {{sim: {{url: {simulator.url}}}}}\nprojects: {{asthma_registry: {{token: {{env: TOKEN}}}}}}\n"
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
                yield url, folder
            finally:
                os.killpg(process.pid, signal.SIGINT)
                process.wait(30)


def test_a_person_materializes_a_project_and_sees_the_schedule_running(ui):
    from playwright.sync_api import sync_playwright

    url, folder = ui
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


def statuses(url):
    """How the runs stand."""
    answer = graphql(url, "{ runsOrError { ... on Runs { results { status } } } }")
    return [run["status"] for run in answer["runsOrError"]["results"]] if answer else []
