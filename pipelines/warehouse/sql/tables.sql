-- The instruments' tables: which exist, and what determines the cells in them.

-- columns --
-- The columns of every instrument's tables at once: each such query makes DuckDB look at every existing table.
SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name IN ($now, $past) GROUP BY ALL;

-- field_columns --
-- The columns of the tables of present rows that hold a field's values; the warehouse's own begin with an underscore.
SELECT table_name, column_name FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = $schema AND NOT starts_with(column_name, '_');

-- read_instruments --
-- For each instrument what determines its cells, and whether they must be read again for every record.
SELECT instrument, definition, stale FROM state.instruments;

-- stale --
-- Instruments that must be read again for every record.
SELECT instrument FROM state.instruments WHERE stale;

-- delete_definitions --
-- Their new definitions are inserted next.
DELETE FROM state.instruments WHERE list_contains($names::VARCHAR[], instrument);

-- mark_read --
-- A finished load has read every instrument again that had to be read again.
UPDATE state.instruments SET stale = false WHERE stale;

-- mark_changed --
-- Rows of these instruments changed, so the next publish copies them.
UPDATE state.instruments SET changed_run = $run_id, changed_at = $now
WHERE list_contains($instruments::VARCHAR[], instrument);

-- forget_instrument --
-- An instrument that REDCap no longer has is no longer published.
DELETE FROM state.instruments WHERE instrument = $instrument;

-- delete_invalid_values --
-- The instrument's table is dropped, so its cells are no longer listed.
DELETE FROM redcap.invalid_values WHERE instrument = $instrument;

-- delete_invalid_fields --
-- Columns are removed from the instrument's table, so their cells are no longer listed.
DELETE FROM redcap.invalid_values WHERE instrument = $instrument AND list_contains($fields::VARCHAR[], field);

-- delete_disagreements --
-- Choices that contradict the export field names are listed without a record; they are listed again next.
DELETE FROM redcap.invalid_values WHERE record IS NULL;
