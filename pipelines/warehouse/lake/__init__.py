"""The published DuckLake: its catalog is in PostgreSQL, its data are Parquet files in a folder or a bucket."""
