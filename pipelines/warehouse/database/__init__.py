"""Opening files, quoting, memory, rows. The only package that imports DuckDB."""
