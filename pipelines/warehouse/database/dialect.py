"""What the two kinds of published database can hold, and what it costs there: all that publishing must know of it.

Everything else that is published is made by the same statements in both.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from pipelines.warehouse.database.connection import Connection, transaction

_COMPRESSION = re.compile(r" USING COMPRESSION \w+")


@dataclass(frozen=True, slots=True)
class Dialect:
    """One kind of published database."""

    compression: bool
    """Whether a column can be given a compression."""
    view_columns: bool
    """Whether columns of views can have comments."""
    apart: bool
    """Whether comments are written in transactions of their own, once everything else is committed.

    Nobody reads a file before it is in its place. Where readers see every transaction, a night is one.
    """
    cheap_definitions: bool
    """Whether it costs nothing to make an unchanged macro again."""
    in_place: bool
    """Whether the view of all changes may read the rows of the first load where they are."""

    def fitted(self, sql: str) -> str:
        """The statements without what this kind of database refuses."""
        return sql if self.compression else _COMPRESSION.sub("", sql)

    def describing(self, connection: Connection) -> AbstractContextManager[None]:
        """The transaction in which comments are written."""
        return transaction(connection) if self.apart else nullcontext()


FILE = Dialect(compression=True, view_columns=True, apart=True, cheap_definitions=True, in_place=True)
# DuckLake 1.0 refuses the first two. Any definition, though it is the same as before, gives its whole catalog another
# version, which every connection then reads again: 0.4 s with a hundred projects. Every table that a view reads is some
# files to open: with 45 instruments in it, the view of all changes took six times as long to read.
LAKE = Dialect(compression=False, view_columns=False, apart=False, cheap_definitions=False, in_place=False)
