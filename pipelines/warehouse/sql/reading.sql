-- The status of loads and the history of records; most of these run on a mirror and on the published file alike.

-- status --
-- The last load of a project and the last good one, with what it holds; write-backs are runs, but not loads.
WITH runs AS (SELECT * FROM redcap.sync_runs WHERE project = $project AND mode IS DISTINCT FROM 'writeback'),
last AS (SELECT * FROM runs ORDER BY started_at DESC LIMIT 1),
good AS (SELECT * FROM runs WHERE outcome = 'ok' ORDER BY started_at DESC LIMIT 1)
SELECT last.run_id AS last_run, last.outcome AS last_outcome, last.started_at AS last_started, last.message,
       good.finished_at AS last_good, good.watermark_to AS watermark, p.records,
       p.rows,
       (SELECT count(*) FROM redcap.record_changes WHERE project = $project AND run_id = last.run_id) AS changes,
       (SELECT count(*) FROM redcap.invalid_values WHERE project = $project) AS invalid_values,
       coalesce(last.records_quarantined, 0) AS quarantined,
       (SELECT count(*) FROM redcap.dictionary_changes WHERE project = $project AND run_id = last.run_id) AS drift,
       len(p.hidden_fields) AS hidden_fields, p.not_readable
FROM last
LEFT JOIN good ON true
LEFT JOIN (SELECT * FROM redcap.projects WHERE project = $project) p ON true;

-- published_projects --
-- Projects of which anything is published, or whose mirror was published.
SELECT project FROM redcap.projects UNION SELECT project FROM _publish.sources;

-- is_published --
-- Whether the file is a published one, and not a mirror or another database with its name.
SELECT count(*) > 0 FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = '_publish' AND table_name = 'sources';

-- has_ledger --
-- Whether a mirror has the tables for its identity and for the ledger of its loads.
SELECT count(*) = 2 FROM duckdb_tables()
WHERE database_name = current_database()
  AND (schema_name, table_name) IN (('redcap', 'sync_runs'), ('state', 'identity'));

-- record_ids --
-- Every id a record has had.
WITH RECURSIVE chain (record) AS (
    SELECT $record::VARCHAR
    UNION
    SELECT CASE WHEN r.record = c.record THEN r.renamed_to ELSE r.record END
    FROM chain c JOIN redcap.records r ON r.record = c.record OR r.renamed_to = c.record
    WHERE r.project = $project AND r.renamed_to IS NOT NULL
)
SELECT chain.record, r.first_seen, r.last_changed, r.deleted_at, r.renamed_to
FROM chain JOIN redcap.records r ON r.project = $project AND r.record = chain.record
ORDER BY r.first_seen, r.deleted_at NULLS LAST;

-- record_history --
-- Every changed cell of some records, in the order in which loads found them, and for one load by row.
SELECT detected_at, changed_at, changed_by, origin, change, record, event, instrument, instance, field, old_value,
       new_value, run_id, reason
FROM redcap.record_changes
WHERE project = $project AND list_contains($records::VARCHAR[], record)
ORDER BY detected_at, change <> 'rename', record, event NULLS FIRST, instrument, try_cast(instance AS INTEGER), field;

-- published_source --
-- The identity of the mirror that a project was published from.
SELECT identity FROM _publish.sources WHERE project = $project;
