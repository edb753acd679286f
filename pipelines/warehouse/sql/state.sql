-- What the next load needs to know: schema state, private to the mirror of one project.

-- create_state --
-- Every table of the schema; existing tables are unchanged.
CREATE SCHEMA IF NOT EXISTS state;
-- Which file this is: what was published from another file is published again as a whole.
CREATE TABLE IF NOT EXISTS state.identity (identity VARCHAR, format INTEGER);
-- The identity of the published mirror that `--start-over` discarded for this one, which may replace only that one.
CREATE TABLE IF NOT EXISTS state.started_over (identity VARCHAR);
-- One row where identifiers were hashed: a fingerprint of the key they were hashed with.
CREATE TABLE IF NOT EXISTS state.hash_key (fingerprint VARCHAR);
-- One row: the size of the file when it was last compacted.
CREATE TABLE IF NOT EXISTS state.fresh (bytes BIGINT);
-- One row: up to when the mirror is known to be complete, by REDCap's clock (UTC).
CREATE TABLE IF NOT EXISTS state.watermark (upto TIMESTAMP, run_id VARCHAR);
-- One row: every record that is not pending is in the mirror as of this time or later, by REDCap's clock (UTC); the same
-- time on the server's wall clock, where its log showed it; and how far REDCap's clock was ahead of this computer's.
CREATE TABLE IF NOT EXISTS state.frontier (upto TIMESTAMP, wall TIMESTAMP, ahead_seconds BIGINT);
-- Pending records, which must be read before the mirror is complete; a record leaves the list in the transaction that
-- stores it.
CREATE TABLE IF NOT EXISTS state.todo (record VARCHAR);
-- The records of the last census, each with a digest of where it had rows and of its data access group: in all events
-- (`seen`), or in the few that were requested (`briefly`).
CREATE TABLE IF NOT EXISTS state.census (record VARCHAR, seen VARCHAR, briefly VARCHAR);
-- A digest of the last census, which was one of all events (`whole`) or of some.
CREATE TABLE IF NOT EXISTS state.census_digest (whole BOOLEAN, digest VARCHAR);
-- The events in which every record is expected to have a row.
CREATE TABLE IF NOT EXISTS state.cover (event VARCHAR);
-- When a full refresh began, by REDCap's clock, and whether it is completed.
CREATE TABLE IF NOT EXISTS state.refresh (upto TIMESTAMP, finished BOOLEAN);
-- How far REDCap's wall clock is ahead of UTC, by its own log.
CREATE TABLE IF NOT EXISTS state.clock (offset_seconds INTEGER, learned_at TIMESTAMP);
-- What REDCap's log says of the records this load examines; times are UTC where they are known.
CREATE TABLE IF NOT EXISTS state.logged (
    record VARCHAR, what VARCHAR, columns VARCHAR[], instance VARCHAR, event_label VARCHAR, username VARCHAR,
    changed_at TIMESTAMP
);
-- Rows of the log that report a new id for a record, with the run that first read each, and whether what that run found
-- shows which id the record had before.
CREATE TABLE IF NOT EXISTS state.id_changes (record VARCHAR, changed_at TIMESTAMP, run_id VARCHAR, explained BOOLEAN);
-- The columns the token could see last time, in REDCap's order.
CREATE TABLE IF NOT EXISTS state.visible_columns (position INTEGER, name VARCHAR);
-- When each instrument's rows or columns last changed, so that publishing copies only what did; what decides its cells;
-- and whether that changed, so that its cells must be read again for every record.
CREATE TABLE IF NOT EXISTS state.instruments (
    instrument VARCHAR, changed_run VARCHAR, changed_at TIMESTAMP, definition JSON, stale BOOLEAN
);
-- How each instrument is shown to analysts: statements for the next publish.
CREATE TABLE IF NOT EXISTS state.publication (
    position INTEGER, instrument VARCHAR, raw_select VARCHAR, typed_select VARCHAR, label_select VARCHAR,
    comments JSON, keys JSON
);
-- What the labels are a SELECT of; NULL where an earlier version of the warehouse wrote the row.
ALTER TABLE state.publication ADD COLUMN IF NOT EXISTS labels_from VARCHAR;
-- How earlier values of columns that the token no longer sees get their type; NULL in such a row as well.
ALTER TABLE state.publication ADD COLUMN IF NOT EXISTS hidden JSON;
-- The structure, in the form in which structures are compared.
CREATE TABLE IF NOT EXISTS state.structure (described VARCHAR);
-- At most one row, written with the tables of the structure: the structure that REDCap described, for loads in which
-- nothing can have changed it, and a key that is another one where it was read with another token, project entry or
-- version of this program.
CREATE TABLE IF NOT EXISTS state.known_structure (key VARCHAR, content VARCHAR);
-- A digest of everything that was written of the structure: with the same one nothing has to be written again.
CREATE TABLE IF NOT EXISTS state.structure_digest (digest VARCHAR);
-- How many records the next load should request at a time.
CREATE TABLE IF NOT EXISTS state.chunking (records INTEGER, learned_at TIMESTAMP);

-- is_made --
-- The identity of the file and the number of its format; no row where it was never given one.
SELECT identity, format FROM state.identity;

-- is_old --
-- Whether a version of the warehouse made the file that gave files no identity.
SELECT count(*) > 0 FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name = 'raw';

-- make_identity --
-- A new file gets its identity once.
INSERT INTO state.identity VALUES ($identity, $format);

-- note_started_over --
-- This file replaces the published one of this identity, because `--start-over` discarded that.
INSERT INTO state.started_over VALUES ($identity);

-- owner --
-- The project whose loads the file holds; NULL before the first.
SELECT any_value(project) FROM redcap.sync_runs;

-- read_known_structure --
-- The structure that the last load read under this key.
SELECT content FROM state.known_structure WHERE key = $key;

-- forget_known_structure --
-- The next load reads the structure.
DELETE FROM state.known_structure;

-- save_known_structure --
-- The structure of this load is the known one.
INSERT INTO state.known_structure VALUES ($key, $content);

-- can_hash --
-- Whether the file has the table for the fingerprint.
SELECT count(*) > 0 FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = 'state' AND table_name = 'hash_key';

-- read_hash_key --
-- The fingerprint of the key that identifiers were hashed with.
SELECT fingerprint FROM state.hash_key;

-- save_hash_key --
-- The fingerprint is stored once, with the first hashed values.
INSERT INTO state.hash_key SELECT $fingerprint WHERE NOT EXISTS (FROM state.hash_key);

-- read_project --
-- Which REDCap project the mirror holds, and how its records are named.
SELECT project_id, record_id_field FROM redcap.projects;

-- read_not_readable --
-- What of the structure the token could not read at the last load.
SELECT not_readable FROM redcap.projects;

-- read_version --
-- The REDCap version when the structure was last read.
SELECT redcap_version FROM redcap.projects;

-- read_hidden_fields --
-- Fields of the dictionary that the token's answers lacked at the last load.
SELECT hidden_fields FROM redcap.projects;

-- read_rows --
-- The rows of all instruments, as the last load counted them.
SELECT rows FROM redcap.projects;

-- any_ended --
-- Whether a load ever ended well.
SELECT 1 FROM redcap.sync_runs WHERE outcome IN ('ok', 'incomplete') LIMIT 1;

-- read_clock --
-- How far REDCap's wall clock was ahead of UTC, in seconds.
SELECT offset_seconds FROM state.clock;

-- write_clock --
-- The latest measurement replaces the one before.
DELETE FROM state.clock;
INSERT INTO state.clock VALUES ($offset_seconds, $now);

-- read_watermark --
-- The time up to which the mirror is known to be complete.
SELECT upto FROM state.watermark;

-- write_watermark --
-- The last statement of a load: everything before $upto is in the mirror.
DELETE FROM state.watermark;
INSERT INTO state.watermark VALUES ($upto, $run_id);

-- read_visible_columns --
-- The columns of the token's answers at the last load, in REDCap's order.
SELECT name FROM state.visible_columns ORDER BY position;

-- write_visible_columns --
-- The columns of this load's answers replace them.
DELETE FROM state.visible_columns;
INSERT INTO state.visible_columns
SELECT unnest(range(len($names::VARCHAR[]))), unnest($names::VARCHAR[]);

-- read_chunking --
-- How many records to request at a time, as the last load learned.
SELECT records FROM state.chunking;

-- write_chunking --
-- Stores what this load learned in its place.
DELETE FROM state.chunking;
INSERT INTO state.chunking VALUES ($records, $now);

-- known_records --
-- Records the mirror holds; deleted ones are left out.
SELECT record FROM redcap.records WHERE deleted_at IS NULL;

-- count_invalid_values --
-- How many values are listed as not fitting their type or the setup.
SELECT count(*) FROM redcap.invalid_values;
