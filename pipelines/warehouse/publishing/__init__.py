"""Writes the published warehouse.duckdb from the mirrors, and proves that it is what they hold."""
