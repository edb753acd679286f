-- Questions about a database file itself.

-- used_bytes --
-- How many bytes the blocks in use of the current catalog's file take.
SELECT used_blocks * block_size FROM pragma_database_size() WHERE database_name = current_database();

-- block_size --
-- How large the blocks of an attached file are.
SELECT block_size FROM pragma_database_size() WHERE database_name = $name;

-- width --
-- The columns of the widest table and those of the widest schema, in all attached files.
SELECT max(widest), max(together)::BIGINT
FROM (
    SELECT max(column_count) AS widest, sum(column_count) AS together FROM duckdb_tables()
    GROUP BY database_name, schema_name
);

-- memory_limit --
-- How much memory the database may use, as text.
SELECT current_setting('memory_limit');

-- has_setting --
-- A row where this version of DuckDB has a setting of this name.
SELECT 1 FROM duckdb_settings() WHERE name = $name;
