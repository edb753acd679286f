-- What publishing has to remember, kept in the published file so that the two can never disagree.

-- create_bookkeeping --
CREATE SCHEMA IF NOT EXISTS _publish;
CREATE TABLE IF NOT EXISTS _publish.instruments (
    project VARCHAR, instrument VARCHAR, changed_run VARCHAR, definition VARCHAR
);
CREATE TABLE IF NOT EXISTS _publish.fresh (bytes BIGINT);
CREATE TABLE IF NOT EXISTS _publish.runs (project VARCHAR, run_id VARCHAR);
CREATE TABLE IF NOT EXISTS _publish.sources (project VARCHAR, identity VARCHAR);
-- Changes since each project's first load, as its working file has them.
CREATE TABLE IF NOT EXISTS _publish.cell_changes (
    project VARCHAR NOT NULL, record VARCHAR, event VARCHAR, instrument VARCHAR, instance VARCHAR,
    field VARCHAR, old_value VARCHAR, new_value VARCHAR, change VARCHAR, detected_at TIMESTAMP,
    run_id VARCHAR, origin VARCHAR, changed_by VARCHAR, changed_at TIMESTAMP, reason VARCHAR
);
ALTER TABLE _publish.cell_changes ADD COLUMN IF NOT EXISTS reason VARCHAR;
-- Where the rows of first loads lie, an instrument at a time: queries of the tables that hold them.
CREATE TABLE IF NOT EXISTS _publish.first_rows (project VARCHAR, instrument VARCHAR, rows VARCHAR);
-- Those that are kept once more instead, their cells as a JSON list. A row for each cell would take three times as long
-- as all the load.
CREATE TABLE IF NOT EXISTS _publish.first_load (
    project VARCHAR, instrument VARCHAR, record VARCHAR, event VARCHAR, instance VARCHAR,
    cells VARCHAR USING COMPRESSION zstd, detected_at TIMESTAMP, run_id VARCHAR
);
CREATE TABLE IF NOT EXISTS _publish.first_columns (project VARCHAR, instrument VARCHAR, fields VARCHAR[]);
-- What the view of all changes was last made of.
CREATE TABLE IF NOT EXISTS _publish.changes (definition VARCHAR);

-- schemas_of --
-- Those of these schemas that are there.
SELECT schema_name FROM duckdb_schemas()
WHERE database_name = current_database() AND list_contains($names::VARCHAR[], schema_name) ORDER BY schema_name;

-- shared_tables --
-- Tables in which every row says whose it is.
SELECT schema_name, table_name FROM duckdb_columns() SEMI JOIN duckdb_tables() USING (database_name, schema_name, table_name)
WHERE database_name = current_database() AND column_name = 'project' AND schema_name IN ('redcap', 'writeback', '_publish')
ORDER BY ALL;

-- become_published --
-- A copy of a working file becomes a published file: what only the next load needs goes, and so does the table whose
-- name is a view's there.
DROP SCHEMA state CASCADE;
DROP TABLE redcap.record_changes;

-- first_rows --
SELECT rows FROM _publish.first_rows ORDER BY rowid;

-- changes_are --
SELECT definition FROM _publish.changes;

-- define_changes --
CREATE OR REPLACE VIEW redcap.record_changes AS
SELECT * FROM (
    SELECT project, record, event, instrument, instance, unnest(fields) AS field, NULL::VARCHAR AS old_value,
           unnest(cells) AS new_value, 'insert' AS change, detected_at, run_id, 'redcap' AS origin,
           NULL::VARCHAR AS changed_by, NULL::TIMESTAMP AS changed_at, NULL::VARCHAR AS reason
    FROM (
        SELECT r.project, r.record, r.event, r.instrument, r.instance, c.fields,
               from_json(r.cells, '["VARCHAR"]') AS cells, r.detected_at, r.run_id
        FROM _publish.first_load r JOIN _publish.first_columns c USING (project, instrument)
        /* where they lie */
    )
)
WHERE new_value IS NOT NULL
UNION ALL
SELECT * FROM _publish.cell_changes;

-- describe_changes --
COMMENT ON VIEW redcap.record_changes IS
'Every changed cell of every record, the first load included: replayed from the first, they give what is there.';
COMMENT ON COLUMN redcap.record_changes.detected_at IS 'When the run that found the change began (UTC)';
COMMENT ON COLUMN redcap.record_changes.changed_at IS 'When it was made, by REDCap''s log; to the minute (UTC)';

-- describe_times --
-- A new published file: which clock the times of the fixed tables are of.
BEGIN TRANSACTION;
COMMENT ON COLUMN redcap.projects.last_loaded_at IS 'When the last load that came to its end began (UTC)';
COMMENT ON COLUMN redcap.dictionary_changes.detected_at IS 'When the run that found the change began (UTC)';
COMMENT ON COLUMN redcap.records.first_seen IS 'When the run that first found the record began (UTC)';
COMMENT ON COLUMN redcap.records.last_changed IS 'When the run that last found a change of it began (UTC)';
COMMENT ON COLUMN redcap.records.deleted_at IS 'When the run that found it gone began (UTC)';
COMMENT ON COLUMN redcap.sync_runs.started_at IS 'When the run began (UTC)';
COMMENT ON COLUMN redcap.sync_runs.finished_at IS 'When the run ended (UTC)';
COMMENT ON COLUMN redcap.sync_runs.watermark_from IS
'Up to when the project was known to be read before the run, by REDCap''s clock (UTC)';
COMMENT ON COLUMN redcap.sync_runs.watermark_to IS
'Up to when it was known to be read after the run, by REDCap''s clock (UTC)';
COMMENT ON COLUMN redcap.audit_log.timestamp IS 'The server''s local time, to the minute: not UTC';
COMMENT ON COLUMN writeback.batches.created_at IS 'When the batch was begun (UTC)';
COMMENT ON COLUMN writeback.batches.planned_at IS 'When it was last planned (UTC)';
COMMENT ON COLUMN writeback.batches.applied_at IS 'When it was last applied (UTC)';
COMMENT ON COLUMN writeback.proposals.proposed_at IS 'When the value was proposed (UTC)';
COMMENT ON COLUMN writeback.proposals.decided_at IS 'When it was last decided about (UTC)';
COMMENT ON COLUMN writeback.journal.intended_at IS 'When it was about to be sent (UTC)';
COMMENT ON COLUMN writeback.journal.settled_at IS 'When it was known what became of it (UTC)';
COMMIT;
