"""Comparing what a person offers with what is published, in temporary tables beside both.

DuckDB reads the file and joins it with the published rows, so that memory does not grow with the file. Whether two
spellings are one value, and what may be proposed at all, is pipelines.writeback's; it is asked about texts that differ.
The statements here are those over a project's own columns; the fixed ones are in sql/comparison.sql. Not here: tables
with a column for each field (comparison_rows.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipelines.warehouse.database.connection import Connection
from pipelines.warehouse.database.plain_csv import NotTheSameRows, PlainCsv, csv_source, read_csv
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.published.snapshot import PublishedSnapshot
from pipelines.warehouse.sql import statements
from pipelines.warehouse.tables.layout import EVENT, REPEAT_INSTANCE

# What str.strip() takes off; DuckDB's trim takes off spaces only.
BLANKS = " \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"  # noqa: E501
# So many fields are compared in one statement; a wide instrument takes several.
FIELDS_AT_ONCE = 50
ROWS_AT_ONCE = 5_000
# Our names for the columns of an offer with a cell a row; those it lacks are blank.
CELL_COLUMNS = (
    "project", "batch", "record", "event", "instrument", "instance", "field", "seen", "new", "clear", "reason",
    "author",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of an offer as text, column by column."""

    first: int
    """The number of the first row, counted from 1 in the whole offer."""
    columns: Mapping[str, Sequence[str | None]] = field(repr=False)
    problems: Mapping[int, str]
    """Rows that cannot be spelled, by their place in the chunk."""
    seen_given: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Stamp:
    """What rows are given that do not say it themselves."""

    project: str
    batch: str
    reason: str = field(repr=False, default="")
    author: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """A cell that is not as it was published."""

    row: int
    record: str = field(repr=False)
    event: str
    instrument: str
    instance: str
    column: str
    seen: str = field(repr=False)
    new: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a proposed cell held until a load found it changed (UTC)."""

    row: int
    column: str
    new: str = field(repr=False)
    old: str = field(repr=False)
    detected_at: datetime


class Comparison:
    """One offer beside the published rows of its project."""

    def __init__(self, connection: Connection, snapshot: PublishedSnapshot, stamp: Stamp) -> None:
        """Makes the temporary tables, in place of those of an offer before."""
        self.connection = connection
        self.snapshot = snapshot
        self.stamp = stamp
        self.sql = statements("comparison")
        self._values = {"batch": stamp.batch, "reason": stamp.reason, "author": stamp.author}
        connection.execute(self.sql["create_tables"])

    def describe(
        self,
        *,
        known: Sequence[tuple[str, str | None, bool, str | None, bool]],
        options: Sequence[tuple[str, str, str]],
        forms: Iterable[tuple[str, str]],
        events: Iterable[str],
    ) -> None:
        """Say what the names in an offer stand for; see the tables of the same names in comparison.sql."""
        for table, rows in (
            ("known", known),
            ("options", options),
            ("forms", list(forms)),
            ("events", [(name,) for name in events]),
        ):
            insert_rows(self.connection, table, rows)

    # -- reading -------------------------------------------------------------------------------------------

    def cells_of_csv(self, file: PlainCsv, places: Mapping[str, int], statement: Callable[[], None]) -> None:
        """Take in a file with a cell a row; `places` tells in which column each of CELL_COLUMNS stands."""
        shown = [f"coalesce(c{places[name]}, '')" if name in places else "''" for name in CELL_COLUMNS]
        named = ", ".join(f"{text} AS {name}" for text, name in zip(shown, CELL_COLUMNS, strict=True))
        given = "true" if "seen" in places else "false"
        self.connection.execute(
            f"CREATE OR REPLACE TEMP VIEW source AS SELECT row_number() OVER () AS row, {named}, "
            f"{given} AS seen_given, NULL::VARCHAR AS problem FROM {csv_source(file)}"
        )
        read_csv(statement)
        self.connection.execute("DROP VIEW source")
        self.check_rows("offered", file.rows)

    def cells_of_chunk(self, chunk: Chunk, statement: Callable[[], None]) -> None:
        """Take in some rows with a cell a row."""
        make_source(self.connection, chunk, CELL_COLUMNS)
        statement()
        self.connection.execute("DROP TABLE source")

    def check_rows(self, table: str, rows: int) -> None:
        """Refuse to go on where DuckDB found other rows in a file than we did."""
        if self.rows(table) != rows:
            raise NotTheSameRows("two readings of it found different numbers of rows.")

    def rows(self, table: str) -> int:
        """How many rows were taken in."""
        return count(self.connection, f"SELECT count(*) FROM {identifier(table)}")

    def offer_cells(self, *, withholds: bool, withheld: str, unknown_withheld: str) -> None:
        """Take in `source` as wanted values; identifiers where `withholds`, and what may be one, are refused unkept."""
        self.connection.execute(
            self.sql["offer_cells"],
            {
                **self._values,
                "project": self.stamp.project,
                "blanks": BLANKS,
                "withholds": withholds,
                "withheld": withheld,
                "unknown_withheld": unknown_withheld,
            },
        )

    def offer_export(self, *, withholds: bool, unknown_withheld: str) -> None:
        """Take in `source` as the rows of an EAV export."""
        self.connection.execute(
            self.sql["offer_export"],
            {**self._values, "blanks": BLANKS, "withholds": withholds, "unknown_withheld": unknown_withheld},
        )

    def respell(self, fields: Sequence[str], spelled: Callable[[str, str], str]) -> None:
        """Put values of some fields into REDCap's spelling; `spelled` is asked once for each text."""
        found = self.connection.execute(self.sql["respellable"], {"fields": list(fields)}).fetchall()
        changed = [(name, text, new) for name, text in found if (new := spelled(name, text)) != text]
        if changed:
            insert_rows(self.connection, "respelled", changed)
            self.connection.execute(self.sql["respell_new"])
            self.connection.execute(self.sql["respell_seen"])

    # -- refusing ------------------------------------------------------------------------------------------

    def refuse_problems(self, *, blanks_count: bool = False) -> None:
        """Refuse rows that cannot be read, and those for a cell that an earlier one names."""
        self.connection.execute(self.sql["refuse_rows"])
        self.connection.execute(self.sql["refuse_doubles"], {"all": blanks_count})

    def refuse(self, rows: Iterable[tuple[int, str]]) -> None:
        """Refuse rows, each with why; what is proposed of them is taken back by `withdraw_refused`."""
        insert_rows(self.connection, "refused", list(rows))

    def withdraw_refused(self) -> None:
        """Propose nothing of rows that were refused."""
        self.connection.execute(self.sql["withdraw_refused"])

    def refused(self) -> list[tuple[int, str]]:
        """The rows that were refused, in order."""
        return self.connection.execute(self.sql["read_refused"]).fetchall()

    # -- comparing -----------------------------------------------------------------------------------------

    def left(self) -> int:
        """How many cells propose nothing."""
        return count(self.connection, self.sql["left"])

    def ignored(self) -> list[tuple[str, str]]:
        """The fields of an EAV export that are never written, each with why."""
        return self.connection.execute(self.sql["ignored"]).fetchall()

    def find_cells(self, alike: Callable[[str, str, str], bool]) -> None:
        """Propose the cells that were offered, each with what was published in it.

        Where the row says what was seen, and that is another text than was published, `alike` is asked whether they
        are one value; only if not, the row's own stays.
        """
        self.connection.execute(self.sql["find_unknown"])
        for home, fields, seen_given in self.connection.execute(self.sql["fields"]).fetchall():
            if home is None:
                continue
            for group in in_groups(fields, FIELDS_AT_ONCE):
                joined = self._joined(home, group, "(o.new <> '' OR o.clears)")
                values = {"home": home, "fields": group}
                if seen_given:
                    self._note_alike(joined, values, alike)
                differs = "j.seen_given AND j.seen <> j.published AND a.field IS NULL"
                self.connection.execute(
                    "INSERT INTO found SELECT j.row, j.batch, j.record, j.event, "
                    f"coalesce(nullif(j.instrument, ''), j.home), j.instance, j.field, CASE WHEN {differs} THEN j.seen "
                    f"ELSE j.published END, coalesce(j.new, ''), j.reason, j.author FROM ({joined}) j "
                    "LEFT JOIN alike a ON a.field = j.field AND a.seen = j.seen AND a.published = j.published",
                    values,
                )

    def _note_alike(self, joined: str, values: Mapping[str, object], alike: Callable[[str, str, str], bool]) -> None:
        pairs = self.connection.execute(
            f"SELECT DISTINCT field, seen, published FROM ({joined}) WHERE seen_given AND seen <> published", values
        ).fetchall()
        insert_rows(self.connection, "alike", [pair for pair in pairs if alike(*pair)])

    def refuse_half_edited_ticks(
        self, columns: Mapping[str, Sequence[str]], homes: Mapping[str, str], why: str
    ) -> None:
        """Refuse rows of an EAV export that tick an option where one that was ticked is not listed any more.

        `columns` has the columns of each checkbox, `homes` its instrument.
        """
        self.connection.execute("CREATE OR REPLACE TEMP TABLE ticked (row BIGINT, columns VARCHAR[])")
        for name, options in columns.items():
            present = set(self.snapshot.columns(homes[name]))
            listed = ", ".join(
                f"CASE WHEN t.{identifier(option)} = '1' THEN {literal(option)} END"
                for option in options
                if option in present
            )
            self.connection.execute(
                f"INSERT INTO ticked SELECT o.row, list_filter([{listed}]::VARCHAR[], lambda x: x IS NOT NULL) "
                f"FROM offered o JOIN {self.snapshot.table(homes[name])} t ON {self.keys(homes[name])} "
                "WHERE o.ticks = $name AND o.problem IS NULL",
                {"name": name},
            )
        self.connection.execute(self.sql["refuse_half_edited_ticks"], {"why": why})
        self.connection.execute("DROP TABLE ticked")

    def ticks(self) -> list[str]:
        """The checkboxes of which an EAV export names ticked options."""
        return [name for (name,) in self.connection.execute(self.sql["ticks"]).fetchall()]

    def differing_cells(self) -> Iterator[list[Difference]]:
        """The cells of an EAV export that are not letter by letter as they were published."""
        for home, fields, _ in self.connection.execute(self.sql["fields"]).fetchall():
            for group in in_groups(fields, FIELDS_AT_ONCE) if home is not None else ():
                for page in pages(
                    self.connection,
                    "SELECT row, record, event, home, instance, field, published, coalesce(new, '') "
                    f"FROM ({self._joined(home, group, 'true')}) WHERE coalesce(new, '') <> published",
                    {"home": home, "fields": group},
                ):
                    yield [Difference(*each) for each in page]

    def _joined(self, instrument: str, fields: Sequence[str], offered: str) -> str:
        """The offered cells of some fields of an instrument, each with what is published in it."""
        present = set(self.snapshot.columns(instrument))
        held = [name for name in fields if name in present]
        cases = " ".join(f"WHEN {literal(name)} THEN t.{identifier(name)}" for name in held)
        published = f"coalesce(CASE o.field {cases} END, '')" if held else "''"
        join = f"LEFT JOIN {self.snapshot.table(instrument)} t ON {self.keys(instrument)}" if held else ""
        return (
            f"SELECT o.*, {published} AS published FROM offered o {join} WHERE o.home = $home AND o.problem IS NULL "
            "AND o.ignored IS NULL AND o.field IN (SELECT unnest($fields::VARCHAR[])) "
            f"AND {offered} AND o.row NOT IN (SELECT row FROM refused)"
        )

    def keys(self, instrument: str) -> str:
        """The condition that a published row `t` of an instrument is the one that an offered row `o` names."""
        columns = self.snapshot.columns(instrument)
        event = f"coalesce(t.{identifier(EVENT)}, '')" if EVENT in columns else "''"
        instance = f"coalesce(t.{identifier(REPEAT_INSTANCE)}, '')" if REPEAT_INSTANCE in columns else "''"
        return f"t.{identifier(columns[0])} = o.record AND {event} = o.event AND {instance} = o.instance"

    def propose(self, differences: Sequence[Difference]) -> None:
        """Propose cells that differ."""
        insert_rows(
            self.connection,
            "found",
            [
                (
                    each.row, self.stamp.batch, each.record, each.event, each.instrument, each.instance, each.column,
                    each.seen, each.new, self.stamp.reason, self.stamp.author,
                )
                for each in differences
            ],
        )  # fmt: skip

    # -- how old the offer is ------------------------------------------------------------------------------

    def earlier_values(self) -> Iterator[list[Earlier]]:
        """What the cells that are proposed held before, as far as loads found them changed."""
        answer = self.connection.execute(self.sql["changes"], {"project": self.stamp.project})
        while rows := answer.fetchmany(ROWS_AT_ONCE):
            yield [Earlier(row, name, new, old or "", detected_at) for row, name, new, old, detected_at in rows]

    def rows_changed_since(self, moment: datetime) -> list[int]:
        """The rows with a proposed cell that a load found changed at that time (UTC) or later."""
        values = {"project": self.stamp.project, "since": moment}
        return [row for (row,) in self.connection.execute(self.sql["changed_since"], values).fetchall()]

    # -- what came of it -----------------------------------------------------------------------------------

    def found(self) -> int:
        """How many cells are proposed."""
        return count(self.connection, self.sql["count_found"])

    def batches(self) -> list[str]:
        """The batches that are proposed into, in the order in which the offer names them."""
        return [name for (name,) in self.connection.execute(self.sql["batches"]).fetchall()]


def make_source(connection: Connection, chunk: Chunk, names: Sequence[str]) -> None:
    """The chunk as the table `source`, with these columns; those it lacks are blank."""
    rows = max((len(values) for values in chunk.columns.values()), default=0)
    documents = {f"c{at}": json.dumps(values) for at, values in enumerate(chunk.columns.values())}
    documents["p"] = json.dumps([chunk.problems.get(at) for at in range(rows)])
    documents["g"] = json.dumps(list(chunk.seen_given) or [False] * rows)
    places = {name: f"c{at}" for at, name in enumerate(chunk.columns)}
    shown = ", ".join(
        f"coalesce(unnest(from_json(${places[name]}::JSON, '[\"VARCHAR\"]')), '') AS {name}"
        if name in places
        else f"'' AS {name}"
        for name in names
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE source AS SELECT {chunk.first - 1} + generate_subscripts(p, 1) AS row, {shown}, "
        "unnest(g) AS seen_given, unnest(p) AS problem "
        "FROM (SELECT from_json($p::JSON, '[\"VARCHAR\"]') AS p, from_json($g::JSON, '[\"BOOLEAN\"]') AS g)",
        documents,
    )


def insert_rows(connection: Connection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows into a temporary table, column by column as JSON: as lists of parameters they cost twice as much."""
    if not rows:
        return
    kinds = connection.execute(f"DESCRIBE {identifier(table)}").fetchall()
    shown = ", ".join(
        f"unnest(from_json($c{at}::JSON, {literal(json.dumps([kind]))}))" for at, (_, kind, *_) in enumerate(kinds)
    )
    documents = {f"c{at}": json.dumps(values) for at, values in enumerate(zip(*rows, strict=True))}
    connection.execute(f"INSERT INTO {identifier(table)} SELECT {shown}", documents)


def pages(connection: Connection, select: str, values: Mapping[str, object] | None = None) -> Iterator[list[Any]]:
    """The rows of a SELECT, some at a time, while other statements run: they are kept in a table meanwhile."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE page AS {select}", values)
    total = count(connection, "SELECT count(*) FROM page")
    for begin in range(0, total, ROWS_AT_ONCE):
        between = {"begin": begin, "end": begin + ROWS_AT_ONCE}
        yield connection.execute("SELECT * FROM page WHERE rowid >= $begin AND rowid < $end", between).fetchall()
    connection.execute("DROP TABLE page")


def count(connection: Connection, statement: str) -> int:
    """The number that a statement yields."""
    row = connection.execute(statement).fetchone()
    return int(row[0]) if row else 0


def in_groups(names: Sequence[str], size: int) -> Iterator[list[str]]:
    """The names, so many at a time."""
    for begin in range(0, len(names), size):
        yield list(names[begin : begin + size])
