-- REDCap's log on its way from files of the staging folder into the working file: JSON, an object a line.

-- drop_since --
-- What is asked for again takes the place of what was kept; the first minute may have come in part.
DELETE FROM redcap.audit_log WHERE timestamp > $begin;

-- keep_rows --
INSERT INTO redcap.audit_log BY NAME
SELECT $project AS project, timestamp, username, action, details, record, $run_id AS run_id
FROM read_json($files, format = 'newline_delimited', columns = {
    timestamp: 'TIMESTAMP', username: 'VARCHAR', action: 'VARCHAR', details: 'VARCHAR', record: 'VARCHAR'
})
WHERE timestamp > $begin;

-- forget_changes --
DELETE FROM state.logged;

-- keep_changes --
-- What the rows say of records, for signing; `log_times` holds the UTC of each moment of the server's wall clock.
INSERT INTO state.logged BY NAME
SELECT c.record, c.what, c.columns, c.instance, c.event_label, rows.username, log_times.utc AS changed_at
FROM (
    SELECT timestamp, username, unnest(changes) AS c
    FROM read_json($files, format = 'newline_delimited', columns = {
        timestamp: 'TIMESTAMP', username: 'VARCHAR',
        changes: 'STRUCT(record VARCHAR, what VARCHAR, columns VARCHAR[], instance VARCHAR, event_label VARCHAR)[]'
    })
    WHERE timestamp IS NULL OR timestamp >= $begin
) rows
LEFT JOIN log_times ON log_times.wall = rows.timestamp;

-- name_times --
CREATE OR REPLACE TEMP TABLE log_times AS
SELECT unnest($walls::TIMESTAMP[]) AS wall, unnest($utcs::TIMESTAMP[]) AS utc;

-- forget_times --
DROP TABLE log_times;
