-- The published DuckLake: what it has to remember beside what a published file does, and its maintenance.

-- create_manifest --
-- What is published of each project, in the transaction that published it, and by which version.
CREATE TABLE IF NOT EXISTS _publish.manifest (project VARCHAR, entry VARCHAR, publication VARCHAR, version INTEGER);
CREATE TABLE IF NOT EXISTS _publish.version (number INTEGER);
-- A row for each transaction that removed what must not remain in earlier snapshots, until they have been removed.
CREATE TABLE IF NOT EXISTS _publish.removals (removed_at TIMESTAMP);

-- sign --
-- The snapshot that this transaction makes is a publisher's.
CALL warehouse.set_commit_message('redcap-warehouse', 'published', extra_info => $token);

-- drop_shared --
-- Nothing of what all projects share remains; it is created again next.
DROP SCHEMA IF EXISTS redcap CASCADE;
DROP SCHEMA IF EXISTS writeback CASCADE;
DROP SCHEMA IF EXISTS _publish CASCADE;

-- version --
-- The version of what is published.
SELECT max(number) FROM _publish.version;

-- save_version --
-- The tables that all projects share are complete, in this version.
DELETE FROM _publish.version;
INSERT INTO _publish.version VALUES ($number);

-- keep_no_rows_in_catalog --
-- Rows go into files, however few they are, whoever inserts them.
CALL ducklake_set_option('warehouse', 'data_inlining_row_limit', '0');

-- manifest --
-- What is published of each project.
SELECT project, entry, version FROM _publish.manifest ORDER BY project;

-- publication --
-- The publication that a project was written by last.
SELECT publication FROM _publish.manifest WHERE project = $project;

-- delete_entries --
-- New entries are inserted for these projects next, or none.
DELETE FROM _publish.manifest WHERE list_contains($projects::VARCHAR[], project);

-- save_entries --
-- What is published of these projects now.
INSERT INTO _publish.manifest SELECT unnest($projects::VARCHAR[]), unnest($entries::VARCHAR[]), $publication, $version;

-- merge --
-- Small files of the same table become larger ones; the old ones stay until the snapshots that read them expire.
CALL ducklake_merge_adjacent_files('warehouse');

-- rewrite --
-- Files of which many rows were deleted are written again without them.
CALL ducklake_rewrite_data_files('warehouse');

-- expire --
-- Snapshots that ended before this time can no longer be read.
CALL ducklake_expire_snapshots('warehouse', older_than => $before::TIMESTAMPTZ);

-- clean_up --
-- Files that no snapshot reads are deleted, if they have been of no use since this time.
CALL ducklake_cleanup_old_files('warehouse', older_than => $before::TIMESTAMPTZ);

-- clean_up_all --
-- Files that no snapshot reads are deleted at once.
CALL ducklake_cleanup_old_files('warehouse', cleanup_all => true);

-- delete_orphans --
-- Files that a publisher wrote that died are deleted, if they are older than this time.
CALL ducklake_delete_orphaned_files('warehouse', older_than => $before::TIMESTAMPTZ);

-- delete_all_orphans --
-- Files that a publisher wrote that died are deleted, however young they are. Nobody else publishes now.
CALL ducklake_delete_orphaned_files('warehouse', cleanup_all => true);

-- snapshots --
-- How many snapshots there are.
SELECT count(*) FROM ducklake_snapshots('warehouse');

-- save_removal --
-- Something was removed that must not remain in earlier snapshots.
INSERT INTO _publish.removals VALUES (now()::TIMESTAMP);

-- removals --
-- How often that happened.
SELECT count(*) FROM _publish.removals;

-- delete_removals --
-- Nothing of it remains.
DELETE FROM _publish.removals;

-- rewrite_all --
-- Every file of which any row was deleted is written again without it.
CALL ducklake_rewrite_data_files('warehouse', delete_threshold => 0);

-- expire_all --
-- Only what is there now can be read.
CALL ducklake_expire_snapshots('warehouse', older_than => now());

-- understood --
-- A query as DuckDB understands it, as JSON; an error if it is anything but SELECT.
SELECT json_serialize_sql($query::VARCHAR);
