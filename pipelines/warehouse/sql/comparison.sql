-- A person's submission, in temporary tables beside the published warehouse, until it is known what is proposed. The
-- table or view `source` (the submission as text, with our names for its columns) and the tables below are for one
-- submission.

-- create_tables --
-- What each name means: a column, or a checkbox by its base name (`options`); why it is never written; whether its
-- values may not even be kept.
CREATE OR REPLACE TEMP TABLE known (name VARCHAR, instrument VARCHAR, options BOOLEAN, why VARCHAR, withheld BOOLEAN);
-- A checkbox's column by the code that an EAV export has.
CREATE OR REPLACE TEMP TABLE options (field VARCHAR, code VARCHAR, column_name VARCHAR);
-- Instruments by their names in redcap_repeat_instrument.
CREATE OR REPLACE TEMP TABLE forms (called VARCHAR, instrument VARCHAR);
CREATE OR REPLACE TEMP TABLE events (name VARCHAR);
-- The submitted cells, one per row.
CREATE OR REPLACE TEMP TABLE submitted (
    row BIGINT, batch VARCHAR, record VARCHAR, event VARCHAR, instrument VARCHAR, instance VARCHAR, field VARCHAR,
    seen VARCHAR, seen_given BOOLEAN, new VARCHAR, clears BOOLEAN, reason VARCHAR, author VARCHAR, field_instrument VARCHAR,
    ticks VARCHAR, ignored VARCHAR, problem VARCHAR
);
CREATE OR REPLACE TEMP TABLE refused (row BIGINT, why VARCHAR);
CREATE OR REPLACE TEMP TABLE respelled (field VARCHAR, value VARCHAR, spelled VARCHAR);
CREATE OR REPLACE TEMP TABLE alike (field VARCHAR, seen VARCHAR, published VARCHAR);
-- What is proposed.
CREATE OR REPLACE TEMP TABLE found (
    row BIGINT, batch VARCHAR, record VARCHAR, event VARCHAR, instrument VARCHAR, instance VARCHAR, field VARCHAR,
    seen VARCHAR, new VARCHAR, reason VARCHAR, author VARCHAR
);

-- take_cells --
-- Rows with a cell each. A row proposes something if it has a new value or an explicit clear. A value that may not be
-- kept is dropped here.
INSERT INTO submitted
SELECT s.row, coalesce(nullif(s.batch, ''), $batch), s.record, s.event, s.instrument, s.instance, s.field,
       CASE WHEN s.kept THEN s.seen END, s.seen_given, CASE WHEN s.kept THEN s.new END,
       s.clear IN ('1', 'true', 't', 'yes', 'y'), coalesce(nullif(s.reason, ''), $reason),
       coalesce(nullif(s.author, ''), $author), CASE WHEN NOT s.options THEN s.field_instrument END, NULL, NULL,
       CASE WHEN s.problem IS NOT NULL THEN s.problem
            WHEN s.project NOT IN ('', $project) THEN 'it is for another project'
            WHEN trim(s.record, $blanks) = '' THEN 'it names no record'
            WHEN regexp_matches(s.record || s.event || s.instance || s.field, '[\r\n]')
                THEN 'its record, event, instance or field holds a line break'
            WHEN s.field = '' THEN 'it names no field'
            WHEN NOT s.kept AND s.field_instrument IS NULL THEN $unknown_withheld
            WHEN NOT s.kept THEN s.field || ' is ' || $withheld
            WHEN s.clear NOT IN ('1', 'true', 't', 'yes', 'y', '', '0', 'false', 'f', 'no', 'n')
                THEN 'clear is neither true nor false'
            WHEN s.clear IN ('1', 'true', 't', 'yes', 'y') AND s.new <> ''
                THEN 'it has a new value and clear as well' END
FROM (
    SELECT c.*, k.instrument AS field_instrument, coalesce(k.options, false) AS options,
           NOT coalesce(k.withheld, $withholds) AS kept
    FROM (
        SELECT row, project, trim(batch, $blanks) AS batch, record, trim(event, $blanks) AS event,
               trim(instrument, $blanks) AS instrument,
               regexp_replace(trim(instance, $blanks), '^([0-9]+)[.,]0+$', '\1') AS instance,
               trim(field, $blanks) AS field, seen, seen_given, new, lower(trim(clear, $blanks)) AS clear, reason,
               author, problem
        FROM source
    ) c LEFT JOIN known k ON k.name = c.field
) s;

-- take_export --
-- Rows of an EAV export: a checkbox has one for each ticked option, with its base name and the code.
INSERT INTO submitted
SELECT s.row, $batch, s.record, s.event, s.instrument, s.instance, coalesce(s.column_name, s.field), NULL, false,
       CASE WHEN s.column_name IS NOT NULL THEN '1' WHEN s.kept THEN s.value END, false, $reason, $author, s.field_instrument,
       CASE WHEN s.column_name IS NOT NULL THEN s.field END, s.why,
       CASE WHEN s.problem IS NOT NULL THEN s.problem
            WHEN trim(s.record, $blanks) = '' THEN 'it names no record'
            WHEN regexp_matches(s.record || s.event || s.instance || s.field, '[\r\n]')
                THEN 'its record, event, instance or field holds a line break'
            WHEN s.field = '' THEN 'it names no field'
            WHEN s.event <> '' AND NOT EXISTS (FROM events e WHERE e.name = s.event)
                THEN 'it names an event that the project does not have'
            WHEN s.instrument IS NULL THEN 'it names a repeating instrument that the project does not have'
            WHEN NOT s.known AND $withholds THEN $unknown_withheld
            WHEN NOT s.known THEN 'its field is none of the project'
            WHEN s.why IS NOT NULL THEN NULL
            WHEN s.options AND s.column_name IS NULL THEN 'it ticks an option that its field does not have'
            WHEN s.instrument NOT IN ('', s.field_instrument) THEN 'its field belongs to another instrument than it names' END
FROM (
    SELECT c.row, c.record, c.event, c.instance, c.field, c.value, c.problem, k.instrument AS field_instrument, k.why,
           coalesce(k.options, false) AS options, k.name IS NOT NULL AS known,
           NOT coalesce(k.withheld, $withholds) AND k.why IS NULL AS kept, o.column_name,
           CASE WHEN c.called = '' THEN '' ELSE f.instrument END AS instrument
    FROM (
        SELECT row, record, trim(event, $blanks) AS event, trim(instrument, $blanks) AS called,
               regexp_replace(trim(instance, $blanks), '^([0-9]+)[.,]0+$', '\1') AS instance,
               trim(field, $blanks) AS field, new AS value, problem
        FROM source
    ) c
    LEFT JOIN known k ON k.name = c.field
    LEFT JOIN options o ON k.why IS NULL AND o.field = c.field AND o.code = trim(c.value, $blanks)
    LEFT JOIN forms f ON f.called = c.called
) s;

-- respellable --
-- Values that REDCap may spell differently: times, `true`, whole numbers written with `.0`.
SELECT DISTINCT o.field, v.value
FROM submitted o, LATERAL (SELECT unnest([o.new, o.seen]) AS value) v
WHERE o.problem IS NULL AND list_contains($fields::VARCHAR[], o.field)
  AND (contains(v.value, ':') OR regexp_matches(v.value, '[.,]0+$') OR lower(v.value) IN ('true', 'false'));

-- respell_new --
-- New values in REDCap's spelling.
UPDATE submitted AS o SET new = r.spelled FROM respelled r WHERE o.field = r.field AND o.new = r.value;

-- respell_seen --
-- Seen values in REDCap's spelling.
UPDATE submitted AS o SET seen = r.spelled FROM respelled r WHERE o.field = r.field AND o.seen = r.value;

-- refuse_rows --
-- Rows that cannot be read.
INSERT INTO refused SELECT row, problem FROM submitted WHERE problem IS NOT NULL;

-- refuse_doubles --
-- Of several rows for a cell the first is kept. Hashes are counted first: grouping by the keys costs far more.
INSERT INTO refused
WITH twice AS (
    SELECT hash(batch, record, event, instance, field) AS cell FROM submitted
    WHERE problem IS NULL AND ignored IS NULL AND (new <> '' OR clears OR $all) GROUP BY cell HAVING count(*) > 1
)
SELECT row, 'the same cell as row ' || first FROM (
    SELECT row, min(row) OVER (PARTITION BY batch, record, event, instance, field) AS first FROM submitted
    WHERE problem IS NULL AND ignored IS NULL AND (new <> '' OR clears OR $all)
      AND hash(batch, record, event, instance, field) IN (SELECT cell FROM twice)
)
WHERE row > first;

-- left --
-- Cells that propose nothing.
SELECT count(*) FROM submitted WHERE problem IS NULL AND coalesce(new, '') = '' AND NOT clears;

-- fields --
-- The submitted columns by their instrument, which is NULL for columns that no instrument has.
SELECT field_instrument, list(DISTINCT field ORDER BY field), bool_or(seen_given) FROM submitted
WHERE problem IS NULL AND ignored IS NULL GROUP BY field_instrument ORDER BY field_instrument;

-- find_unknown --
-- Fields that the project does not have: they are proposed with nothing seen, and the plan refuses them.
INSERT INTO found
SELECT row, batch, record, event, instrument, instance, field, coalesce(seen, ''), new, reason, author
FROM submitted
WHERE problem IS NULL AND field_instrument IS NULL AND (new <> '' OR clears) AND row NOT IN (SELECT row FROM refused);

-- ignored --
-- The fields that are never written, each with why.
SELECT field, any_value(ignored) FROM submitted WHERE problem IS NULL AND ignored IS NOT NULL GROUP BY field ORDER BY field;

-- create_ticked --
-- The options of submitted checkboxes that are published as ticked.
CREATE OR REPLACE TEMP TABLE ticked (row BIGINT, columns VARCHAR[]);

-- ticks --
-- The checkboxes of which an EAV export names ticked options.
SELECT DISTINCT ticks FROM submitted WHERE ticks IS NOT NULL AND problem IS NULL ORDER BY ticks;

-- refuse_half_edited_ticks --
-- A checkbox of an EAV export ticks one more option, and lacks one that is published as ticked: its row was overwritten
-- or deleted, and the export does not show which.
INSERT INTO refused
SELECT o.row, $why FROM submitted o
JOIN (
    SELECT record, event, instance, ticks, list(field) AS listed FROM submitted
    WHERE ticks IS NOT NULL AND problem IS NULL GROUP BY ALL
) l ON l.record = o.record AND l.event = o.event AND l.instance = o.instance AND l.ticks = o.ticks
JOIN ticked t ON t.row = o.row
WHERE NOT list_contains(t.columns, o.field) AND NOT list_has_all(l.listed, t.columns);

-- read_refused --
-- The refused rows, each with one reason.
SELECT row, min(why) FROM refused GROUP BY row ORDER BY row;

-- changes --
-- What the proposed cells held before, and until when.
SELECT f.row, f.field, f.new, c.old_value, c.detected_at
FROM found f JOIN redcap.record_changes c
  ON c.record = f.record AND c.instrument = f.instrument AND c.field = f.field
 AND coalesce(c.event, '') = f.event AND coalesce(c.instance, '') = f.instance
WHERE c.project = $project AND c.change = 'update';

-- changed_since --
-- Rows with a proposed cell that a load found changed at that time or later.
SELECT DISTINCT f.row
FROM found f JOIN redcap.record_changes c
  ON c.record = f.record AND c.instrument = f.instrument AND c.field = f.field
 AND coalesce(c.event, '') = f.event AND coalesce(c.instance, '') = f.instance
WHERE c.project = $project AND c.change = 'update' AND c.detected_at >= $since;

-- drop_refused --
-- Refused rows propose nothing.
DELETE FROM found WHERE row IN (SELECT row FROM refused);

-- batches --
-- The batches that are proposed into, in the order of the rows.
SELECT batch FROM found GROUP BY batch ORDER BY min(row);

-- drop_source_view --
-- Dropped once the rows of the file have been read.
DROP VIEW source;

-- drop_source_table --
-- Dropped once the rows of the chunk have been read.
DROP TABLE source;

-- drop_ticked --
-- Dropped once the options have been compared.
DROP TABLE ticked;

-- count_page --
-- How many rows were returned by a SELECT that is read in pages.
SELECT count(*) FROM page;

-- read_page --
-- One page of these rows.
SELECT * FROM page WHERE rowid >= $begin AND rowid < $end;

-- drop_page --
-- Dropped once all rows have been read.
DROP TABLE page;

-- count_submitted --
-- How many cells were submitted.
SELECT count(*) FROM submitted;

-- count_submitted_rows --
-- How many rows with a column for each field were submitted.
SELECT count(*) FROM submitted_rows;

-- count_found --
-- How many cells are proposed.
SELECT count(*) FROM found;

-- keyed_rows --
-- Rows with a column for each field; a repeating instrument may be given by its name or its label.
SELECT s.* REPLACE (
    trim(s.event, $blanks) AS event,
    CASE WHEN trim(s.instrument, $blanks) = '' THEN '' ELSE f.instrument END AS instrument,
    regexp_replace(trim(s.instance, $blanks), '^([0-9]+)[.,]0+$', '\1') AS instance
)
FROM source s LEFT JOIN forms f ON f.called = trim(s.instrument, $blanks)

-- row_problem --
-- Why a row's keys cannot be read; an expression over the rows s of keyed_rows.
CASE WHEN s.problem IS NOT NULL THEN s.problem
     WHEN trim(s.record, $blanks) = '' THEN 'it names no record'
     WHEN regexp_matches(s.record || s.event || s.instance, '[\r\n]')
         THEN 'its record, event or instance holds a line break'
     WHEN $events AND s.event <> '' AND NOT EXISTS (FROM events e WHERE e.name = s.event)
         THEN 'it names an event that the project does not have'
     WHEN s.instrument IS NULL THEN 'it names a repeating instrument that the project does not have' END

-- refuse_unkeyed_rows --
-- Rows whose keys cannot be read.
INSERT INTO refused SELECT row, problem FROM submitted_rows WHERE problem IS NOT NULL;

-- refuse_double_rows --
-- Of several rows with the same keys the first is kept.
INSERT INTO refused
WITH twice AS (
    SELECT hash(record, event, instrument, instance) AS keys FROM submitted_rows
    WHERE problem IS NULL GROUP BY keys HAVING count(*) > 1
)
SELECT row, 'the same keys as row ' || first FROM (
    SELECT row, min(row) OVER (PARTITION BY record, event, instrument, instance) AS first FROM submitted_rows
    WHERE problem IS NULL AND hash(record, event, instrument, instance) IN (SELECT keys FROM twice)
)
WHERE row > first;
