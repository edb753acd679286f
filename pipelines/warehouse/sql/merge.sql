-- Merges a batch of chunks into the instruments' tables. Temporary tables: batch_records, the records it replaces;
-- batch, the rows as REDCap sent them; incoming, those of one instrument; present, the mirror's rows of these records;
-- differing, the keys of the rows that are to be inserted, replaced or deleted.

-- make_batch_records --
-- The records whose rows the batch replaces.
CREATE OR REPLACE TEMP TABLE batch_records AS SELECT unnest($records::VARCHAR[]) AS record;

-- drop_batch_records --
-- The batch is stored.
DROP TABLE batch_records;

-- drop_batch --
-- The next group of instruments makes its own.
DROP TABLE batch;

-- count_known_records --
-- How many of the batch's records the mirror has ever held: with none, there is nothing to compare.
SELECT count(*) FROM redcap.records SEMI JOIN batch_records USING (record);

-- revive_records --
-- Records that were deleted or renamed and are in REDCap again.
UPDATE redcap.records SET deleted_at = NULL, renamed_to = NULL, last_changed = $now
WHERE deleted_at IS NOT NULL AND record IN (SELECT record FROM batch_records);

-- add_records --
-- Records the mirror did not know.
INSERT INTO redcap.records
SELECT $project, record, $now, $now, NULL, NULL FROM batch_records ANTI JOIN redcap.records USING (record);

-- count_incoming --
-- How many rows of the instrument the batch has.
SELECT count(*) FROM incoming;

-- count_differing --
-- How many rows are to be inserted, replaced and deleted.
SELECT count(*) FILTER (NOT _was), count(*) FILTER (_was AND _stays), count(*) FILTER (NOT _stays) FROM differing;

-- change_records --
-- Records with a row that differs have changed.
UPDATE redcap.records SET last_changed = $now WHERE record IN (SELECT _record FROM differing);

-- drop_compared --
-- Dropped once the instrument is merged.
DROP TABLE present;
DROP TABLE differing;

-- drop_incoming_table --
-- The batch is stored; where rows were compared, they were a table.
DROP TABLE IF EXISTS incoming;

-- drop_incoming_view --
-- Where rows were not compared, they were a view.
DROP VIEW IF EXISTS incoming;
