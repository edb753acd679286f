-- The ledger of a project's runs and of their chunks: redcap.sync_runs and redcap.sync_chunks.

-- delete_run --
-- A run that is begun again under the same id replaces its earlier row.
DELETE FROM redcap.sync_runs WHERE run_id = $run_id;

-- last_time --
-- When the latest run began or ended.
SELECT greatest(max(started_at), max(finished_at)) FROM redcap.sync_runs;

-- mark_killed --
-- A run that is still "running" when the next one begins was killed.
UPDATE redcap.sync_runs SET outcome = 'killed', finished_at = $now, message = 'The process ended before the load did.'
WHERE outcome = 'running' AND run_id <> $run_id;

-- begin_run --
-- The run's row while it is under way, with the watermark it starts from.
INSERT INTO redcap.sync_runs (project, run_id, mode, started_at, outcome, watermark_from)
VALUES ($project, $run_id, $mode, $now, 'running', (SELECT upto FROM state.watermark));

-- set_mode --
-- What kind of load the run turned out to be.
UPDATE redcap.sync_runs SET mode = $mode WHERE run_id = $run_id;

-- end_run --
-- How the run ended; never before it began, even if the clock was set back meanwhile.
UPDATE redcap.sync_runs
SET finished_at = greatest($finished_at, started_at), outcome = $outcome, message = $message, requests = $requests,
    bytes = $bytes, seconds = $seconds
WHERE run_id = $run_id;

-- total_run --
-- What the run did, summed from its chunk ledger and from the rows it touched.
UPDATE redcap.sync_runs
SET records_in_redcap = $records_in_redcap, records_loaded = $records_loaded, records_added = $records_added,
    records_changed = $records_changed, records_unchanged = $records_unchanged, records_deleted = $records_deleted,
    records_renamed = $records_renamed, records_quarantined = $records_quarantined, rows_inserted = $rows_inserted,
    rows_updated = $rows_updated, rows_deleted = $rows_deleted, rows_unchanged = $rows_unchanged, cells = $cells,
    invalid_values = (SELECT count(*) FROM redcap.invalid_values), chunks = $chunks,
    watermark_to = $watermark_to, redcap_version = $redcap_version
WHERE run_id = $run_id;

-- total_project --
-- The project's own totals after a load.
UPDATE redcap.projects
SET last_run_id = $run_id, last_loaded_at = $now, rows = $rows,
    records = (SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL);

-- add_chunk --
-- One row of the chunk ledger.
INSERT INTO redcap.sync_chunks
VALUES ($project, $run_id, $chunk, $asked, $returned, $rows, $bytes, $seconds, $attempts, $outcome, $message);

-- delete_chunk_entries --
-- The run's chunks are about to be applied again from the first.
DELETE FROM redcap.sync_chunks WHERE run_id = $run_id;

-- count_records --
-- How many records this run added, and how many that were known it changed.
SELECT count(*) FILTER (first_seen = $now), count(*) FILTER (first_seen < $now)
FROM redcap.records WHERE deleted_at IS NULL AND last_changed = $now;

-- last_run --
-- The latest load; write-backs are not loads.
SELECT run_id, outcome, started_at, finished_at FROM redcap.sync_runs
WHERE mode IS DISTINCT FROM 'writeback' ORDER BY started_at DESC LIMIT 1;

-- last_load --
-- The last run that was not a write-back.
SELECT run_id, outcome, finished_at FROM redcap.sync_runs
WHERE mode IS DISTINCT FROM 'writeback' ORDER BY started_at DESC LIMIT 1;

-- last_good_load --
-- When the last load with outcome ok or incomplete ended.
SELECT max(finished_at) FROM redcap.sync_runs
WHERE mode IS DISTINCT FROM 'writeback' AND outcome IN ('ok', 'incomplete');
