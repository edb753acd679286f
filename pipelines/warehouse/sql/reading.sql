-- Questions about how the loads stand; they run on a working file and on the published file alike.

-- standing --
WITH runs AS (SELECT * FROM redcap.sync_runs WHERE project = $project),
last AS (SELECT * FROM runs ORDER BY started_at DESC LIMIT 1),
good AS (SELECT * FROM runs WHERE outcome = 'ok' ORDER BY started_at DESC LIMIT 1)
SELECT last.run_id AS last_run, last.outcome AS last_outcome, last.started_at AS last_started, last.message,
       good.finished_at AS last_good, good.watermark_to AS watermark, p.records,
       (good.rows_inserted + good.rows_updated + good.rows_unchanged) AS rows,
       (SELECT count(*) FROM redcap.record_changes WHERE project = $project AND run_id = last.run_id) AS changes,
       (SELECT count(*) FROM redcap.invalid_values WHERE project = $project) AS invalid_values,
       coalesce(last.records_quarantined, 0) AS quarantined,
       (SELECT count(*) FROM redcap.dictionary_changes WHERE project = $project AND run_id = last.run_id) AS drift,
       len(p.hidden_fields) AS hidden_fields, p.not_readable
FROM last
LEFT JOIN good ON true
LEFT JOIN (SELECT * FROM redcap.projects WHERE project = $project) p ON true;
