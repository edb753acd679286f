"""An interactive shell for SQL over the published warehouse."""

from __future__ import annotations

from pipelines.console.tables import answer_table, stdout
from pipelines.errors import QueryRefused
from pipelines.warehouse.store.protocol import PublishedStore
from pipelines.wording import printable


def sql_shell(published: PublishedStore) -> None:
    """Read queries, each ended by a semicolon, until the input ends or the user leaves."""
    from pipelines.warehouse.published.query import ask

    console = stdout()
    with published.open() as connection:
        console.print(f"{published.place} (read-only). End a query with ; and leave with Ctrl-D.", soft_wrap=True)
        while (statement := _statement()) is not None:
            try:
                answer_table(console, ask(published, connection, statement))
            except QueryRefused as problem:
                console.print(printable(str(problem)), style="red", markup=False)


def _statement() -> str | None:
    lines: list[str] = []
    while not lines or not lines[-1].rstrip().endswith(";"):
        try:
            lines.append(input("... " if lines else "sql> "))
        except EOFError:
            return None
        if lines == [""] or lines[-1].strip() in ("exit", "quit", ".quit", ".exit"):
            return None if lines != [""] else _statement()
    return "\n".join(lines)
