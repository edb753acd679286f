-- What the next night needs to know; private to the working file of one project.

-- create_state --
CREATE SCHEMA IF NOT EXISTS state;
-- Which file this is: what is published of another one has to be published anew.
CREATE TABLE IF NOT EXISTS state.identity (identity VARCHAR, format INTEGER);
-- The identity of the published working file that `--start-over` gave up for this one: only that one may it replace.
CREATE TABLE IF NOT EXISTS state.started_over (identity VARCHAR);
-- One row where identifiers were hashed: tells the key they were hashed with from any other.
CREATE TABLE IF NOT EXISTS state.hash_key (fingerprint VARCHAR);
-- One row: how large the file was when it was last written afresh.
CREATE TABLE IF NOT EXISTS state.fresh (bytes BIGINT);
-- One row: how far the mirror is known to be whole, on REDCap's clock (UTC).
CREATE TABLE IF NOT EXISTS state.watermark (upto TIMESTAMP, run_id VARCHAR);
-- One row: every record that is not to do is in the mirror as it was then or later, on REDCap's clock (UTC); the same
-- moment on the server's wall clock, where its log told; and how far REDCap's clock was ahead of this computer's.
CREATE TABLE IF NOT EXISTS state.frontier (upto TIMESTAMP, wall TIMESTAMP, ahead_seconds BIGINT);
-- Records that have to be read before the mirror is whole; what lands leaves the list in the same transaction.
CREATE TABLE IF NOT EXISTS state.todo (record VARCHAR);
-- The records of the last census, each with a digest of where it had rows and of its data access group: in all events
-- (`seen`), or in the few that were asked for (`briefly`).
CREATE TABLE IF NOT EXISTS state.census (record VARCHAR, seen VARCHAR, briefly VARCHAR);
-- The events in which every record is expected to have a row.
CREATE TABLE IF NOT EXISTS state.cover (event VARCHAR);
-- When everything was to be read again, on REDCap's clock, and whether all of that has come.
CREATE TABLE IF NOT EXISTS state.refresh (upto TIMESTAMP, finished BOOLEAN);
-- How far REDCap's wall clock is ahead of UTC, learned from its own log.
CREATE TABLE IF NOT EXISTS state.clock (offset_seconds INTEGER, learned_at TIMESTAMP);
-- What REDCap's log says of the records this load looks at; times are UTC where they could be told.
CREATE TABLE IF NOT EXISTS state.logged (
    record VARCHAR, what VARCHAR, columns VARCHAR[], instance VARCHAR, event_label VARCHAR, username VARCHAR,
    changed_at TIMESTAMP
);
-- Rows of the log that read as a new id of a record, each told of once: the run that did, and whether what it found
-- shows which id the record had before.
CREATE TABLE IF NOT EXISTS state.id_changes (record VARCHAR, changed_at TIMESTAMP, run_id VARCHAR, explained BOOLEAN);
-- The columns the token could see last time, in REDCap's order.
CREATE TABLE IF NOT EXISTS state.visible_columns (position INTEGER, name VARCHAR);
-- When each instrument's rows or columns last changed, so that publishing copies only what did; what decides its
-- cells; and whether all records' cells have to be read again, because that changed.
CREATE TABLE IF NOT EXISTS state.instruments (
    instrument VARCHAR, changed_run VARCHAR, changed_at TIMESTAMP, definition JSON, stale BOOLEAN
);
-- How each instrument is shown to analysts: statements made when the structure was read.
CREATE TABLE IF NOT EXISTS state.publication (
    position INTEGER, instrument VARCHAR, raw_select VARCHAR, typed_select VARCHAR, label_select VARCHAR,
    comments JSON, keys JSON
);
-- The structure in the form it is compared in, for drift.
CREATE TABLE IF NOT EXISTS state.structure (described VARCHAR);
-- What the server taught us about itself: the next night starts from here.
CREATE TABLE IF NOT EXISTS state.chunking (records INTEGER, learned_at TIMESTAMP);

-- is_made --
SELECT identity, format FROM state.identity;

-- is_old --
-- Whether the file is older than its identity.
SELECT count(*) > 0 FROM duckdb_schemas() WHERE database_name = current_database() AND schema_name = 'raw';

-- make_identity --
INSERT INTO state.identity VALUES ($identity, $format);

-- note_started_over --
INSERT INTO state.started_over VALUES ($identity);

-- owner --
-- Whose loads these are; none before the first.
SELECT any_value(project) FROM redcap.sync_runs;

-- can_hash --
-- Whether the file has come as far as to have a place for the fingerprint.
SELECT count(*) > 0 FROM duckdb_tables()
WHERE database_name = current_database() AND schema_name = 'state' AND table_name = 'hash_key';

-- read_hash_key --
SELECT fingerprint FROM state.hash_key;

-- note_hash_key --
INSERT INTO state.hash_key SELECT $fingerprint WHERE NOT EXISTS (FROM state.hash_key);

-- read_frontier --
SELECT upto, wall, ahead_seconds FROM state.frontier;

-- read_instruments --
SELECT instrument, definition, stale FROM state.instruments;

-- read_refresh --
-- When the last refresh that was completed began, and whether one is under way.
SELECT max(upto) FILTER (finished), coalesce(bool_or(NOT finished), false) FROM state.refresh;

-- any_ended --
SELECT 1 FROM redcap.sync_runs WHERE outcome IN ('ok', 'incomplete') LIMIT 1;

-- read_clock --
SELECT offset_seconds FROM state.clock;

-- write_clock --
DELETE FROM state.clock;
INSERT INTO state.clock VALUES ($offset_seconds, $now);

-- read_watermark --
SELECT upto FROM state.watermark;

-- clear_watermark --
DELETE FROM state.watermark;

-- write_watermark --
-- The last statement of a load: everything before $upto is in the mirror.
INSERT INTO state.watermark VALUES ($upto, $run_id);

-- read_visible_columns --
SELECT name FROM state.visible_columns ORDER BY position;

-- read_chunking --
SELECT records FROM state.chunking;

-- clear_chunking --
DELETE FROM state.chunking;

-- write_chunking --
INSERT INTO state.chunking VALUES ($records, $now);

-- begin_run --
INSERT INTO redcap.sync_runs (project, run_id, mode, started_at, outcome, watermark_from, redcap_version)
VALUES ($project, $run_id, $mode, $started_at, 'running', $watermark_from, NULL);

-- abandon_running --
-- A run that is still "running" when the next one begins was killed.
UPDATE redcap.sync_runs SET outcome = 'killed', finished_at = $now, message = 'The process ended before the load did.'
WHERE outcome = 'running' AND run_id <> $run_id;

-- end_run --
UPDATE redcap.sync_runs
SET finished_at = greatest($finished_at, started_at), outcome = $outcome, message = $message, requests = $requests, bytes = $bytes,
    seconds = $seconds
WHERE run_id = $run_id;

-- total_run --
-- What the run did, summed from its chunk ledger and from the rows it touched.
UPDATE redcap.sync_runs
SET records_in_redcap = $records_in_redcap, records_loaded = $records_loaded, records_added = $records_added,
    records_changed = $records_changed, records_unchanged = $records_unchanged, records_deleted = $records_deleted,
    records_renamed = $records_renamed, records_quarantined = $records_quarantined, rows_inserted = $rows_inserted, rows_updated = $rows_updated,
    rows_deleted = $rows_deleted, rows_unchanged = $rows_unchanged, cells = $cells,
    invalid_values = (SELECT count(*) FROM redcap.invalid_values), chunks = $chunks,
    watermark_to = $watermark_to, redcap_version = $redcap_version
WHERE run_id = $run_id;

-- write_chunk --
INSERT INTO redcap.sync_chunks
VALUES ($project, $run_id, $chunk, $asked, $returned, $rows, $bytes, $seconds, $attempts, $outcome, $message);

-- forget_chunks --
DELETE FROM redcap.sync_chunks WHERE run_id = $run_id;

-- last_run --
SELECT run_id, outcome, started_at, finished_at FROM redcap.sync_runs
WHERE mode IS DISTINCT FROM 'writeback' ORDER BY started_at DESC LIMIT 1;

-- otherwise_seen --
-- Records that are new, or have rows elsewhere or another data access group than in the last census.
SELECT record FROM census_now ANTI JOIN state.census USING (record, seen)
UNION
SELECT record FROM census_now ANTI JOIN (SELECT record FROM redcap.records WHERE deleted_at IS NULL) USING (record);

-- keep_census --
DELETE FROM state.census;
INSERT INTO state.census SELECT record, seen, NULL FROM census_now;

-- otherwise_seen_briefly --
-- The same where only some events were asked for; a record never looked at in this way tells nothing yet.
SELECT record FROM census_now n JOIN state.census c USING (record) WHERE c.briefly <> n.seen
UNION
SELECT record FROM census_now ANTI JOIN (SELECT record FROM redcap.records WHERE deleted_at IS NULL) USING (record);

-- new_briefly --
SELECT count(*) FROM (SELECT record, seen FROM census_now EXCEPT SELECT record, briefly FROM state.census);

-- keep_census_briefly --
CREATE OR REPLACE TEMP TABLE census_next AS
SELECT n.record, c.seen, n.seen AS briefly FROM census_now n LEFT JOIN state.census c USING (record);
DELETE FROM state.census;
INSERT INTO state.census SELECT * FROM census_next;
DROP TABLE census_next;

-- read_cover --
SELECT event FROM state.cover;

-- clear_cover --
DELETE FROM state.cover;

-- write_cover --
INSERT INTO state.cover SELECT unnest($events::VARCHAR[]);

-- keep_todo --
-- What is to do: what was before, and what is new, as far as REDCap still has it.
DELETE FROM state.todo WHERE record NOT IN (SELECT record FROM census_now);
INSERT INTO state.todo
SELECT record FROM census_now SEMI JOIN (SELECT unnest($records::VARCHAR[]) AS record) USING (record)
EXCEPT SELECT record FROM state.todo;

-- read_todo --
SELECT record FROM census_now SEMI JOIN state.todo USING (record) ORDER BY n;

-- move_frontier --
DELETE FROM state.frontier;
INSERT INTO state.frontier VALUES ($upto, $wall, $ahead_seconds);

-- begin_refresh --
INSERT INTO state.refresh VALUES ($upto, false);

-- end_refresh --
-- The rest of the table is of no use any more.
DELETE FROM state.refresh WHERE upto < (SELECT max(upto) FROM state.refresh);
UPDATE state.refresh SET finished = true;

-- landed --
DELETE FROM state.todo WHERE record IN (SELECT unnest($records::VARCHAR[]));

-- to_do --
SELECT count(*) FROM state.todo;

-- records_of --
SELECT count(*) FILTER (first_seen = $now), count(*) FILTER (first_seen < $now)
FROM redcap.records WHERE deleted_at IS NULL AND last_changed = $now;

-- sign_changes --
-- Who made a change and when, where REDCap's log names the record and the field; the latest who did. The log keeps an
-- event's label of the moment: one that another event has since this run's structure was read tells of neither.
UPDATE redcap.record_changes AS c SET changed_by = signed.username, changed_at = signed.changed_at
FROM (
    WITH labels AS (
        SELECT e.unique_event_name, e.event_name || ' (Arm ' || e.arm_num || ': ' || a.name || ')' AS label
        FROM redcap.events e LEFT JOIN redcap.arms a USING (arm_num)
    ),
    passed_on AS (
        SELECT labels.label FROM redcap.dictionary_changes d
        JOIN redcap.events was ON was.unique_event_name = d.name
        JOIN redcap.events now ON now.event_name = d.old_value AND now.arm_num = was.arm_num
        JOIN labels ON labels.unique_event_name = now.unique_event_name
        WHERE d.run_id = $run_id AND d.kind = 'event' AND d.change = 'relabelled' AND labels.label IS NOT NULL
    )
    SELECT mine.row, max(l.changed_at) AS changed_at,
           arg_max(l.username, coalesce(l.changed_at, TIMESTAMP '1970-01-01')) AS username
    FROM (
        SELECT rowid AS row, record, event, coalesce(instance, '1') AS instance, field, change
        FROM redcap.record_changes WHERE run_id = $run_id AND origin = 'redcap' AND changed_by IS NULL
    ) mine
    JOIN state.logged l ON l.record = mine.record
    LEFT JOIN labels ON labels.unique_event_name = mine.event
    WHERE (l.what = 'deleted' AND mine.change = 'delete')
       OR (l.what = 'renamed' AND mine.change = 'rename')
       OR (l.what = 'group' AND mine.field = 'redcap_data_access_group')
       OR (l.what IN ('saved', 'randomized') AND list_contains(l.columns, mine.field) AND coalesce(l.instance, '1') = mine.instance
           AND (l.event_label IS NULL OR l.event_label NOT IN (SELECT label FROM passed_on))
           AND (l.event_label IS NULL OR labels.label IS NULL OR l.event_label = labels.label
                OR l.event_label NOT IN (SELECT label FROM labels WHERE label IS NOT NULL)))
    GROUP BY mine.row
) signed
WHERE c.rowid = signed.row AND c.run_id = $run_id;

-- known_records --
-- Records the mirror holds and has not seen deleted.
SELECT record FROM redcap.records WHERE deleted_at IS NULL;

-- inexact --
-- The columns of each instrument that hold numbers which their type would change.
SELECT instrument, list(DISTINCT field) FROM redcap.invalid_values WHERE reason = $reason GROUP BY instrument;
