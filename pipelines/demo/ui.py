"""Dagster's web pages over the demo's studies, while their simulator runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pipelines.console.tables import stdout
from pipelines.defs.example_cleaning import demo_mark
from pipelines.demo.studies import DEV_RECORDS, studies, warehouse_of
from pipelines.interrupts import Interrupted, listening

# How long Dagster may take to end after SIGINT, before it is killed.
SECONDS_TO_END = 20


def serve_ui() -> None:
    """Run the simulator and the Dagster UI over the demo's projects until interrupted."""
    folder = Path("demo")
    from pipelines.demo.in_process import nightly_instance

    with studies(folder, DEV_RECORDS, fresh=not demo_mark(warehouse_of(folder)).exists()) as demo:
        with nightly_instance(folder / "dagster"):
            pass  # makes the folder's dagster.yaml
        environment = os.environ | {
            "REDCAP_WAREHOUSE_CONFIG": str(demo.config.path),
            "DAGSTER_HOME": str((folder / "dagster").absolute()),
        }
        command = [str(Path(sys.executable).parent / "dagster"), "dev", "--host", "127.0.0.1"]
        if not Path("workspace.yaml").exists():
            command += ["--module-name", "pipelines.definitions"]
        stdout().print("The Dagster UI will be at http://127.0.0.1:3000; Ctrl-C ends it and the simulator.")
        _run_until_interrupted([*command, *sys.argv[1:]], environment)


def _run_until_interrupted(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run Dagster; however this process ends, Dagster's webserver, daemon and code servers end with it."""
    with (
        suppress(Interrupted),
        listening(),
        # In a session of its own, so that one signal reaches all of it, and Ctrl-C reaches only this process.
        subprocess.Popen(command, env=environment, start_new_session=True) as dagster,  # noqa: S603 - our own command
    ):
        try:
            dagster.wait()
        except Interrupted:
            stdout().print("Ending…")
            raise
        finally:
            _end_session(dagster)


def _end_session(leader: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGINT, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(leader.pid, number)
        with suppress(subprocess.TimeoutExpired):
            leader.wait(SECONDS_TO_END)
