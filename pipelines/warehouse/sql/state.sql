-- What the next night needs to know; private to the working file of one project.

-- create_state --
CREATE SCHEMA IF NOT EXISTS raw;
CREATE SCHEMA IF NOT EXISTS state;
-- One row: how far the mirror is known to be whole, on REDCap's clock (UTC).
CREATE TABLE IF NOT EXISTS state.watermark (upto TIMESTAMP, run_id VARCHAR);
-- The columns the token could see last time, in REDCap's order.
CREATE TABLE IF NOT EXISTS state.visible_columns (position INTEGER, name VARCHAR);
-- When each instrument's rows or columns last changed, so that publishing copies only what did.
CREATE TABLE IF NOT EXISTS state.instruments (instrument VARCHAR, changed_run VARCHAR, changed_at TIMESTAMP);
-- How each instrument is shown to analysts: statements made when the structure was read.
CREATE TABLE IF NOT EXISTS state.publication (
    position INTEGER, instrument VARCHAR, copy_select VARCHAR, typed_select VARCHAR, label_select VARCHAR,
    comments JSON
);
-- What the server taught us about itself: the next night starts from here.
-- The structure in the form it is compared in, for drift.
CREATE TABLE IF NOT EXISTS state.structure (described VARCHAR);
CREATE TABLE IF NOT EXISTS state.chunking (records INTEGER, learned_at TIMESTAMP);

-- read_watermark --
SELECT upto FROM state.watermark;

-- clear_watermark --
DELETE FROM state.watermark;

-- write_watermark --
-- The last statement of a load: everything before $upto is in the mirror.
INSERT INTO state.watermark VALUES ($upto, $run_id);

-- read_visible_columns --
SELECT name FROM state.visible_columns ORDER BY position;

-- read_chunking --
SELECT records FROM state.chunking;

-- clear_chunking --
DELETE FROM state.chunking;

-- write_chunking --
INSERT INTO state.chunking VALUES ($records, $now);

-- begin_run --
INSERT INTO redcap.sync_runs (project, run_id, mode, started_at, outcome, watermark_from, redcap_version)
VALUES ($project, $run_id, $mode, $started_at, 'running', $watermark_from, NULL);

-- abandon_running --
-- A run that is still "running" when the next one begins was killed.
UPDATE redcap.sync_runs SET outcome = 'killed', finished_at = $now, message = 'The process ended before the load did.'
WHERE outcome = 'running' AND run_id <> $run_id;

-- end_run --
UPDATE redcap.sync_runs
SET finished_at = $finished_at, outcome = $outcome, message = $message, requests = $requests, bytes = $bytes,
    seconds = $seconds
WHERE run_id = $run_id;

-- total_run --
-- What the run did, summed from its chunk ledger and from the rows it touched.
UPDATE redcap.sync_runs
SET records_in_redcap = $records_in_redcap, records_loaded = $records_loaded, records_deleted = $records_deleted,
    records_quarantined = $records_quarantined, rows_inserted = $rows_inserted, rows_updated = $rows_updated,
    rows_deleted = $rows_deleted, rows_unchanged = $rows_unchanged, cells = $cells,
    invalid_values = (SELECT count(*) FROM redcap.invalid_values), chunks = $chunks,
    watermark_to = $watermark_to, redcap_version = $redcap_version
WHERE run_id = $run_id;

-- write_chunk --
INSERT INTO redcap.sync_chunks
VALUES ($project, $run_id, $chunk, $asked, $returned, $rows, $bytes, $seconds, $attempts, $outcome, $message);

-- forget_chunks --
DELETE FROM redcap.sync_chunks WHERE run_id = $run_id;

-- last_run --
SELECT run_id, outcome, started_at, finished_at FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1;

-- known_records --
-- Records the mirror holds and has not seen deleted.
SELECT record FROM redcap.records WHERE deleted_at IS NULL;
