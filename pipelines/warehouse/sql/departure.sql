-- Telling a rename from a deletion and an arrival, and putting it on record.

-- come --
-- Records that were never there when a load last ended well. One that was known before, under the same id, is no
-- candidate, whatever the log says: its own cells would have to go and come in the same moment.
CREATE OR REPLACE TEMP TABLE come AS
WITH good AS (SELECT max(started_at) AS at FROM redcap.sync_runs WHERE outcome IN ('ok', 'incomplete'))
SELECT record, record IN (SELECT record FROM state.logged WHERE what = 'renamed') AS logged
FROM redcap.records, good
WHERE deleted_at IS NULL AND first_seen > good.at AND record NOT IN (SELECT record FROM gone);

-- make_cells --
CREATE OR REPLACE TEMP TABLE departing_cells (
    kind VARCHAR, record VARCHAR, instrument VARCHAR, event VARCHAR, instance VARCHAR, field VARCHAR, value VARCHAR
);

-- pairs --
-- Each old id with its new one: the best match of both, and no other as good.
WITH totals AS (SELECT kind, record, count(*) AS cells FROM departing_cells GROUP BY ALL),
alike AS (
    SELECT g.record AS old, c.record AS new, count(*) AS cells
    FROM departing_cells g JOIN departing_cells c USING (instrument, event, instance, field, value)
    WHERE g.kind = 'gone' AND c.kind = 'come' GROUP BY ALL
),
scored AS (
    SELECT a.old, a.new, a.cells / greatest(o.cells, n.cells) AS share, n.cells AS size, come.logged
    FROM alike a
    JOIN totals o ON o.kind = 'gone' AND o.record = a.old
    JOIN totals n ON n.kind = 'come' AND n.record = a.new
    JOIN come ON come.record = a.new
),
ranked AS (
    SELECT *, max(share) OVER (PARTITION BY old) AS best_of_old, max(share) OVER (PARTITION BY new) AS best_of_new
    FROM scored
),
best AS (
    SELECT *, count(*) OVER (PARTITION BY old) AS olds, count(*) OVER (PARTITION BY new) AS news
    FROM ranked WHERE share = best_of_old AND share = best_of_new
)
SELECT old, new FROM best
WHERE olds = 1 AND news = 1 AND ((logged AND share >= 0.5) OR (share = 1 AND size >= 3));

-- forget_arrivals --
-- What was noted of the new ids since a load last ended well is told again, as changes of the old ones.
DELETE FROM redcap.record_changes
WHERE record IN (SELECT new FROM renamed) AND run_id IN (
    SELECT run_id FROM redcap.sync_runs
    WHERE started_at > (SELECT max(started_at) FROM redcap.sync_runs WHERE outcome IN ('ok', 'incomplete'))
);

-- follow --
-- What this run has told of the old ids, a field that went for one, is told of the new ones: renames come first.
UPDATE redcap.record_changes AS c SET record = renamed.new
FROM renamed WHERE c.record = renamed.old AND c.run_id = $run_id;

-- note_renames --
INSERT INTO redcap.record_changes
SELECT $project, new, NULL, NULL, NULL, $field, old, new, 'rename', $now, $run_id, 'redcap', NULL, NULL, NULL
FROM renamed;

-- inherit --
UPDATE redcap.records AS r SET first_seen = o.first_seen
FROM renamed JOIN (SELECT record, first_seen FROM redcap.records) o ON o.record = renamed.old
WHERE r.record = renamed.new;

-- move_records --
UPDATE redcap.records AS r SET deleted_at = $now, last_changed = $now, renamed_to = renamed.new
FROM renamed WHERE r.record = renamed.old;

-- any_id_change --
SELECT 1 FROM state.logged WHERE what = 'renamed' LIMIT 1;

-- note_id_changes --
-- What the log says of new ids, held against what was found since a load last ended well: a record that was followed to
-- its new id explains it, and so does one of which nothing changed but what the log itself tells of.
INSERT INTO state.id_changes
WITH good AS (
    SELECT max(started_at) AS at FROM redcap.sync_runs
    WHERE outcome IN ('ok', 'incomplete') AND mode IS DISTINCT FROM 'writeback'
),
found AS (
    SELECT record, bool_or(change = 'rename') AS followed,
           bool_or(change <> 'rename' AND origin = 'redcap' AND changed_by IS NULL) AS differs
    FROM redcap.record_changes
    WHERE run_id IN (SELECT run_id FROM redcap.sync_runs, good WHERE started_at > good.at)
    GROUP BY record
)
SELECT DISTINCT l.record, l.changed_at, $run_id, coalesce(f.followed OR NOT f.differs, true)
FROM state.logged l LEFT JOIN found f USING (record)
WHERE l.what = 'renamed' AND NOT EXISTS (
    SELECT 1 FROM state.id_changes k WHERE k.record = l.record AND k.changed_at IS NOT DISTINCT FROM l.changed_at
);

-- forget_id_changes --
-- The log is read again from a little before the last load; what lies further back is not told twice anyway.
DELETE FROM state.id_changes AS k WHERE run_id <> $run_id AND NOT EXISTS (
    SELECT 1 FROM state.logged l
    WHERE l.what = 'renamed' AND l.record = k.record AND l.changed_at IS NOT DISTINCT FROM k.changed_at
);

-- unexplained_ids --
SELECT count(DISTINCT record) FROM state.id_changes WHERE run_id = $run_id AND NOT explained;
