"""A simulated institution whose studies may be written to, and what tests ask of its warehouse."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pytest

from pipelines.writeback import (
    Outcome,
    Plan,
    ProposalOptions,
    ProposalReport,
    WritebackOptions,
    apply_writeback,
    plan_writeback,
    propose_rows,
    publish_results,
    revert_writeback,
)
from redcap_source.simulator import ProjectHandle, Simulator
from tests.support.load_site import Site, Template

OPEN = "{instruments: [%s], max_record_share: 1, max_cells: 100000}"


@dataclass
class WritebackSite(Site):
    """A site whose projects.yaml says what may be written."""

    allowed: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        path = super().path
        lines = path.read_text().splitlines()
        for name, handle in self.handles.items():
            section = self.allowed.get(name) or OPEN % ", ".join(handle.project.dictionary.forms)
            lines = [
                line[:-1] + f", writeback: {section}}}" if line.startswith(f"  {name}: ") else line for line in lines
            ]
        path.write_text("\n".join(lines) + "\n")
        return path

    def project(self, name: str = "study"):
        return self.config.project(name)

    def propose(self, rows, name: str = "study", **wanted) -> ProposalReport:
        return propose_rows(self.config, self.project(name), rows, ProposalOptions(**{"batch": "b", **wanted}))

    def plan(self, name: str = "study", **options) -> Plan:
        return plan_writeback(self.config, self.project(name), options=WritebackOptions(**options), sleep=no_wait)

    def apply(self, name: str = "study", step=lambda name: None, **options) -> Outcome:
        return apply_writeback(
            self.config, self.project(name), options=WritebackOptions(**options), sleep=no_wait, step=step
        )

    def revert(self, batch: str = "b", name: str = "study", *, apply: bool = True, step=lambda name: None):
        return revert_writeback(
            self.config, self.project(name), batch, apply=apply, author="reverter", sleep=no_wait, step=step
        )

    def work(self, query: str, name: str = "study") -> list[tuple]:
        """A query of the project's mirror."""
        with duckdb.connect(str(self.warehouse.mirror(name)), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def kept(self, table: str, columns: str, name: str = "study") -> list[tuple]:
        """Rows of schema writeback as readers find them, of one project; tables of all projects hold others' too."""
        order = {"batches": "created_at", "proposals": "proposal", "journal": "request, proposal, record, field"}[table]
        return self.rows(f"SELECT {columns} FROM writeback.{table} WHERE project = '{name}' ORDER BY {order}")

    def journal(self, columns: str = "record, field, before_value, new_value, after_value, status") -> list[tuple]:
        return self.work(f"SELECT {columns} FROM writeback.journal WHERE status <> 'followed' ORDER BY proposal")

    def changes(self, name: str = "study") -> list[tuple]:
        """What the warehouse says was changed."""
        return self.work(
            "SELECT record, field, old_value, new_value, origin, changed_by FROM redcap.record_changes "
            "ORDER BY detected_at, record, field",
            name,
        )

    def imports(self) -> int:
        """How many imports the server has answered."""
        return sum(request.action == "import" for request in self.simulator.requests)


def no_wait(seconds: float) -> None:
    """No test waits."""


def values(handle: ProjectHandle) -> dict[tuple, str]:
    """Everything the server holds, cell by cell."""
    return {
        (record.id, slot, name): value
        for record in handle.project.records
        for slot, cells in record.slots.items()
        for name, value in cells.items()
        if value
    }


def row(record, field, new, **more) -> dict[str, object]:
    """A proposal, one cell a row."""
    return {"record": record, "field": field, "new_value": new, **more}


def write_csv(path: Path, rows: list[dict[str, object]]) -> Path:
    columns = list(dict.fromkeys(name for each in rows for name in each))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def site(tmp_path, monkeypatch) -> Iterator[WritebackSite]:
    with Simulator() as simulator:
        yield WritebackSite(simulator, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def classic(tmp_path_factory) -> Iterator[Template]:
    """The classic study; records 1 to 4 have weights, remarks and complaints as told.

    Beside it a neighbour: a project with the same fields and record ids, and a batch of the same name, of which one
    proposal was sent and one is open.
    """
    folder = tmp_path_factory.mktemp("classic")
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, folder, monkeypatch)
        handle = site.study()
        for record, weight in {"1": "80.0", "2": "81.0", "3": "82.0", "4": ""}.items():
            complaints = {"complaints___1": "1", "complaints___2": "0"}
            handle.save(record, {"weight": weight, "height": "170.0", "remarks": f"remark {record}", **complaints})
        site.load()
        site.study("classic", 3, name="neighbour").save("1", {"weight": "80.0"})
        site.night("neighbour")
        site.propose([row("1", "weight", "44.4")], "neighbour", author="neighbour")
        site.apply("neighbour")
        site.propose([row("2", "weight", "55.5")], "neighbour", author="neighbour")
        publish_results(site.config, site.project("neighbour"), site.plan("neighbour"))
        yield Template.of(site)


@pytest.fixture(scope="session")
def repeating(tmp_path_factory) -> Template:
    """The repeating study: events, repeating instruments and a repeating event; loaded and published."""
    folder = tmp_path_factory.mktemp("repeating")
    with Simulator() as simulator, pytest.MonkeyPatch.context() as monkeypatch:
        site = WritebackSite(simulator, folder, monkeypatch)
        site.study("repeating", 6)
        site.night()
        return Template.of(site)


@pytest.fixture
def study(site, classic) -> ProjectHandle:
    """The classic study, loaded."""
    return classic.put_into(site)
