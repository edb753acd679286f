-- Schema writeback: what was proposed, what was sent, and the outcome. It is in a project's mirror; publishing copies the
-- three tables. A blank cell is NULL, as in redcap.record_changes; times are UTC.

-- create_writeback --
-- The schema and its three tables.
CREATE SCHEMA IF NOT EXISTS writeback;
CREATE TABLE IF NOT EXISTS writeback.batches (
    project VARCHAR NOT NULL, batch VARCHAR NOT NULL, author VARCHAR, source VARCHAR, reverts VARCHAR,
    created_at TIMESTAMP, proposals BIGINT, open BIGINT, confirmed BIGINT, already_there BIGINT, conflicts BIGINT,
    invalid BIGINT, failed BIGINT, not_confirmed BIGINT, followed BIGINT, planned_at TIMESTAMP, applied_at TIMESTAMP,
    run_id VARCHAR
);
CREATE TABLE IF NOT EXISTS writeback.proposals (
    project VARCHAR NOT NULL, batch VARCHAR NOT NULL, proposal BIGINT, record VARCHAR, event VARCHAR,
    instrument VARCHAR, instance VARCHAR, field VARCHAR, seen_value VARCHAR, new_value VARCHAR, clear BOOLEAN,
    reason VARCHAR, author VARCHAR, proposed_at TIMESTAMP, status VARCHAR, decision VARCHAR, decision_reason VARCHAR,
    warning VARCHAR, decided_at TIMESTAMP, run_id VARCHAR
);
CREATE TABLE IF NOT EXISTS writeback.journal (
    project VARCHAR NOT NULL, batch VARCHAR NOT NULL, proposal BIGINT, run_id VARCHAR, request INTEGER, record VARCHAR,
    event VARCHAR, instrument VARCHAR, instance VARCHAR, field VARCHAR, seen_value VARCHAR, before_value VARCHAR,
    new_value VARCHAR, after_value VARCHAR, status VARCHAR, message VARCHAR, reason VARCHAR, author VARCHAR,
    intended_at TIMESTAMP, settled_at TIMESTAMP, accounted_run VARCHAR
);

-- is_there --
-- Whether the file has a journal.
SELECT count(*) > 0 FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = 'writeback' AND table_name = 'journal';

-- last_number --
-- The highest number given to a proposal.
SELECT coalesce(max(proposal), 0) FROM writeback.proposals;

-- create_batch --
-- Does nothing if the batch exists.
INSERT INTO writeback.batches (project, batch, author, source, reverts, created_at, proposals)
SELECT $project, $batch, $author, $source, $reverts, $now, 0
WHERE NOT EXISTS (SELECT 1 FROM writeback.batches WHERE batch = $batch);

-- supersede --
-- A new proposal for a cell replaces an open one that could not be written.
UPDATE writeback.proposals AS p SET status = 'superseded'
FROM (
    SELECT unnest($record::VARCHAR[]) AS record, unnest($event::VARCHAR[]) AS event,
           unnest($instance::VARCHAR[]) AS instance, unnest($field::VARCHAR[]) AS field
) n
WHERE p.status = 'open' AND p.decision IN ('conflict', 'invalid') AND p.record = n.record
  AND coalesce(p.event, '') = n.event AND coalesce(p.instance, '') = n.instance AND p.field = n.field;

-- add_proposals --
-- Proposals given as lists, one per column.
INSERT INTO writeback.proposals
SELECT $project, $batch, number, record, nullif(event, ''), nullif(instrument, ''), nullif(instance, ''), field,
       nullif(seen, ''), new, new = '', nullif(reason, ''), author, $now, 'open', NULL, NULL, NULL, NULL, NULL
FROM (
    SELECT unnest($number::BIGINT[]) AS number, unnest($record::VARCHAR[]) AS record, unnest($event::VARCHAR[]) AS event,
           unnest($instrument::VARCHAR[]) AS instrument, unnest($instance::VARCHAR[]) AS instance,
           unnest($field::VARCHAR[]) AS field, unnest($seen::VARCHAR[]) AS seen, unnest($new::VARCHAR[]) AS new,
           unnest($reason::VARCHAR[]) AS reason, unnest($author::VARCHAR[]) AS author
);

-- supersede_found --
-- The same for the rows of the temporary table found.
UPDATE writeback.proposals AS p SET status = 'superseded'
FROM found n
WHERE p.status = 'open' AND p.decision IN ('conflict', 'invalid') AND p.record = n.record
  AND coalesce(p.event, '') = n.event AND coalesce(p.instance, '') = n.instance AND p.field = n.field;

-- add_found --
-- The proposals that a submission was found to make (comparison.sql), in the order of its rows.
INSERT INTO writeback.proposals
SELECT $project, batch, (SELECT coalesce(max(proposal), 0) FROM writeback.proposals)
       + row_number() OVER (ORDER BY row, rowid), record, nullif(event, ''), nullif(instrument, ''),
       nullif(instance, ''), field, nullif(seen, ''), new, new = '', nullif(reason, ''), author, $now, 'open',
       NULL, NULL, NULL, NULL, NULL
FROM found;

-- open_proposals --
-- In the order in which they were proposed. A batch that undoes another is included only if it is named: planning a
-- revert does not ask for it to be sent. An instance that an earlier attempt at the batch created is identified by its
-- number from then on.
SELECT p.proposal, p.batch, p.record, coalesce(p.event, ''), coalesce(p.instrument, ''),
       coalesce(m.instance, p.instance, ''), p.field, coalesce(p.seen_value, ''), p.new_value,
       coalesce(p.reason, ''), coalesce(p.author, ''),
       CASE WHEN p.decision = 'invalid' THEN coalesce(p.decision_reason, '') ELSE '' END,
       p.batch IN (SELECT batch FROM writeback.batches WHERE reverts IS NOT NULL)
FROM writeback.proposals p
LEFT JOIN (
    SELECT q.batch, q.record, q.event, j.instrument, q.instance AS label, max(j.instance) AS instance
    FROM writeback.proposals q JOIN writeback.journal j USING (proposal)
    WHERE q.instance LIKE 'new%' AND j.status IN ('confirmed', 'not confirmed')
    GROUP BY ALL
) m ON m.batch = p.batch AND m.record = p.record AND m.event IS NOT DISTINCT FROM p.event AND m.label = p.instance
   AND (p.instrument IS NULL OR p.instrument = m.instrument)
WHERE p.status = 'open'
  AND CASE WHEN $batch IS NULL THEN p.batch NOT IN (SELECT batch FROM writeback.batches WHERE reverts IS NOT NULL)
           ELSE p.batch = $batch END
ORDER BY p.proposal;

-- read_batches --
-- All batches, oldest first.
SELECT batch, coalesce(author, ''), coalesce(source, ''), coalesce(reverts, ''), created_at, proposals
FROM writeback.batches ORDER BY created_at, batch;

-- save_decisions --
-- The decisions of a plan, stored with the proposals so that a person can read them. When a batch is applied, the
-- proposals that are already there or invalid are closed.
UPDATE writeback.proposals AS p
SET decision = d.decision, decision_reason = nullif(d.reason, ''), warning = nullif(d.warning, ''), decided_at = $now,
    run_id = $run_id,
    status = CASE WHEN d.final AND d.decision IN ('already there', 'invalid') THEN d.decision ELSE p.status END
FROM (
    SELECT unnest($number::BIGINT[]) AS number, unnest($decision::VARCHAR[]) AS decision,
           unnest($reason::VARCHAR[]) AS reason, unnest($warning::VARCHAR[]) AS warning,
           $final::BOOLEAN AS final
) d
WHERE p.proposal = d.number AND p.status = 'open';

-- columns_with_values --
-- The columns for which proposals hold values.
SELECT DISTINCT field FROM writeback.proposals WHERE seen_value IS NOT NULL OR new_value IS NOT NULL;

-- empty_withheld --
-- Values that the warehouse may not keep any more: they were proposed before projects.yaml excluded identifiers, or
-- before the field was marked as one. The journal is unchanged: it records what was written to REDCap, as the project's
-- history does.
UPDATE writeback.proposals
SET seen_value = NULL, new_value = NULL,
    decision = CASE WHEN status = 'open' THEN 'invalid' ELSE decision END,
    decision_reason = CASE WHEN status = 'open' AND decision IS DISTINCT FROM 'invalid' THEN $reason
                           ELSE decision_reason END,
    decided_at = CASE WHEN status = 'open' THEN $now ELSE decided_at END,
    run_id = CASE WHEN status = 'open' THEN $run_id ELSE run_id END,
    status = CASE WHEN status = 'open' THEN 'invalid' ELSE status END
WHERE list_contains($fields::VARCHAR[], field) AND (seen_value IS NOT NULL OR new_value IS NOT NULL);

-- record_intended --
-- Committed before the request is sent: whatever happens then, these are the cells to read back.
INSERT INTO writeback.journal
SELECT $project, batch, number, $run_id, $request, record, nullif(event, ''), instrument, nullif(instance, ''), field,
       nullif(seen, ''), nullif(before, ''), nullif(new, ''), NULL, 'intended', NULL, nullif(reason, ''), author, $now,
       NULL, NULL
FROM (
    SELECT unnest($number::BIGINT[]) AS number, unnest($batch::VARCHAR[]) AS batch, unnest($record::VARCHAR[]) AS record,
           unnest($event::VARCHAR[]) AS event, unnest($instrument::VARCHAR[]) AS instrument,
           unnest($instance::VARCHAR[]) AS instance, unnest($field::VARCHAR[]) AS field,
           unnest($seen::VARCHAR[]) AS seen, unnest($before::VARCHAR[]) AS before, unnest($new::VARCHAR[]) AS new,
           unnest($reason::VARCHAR[]) AS reason, unnest($author::VARCHAR[]) AS author
);

-- intended --
-- Cells that may have been sent and whose outcome is not known.
SELECT proposal, batch, run_id, request, record, coalesce(event, ''), coalesce(instrument, ''), coalesce(instance, ''),
       field, coalesce(seen_value, ''), coalesce(before_value, ''), coalesce(new_value, ''), coalesce(reason, ''),
       coalesce(author, '')
FROM writeback.journal WHERE status = 'intended' ORDER BY intended_at, request, proposal;

-- records_to_refresh --
-- Records with confirmed cells that are not in the mirror yet. A deleted record has no rows to fetch.
SELECT DISTINCT record FROM writeback.journal
WHERE status = 'confirmed' AND accounted_run IS NULL
  AND record NOT IN (SELECT record FROM redcap.records WHERE deleted_at IS NOT NULL)
ORDER BY record;

-- record_outcomes --
-- What happened to cells that were intended.
UPDATE writeback.journal AS j
SET status = s.status, after_value = nullif(s.after, ''), message = nullif(s.message, ''), settled_at = $now
FROM (
    SELECT unnest($number::BIGINT[]) AS number, unnest($status::VARCHAR[]) AS status, unnest($after::VARCHAR[]) AS after,
           unnest($message::VARCHAR[]) AS message
) s
WHERE j.proposal = s.number AND j.status = 'intended';

-- close_proposals --
-- A proposal ends when its cell was sent and read back; one whose request never reached REDCap stays open.
UPDATE writeback.proposals AS p SET status = s.status
FROM (SELECT unnest($number::BIGINT[]) AS number, unnest($status::VARCHAR[]) AS status) s
WHERE p.proposal = s.number AND p.status = 'open';

-- attribute --
-- Changes that a run found in REDCap and that write-back made: they are counted once, with origin writeback.
UPDATE redcap.record_changes AS c
SET origin = 'writeback', changed_by = nullif(j.author, ''), changed_at = j.intended_at, reason = j.reason
FROM writeback.journal j
WHERE c.run_id = $run_id AND c.origin = 'redcap' AND j.accounted_run IS NULL
  AND j.status IN ('intended', 'confirmed', 'not confirmed')
  AND c.record = j.record AND c.event IS NOT DISTINCT FROM j.event AND c.instrument = j.instrument
  AND c.instance IS NOT DISTINCT FROM j.instance AND c.field = j.field
  AND (c.new_value IS NOT DISTINCT FROM j.new_value
       OR (j.status = 'confirmed' AND c.new_value IS NOT DISTINCT FROM j.after_value)
       OR (coalesce(c.new_value, '0') = '0' AND contains(c.field, '___') AND coalesce(j.new_value, '0') = '0'));

-- mark_accounted --
-- Journal entries whose changes were attributed.
UPDATE writeback.journal AS j SET accounted_run = $run_id
WHERE j.accounted_run IS NULL AND EXISTS (
    SELECT 1 FROM redcap.record_changes c
    WHERE c.run_id = $run_id AND c.origin = 'writeback' AND c.record = j.record
      AND c.event IS NOT DISTINCT FROM j.event AND c.instrument = j.instrument
      AND c.instance IS NOT DISTINCT FROM j.instance AND c.field = j.field
);

-- unaccounted_columns --
-- The columns of confirmed cells in these records that have no attributed change.
SELECT DISTINCT instrument, field FROM writeback.journal
WHERE accounted_run IS NULL AND status = 'confirmed' AND list_contains($records::VARCHAR[], record);

-- record_changed_after_write --
-- Cells that held what was sent when they were read back, and that somebody changed before their record was fetched.
UPDATE writeback.journal AS j
SET status = 'not confirmed', after_value = nullif(o.held, ''), message = $message, accounted_run = $run_id
FROM (SELECT unnest($number::BIGINT[]) AS number, unnest($held::VARCHAR[]) AS held) o
WHERE j.proposal = o.number AND j.status = 'confirmed' AND j.accounted_run IS NULL;

-- mark_not_confirmed --
-- The proposals of such cells.
UPDATE writeback.proposals SET status = 'not confirmed' WHERE list_contains($number::BIGINT[], proposal);

-- mark_refreshed --
-- Once the records are in the mirror as REDCap has them now, no later run can find a change of these cells.
UPDATE writeback.journal SET accounted_run = $run_id
WHERE accounted_run IS NULL AND status = 'confirmed' AND list_contains($records::VARCHAR[], record);

-- count_waiting --
-- Cells that a load has to look for among the changes it found.
SELECT count(*) FROM writeback.journal
WHERE accounted_run IS NULL AND status IN ('intended', 'confirmed', 'not confirmed');

-- mark_passed --
-- Entries that a load is done with: it has read every record that changed, except those on its list of pending ones.
UPDATE writeback.journal SET accounted_run = $run_id
WHERE accounted_run IS NULL AND status IN ('confirmed', 'not confirmed')
  AND record NOT IN (SELECT record FROM state.todo);

-- written_cells --
-- The cells whose changes a run found and attributed to write-back: other changes can only have followed from these.
CREATE OR REPLACE TEMP TABLE written_cells AS
SELECT j.record, j.event, j.instrument, j.instance, j.field, j.batch, j.proposal, j.intended_at,
       coalesce(nullif(b.author, ''), j.author) AS author
FROM writeback.journal j
JOIN redcap.record_changes c ON c.record = j.record AND c.event IS NOT DISTINCT FROM j.event
     AND c.instrument = j.instrument AND c.instance IS NOT DISTINCT FROM j.instance AND c.field = j.field
LEFT JOIN writeback.batches b ON b.batch = j.batch
WHERE j.accounted_run = $run_id AND j.proposal IS NOT NULL AND j.status IN ('intended', 'confirmed', 'not confirmed')
  AND c.run_id = $run_id AND c.origin = 'writeback';

-- count_written_cells --
-- How many such cells there are.
SELECT count(*) FROM written_cells;

-- calculated --
-- The fields that REDCap calculates (as in redcap_source.dictionary.is_calculated), each with its calculation.
CREATE OR REPLACE TEMP TABLE calculated AS
SELECT field_name AS field,
       CASE WHEN field_type = 'calc' THEN select_choices_or_calculations ELSE field_annotation END AS calculation
FROM redcap.data_dictionary WHERE field_type = 'calc' OR regexp_matches(field_annotation, $tag);

-- follow_opened --
-- Forms that were opened by what was written: their status, and their options that nobody ticked, went from blank to 0.
-- If the row was read directly before the request, that decides; otherwise a form counts as opened by somebody else who
-- changed something in its row.
INSERT INTO writeback.journal
SELECT $project, w.batch, NULL, $run_id, NULL, c.record, c.event, c.instrument, c.instance, c.field, c.old_value,
       c.old_value, NULL, c.new_value, 'followed', 'the form was opened by what was written',
       'followed from batch ' || w.batch, w.author, NULL, $now, $run_id
FROM redcap.record_changes c
JOIN (
    SELECT record, event, instrument, instance, arg_min(batch, proposal) AS batch, arg_min(author, proposal) AS author
    FROM written_cells GROUP BY ALL
) w ON w.record = c.record AND w.event IS NOT DISTINCT FROM c.event AND w.instrument = c.instrument
   AND w.instance IS NOT DISTINCT FROM c.instance
WHERE c.run_id = $run_id AND c.origin = 'redcap' AND c.old_value IS NULL AND c.new_value = '0'
  AND (c.field = c.instrument || '_complete' OR contains(c.field, '___'))
  AND CASE WHEN $looked THEN (c.record, coalesce(c.event, ''), c.instrument, coalesce(c.instance, '')) IN (
          SELECT u.record, u.event, u.instrument, u.instance
          FROM (SELECT unnest($record::VARCHAR[]) AS record, unnest($event::VARCHAR[]) AS event,
                       unnest($instrument::VARCHAR[]) AS instrument, unnest($instance::VARCHAR[]) AS instance) u
      ) ELSE NOT EXISTS (
          SELECT 1 FROM redcap.record_changes p
          WHERE p.run_id = $run_id AND p.origin = 'redcap' AND p.record = c.record
            AND p.event IS NOT DISTINCT FROM c.event AND p.instrument = c.instrument
            AND p.instance IS NOT DISTINCT FROM c.instance
            AND NOT (p.old_value IS NULL AND p.new_value = '0'
                     AND (p.field = p.instrument || '_complete' OR contains(p.field, '___')))
            AND p.field NOT IN (SELECT field FROM calculated)
      ) END;

-- follow_calculated --
-- Calculated fields that changed because one of their inputs was written, unless somebody else changed another input.
-- The inputs are named in the calculation, in brackets; a calculation may use another calculation.
INSERT INTO writeback.journal
WITH RECURSIVE named AS (
    SELECT field, unnest(regexp_extract_all(lower(calculation), '\[([a-z][a-z0-9_]*)', 1)) AS input FROM calculated
),
inputs AS (
    SELECT field, input FROM named
    UNION
    SELECT inputs.field, named.input FROM inputs JOIN named ON named.field = inputs.input
),
causes AS (
    SELECT record, field, batch, author, proposal FROM written_cells
    UNION ALL
    SELECT record, field, batch, author, 0 FROM writeback.journal WHERE run_id = $run_id AND status = 'followed'
),
moved AS (
    SELECT causes.record, inputs.field, arg_min(causes.batch, causes.proposal) AS batch,
           arg_min(causes.author, causes.proposal) AS author
    FROM causes JOIN inputs ON inputs.input = split_part(causes.field, '___', 1) GROUP BY ALL
),
moved_by_others AS (
    SELECT DISTINCT p.record, inputs.field
    FROM redcap.record_changes p JOIN inputs ON inputs.input = split_part(p.field, '___', 1)
    WHERE p.run_id = $run_id AND p.origin = 'redcap' AND p.field NOT IN (SELECT field FROM named)
      AND NOT EXISTS (
          SELECT 1 FROM writeback.journal f
          WHERE f.run_id = $run_id AND f.status = 'followed' AND f.record = p.record AND f.field = p.field
            AND f.event IS NOT DISTINCT FROM p.event AND f.instance IS NOT DISTINCT FROM p.instance
      )
)
SELECT $project, m.batch, NULL, $run_id, NULL, c.record, c.event, c.instrument, c.instance, c.field, c.old_value,
       c.old_value, NULL, c.new_value, 'followed', 'calculated anew by REDCap', 'followed from batch ' || m.batch,
       m.author, NULL, $now, $run_id
FROM redcap.record_changes c
JOIN moved m ON m.record = c.record AND m.field = c.field
ANTI JOIN moved_by_others o ON o.record = c.record AND o.field = c.field
WHERE c.run_id = $run_id AND c.origin = 'redcap';

-- claim_followed --
-- Changes that followed get write-back as their origin, and the time of the request they followed from.
UPDATE redcap.record_changes AS c
SET origin = 'writeback', changed_by = nullif(f.author, ''), reason = f.reason,
    changed_at = (SELECT min(w.intended_at) FROM written_cells w WHERE w.record = f.record AND w.batch = f.batch)
FROM writeback.journal f
WHERE f.run_id = $run_id AND f.status = 'followed' AND c.run_id = $run_id AND c.origin = 'redcap'
  AND c.record = f.record AND c.event IS NOT DISTINCT FROM f.event AND c.instrument = f.instrument
  AND c.instance IS NOT DISTINCT FROM f.instance AND c.field = f.field;

-- total_batches --
-- Counts every batch's proposals by their state.
UPDATE writeback.batches AS b
SET proposals = t.proposals, open = t.open, confirmed = t.confirmed, already_there = t.already_there,
    conflicts = t.conflicts, invalid = t.invalid, failed = t.failed, not_confirmed = t.not_confirmed,
    followed = (SELECT count(*) FROM writeback.journal j WHERE j.batch = b.batch AND j.status = 'followed')
FROM (
    SELECT batch, count(*) AS proposals, count(*) FILTER (status = 'open') AS open,
           count(*) FILTER (status = 'confirmed') AS confirmed,
           count(*) FILTER (status = 'already there' OR (status = 'open' AND decision = 'already there')) AS already_there,
           count(*) FILTER (status = 'open' AND decision = 'conflict') AS conflicts,
           count(*) FILTER (status = 'invalid' OR (status = 'open' AND decision = 'invalid')) AS invalid,
           count(*) FILTER (status = 'failed') AS failed, count(*) FILTER (status = 'not confirmed') AS not_confirmed
    FROM writeback.proposals GROUP BY batch
) t
WHERE b.batch = t.batch;

-- mark_planned --
-- Batches that a run planned.
UPDATE writeback.batches SET planned_at = $now, run_id = $run_id WHERE list_contains($batches::VARCHAR[], batch);

-- mark_applied --
-- Batches that a run applied.
UPDATE writeback.batches SET applied_at = $now, run_id = $run_id WHERE list_contains($batches::VARCHAR[], batch);

-- undoing --
-- What undoes a batch: each cell it changed since it was last undone, with its value now and its value before.
SELECT j.record, coalesce(j.event, ''), j.instrument, coalesce(j.instance, ''), j.field,
       coalesce(arg_max(coalesce(j.after_value, ''), j.settled_at), ''),
       coalesce(arg_min(coalesce(j.before_value, ''), j.settled_at), '')
FROM writeback.journal j
LEFT JOIN (
    SELECT record, event, instance, field, max(proposed_at) AS undone_at FROM writeback.proposals
    WHERE batch = $reverse AND status IN ('confirmed', 'already there') GROUP BY ALL
) u ON u.record = j.record AND u.event IS NOT DISTINCT FROM j.event AND u.instance IS NOT DISTINCT FROM j.instance
   AND u.field = j.field
WHERE j.batch = $batch AND j.status = 'confirmed' AND (u.undone_at IS NULL OR j.settled_at > u.undone_at)
GROUP BY ALL ORDER BY min(j.proposal);

-- supersede_open --
-- The open proposals of a batch that is made again from what REDCap holds now.
UPDATE writeback.proposals SET status = 'superseded' WHERE batch = $batch AND status = 'open';

-- count_by_state --
-- The proposals of a batch by whether they can still be withdrawn; of some records only if any are named. A cell that is
-- intended may have been sent.
SELECT CASE WHEN p.status IN ('confirmed', 'not confirmed') OR j.proposal IS NOT NULL THEN 'sent'
            WHEN p.status = 'open' THEN 'open' ELSE 'ended' END AS state, count(*)
FROM writeback.proposals p
LEFT JOIN (SELECT DISTINCT proposal FROM writeback.journal WHERE status = 'intended') j USING (proposal)
WHERE p.batch = $batch AND ($every_record OR list_contains($records::VARCHAR[], p.record))
GROUP BY ALL;

-- records_with_proposals --
-- How many of these records the batch has proposals for.
SELECT count(DISTINCT record) FROM writeback.proposals
WHERE batch = $batch AND list_contains($records::VARCHAR[], record);

-- withdraw --
-- Proposals that may have been sent are not withdrawn.
UPDATE writeback.proposals AS p
SET status = 'withdrawn', decided_at = $now, decision_reason = 'withdrawn' || coalesce(' by ' || nullif($author, ''), '')
WHERE p.batch = $batch AND p.status = 'open' AND ($every_record OR list_contains($records::VARCHAR[], p.record))
  AND p.proposal NOT IN (SELECT proposal FROM writeback.journal WHERE status = 'intended' AND proposal IS NOT NULL);
