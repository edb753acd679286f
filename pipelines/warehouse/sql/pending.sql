-- The records that must be read before the mirror is complete, and the census that finds some of them.
-- The table state.todo is the list; census_now holds the census of the load that is running, in REDCap's order.

-- make_census --
-- An empty table for the census of this load.
CREATE OR REPLACE TEMP TABLE census_now (n BIGINT, record VARCHAR, seen VARCHAR);

-- fill_census --
-- The census, numbered in REDCap's order.
INSERT INTO census_now
SELECT unnest(range($number)), unnest(records), unnest(seen)
FROM (SELECT $records::VARCHAR[] AS records, $seen::VARCHAR[] AS seen);

-- drop_census --
-- The census of this load is no longer needed.
DROP TABLE census_now;

-- read_digest --
-- The digest of the last census of all events, or of some.
SELECT digest FROM state.census_digest WHERE whole = $whole;

-- write_digest --
-- A census of one kind was stored or found to be the stored one; what is stored of the other kind may have changed.
DELETE FROM state.census_digest;
INSERT INTO state.census_digest VALUES ($whole, $digest);

-- not_known --
-- Records of the last census that the mirror does not hold.
SELECT record FROM state.census ANTI JOIN (SELECT record FROM redcap.records WHERE deleted_at IS NULL) USING (record);

-- seen_differently --
-- Records that are new, or whose events or data access group differ from the last census.
SELECT record FROM census_now ANTI JOIN state.census USING (record, seen)
UNION
SELECT record FROM census_now ANTI JOIN (SELECT record FROM redcap.records WHERE deleted_at IS NULL) USING (record);

-- seen_differently_briefly --
-- The same for a census of some events only; a record that no such census has seen before is not reported.
SELECT record FROM census_now n JOIN state.census c USING (record) WHERE c.briefly <> n.seen
UNION
SELECT record FROM census_now ANTI JOIN (SELECT record FROM redcap.records WHERE deleted_at IS NULL) USING (record);

-- count_census --
-- How many records the last census had.
SELECT count(*) FROM state.census;

-- count_new_briefly --
-- How many records differ between a census of some events and the last such census.
SELECT count(*) FROM (SELECT record, seen FROM census_now EXCEPT SELECT record, briefly FROM state.census);

-- save_census --
-- The census of all events replaces the last one.
DELETE FROM state.census;
INSERT INTO state.census SELECT record, seen, NULL FROM census_now;

-- save_census_briefly --
-- A census of some events keeps what the last census of all events saw.
CREATE OR REPLACE TEMP TABLE census_next AS
SELECT n.record, c.seen, n.seen AS briefly FROM census_now n LEFT JOIN state.census c USING (record);
DELETE FROM state.census;
INSERT INTO state.census SELECT * FROM census_next;
DROP TABLE census_next;

-- read_covering_events --
-- A few events in which every record had a row at the last census of all events.
SELECT event FROM state.cover;

-- write_covering_events --
-- The events in which every record has a row now.
DELETE FROM state.cover;
INSERT INTO state.cover SELECT unnest($events::VARCHAR[]);

-- save_pending --
-- Removes records that REDCap no longer has from the list, and adds the new ones that it does have.
DELETE FROM state.todo WHERE record NOT IN (SELECT record FROM census_now);
INSERT INTO state.todo
SELECT record FROM census_now SEMI JOIN (SELECT unnest($records::VARCHAR[]) AS record) USING (record)
EXCEPT SELECT record FROM state.todo;

-- read_todo --
-- The list, in no order.
SELECT record FROM state.todo;

-- replace_pending --
-- Another list.
DELETE FROM state.todo;
INSERT INTO state.todo SELECT unnest($records::VARCHAR[]);

-- read_pending --
-- The list, in REDCap's order.
SELECT record FROM census_now SEMI JOIN state.todo USING (record) ORDER BY n;

-- count_pending --
-- How many records are on the list.
SELECT count(*) FROM state.todo;

-- remove_pending --
-- Removes records that were read, or no longer exist, from the list.
DELETE FROM state.todo WHERE record IN (SELECT unnest($records::VARCHAR[]));

-- requeue --
-- Records that could not be fetched are put back on the list.
INSERT INTO state.todo SELECT unnest($records::VARCHAR[]) EXCEPT SELECT record FROM state.todo;

-- read_planned_until --
-- The time as of which, or of later, every record that is not on the list is in the mirror.
SELECT upto, wall, ahead_seconds FROM state.frontier;

-- write_planned_until --
-- That time advances when the list is made.
DELETE FROM state.frontier;
INSERT INTO state.frontier VALUES ($upto, $wall, $ahead_seconds);

-- begin_refresh --
-- All records are put on the list because a full refresh is due.
INSERT INTO state.refresh VALUES ($upto, false);

-- read_refresh --
-- When the last refresh that was completed began, and whether one is under way.
SELECT max(upto) FILTER (finished), coalesce(bool_or(NOT finished), false) FROM state.refresh;

-- end_refresh --
-- The latest refresh is complete; earlier ones are no longer needed.
DELETE FROM state.refresh WHERE upto < (SELECT max(upto) FROM state.refresh);
UPDATE state.refresh SET finished = true;
