-- What a mirror holds for readers, as it is read before publishing: its default database is the mirror.

-- parts --
-- A digest of every part that readers find, the same whatever the order of its rows. Of the runs only how the last load
-- ended, and what it said, counts, and the log's rows about exports through the API are left out: every load adds some,
-- though nothing of the project has changed.
SELECT 'redcap.data_dictionary' AS part, count(*) || ' ' || coalesce(sum(hash(t)), 0) AS digest
FROM redcap.data_dictionary t
UNION ALL SELECT 'redcap.field_choices', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.field_choices t
UNION ALL SELECT 'redcap.instruments', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.instruments t
UNION ALL SELECT 'redcap.arms', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.arms t
UNION ALL SELECT 'redcap.events', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.events t
UNION ALL SELECT 'redcap.form_event_mapping', count(*) || ' ' || coalesce(sum(hash(t)), 0)
FROM redcap.form_event_mapping t
UNION ALL SELECT 'redcap.repeating_forms_events', count(*) || ' ' || coalesce(sum(hash(t)), 0)
FROM redcap.repeating_forms_events t
UNION ALL SELECT 'redcap.users', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.users t
UNION ALL SELECT 'redcap.user_form_rights', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.user_form_rights t
UNION ALL SELECT 'redcap.user_roles', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.user_roles t
UNION ALL SELECT 'redcap.user_role_assignments', count(*) || ' ' || coalesce(sum(hash(t)), 0)
FROM redcap.user_role_assignments t
UNION ALL SELECT 'redcap.data_access_groups', count(*) || ' ' || coalesce(sum(hash(t)), 0)
FROM redcap.data_access_groups t
UNION ALL SELECT 'redcap.data_access_group_assignments', count(*) || ' ' || coalesce(sum(hash(t)), 0)
FROM redcap.data_access_group_assignments t
UNION ALL SELECT 'redcap.projects', count(*) || ' ' || coalesce(sum(hash(t)), 0)
FROM (SELECT * EXCLUDE (last_run_id, last_loaded_at) FROM redcap.projects) t
UNION ALL SELECT 'redcap.records', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.records t
UNION ALL SELECT 'redcap.invalid_values', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM redcap.invalid_values t
UNION ALL SELECT 'redcap.dictionary_changes', count(*)::VARCHAR FROM redcap.dictionary_changes
UNION ALL SELECT 'redcap.record_changes', count(*)::VARCHAR FROM redcap.record_changes
UNION ALL
(SELECT 'redcap.sync_runs', md5(coalesce(outcome, '') || ' ' || coalesce(message, '')) FROM redcap.sync_runs
 WHERE mode IS DISTINCT FROM 'writeback' ORDER BY started_at DESC LIMIT 1)
UNION ALL SELECT 'redcap.audit_log', count(*) || ' ' || coalesce(max(timestamp)::VARCHAR, '')
FROM redcap.audit_log
WHERE NOT (action LIKE 'Data export (API)%'
           OR details LIKE '%(API)' AND (details LIKE 'Export%' OR details LIKE 'Download%' OR details LIKE 'List%'))
UNION ALL SELECT 'state.instruments', count(*) || ' ' || coalesce(sum(hash(instrument, changed_run)), 0)
FROM state.instruments
UNION ALL SELECT 'state.publication', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM state.publication t;

-- writeback_parts --
-- The same of what was proposed and sent.
SELECT 'writeback.batches', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM writeback.batches t
UNION ALL SELECT 'writeback.proposals', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM writeback.proposals t
UNION ALL SELECT 'writeback.journal', count(*) || ' ' || coalesce(sum(hash(t)), 0) FROM writeback.journal t;

-- has_writeback --
-- Whether anything was ever proposed.
-- Schemas are listed in a tenth of the time that tables take.
SELECT count(*) FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name = 'writeback';

-- identity --
-- Which file it is, and the number of its format.
SELECT identity, format FROM state.identity;

-- replaced --
-- The identity of the mirror that `--start-over` discarded for this one.
SELECT identity FROM state.started_over;

-- runs --
-- Every run, the earliest first.
SELECT run_id, started_at, outcome, mode FROM redcap.sync_runs ORDER BY started_at, run_id;

-- runs_with_changes --
-- Runs that changed rows of instruments, cells or the structure.
SELECT changed_run FROM state.instruments UNION SELECT run_id FROM redcap.record_changes
UNION SELECT run_id FROM redcap.dictionary_changes;

-- record_id_field --
-- What the project calls its records.
SELECT record_id_field FROM redcap.projects;

-- columns --
-- The columns of all tables of rows, by schema and table; only the mirror is attached, so that nothing else is listed.
SELECT schema_name, table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name IN ($now, $past) GROUP BY ALL;

-- rows --
-- How many rows each of these tables has, at most.
SELECT schema_name, table_name, estimated_size FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name IN ($now, $past);

-- ill_fitting --
-- Instruments with values that do not fit their type, codes for missing data included.
SELECT DISTINCT instrument FROM redcap.invalid_values
WHERE expected IN ('BIGINT', 'BOOLEAN', 'DATE', 'DOUBLE', 'INTEGER', 'TIME', 'TIMESTAMP') AND instrument IS NOT NULL;

-- publications --
-- How each instrument is shown, and the run that changed it last.
SELECT p.*, i.changed_run FROM state.publication p JOIN state.instruments i USING (instrument) ORDER BY position;
