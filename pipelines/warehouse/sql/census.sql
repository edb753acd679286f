-- Which records a project has, and in which events they have rows. The temporary tables: census, the rows of the last
-- census of all events; brief_census, those of one of some events.

-- drop_census --
-- Of a large project the rows take more memory than a chunk.
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
-- The event is chosen.
INSERT INTO covered SELECT DISTINCT record FROM census WHERE event = $event;

-- make_bits --
-- A bit for each set of events that has an event.
CREATE OR REPLACE TEMP TABLE bits (event VARCHAR, bit BIGINT);

-- fill_bits --
-- An event has a row for each set it is in.
INSERT INTO bits SELECT unnest($events::VARCHAR[]), unnest($bits::BIGINT[]);

-- scope_masks --
-- For each record the bits of the sets of events in which it has rows, in REDCap's order.
SELECT coalesce(bit_or(bit), 0) FROM census LEFT JOIN bits USING (event) GROUP BY record ORDER BY min(n);
