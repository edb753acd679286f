-- The status of loads and the history of records; most of these run on a mirror and on the published file alike.

-- mirror_runs --
-- In a mirror that is attached under that name: its runs, the last one first.
SELECT project, run_id, mode, outcome, started_at, message, finished_at, watermark_to, records_quarantined
FROM mirror.redcap.sync_runs ORDER BY started_at DESC;

-- mirror_totals --
-- In such a mirror: whether a load has begun with it, and what it holds after a run; few subqueries, because each of a
-- hundred mirrors is asked.
SELECT (SELECT count(*) FROM mirror.state.identity) AS identities, p.records, p.rows,
       (SELECT count(*) FROM mirror.redcap.record_changes WHERE run_id = $run) AS changes,
       (SELECT count(*) FROM mirror.redcap.invalid_values) AS invalid_values,
       (SELECT count(*) FROM mirror.redcap.dictionary_changes WHERE run_id = $run) AS drift,
       len(p.hidden_fields) AS hidden_fields, p.not_readable
FROM (SELECT 1) LEFT JOIN mirror.redcap.projects p ON true;

-- published_statuses --
-- In the published file: the last load of each project and the last good one, with what it holds; write-backs are runs,
-- but not loads.
WITH runs AS (SELECT * FROM redcap.sync_runs WHERE mode IS DISTINCT FROM 'writeback'),
last AS (SELECT * FROM runs QUALIFY row_number() OVER (PARTITION BY project ORDER BY started_at DESC) = 1),
good AS (
    SELECT * FROM runs WHERE outcome = 'ok'
    QUALIFY row_number() OVER (PARTITION BY project ORDER BY started_at DESC) = 1
)
SELECT last.project, last.run_id AS last_run, last.outcome AS last_outcome, last.started_at AS last_started,
       last.message, good.finished_at AS last_good, good.watermark_to AS watermark, p.records, p.rows,
       (SELECT count(*) FROM _publish.cell_changes c WHERE c.project = last.project AND c.run_id = last.run_id)
           AS changes,
       (SELECT count(*) FROM redcap.invalid_values v WHERE v.project = last.project) AS invalid_values,
       coalesce(last.records_quarantined, 0) AS quarantined,
       (SELECT count(*) FROM redcap.dictionary_changes d WHERE d.project = last.project AND d.run_id = last.run_id)
           AS drift,
       len(p.hidden_fields) AS hidden_fields, coalesce(p.not_readable, []) AS not_readable
FROM last LEFT JOIN good USING (project) LEFT JOIN redcap.projects p USING (project);

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
