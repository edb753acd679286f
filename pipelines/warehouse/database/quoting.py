"""Quotes text from REDCap or from a user that becomes part of a SQL statement; no other module does this.

Everything that can be a parameter is one; only identifiers, and literals inside view definitions and comments, cannot
be, and pass through here.
"""


def identifier(name: str) -> str:
    """The name as a quoted SQL identifier."""
    if "\x00" in name:
        raise ValueError("a SQL identifier cannot hold a NUL character")
    return '"' + name.replace('"', '""') + '"'


def qualified(*names: str) -> str:
    """The names joined as one qualified identifier: schema and table, or catalog, schema and table."""
    return ".".join(identifier(name) for name in names)


def literal(text: str) -> str:
    """The text as a SQL string literal."""
    # DuckDB refuses NUL inside a literal; a label that holds one must still be shown.
    return "'" + text.replace("\x00", "\ufffd").replace("'", "''") + "'"
