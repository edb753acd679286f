-- What an auditor asks about one project, in its mirror and in the published file.

-- listed_records --
-- In a mirror: how many records REDCap listed at the last load that ended well, up to the one that is published.
SELECT records_in_redcap, records_quarantined FROM redcap.sync_runs
WHERE mode IS DISTINCT FROM 'writeback' AND outcome IN ('ok', 'incomplete')
  AND started_at <= coalesce((SELECT max(started_at) FROM redcap.sync_runs WHERE run_id = $run), started_at)
ORDER BY started_at DESC LIMIT 1;

-- published_records --
-- In the published file: how many records of each project readers find.
SELECT project, count(*) FROM redcap.records WHERE deleted_at IS NULL GROUP BY project;

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
