"""Builds the statements of a comparison over a project's own columns, as text; the fixed ones are in comparison.sql."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pipelines.warehouse.database.plain_csv import PlainCsv, csv_source
from pipelines.warehouse.database.quoting import identifier, literal
from pipelines.warehouse.tables.layout import EVENT, REPEAT_INSTANCE

# -- source: a submission's rows as text ------------------------------------------------------------------------


def source_of_csv(file: PlainCsv, positions: Mapping[str, int], *, seen_given: bool | None = None) -> str:
    """Create the view `source` over a file; `positions` has the file's position of each column, -1 if it lacks it."""
    shown = ", ".join(
        f"{_coalesced(f'c{at}')} AS {name}" if at >= 0 else f"'' AS {name}" for name, at in positions.items()
    )
    given = "" if seen_given is None else f"{'true' if seen_given else 'false'} AS seen_given, "
    return (
        f"CREATE OR REPLACE TEMP VIEW source AS SELECT row_number() OVER () AS row, {shown}, "
        f"{given}NULL::VARCHAR AS problem FROM {csv_source(file)}"
    )


def source_of_json(first: int, parameters: Mapping[str, str | None]) -> str:
    """Create the table `source` from JSON lists; `parameters` has each column's parameter, None if it is blank.

    Takes these parameters, and $p (problems) and $g (whether a seen value is given) for every row.
    """
    shown = ", ".join(
        f"'' AS {name}"
        if parameter is None
        else f"coalesce(unnest(from_json(${parameter}::JSON, '[\"VARCHAR\"]')), '') AS {name}"
        for name, parameter in parameters.items()
    )
    return (
        f"CREATE OR REPLACE TEMP TABLE source AS SELECT {first - 1} + generate_subscripts(p, 1) AS row, {shown}, "
        "unnest(g) AS seen_given, unnest(p) AS problem "
        "FROM (SELECT from_json($p::JSON, '[\"VARCHAR\"]') AS p, from_json($g::JSON, '[\"BOOLEAN\"]') AS g)"
    )


def insert_json(table: str, types: Sequence[str]) -> str:
    """Insert rows given column by column as JSON lists, in the parameters $c0, $c1, …"""
    lists = (f"unnest(from_json($c{at}::JSON, '[\"{kind}\"]'))" for at, kind in enumerate(types))
    return f"INSERT INTO {identifier(table)} SELECT {', '.join(lists)}"


def create_page(select: str) -> str:
    """Keep the rows of a SELECT in a table, to read them in pages."""
    return f"CREATE OR REPLACE TEMP TABLE page AS {select}"


# -- cells: a cell a row ------------------------------------------------------------------------------------------


def same_row(columns: Sequence[str]) -> str:
    """The condition that a published row t, with these columns, has the keys of a submitted row o."""
    event = _coalesced(f"t.{identifier(EVENT)}") if EVENT in columns else "''"
    instance = _coalesced(f"t.{identifier(REPEAT_INSTANCE)}") if REPEAT_INSTANCE in columns else "''"
    return f"t.{identifier(columns[0])} = o.record AND {event} = o.event AND {instance} = o.instance"


def cells_with_published(table: str, columns: Sequence[str], fields: Sequence[str], condition: str) -> str:
    """The submitted cells o of some fields of an instrument that meet a condition, each with its published value.

    `table` is the instrument's published table as text, `columns` are its columns. Takes $field_instrument and $fields.
    """
    present = [name for name in fields if name in set(columns)]
    cases = " ".join(f"WHEN {literal(name)} THEN t.{identifier(name)}" for name in present)
    published = f"coalesce(CASE o.field {cases} END, '')" if present else "''"
    join = f"LEFT JOIN {table} t ON {same_row(columns)}" if present else ""
    return (
        f"SELECT o.*, {published} AS published FROM submitted o {join} "
        "WHERE o.field_instrument = $field_instrument AND o.problem IS NULL "
        "AND o.ignored IS NULL AND o.field IN (SELECT unnest($fields::VARCHAR[])) "
        f"AND {condition} AND o.row NOT IN (SELECT row FROM refused)"
    )


def find_cells(cells: str) -> str:
    """Propose these cells; a row's own seen value is kept if it is another value than the published one."""
    differs = "j.seen_given AND j.seen <> j.published AND a.field IS NULL"
    return (
        "INSERT INTO found SELECT j.row, j.batch, j.record, j.event, "
        f"coalesce(nullif(j.instrument, ''), j.field_instrument), j.instance, j.field, CASE WHEN {differs} THEN j.seen "
        f"ELSE j.published END, coalesce(j.new, ''), j.reason, j.author FROM ({cells}) j "
        "LEFT JOIN alike a ON a.field = j.field AND a.seen = j.seen AND a.published = j.published"
    )


def seen_and_published(cells: str) -> str:
    """The texts that were seen where they differ from the published ones: field, seen, published."""
    return f"SELECT DISTINCT field, seen, published FROM ({cells}) WHERE seen_given AND seen <> published"


def differing_cells(cells: str) -> str:
    """The cells that differ in any letter from what is published, with the columns of Difference."""
    return (
        "SELECT row, record, event, field_instrument, instance, field, published, coalesce(new, '') "
        f"FROM ({cells}) WHERE coalesce(new, '') <> published"
    )


def find_ticked(table: str, columns: Sequence[str], options: Sequence[str]) -> str:
    """Insert into `ticked` the published options of a checkbox that are ticked, for its submitted rows; takes $name."""
    listed = ", ".join(
        f"CASE WHEN t.{identifier(option)} = '1' THEN {literal(option)} END"
        for option in options
        if option in set(columns)
    )
    return (
        f"INSERT INTO ticked SELECT o.row, list_filter([{listed}]::VARCHAR[], lambda x: x IS NOT NULL) "
        f"FROM submitted o JOIN {table} t ON {same_row(columns)} "
        "WHERE o.ticks = $name AND o.problem IS NULL"
    )


# -- rows: a column for each field --------------------------------------------------------------------------------


def create_submitted_rows(names: Collection[str]) -> str:
    """Create the table for rows with these columns beside their keys."""
    values = "".join(f", {name} VARCHAR" for name in names)
    return (
        "CREATE OR REPLACE TEMP TABLE submitted_rows (row BIGINT, record VARCHAR, event VARCHAR, instrument VARCHAR, "
        f"instance VARCHAR, problem VARCHAR{values})"
    )


def take_rows(names: Collection[str], keyed_rows: str, row_problem: str) -> str:
    """Move `source` into that table; `keyed_rows` and `row_problem` are those of comparison.sql."""
    values = "".join(f", s.{name}" for name in names)
    return (
        "INSERT INTO submitted_rows SELECT s.row, s.record, s.event, s.instrument, s.instance, "
        f"{row_problem} {values} FROM ({keyed_rows}) s"
    )


def refuse_foreign(names: Mapping[str, str], zero_is_blank: Collection[str]) -> str:
    """Refuse rows that name another repeating instrument and hold a value in these columns of $instrument.

    `names` has our name for each column. In the columns `zero_is_blank` a 0 is what an export shows of a cell that
    nobody filled in.
    """
    tests = {
        column: f"{name} NOT IN ('', '0')" if column in zero_is_blank else f"{name} <> ''"
        for column, name in names.items()
    }
    first = " ".join(f"WHEN {test} THEN {literal(column)}" for column, test in tests.items())
    return (
        "INSERT INTO refused SELECT row, 'it names the repeating instrument ' || instrument || "
        f"', and holds a value of ' || $instrument || ' in ' || CASE {first} END FROM submitted_rows "
        f"WHERE problem IS NULL AND instrument NOT IN ('', $instrument) AND ({' OR '.join(tests.values())})"
    )


def differing_rows(table: str, columns: Sequence[str], names: Mapping[str, str]) -> str:
    """The rows of $instrument that differ from the published ones in any of these columns, as in RowDifference.

    `table` is the instrument's published table as text, `columns` are its columns, `names` has our name for each
    submitted column.
    """
    present = set(columns)
    submitted = [f"o.{name}" for name in names.values()]
    published = [_coalesced(f"t.{identifier(column)}") if column in present else "''" for column in names]
    differs = " OR ".join(f"{one} <> {other}" for one, other in zip(submitted, published, strict=True))
    return (
        f"SELECT o.row, o.record, o.event, o.instance, t.{identifier(columns[0])} IS NOT NULL, "
        f"[{', '.join(submitted)}], [{', '.join(published)}] "
        f"FROM submitted_rows o LEFT JOIN {table} t ON {same_row(columns)} "
        "WHERE o.problem IS NULL AND o.instrument IN ('', $instrument) "
        f"AND o.row NOT IN (SELECT row FROM refused) AND ({differs})"
    )


def _coalesced(expression: str) -> str:
    return f"coalesce({expression}, '')"
