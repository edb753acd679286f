"""The demo: three simulated studies, the nightly Dagster job over them, and a tour of what came of it.

`redcap-warehouse demo` runs it and ends; `python -m pipelines.demo` keeps the simulator running and opens the Dagster
UI over the same projects. Everything the demo makes lies in its folder and in the warehouse beside it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pipelines.cleaning import PROJECT, demo_mark
from pipelines.config import Config, load_config
from pipelines.console import answer_table, show_standings, stdout
from pipelines.errors import ConfigError, WarehouseError
from pipelines.interrupts import Interrupted, listening
from pipelines.warehouse.folder import WarehouseFolder
from pipelines.warehouse.published_file import open_published
from pipelines.warehouse.reading import query
from pipelines.warehouse.standings import standings
from redcap_source.simulator import STUDIES, ProjectHandle, Simulator, make_study

KINDS = ("classic", "longitudinal", "repeating")
# The simulated studies are seeded, so every demo shows the same figures.
SEED = 1
DEV_RECORDS = 150
# How long Dagster may take to end by itself.
SECONDS_TO_END = 20


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the tour: a question a data manager asks, and the query that answers it."""

    question: str
    sql: str


TOUR = (
    Stop(
        "Who is in the heart study? Labels stand in the schema heart_study_labels.",
        "SELECT l.sex, count(*) AS participants, round(avg(e.age)) AS mean_age\n"
        "FROM heart_study.enrolment e JOIN heart_study_labels.enrolment l USING (record_id)\n"
        "GROUP BY l.sex ORDER BY participants DESC",
    ),
    Stop(
        "How does blood pressure develop over the vaccine trial's visits? Types come from the data dictionary.",
        "SELECT e.position, v.redcap_event_name AS event, count(*) AS measured, round(median(systolic)) AS systolic\n"
        "FROM vaccine_trial.vital_signs v JOIN redcap.events e\n"
        "  ON e.project = 'vaccine_trial' AND e.unique_event_name = v.redcap_event_name\n"
        "WHERE e.arm_num = 1 GROUP BY ALL ORDER BY e.position",
    ),
    Stop(
        "Which values did not fit their field? They are kept verbatim in asthma_registry_raw, and listed.",
        "SELECT project, instrument, field, reason, count(*) AS n\n"
        "FROM redcap.invalid_values GROUP BY ALL ORDER BY n DESC, project, field LIMIT 6",
    ),
    Stop(
        "How far along is each form of the asthma registry?",
        "SELECT spirometry_complete AS status, count(*) AS forms, count(DISTINCT study_id) AS participants\n"
        "FROM asthma_registry_labels.spirometry GROUP BY ALL ORDER BY forms DESC",
    ),
    Stop(
        "Was last night complete? Every chunk is in the ledger: asked, returned, proven.",
        "SELECT project, mode, outcome, records_in_redcap AS in_redcap, records_loaded AS loaded, chunks, requests,\n"
        "       round(seconds, 1) AS seconds\n"
        "FROM redcap.sync_runs ORDER BY project, started_at",
    ),
)


# The second night, as readers see it.
NEXT_DAY = (
    Stop(
        "What did the second night read, and what did it find? A night costs what changed.",
        "SELECT project, mode, records_in_redcap AS in_redcap, records_loaded AS read, records_added AS new,\n"
        "       records_changed AS changed, records_deleted AS deleted, records_renamed AS renamed, requests\n"
        "FROM redcap.sync_runs QUALIFY row_number() OVER (PARTITION BY project ORDER BY started_at DESC) = 1\n"
        "ORDER BY project",
    ),
    Stop(
        "Which values changed, from what to what, and who changed them?",
        "SELECT record, field, old_value AS before, new_value AS after, change, changed_by AS by, changed_at AS at\n"
        "FROM redcap.record_changes\n"
        "WHERE project = 'heart_study' AND change IN ('update', 'rename')\n"
        "  AND run_id = (SELECT last_run_id FROM redcap.projects WHERE project = 'heart_study')\n"
        "ORDER BY record, field LIMIT 8",
    ),
    Stop(
        "What became of the records that are gone?",
        "SELECT record, deleted_at IS NOT NULL AS gone, renamed_to, first_seen FROM redcap.records\n"
        "WHERE project = 'heart_study' AND deleted_at IS NOT NULL",
    ),
    Stop(
        "What did the first night show? Every version of every row is kept.",
        "SELECT record_id, town FROM heart_study_history.as_of('enrolment',\n"
        "  (SELECT min(finished_at) FROM redcap.sync_runs WHERE project = 'heart_study'))\n"
        "WHERE record_id IN ('3', '4', '5') ORDER BY record_id",
    ),
    Stop(
        "And what changed in the study itself?",
        "SELECT project, change, kind, name FROM redcap.dictionary_changes ORDER BY ALL",
    ),
)


# After cleaned values went back.
WAY_BACK = (
    Stop(
        "What became of each proposal? What somebody changed since it was seen is left alone.",
        "SELECT record, field, seen_value AS seen, new_value AS proposed, status, decision_reason AS why\n"
        "FROM writeback.proposals WHERE project = 'heart_study' ORDER BY record",
    ),
    Stop(
        "What was sent? The journal is written before a request leaves, and again when it was read back.",
        "SELECT record, field, before_value AS before, after_value AS after, status, author, reason\n"
        "FROM writeback.journal WHERE project = 'heart_study' ORDER BY record",
    ),
    Stop(
        "And both directions in one account:",
        "SELECT record, field, old_value AS before, new_value AS after, origin, changed_by AS by\n"
        "FROM redcap.record_changes WHERE project = 'heart_study' AND field = 'town' AND change = 'update'\n"
        "ORDER BY detected_at, record",
    ),
)


def run_demo(folder: Path, records: int) -> None:
    """Two nights of the studies through the nightly job, a working day between them, and a tour of what came of it.

    A second demo begins anew.
    """
    from pipelines.in_process import nightly_instance, run_nightly, run_writeback

    console = stdout()
    began = time.monotonic()
    with studies(folder, records) as institution, nightly_instance(folder / "dagster") as instance:
        config = institution.config
        console.print(
            f"A simulated REDCap with {len(config.projects)} studies runs on this machine. "
            "The nightly Dagster job loads them, one run a project:",
            soft_wrap=True,
        )

        def night(project: str) -> list[str]:
            return run_nightly(config, project, instance)

        _night(console, config, night)
        console.print()
        warehouse = WarehouseFolder(config.warehouse)
        show_standings(standings(warehouse, list(config.projects)))
        _tour(console, warehouse, TOUR)
        console.print()
        console.print("The next day", style="bold underline")
        console.print(f"People work in REDCap: {work_a_day(institution)}. The job runs again:", soft_wrap=True)
        _night(console, config, night)
        _tour(console, warehouse, NEXT_DAY)
        console.print()
        console.print("The way back", style="bold underline")
        console.print(
            "An asset cleans the towns of the heart study with pandas and proposes them; meanwhile a nurse corrects "
            "one herself. The job writes back:",
            soft_wrap=True,
        )
        _write_back(console, institution, lambda: run_writeback(config, PROJECT, instance, apply=True))
        _tour(console, warehouse, WAY_BACK)
    _what_next(console, config, time.monotonic() - began)


def _night(console: Console, config: Config, night: Callable[[str], list[str]]) -> None:
    for project in config.projects:
        started = time.monotonic()
        if failures := night(project):
            raise WarehouseError(" ".join(failures))
        console.print(f"  {project}: loaded in {time.monotonic() - started:.1f} s")


def _write_back(console: Console, institution: Institution, write_back: Callable[[], list[str]]) -> None:
    heart = institution.handles[PROJECT]
    institution.simulator.before_request(lambda: heart.save("6", {"town": "North Haverbrook"}))
    started = time.monotonic()
    if failures := write_back():
        raise WarehouseError(" ".join(failures))
    console.print(f"  {PROJECT}: compared, written and read back in {time.monotonic() - started:.1f} s")


def work_a_day(institution: Institution) -> str:
    """People enter, correct, delete and rename; told in a few words."""
    heart = institution.handles[STUDIES["classic"].demo_name]
    trial = institution.handles[STUDIES["longitudinal"].demo_name]
    asthma = institution.handles[STUDIES["repeating"].demo_name]
    heart.save("3", {"town": "Springfield", "zip": "02139"})
    heart.save("4", {"town": " shelbyville"})
    heart.save("6", {"town": "ogdenville"})
    heart.save("new-1", {"first_name": "Ada", "town": "Capital City"})
    heart.delete("2")
    heart.rename("5", "5-moved")
    heart.add_field(
        {
            "field_name": "cycles",
            "form_name": "enrolment",
            "field_type": "yesno",
            "field_label": "Cycles to work?",
        }
    )
    heart.save("3", {"cycles": "1"})
    event = next(row.unique_name for row in trial.project.events)
    trial.save(trial.records()[0], {"initials": "XY"}, event=event)
    asthma.save(asthma.records()[0], {"height": "171"})
    return (
        "in the heart study some records are corrected, one is new, one is deleted, one gets another id, and the study "
        "gains a field; one value each changes in the others"
    )


@dataclass(frozen=True, slots=True)
class Institution:
    """The demo's REDCap and the configuration that points at it."""

    config: Config
    simulator: Simulator
    handles: Mapping[str, ProjectHandle]


@contextmanager
def studies(folder: Path, records: int, *, fresh: bool = True) -> Iterator[Institution]:
    """The simulator with the demo's studies, a projects.yaml that points at it, tokens in the environment."""
    if fresh:
        _start_anew(folder)
    simulator = Simulator()
    handles = {
        STUDIES[kind].demo_name: simulator.add_project(
            make_study(kind, records=records, seed=SEED), name=STUDIES[kind].demo_name
        )
        for kind in KINDS
    }
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with simulator:
        lines = ["# Made by the demo.", f"warehouse: {_warehouse_of(folder)}"]
        lines += ["servers:", f"  simulator: {{url: {simulator.url}}}", "projects:"]
        for name, handle in handles.items():
            variable = f"REDCAP_TOKEN_{name.upper()}"
            os.environ[variable] = handle.token
            allowed = ", writeback: {fields: [town, zip]}" if name == PROJECT else ""
            lines.append(f"  {name}: {{server: simulator, token: {{env: {variable}}}{allowed}}}")
        path = folder / "projects.yaml"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        yield Institution(load_config(path), simulator, handles)


def _warehouse_of(folder: Path) -> Path:
    return folder.absolute().parent / "warehouse"


def _start_anew(folder: Path) -> None:
    """Remove what an earlier demo made; a warehouse that no demo made is never touched."""
    warehouse = _warehouse_of(folder)
    mark = demo_mark(warehouse)
    if warehouse.exists() and not mark.exists() and any(warehouse.iterdir()):
        raise ConfigError(
            f"{warehouse} holds a warehouse that the demo did not make, so it is left alone.",
            remedy="Run the demo from another folder, or give it one: redcap-warehouse demo --folder /tmp/try/demo",
        )
    shutil.rmtree(warehouse, ignore_errors=True)
    shutil.rmtree(folder / "dagster", ignore_errors=True)
    warehouse.mkdir(parents=True, mode=0o700)
    mark.touch(mode=0o600)


def _tour(console: Console, warehouse: WarehouseFolder, stops: Sequence[Stop]) -> None:
    with open_published(warehouse) as connection:
        for stop in stops:
            console.print()
            console.print(stop.question, style="bold", soft_wrap=True)
            console.print(stop.sql, style="cyan", markup=False, highlight=False)
            answer_table(console, query(connection, stop.sql))


def _what_next(console: Console, config: Config, seconds: float) -> None:
    command = f"{Path(sys.argv[0]).parent / 'redcap-warehouse'} sql --config {os.path.relpath(config.path)}"
    database = WarehouseFolder(config.warehouse).database
    console.print(
        f"Done in {seconds:.0f} s. The warehouse is {os.path.relpath(database)}: open it with DuckDB, Python, R or a "
        "BI tool, or try",
        soft_wrap=True,
    )
    example = "SELECT * FROM asthma_registry.spirometry LIMIT 5"
    console.print(f'  {command} "{example}"', markup=False, soft_wrap=True)
    console.print(f"  {command}", markup=False, soft_wrap=True)
    console.print("and see the same projects in the Dagster UI with `make dev`.")


def serve_ui() -> None:
    """The simulator and the Dagster UI over the demo's projects, until interrupted."""
    folder = Path("demo")
    from pipelines.in_process import nightly_instance

    with studies(folder, DEV_RECORDS, fresh=not demo_mark(_warehouse_of(folder)).exists()) as institution:
        with nightly_instance(folder / "dagster"):
            pass  # makes the folder's dagster.yaml
        environment = os.environ | {
            "REDCAP_WAREHOUSE_CONFIG": str(institution.config.path),
            "DAGSTER_HOME": str((folder / "dagster").absolute()),
        }
        command = [str(Path(sys.executable).parent / "dagster"), "dev", "--host", "127.0.0.1"]
        if not Path("workspace.yaml").exists():
            command += ["--module-name", "pipelines.definitions"]
        stdout().print("The Dagster UI will be at http://127.0.0.1:3000; Ctrl-C ends it and the simulator.")
        _run_until_interrupted([*command, *sys.argv[1:]], environment)


def _run_until_interrupted(command: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run Dagster; however this process is asked to end, Dagster's webserver, daemon and code servers end with it."""
    with (
        suppress(Interrupted),
        listening(),
        # In a session of its own, so that all of it can be reached, and Ctrl-C reaches it through us alone.
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


if __name__ == "__main__":
    serve_ui()
