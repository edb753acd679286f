-- Which records a project has, and in which events they have rows. The temporary tables: census, the rows of the last
-- census of all events; brief_census, those of one of some events.

-- drop_census --
-- The rows of a large project take more memory than a chunk.
DROP TABLE IF EXISTS census;
DROP TABLE IF EXISTS brief_census;
DROP TABLE IF EXISTS covered;

-- make_covered --
-- The records that have a row in one of the events chosen so far.
CREATE OR REPLACE TEMP TABLE covered (record VARCHAR);

-- best_event --
-- The event in which most of the other records have a row.
SELECT event FROM census ANTI JOIN covered USING (record)
GROUP BY event ORDER BY count(DISTINCT record) DESC, event LIMIT 1;

-- cover --
-- Adds the records of the event that was chosen.
INSERT INTO covered SELECT DISTINCT record FROM census WHERE event = $event;

-- make_bits --
-- For each event, the bits of the sets of events that contain it.
CREATE OR REPLACE TEMP TABLE bits (event VARCHAR, bit BIGINT);

-- fill_bits --
-- One row for each event and each set that contains it.
INSERT INTO bits SELECT unnest($events::VARCHAR[]), unnest($bits::BIGINT[]);

-- scope_masks --
-- For each record the bits of the sets of events in which it has rows, in REDCap's order.
SELECT coalesce(bit_or(bit), 0) FROM census LEFT JOIN bits USING (event) GROUP BY record ORDER BY min(n);

-- rows_of_records --
-- How many rows each event has of some records.
SELECT event, count(*) FROM census SEMI JOIN (SELECT unnest($records::VARCHAR[]) AS record) USING (record)
WHERE event IS NOT NULL GROUP BY event;
