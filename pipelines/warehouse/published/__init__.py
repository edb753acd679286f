"""The published warehouse.duckdb: writing it, and reading it."""
