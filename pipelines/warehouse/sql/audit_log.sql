-- Moves REDCap's log from files in the staging folder into the mirror. The files are JSON, one object per line.

-- delete_rows --
-- Rows that were read again replace the stored ones; of the first minute, only part may have been read.
DELETE FROM redcap.audit_log WHERE timestamp > $begin;

-- save_rows --
-- The rows as REDCap gave them, for auditors.
INSERT INTO redcap.audit_log BY NAME
SELECT $project AS project, timestamp, username, action, details, record, $run_id AS run_id
FROM read_json($files, format = 'newline_delimited', columns = {
    timestamp: 'TIMESTAMP', username: 'VARCHAR', action: 'VARCHAR', details: 'VARCHAR', record: 'VARCHAR'
})
WHERE timestamp > $begin;

-- delete_changes --
-- What the log said about records at the last load.
DELETE FROM state.logged;

-- save_changes --
-- What the rows say about records, from which changes get their authors; `log_times` holds the UTC of each moment of
-- the server's wall clock.
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

-- make_times --
-- The UTC of each time on the server's wall clock.
CREATE OR REPLACE TEMP TABLE log_times AS
SELECT unnest($walls::TIMESTAMP[]) AS wall, unnest($utcs::TIMESTAMP[]) AS utc;

-- drop_times --
-- They are needed for one load only.
DROP TABLE log_times;

-- sign_changes --
-- Who made a change and when, where REDCap's log names the record and the field; of several, the latest. The log keeps
-- the label an event had at the time: a label that another event has had since this run's structure was read names
-- neither.
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
       OR (l.what IN ('saved', 'randomized') AND list_contains(l.columns, mine.field)
           AND coalesce(l.instance, '1') = mine.instance
           AND (l.event_label IS NULL OR l.event_label NOT IN (SELECT label FROM passed_on))
           AND (l.event_label IS NULL OR labels.label IS NULL OR l.event_label = labels.label
                OR l.event_label NOT IN (SELECT label FROM labels WHERE label IS NOT NULL)))
    GROUP BY mine.row
) signed
WHERE c.rowid = signed.row AND c.run_id = $run_id;
