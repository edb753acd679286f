-- What an auditor asks of one project: of its mirror, and of what is published.

-- reconciliation --
-- Of the published database.
SELECT records_in_redcap,
       (SELECT count(*) FROM redcap.records WHERE project = $project AND deleted_at IS NULL),
       records_quarantined
FROM redcap.sync_runs WHERE project = $project ORDER BY started_at DESC LIMIT 1;

-- published_instruments --
SELECT table_name FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = $schema ORDER BY table_oid;

-- invalid_by_field --
SELECT instrument, field, reason, count(*) FROM redcap.invalid_values GROUP BY ALL ORDER BY count(*) DESC, instrument, field;

-- instruments --
SELECT instrument FROM state.publication ORDER BY position;
