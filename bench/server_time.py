"""The server's time, which is what a person waits for: on slow servers, beside PyCap and beside the best plan there is.

A server takes some seconds a request and some microseconds for each cell of its answer; the simulator waits as long.
The best plan is found here, from what the study really holds, by other means than the product's: `best_plan`.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.request import Request, urlopen

from bench.full_load import cost_of
from bench.measure import run
from redcap_source.simulator import Simulator, make_study
from redcap_source.simulator.state.project import Project

# Seconds a request, microseconds a cell.
SERVERS = ((0.2, 30.0), (1.0, 5.0), (0.05, 100.0))
CONCURRENCY = 2
# These instruments of the longitudinal study repeat here: as in many trials, what happens any number of times.
REPEATING = ("adverse_events", "medication", "phone_call")
# Nobody waits longer for a contestant in a benchmark; its time is then that of its requests by the same figures.
PATIENCE = 120.0
# PyCap's documented chunks.
PYCAP_RECORDS = 100


def study(kind: str, records: int) -> Project:
    """The classic study, or the longitudinal one with three repeating instruments."""
    project = make_study(kind, records)
    if kind != "longitudinal":
        return project
    # The same study each time.
    chance = random.Random(1)
    names = {form: {c.name for c in project.dictionary.columns if c.form == form} for form in REPEATING}
    places = [(event, form) for event, forms in project.mapping.items() for form in forms if form in REPEATING]
    project.repeating_forms = dict.fromkeys(places, "")
    for record in map(project.records.get, project.records.ids()):
        assert record is not None
        for event, form in places:
            values = record.slots.get((event, "", 0), {})
            moved = {name: values.pop(name) for name in names[form] & values.keys()}
            for number in range(1, 1 + chance.choice((1, 1, 2, 3)) * bool(moved)):
                record.slots[event, form, number] = dict(moved)
    return project


# -- the best plan -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shape:
    """What a study holds: columns of each form, forms of each event, and how many rows there are of each kind."""

    keys: int
    widths: Mapping[str, int]
    forms: Mapping[int, frozenset[str]]
    rows: Mapping[tuple[int, str], int]
    """By event and, for the instances of a repeating form, that form."""

    @classmethod
    def of(cls, project: Project) -> Shape:
        """The shape of a study."""
        records = [project.records.get(name) for name in project.records.ids()]
        slots = Counter(slot[:2] for record in records if record is not None for slot in record.slots)
        forms = project.mapping or {event.event_id: tuple(project.dictionary.forms) for event in project.events}
        columns = Counter(c.form for c in project.dictionary.columns if c.field != project.dictionary.record_id)
        keys = 1 + project.is_longitudinal + 2 * bool(project.repeating_forms) + bool(project.groups)
        return cls(keys, columns, {event: frozenset(names) for event, names in forms.items()}, slots)

    def cells(self, forms: frozenset[str], events: frozenset[int]) -> int:
        """The cells of an answer with these forms in these events."""
        rows = sum(count for (event, form), count in self.rows.items() if event in events and form in forms | {""})
        return rows * (self.keys + sum(self.widths[form] for form in forms))


Block = tuple[frozenset[str], frozenset[int]]


def best_plan(shape: Shape, seconds: float, cell: float) -> float:
    """The fewest seconds found for requests that hold all of a study.

    Blocks of forms and events, from all three sides: from each form by itself, from each event by itself, and from all
    together; then whatever change of one or two blocks saves most, until none does. Where a block leaves out events,
    one more request has to look for values there, as with any plan that loses nothing.
    """
    everything = frozenset(shape.forms)
    by_form: dict[frozenset[int], set[str]] = {}
    for form in shape.widths:
        events = frozenset(event for event, forms in shape.forms.items() if form in forms)
        if form not in REPEATING:
            by_form.setdefault(events, set()).add(form)
    repeating = [
        (frozenset({form}), frozenset(event for event, forms in shape.forms.items() if form in forms))
        for form in shape.widths
        if form in REPEATING
    ]
    by_event: dict[frozenset[str], set[int]] = {}
    for event, forms in shape.forms.items():
        by_event.setdefault(forms.difference(REPEATING if len(everything) > 1 else ()), set()).add(event)
    starts: list[list[Block]] = [
        [(frozenset(forms), events) for events, forms in by_form.items() if events] + repeating * (len(everything) > 1),
        [(forms, frozenset(events)) for forms, events in by_event.items() if forms] + repeating * (len(everything) > 1),
        [(frozenset(shape.widths), everything)],
    ]

    def wall(blocks: Iterable[Block]) -> float:
        return _wall(shape, list(blocks), len(everything), seconds, cell)

    return min(_improved(start, wall) for start in starts)


def _improved(blocks: list[Block], wall: object) -> float:
    best = wall(blocks)  # type: ignore[operator]
    while len(blocks) > 1:
        ways = []
        for one in range(len(blocks)):
            for other in range(one):
                merged = (blocks[one][0] | blocks[other][0], blocks[one][1] | blocks[other][1])
                rest = [block for at, block in enumerate(blocks) if at not in (one, other)]
                ways.append([*rest, merged])
        cost, blocks = min(((wall(way), way) for way in ways), key=lambda found: found[0])  # type: ignore[operator]
        best = min(best, cost)
    return best


def _wall(shape: Shape, blocks: list[Block], events: int, seconds: float, cell: float) -> float:
    cells = [shape.cells(*block) for block in blocks]
    searches = sum(len(block[1]) < events for block in blocks)
    total = sum(cells)
    found = []
    for parts in range(1, 4 * CONCURRENCY + 1):
        pieces = [count / n for count in cells for n in [max(1, round(count * parts / total))] for _ in range(n)]
        lanes = [0.0] * CONCURRENCY
        for piece in sorted([*pieces, *[0] * searches], reverse=True):
            lanes[lanes.index(min(lanes))] += seconds + cell * piece
        found.append(max(lanes))
    return min(found)


# -- measuring -----------------------------------------------------------------------------------------------


class SlowServer:
    """A simulator in a process of its own, and the requests that control it."""

    def __init__(self, told: Mapping[str, str]) -> None:
        self.url, self.token, self._secret = told["url"], told["token"], told["control_secret"]

    def control(self, command: str, **asked: float) -> list[dict[str, str]]:
        """What the control endpoint answers."""
        place = self.url.removesuffix("api/") + f"_simulator/{command}"
        headers = {"Authorization": f"Bearer {self._secret}"}
        with urlopen(Request(place, json.dumps(asked).encode(), headers, method="POST")) as answer:
            found: list[dict[str, str]] = json.loads(answer.read())
            return found


@contextmanager
def slow_server(kind: str, records: int) -> Iterator[SlowServer]:
    """A server with a study; it is fast until it is given a latency."""
    command = [sys.executable, "-m", "bench.server_time", kind, str(records)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield SlowServer(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


def _ours(server: SlowServer, folder: str) -> tuple[float, float, int]:
    """Seconds of a whole `sync`, seconds of its records, and its requests."""
    before = len(server.control("requests"))
    wall = run([sys.executable, "-m", "bench.contestants", "ours", server.url, folder], {"BENCH_TOKEN": server.token})
    asked = server.control("requests")[before:]
    # The log is read last before records are.
    log = max(at for at, request in enumerate(asked) if request["content"] == "log")
    ended = [datetime.fromisoformat(request["time"]) for request in asked[log:]]
    return wall.wall, (ended[-1] - ended[0]).total_seconds(), len(asked)


def _lines(kind: str, records: int) -> Iterator[str]:
    shape = Shape.of(study(kind, records))
    everything = frozenset(shape.widths), frozenset(shape.forms)
    whole = sum(shape.rows.values()) * (shape.keys + sum(shape.widths.values()))
    with slow_server(kind, records) as server, TemporaryDirectory() as warm:
        _ours(server, warm)
        for seconds, micro in SERVERS:
            cell = micro / 1e6
            server.control("latency", seconds=seconds, microseconds_a_cell=micro)
            best = best_plan(shape, seconds, cell)
            with TemporaryDirectory() as folder:
                first, later = _ours(server, folder), _ours_again(server, folder)
            # PyCap's requests: the structure, the ids, then chunks of whole records.
            chunks = -(-records // PYCAP_RECORDS)
            others = {
                "pycap_distinct": 4 * seconds + chunks * seconds + whole * cell,
                "floor": seconds + shape.cells(*everything) * cell,
            }
            told = {name: _other(server, name, expected) for name, expected in others.items()}
            yield (
                f"{kind:12} {records:6,}  {seconds:5.2f} s {micro:5.0f} µs  "
                f"{first[1]:7.1f} {later[1]:7.1f} {best:7.1f}  {first[1] / best:5.2f} {later[1] / best:5.2f}  "
                f"{first[2]:5} {first[0]:9.1f} {told['pycap_distinct']:>10} {told['floor']:>10}"
            )
            server.control("latency", seconds=0, microseconds_a_cell=0)


def _ours_again(server: SlowServer, folder: str) -> tuple[float, float, int]:
    """A load into a new warehouse that knows how fast the server is."""
    pace = Path(folder) / "warehouse" / "work" / "pace"
    with TemporaryDirectory() as other:
        kept = Path(other) / "warehouse" / "work" / "pace"
        kept.mkdir(parents=True)
        for path in pace.glob("speed-*"):
            (kept / path.name).write_bytes(path.read_bytes())
        return _ours(server, other)


def _other(server: SlowServer, contestant: str, expected: float) -> str:
    if expected > PATIENCE:
        return f"({expected:,.0f})"
    return f"{cost_of(contestant, server.url, server.token).wall:,.1f}"


def server_time(sizes: tuple[int, ...]) -> str:
    """The table: seconds of the records of a first load, of one that knows the server, and of the best plan."""
    title = (
        "The server's time, wall clock in seconds; in brackets: by the figures of the server, without waiting for it\n"
        f"{'study':12} {'records':>6}  {'a request':>7} {'a cell':>8}  {'first':>7} {'later':>7} {'best':>7}  "
        f"{'×':>5} {'×':>5}  {'req.':>5} {'all of it':>9} {'PyCap':>10} {'one whole':>10}"
    )
    studies = [(kind, size) for size in sizes for kind in ("classic", "longitudinal")]
    return "\n".join([title, *(line for kind, size in studies for line in _lines(kind, size))])


def _serve(kind: str, records: int) -> None:
    with Simulator() as simulator:
        handle = simulator.add_project(study(kind, records), "study")
        told = {"url": simulator.url, "token": handle.token, "control_secret": simulator.control_secret}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()
        while True:
            time.sleep(1)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]))
