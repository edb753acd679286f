-- What an auditor asks about one project, in its mirror and in the published file.

-- reconciliation --
-- In the published file: how many records REDCap listed at the last load, and how many are here.
SELECT records_in_redcap,
       (SELECT count(*) FROM redcap.records WHERE project = $project AND deleted_at IS NULL),
       records_quarantined
FROM redcap.sync_runs WHERE project = $project AND mode IS DISTINCT FROM 'writeback'
ORDER BY started_at DESC LIMIT 1;

-- published_instruments --
-- The instruments that readers find.
SELECT view_name FROM duckdb_views()
WHERE database_name = current_database() AND schema_name = $schema ORDER BY view_oid;

-- invalid_by_field --
-- Values that do not fit, the most frequent reasons first.
SELECT instrument, field, reason, count(*) FROM redcap.invalid_values
GROUP BY ALL ORDER BY count(*) DESC, instrument, field;

-- last_changes --
-- What the last load found changed, the most frequent changes first.
SELECT coalesce(instrument, 'the record itself'), change, count(DISTINCT record), count(*)
FROM redcap.record_changes
WHERE run_id = (
    SELECT run_id FROM redcap.sync_runs WHERE mode IS DISTINCT FROM 'writeback' ORDER BY started_at DESC LIMIT 1
)
GROUP BY ALL ORDER BY count(*) DESC, 1, 2;

-- instruments --
-- The instruments of the mirror, in the dictionary's order.
SELECT instrument FROM state.publication ORDER BY position;

-- unexplained_ids --
-- Records with a new id by REDCap's log of which the last load could not find the old one.
SELECT count(DISTINCT record) FROM state.id_changes
WHERE NOT explained AND run_id = (
    SELECT run_id FROM redcap.sync_runs WHERE mode IS DISTINCT FROM 'writeback' ORDER BY started_at DESC LIMIT 1
);
