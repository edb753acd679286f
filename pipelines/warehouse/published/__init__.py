"""Reads the published warehouse.duckdb, and the status of what is in it."""
