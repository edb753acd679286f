-- What a person offers, in temporary tables beside the published warehouse, until it is known what is proposed. The
-- names `source` (the offer as text, by our names for its columns) and the tables below live for one offer.

-- create_tables --
-- What each name stands for: a column, or a checkbox by its base name (`options`); why it is never written; whether its
-- values may not even be kept.
CREATE OR REPLACE TEMP TABLE known (name VARCHAR, instrument VARCHAR, options BOOLEAN, why VARCHAR, withheld BOOLEAN);
-- A checkbox's column by the code that an EAV export writes.
CREATE OR REPLACE TEMP TABLE options (field VARCHAR, code VARCHAR, column_name VARCHAR);
-- Instruments by what redcap_repeat_instrument may call them.
CREATE OR REPLACE TEMP TABLE forms (called VARCHAR, instrument VARCHAR);
CREATE OR REPLACE TEMP TABLE events (name VARCHAR);
-- Cells, one a row.
CREATE OR REPLACE TEMP TABLE offered (
    row BIGINT, batch VARCHAR, record VARCHAR, event VARCHAR, instrument VARCHAR, instance VARCHAR, field VARCHAR,
    seen VARCHAR, seen_given BOOLEAN, new VARCHAR, clears BOOLEAN, reason VARCHAR, author VARCHAR, home VARCHAR,
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

-- offer_cells --
-- A row that proposes is one with a new value or an explicit clear. A value that may not be kept goes no further.
INSERT INTO offered
SELECT s.row, coalesce(nullif(s.batch, ''), $batch), s.record, s.event, s.instrument, s.instance, s.field,
       CASE WHEN s.kept THEN s.seen END, s.seen_given, CASE WHEN s.kept THEN s.new END,
       s.clear IN ('1', 'true', 't', 'yes', 'y'), coalesce(nullif(s.reason, ''), $reason),
       coalesce(nullif(s.author, ''), $author), CASE WHEN NOT s.options THEN s.home END, NULL, NULL,
       CASE WHEN s.problem IS NOT NULL THEN s.problem
            WHEN s.project NOT IN ('', $project) THEN 'it is for another project'
            WHEN trim(s.record, $blanks) = '' THEN 'it names no record'
            WHEN regexp_matches(s.record || s.event || s.instance || s.field, '[\r\n]')
                THEN 'its record, event, instance or field holds a line break'
            WHEN s.field = '' THEN 'it names no field'
            WHEN NOT s.kept AND s.home IS NULL THEN $unknown_withheld
            WHEN NOT s.kept THEN s.field || ' is ' || $withheld
            WHEN s.clear NOT IN ('1', 'true', 't', 'yes', 'y', '', '0', 'false', 'f', 'no', 'n')
                THEN 'clear is neither true nor false'
            WHEN s.clear IN ('1', 'true', 't', 'yes', 'y') AND s.new <> ''
                THEN 'it has a new value and clear as well' END
FROM (
    SELECT c.*, k.instrument AS home, coalesce(k.options, false) AS options,
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

-- offer_export --
-- Rows of an EAV export: a checkbox has one for each ticked option, by its base name and the code.
INSERT INTO offered
SELECT s.row, $batch, s.record, s.event, s.instrument, s.instance, coalesce(s.column_name, s.field), NULL, false,
       CASE WHEN s.column_name IS NOT NULL THEN '1' WHEN s.kept THEN s.value END, false, $reason, $author, s.home,
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
            WHEN s.instrument NOT IN ('', s.home) THEN 'its field belongs to another instrument than it names' END
FROM (
    SELECT c.row, c.record, c.event, c.instance, c.field, c.value, c.problem, k.instrument AS home, k.why,
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
-- Values that REDCap may spell otherwise: clocks, `true`, whole numbers written with `.0`.
SELECT DISTINCT o.field, v.value
FROM offered o, LATERAL (SELECT unnest([o.new, o.seen]) AS value) v
WHERE o.problem IS NULL AND list_contains($fields::VARCHAR[], o.field)
  AND (contains(v.value, ':') OR regexp_matches(v.value, '[.,]0+$') OR lower(v.value) IN ('true', 'false'));

-- respell_new --
UPDATE offered AS o SET new = r.spelled FROM respelled r WHERE o.field = r.field AND o.new = r.value;

-- respell_seen --
UPDATE offered AS o SET seen = r.spelled FROM respelled r WHERE o.field = r.field AND o.seen = r.value;

-- refuse_rows --
INSERT INTO refused SELECT row, problem FROM offered WHERE problem IS NOT NULL;

-- refuse_doubles --
-- Of rows for the same cell the first is kept. The hashes are counted first: keeping every key costs far more.
INSERT INTO refused
WITH twice AS (
    SELECT hash(batch, record, event, instance, field) AS cell FROM offered
    WHERE problem IS NULL AND ignored IS NULL AND (new <> '' OR clears OR $all) GROUP BY cell HAVING count(*) > 1
)
SELECT row, 'the same cell as row ' || first FROM (
    SELECT row, min(row) OVER (PARTITION BY batch, record, event, instance, field) AS first FROM offered
    WHERE problem IS NULL AND ignored IS NULL AND (new <> '' OR clears OR $all)
      AND hash(batch, record, event, instance, field) IN (SELECT cell FROM twice)
)
WHERE row > first;

-- left --
SELECT count(*) FROM offered WHERE problem IS NULL AND coalesce(new, '') = '' AND NOT clears;

-- fields --
-- The columns that are offered, by their instrument; NULL for those that no instrument has.
SELECT home, list(DISTINCT field ORDER BY field), bool_or(seen_given) FROM offered
WHERE problem IS NULL AND ignored IS NULL GROUP BY home ORDER BY home;

-- find_unknown --
-- Nothing is published of a field that the project does not have; the plan says so.
INSERT INTO found
SELECT row, batch, record, event, instrument, instance, field, coalesce(seen, ''), new, reason, author
FROM offered
WHERE problem IS NULL AND home IS NULL AND (new <> '' OR clears) AND row NOT IN (SELECT row FROM refused);

-- ignored --
SELECT field, any_value(ignored) FROM offered WHERE problem IS NULL AND ignored IS NOT NULL GROUP BY field ORDER BY field;

-- ticks --
-- The checkboxes of which an EAV export names ticked options.
SELECT DISTINCT ticks FROM offered WHERE ticks IS NOT NULL AND problem IS NULL ORDER BY ticks;

-- refuse_half_edited_ticks --
-- A checkbox of an EAV export ticks an option more, and one that is published as ticked is not listed: the row was
-- overwritten or deleted, and which of them is meant cannot be told.
INSERT INTO refused
SELECT o.row, $why FROM offered o
JOIN (
    SELECT record, event, instance, ticks, list(field) AS listed FROM offered
    WHERE ticks IS NOT NULL AND problem IS NULL GROUP BY ALL
) l ON l.record = o.record AND l.event = o.event AND l.instance = o.instance AND l.ticks = o.ticks
JOIN ticked t ON t.row = o.row
WHERE NOT list_contains(t.columns, o.field) AND NOT list_has_all(l.listed, t.columns);

-- read_refused --
SELECT row, min(why) FROM refused GROUP BY row ORDER BY row;

-- changes --
-- What cells that are proposed anew held before, and until when.
SELECT f.row, f.field, f.new, c.old_value, c.detected_at
FROM found f JOIN redcap.record_changes c
  ON c.record = f.record AND c.instrument = f.instrument AND c.field = f.field
 AND coalesce(c.event, '') = f.event AND coalesce(c.instance, '') = f.instance
WHERE c.project = $project AND c.change = 'update';

-- changed_since --
SELECT DISTINCT f.row
FROM found f JOIN redcap.record_changes c
  ON c.record = f.record AND c.instrument = f.instrument AND c.field = f.field
 AND coalesce(c.event, '') = f.event AND coalesce(c.instance, '') = f.instance
WHERE c.project = $project AND c.change = 'update' AND c.detected_at >= $since;

-- withdraw_refused --
DELETE FROM found WHERE row IN (SELECT row FROM refused);

-- batches --
SELECT batch FROM found GROUP BY batch ORDER BY min(row);

-- count_found --
SELECT count(*) FROM found;

-- keyed_rows --
-- Rows with a column for each field; what is called a repeating instrument may be its name or its label.
SELECT s.* REPLACE (
    trim(s.event, $blanks) AS event,
    CASE WHEN trim(s.instrument, $blanks) = '' THEN '' ELSE f.instrument END AS instrument,
    regexp_replace(trim(s.instance, $blanks), '^([0-9]+)[.,]0+$', '\1') AS instance
)
FROM source s LEFT JOIN forms f ON f.called = trim(s.instrument, $blanks)

-- row_problem --
CASE WHEN s.problem IS NOT NULL THEN s.problem
     WHEN trim(s.record, $blanks) = '' THEN 'it names no record'
     WHEN regexp_matches(s.record || s.event || s.instance, '[\r\n]')
         THEN 'its record, event or instance holds a line break'
     WHEN $events AND s.event <> '' AND NOT EXISTS (FROM events e WHERE e.name = s.event)
         THEN 'it names an event that the project does not have'
     WHEN s.instrument IS NULL THEN 'it names a repeating instrument that the project does not have' END

-- refuse_unkeyed_rows --
INSERT INTO refused SELECT row, problem FROM offered_rows WHERE problem IS NOT NULL;

-- refuse_double_rows --
INSERT INTO refused
WITH twice AS (
    SELECT hash(record, event, instrument, instance) AS keys FROM offered_rows
    WHERE problem IS NULL GROUP BY keys HAVING count(*) > 1
)
SELECT row, 'the same keys as row ' || first FROM (
    SELECT row, min(row) OVER (PARTITION BY record, event, instrument, instance) AS first FROM offered_rows
    WHERE problem IS NULL AND hash(record, event, instrument, instance) IN (SELECT keys FROM twice)
)
WHERE row > first;
