"""The only door to DuckDB: opening files, quoting, memory, rows."""
