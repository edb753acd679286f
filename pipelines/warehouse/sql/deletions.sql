-- Records that REDCap no longer has: distinguishes renames from deletions, and records both. Temporary tables:
-- missing, these records; appeared, those that are new; candidate_cells, the cells of both; renamed, old and new ids;
-- deleted, records without a new id.

-- make_missing --
-- The records the mirror holds and REDCap no longer has.
CREATE OR REPLACE TEMP TABLE missing AS SELECT unnest($ids::VARCHAR[]) AS record;

-- make_appeared --
-- Records the mirror did not have when a load last ended well. One that was known earlier, under the same id, is not a
-- candidate, whatever the log says: its own cells would be deleted and inserted at the same moment.
CREATE OR REPLACE TEMP TABLE appeared AS
WITH good AS (SELECT max(started_at) AS at FROM redcap.sync_runs WHERE outcome IN ('ok', 'incomplete'))
SELECT record, record IN (SELECT record FROM state.logged WHERE what = 'renamed') AS logged
FROM redcap.records, good
WHERE deleted_at IS NULL AND first_seen > good.at AND record NOT IN (SELECT record FROM missing);

-- count_appeared --
-- How many records appeared.
SELECT count(*) FROM appeared;

-- make_candidate_cells --
-- The values of both kinds of records, to be compared.
CREATE OR REPLACE TEMP TABLE candidate_cells (
    kind VARCHAR, record VARCHAR, instrument VARCHAR, event VARCHAR, instance VARCHAR, field VARCHAR, value VARCHAR
);

-- pairs --
-- Each old id with its new one: the best match of both, where no other matches as well.
WITH totals AS (SELECT kind, record, count(*) AS cells FROM candidate_cells GROUP BY ALL),
alike AS (
    SELECT g.record AS old, c.record AS new, count(*) AS cells
    FROM candidate_cells g JOIN candidate_cells c USING (instrument, event, instance, field, value)
    WHERE g.kind = 'missing' AND c.kind = 'appeared' GROUP BY ALL
),
scored AS (
    SELECT a.old, a.new, a.cells / greatest(o.cells, n.cells) AS share, n.cells AS size, appeared.logged
    FROM alike a
    JOIN totals o ON o.kind = 'missing' AND o.record = a.old
    JOIN totals n ON n.kind = 'appeared' AND n.record = a.new
    JOIN appeared ON appeared.record = a.new
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

-- drop_candidates --
-- Dropped once the pairs are known.
DROP TABLE candidate_cells;
DROP TABLE appeared;
DROP TABLE missing;

-- make_renamed --
-- Old and new ids.
CREATE OR REPLACE TEMP TABLE renamed AS SELECT unnest($old::VARCHAR[]) AS old, unnest($new::VARCHAR[]) AS new;

-- drop_renamed --
-- They are recorded.
DROP TABLE renamed;

-- delete_changes_of_new_ids --
-- What was recorded of the new ids since a load last ended well is recorded again, as changes of the old ones.
DELETE FROM redcap.record_changes
WHERE record IN (SELECT new FROM renamed) AND run_id IN (
    SELECT run_id FROM redcap.sync_runs
    WHERE started_at > (SELECT max(started_at) FROM redcap.sync_runs WHERE outcome IN ('ok', 'incomplete'))
);

-- rename_changes --
-- What this run has recorded of the old ids, such as a field that was removed, belongs to the new ones.
UPDATE redcap.record_changes AS c SET record = renamed.new
FROM renamed WHERE c.record = renamed.old AND c.run_id = $run_id;

-- record_renames --
-- A new id is recorded as a change of the record itself.
INSERT INTO redcap.record_changes
SELECT $project, new, NULL, NULL, NULL, $field, old, new, 'rename', $now, $run_id, 'redcap', NULL, NULL, NULL
FROM renamed;

-- inherit_first_seen --
-- A renamed record was first seen when its old id was.
UPDATE redcap.records AS r SET first_seen = o.first_seen
FROM renamed JOIN (SELECT record, first_seen FROM redcap.records) o ON o.record = renamed.old
WHERE r.record = renamed.new;

-- mark_renamed --
-- Marks the old ids as no longer existing.
UPDATE redcap.records AS r SET deleted_at = $now, last_changed = $now, renamed_to = renamed.new
FROM renamed WHERE r.record = renamed.old;

-- delete_invalid_values_of_old_ids --
-- The values were listed again under the new ids.
DELETE FROM redcap.invalid_values WHERE record IN (SELECT old FROM renamed);

-- make_deleted --
-- The records that were deleted.
CREATE OR REPLACE TEMP TABLE deleted AS SELECT unnest($ids::VARCHAR[]) AS record;

-- drop_deleted --
-- They are recorded.
DROP TABLE deleted;

-- mark_deleted --
-- Their rows in redcap.records stay, as tombstones.
UPDATE redcap.records SET deleted_at = $now, last_changed = $now WHERE record IN (SELECT record FROM deleted);

-- delete_invalid_values_of_deleted --
-- Values of deleted records are no longer listed.
DELETE FROM redcap.invalid_values WHERE record IN (SELECT record FROM deleted);

-- any_id_change --
-- Whether the log shows a new id for any record.
SELECT 1 FROM state.logged WHERE what = 'renamed' LIMIT 1;

-- record_id_changes --
-- The new ids of the log, compared with what was found since a load last ended well. An id is explained where its
-- record was recognised, and where nothing in it changed except what the log itself shows.
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

-- delete_id_changes --
-- The log is read again from a little before the last load; its older rows are not read again.
DELETE FROM state.id_changes AS k WHERE run_id <> $run_id AND NOT EXISTS (
    SELECT 1 FROM state.logged l
    WHERE l.what = 'renamed' AND l.record = k.record AND l.changed_at IS NOT DISTINCT FROM k.changed_at
);

-- unexplained_ids --
-- How many records have a new id that nothing explains.
SELECT count(DISTINCT record) FROM state.id_changes WHERE run_id = $run_id AND NOT explained;
