-- What an auditor asks of one project's mirror.

-- reconciliation --
SELECT records_in_redcap, (SELECT count(*) FROM redcap.records WHERE deleted_at IS NULL), records_quarantined
FROM redcap.sync_runs ORDER BY started_at DESC LIMIT 1;

-- invalid_by_field --
SELECT instrument, field, reason, count(*) FROM redcap.invalid_values GROUP BY ALL ORDER BY count(*) DESC, instrument, field;

-- instruments --
SELECT instrument FROM state.publication ORDER BY position;
