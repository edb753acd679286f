"""What a night of one project costs in a store of several machines, and the same night in a store of files.

`python -m bench.store_costs` needs DuckDB 1.5.5 with its extensions (`PYTHONPATH=.venv/lake`), the programs of a
PostgreSQL server with pg_stat_statements, and moto. docs/howto/store-costs.md computes with its figures. CPU is that of
the command, what it takes to start included; PostgreSQL's own is beside it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from bench.measure import Cost, run
from bench.width import Shape, even, make_project
from tests.support.postgres import ask, restartable_postgres
from tests.support.s3 import S3Server, Way, running_s3, way_to

# As many instruments and columns as the projects of a fleet have in the middle, and more records.
PROJECT = Shape(even(150, 8), 1000)
ROWS = """
SELECT relname, (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM redcap_lake.' || relname, false, true,
       '')))[1]::text::bigint FROM pg_class WHERE relnamespace = to_regnamespace('redcap_lake') AND relkind = 'r'
"""
STATEMENTS = """
SELECT coalesce(sum(calls), 0), coalesce(sum(total_exec_time), 0) FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True, slots=True)
class Night:
    """What one night of the project took."""

    cost: Cost
    requests: int
    received_mb: float
    written_mb: float
    """What is new in the shared place: the mirror, and the lake's files."""
    mirror_mb: float
    files: int
    statements: int
    statement_ms: float
    rows: int
    """By which the tables of the lake's catalog grew."""
    bucket: Counter[str]
    """Requests to the bucket, by method."""

    def told(self, plain: Night) -> str:
        """On one line."""
        text = f"CPU s {self.cost.cpu:.2f} ({self.cost.cpu / plain.cost.cpu:.2f} x files), {self.requests} requests, "
        text += f"{self.received_mb:.2f} MB from REDCap"
        if self.statements:
            text += f"; PostgreSQL {self.statements} statements, {self.statement_ms:.0f} ms, +{self.rows} rows"
        if self.files:
            text += f"; new {self.files} files, {self.written_mb:.2f} MB, of it the mirror {self.mirror_mb:.2f}"
        return text + (f"; bucket {dict(self.bucket)}" if self.bucket else "")


def store_costs() -> str:
    """The figures, as text."""
    from redcap_source.simulator import Simulator

    shape = f"{len(PROJECT.fields)} instruments, {sum(PROJECT.fields)} fields and {PROJECT.records:,} records"
    lines = [f"A project of {shape}, one command for each night: files, a lake in a folder, a lake in a bucket"]
    with (
        tempfile.TemporaryDirectory() as folder,
        Simulator() as simulator,
        restartable_postgres(Path(folder) / "postgres") as server,
        running_s3() as s3,
        way_to(s3) as way,
    ):
        ask(server.url, "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'")
        server.stop()
        server.start()
        handle = simulator.add_project(make_project(PROJECT), name="p")
        notes = [field.field_name for field in handle.project.dictionary.fields if field.field_type == "notes"][:2]
        home = Path(folder)
        files = _Warehouse(home / "files", None, "", None)
        lake = _Warehouse(home / "lake", server.new_database("lake"), str(home / "lake" / "shared"), None)
        bucket = _Warehouse(home / "bucket", server.new_database("bucket"), s3.bucket("redcap"), way)
        for warehouse in (files, lake, bucket):
            warehouse.configure(simulator.url, handle.token)
        # The second night reads what was entered shortly before the first again.
        for what, records in (("first", 0), ("second", 0), ("without changes", 0), ("1 % of records", 10)):
            for number in range(records):
                handle.save(str(number + 1), {name: f"changed {os.urandom(3).hex()}" for name in notes})
            lines.append(f"{what}:")
            plain = files.night()
            for label, night in (("files", plain), ("folder", lake.night()), ("bucket", bucket.night())):
                lines.append(f"  {label:7} {night.told(plain)}")
        rows = lake.rows()
        lines.append(
            f"catalog {sum(rows.values())} rows, {lake.size_of_database() / 1e6:.1f} MB with PostgreSQL's own 7.5"
        )
        lines += [f"  {name} {count}" for name, count in sorted(rows.items(), key=lambda row: -row[1])[:5]]
    return "\n".join(lines)


class _Warehouse:
    """A warehouse in files, or in a store of several machines that has its data in a folder."""

    def __init__(self, folder: Path, database: str | None, data: str, way: Way | None) -> None:
        self.folder, self.database, self.data, self.way = folder, database, data, way
        folder.mkdir()
        if database:
            ask(database, "CREATE EXTENSION pg_stat_statements")

    def configure(self, url: str, token: str) -> None:
        """Write projects.yaml."""
        shared = f"store: {{catalog: {{env: CATALOG}}, data: '{self.data}'}}\n" if self.database else ""
        server = f"servers: {{here: {{url: '{url}', requests_per_minute: 600}}}}\n"
        (self.folder / "projects.yaml").write_text(f"{shared}{server}projects: {{p: {{token: {{env: T}}}}}}\n")
        self.environment = {
            "REDCAP_WAREHOUSE_CONFIG": str(self.folder / "projects.yaml"),
            "T": token,
            "CATALOG": self.database or "",
            **(S3Server(self.way.server_address[1]).environment if self.way else {}),
        }

    def night(self) -> Night:
        """Load and publish, in a process of its own."""
        rows, before = sum(self.rows().values()), self._files()
        self._ask("SELECT pg_stat_statements_reset()")
        if self.way:
            self.way.seen.clear()
        report = self.folder / "report.json"
        command = 'exec "$0" -m pipelines.cli sync --json > "$1"'
        cost = run(["sh", "-c", command, sys.executable, str(report)], self.environment)
        bucket = Counter(method for method, _ in self.way.seen) if self.way else Counter()
        [(statements, took)] = self._ask(STATEMENTS) or [(0, 0.0)]
        new = {path: size for path, size in self._files().items() if path not in before}
        [loaded] = json.loads(report.read_text())["loads"]
        return Night(
            cost,
            loaded["requests"],
            loaded["bytes"] / 1e6,
            sum(new.values()) / 1e6,
            sum(size for path, size in new.items() if "mirrors" in path.parts) / 1e6,
            len(new),
            int(statements),
            float(took),
            sum(self.rows().values()) - rows,
            bucket,
        )

    def rows(self) -> dict[str, int]:
        """How many rows each table of the lake's catalog has."""
        return {str(name): int(count) for name, count in self._ask(ROWS)}

    def size_of_database(self) -> int:
        """In bytes."""
        return int(self._ask("SELECT pg_database_size(current_database())")[0][0])

    def _files(self) -> dict[Path, int]:
        found = (path for path in (self.folder / "shared").rglob("*") if path.is_file())
        return {path: path.stat().st_size for path in found}

    def _ask(self, statement: str) -> list[tuple]:
        return ask(self.database, statement) if self.database else []


if __name__ == "__main__":
    print(store_costs())
