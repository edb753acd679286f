-- The published file: what publishing has to remember about each project (schema _publish, kept in the published file
-- so that the two can never disagree), and the view of all changes.

-- create_bookkeeping --
-- Schema _publish.
CREATE SCHEMA IF NOT EXISTS _publish;
-- What is published of each instrument: the run that changed it last, digests of the statements that its table with
-- types, its views, those of its versions and the comments were made from, and the columns of its verbatim tables. One
-- that REDCap no longer has keeps its history only, and has no run.
CREATE TABLE IF NOT EXISTS _publish.instruments (
    project VARCHAR, instrument VARCHAR, changed_run VARCHAR, typed VARCHAR, views VARCHAR, histories VARCHAR,
    comments VARCHAR, now_columns VARCHAR[], past_columns VARCHAR[]
);
-- A digest of each part of a project's mirror, so that only parts that differ are written.
CREATE TABLE IF NOT EXISTS _publish.parts (project VARCHAR, part VARCHAR, digest VARCHAR);
-- The runs whose rows were published.
CREATE TABLE IF NOT EXISTS _publish.runs (project VARCHAR, run_id VARCHAR);
-- The mirror each project was published from.
CREATE TABLE IF NOT EXISTS _publish.sources (project VARCHAR, identity VARCHAR);
-- Changes since each project's first load, as its mirror has them.
CREATE TABLE IF NOT EXISTS _publish.cell_changes (
    project VARCHAR NOT NULL, record VARCHAR, event VARCHAR, instrument VARCHAR, instance VARCHAR,
    field VARCHAR, old_value VARCHAR, new_value VARCHAR, change VARCHAR, detected_at TIMESTAMP,
    run_id VARCHAR, origin VARCHAR, changed_by VARCHAR, changed_at TIMESTAMP, reason VARCHAR
);
ALTER TABLE _publish.cell_changes ADD COLUMN IF NOT EXISTS reason VARCHAR;
-- For each instrument a query of its rows of the first load, in the tables that hold them.
CREATE TABLE IF NOT EXISTS _publish.first_rows (project VARCHAR, instrument VARCHAR, rows VARCHAR);
-- Rows of first loads that are stored a second time instead, their cells as a JSON list. A row for each cell would take
-- three times as long as the whole load.
CREATE TABLE IF NOT EXISTS _publish.first_load (
    project VARCHAR, instrument VARCHAR, record VARCHAR, event VARCHAR, instance VARCHAR,
    cells VARCHAR USING COMPRESSION zstd, detected_at TIMESTAMP, run_id VARCHAR
);
CREATE TABLE IF NOT EXISTS _publish.first_columns (project VARCHAR, instrument VARCHAR, fields VARCHAR[]);
-- The text of the view _publish.all_changes.
CREATE TABLE IF NOT EXISTS _publish.changes (definition VARCHAR);

-- drop_new_runs --
-- The project's new runs are published.
DROP TABLE new_runs;

-- save_runs --
-- The project's new runs are published with this file.
INSERT INTO _publish.runs SELECT $project, run_id FROM new_runs;

-- published_identity --
-- The mirror that the project was last published from.
SELECT identity FROM _publish.sources WHERE project = $project;

-- count_first_rows --
-- How many instruments' first-load rows the view of all changes reads in place.
SELECT count(*) FROM _publish.first_rows;

-- published_runs --
-- The runs of the project whose rows were published.
SELECT run_id FROM _publish.runs WHERE project = $project;

-- save_source --
-- The mirror that the project is published from.
INSERT INTO _publish.sources VALUES ($project, $identity);

-- published_parts --
-- The parts of the project as they were last published.
SELECT part, digest FROM _publish.parts WHERE project = $project;

-- save_parts --
-- The parts of the project as they are published now.
INSERT INTO _publish.parts SELECT $project, unnest($parts::VARCHAR[]), unnest($digests::VARCHAR[]);

-- published_instruments --
-- What is published of each instrument of the project.
SELECT instrument, changed_run, typed, views, histories, comments, now_columns, past_columns
FROM _publish.instruments WHERE project = $project;

-- delete_instruments --
-- New rows are inserted for these instruments next.
DELETE FROM _publish.instruments WHERE project = $project AND list_contains($names::VARCHAR[], instrument);

-- save_instruments --
-- What is published of these instruments now.
INSERT INTO _publish.instruments
SELECT $project, unnest($names::VARCHAR[]), unnest($runs::VARCHAR[]), unnest($tables::VARCHAR[]),
       unnest($views::VARCHAR[]), unnest($histories::VARCHAR[]), unnest($comments::VARCHAR[]),
       unnest($now::VARCHAR[][]), unnest($past::VARCHAR[][]);

-- forget_comments --
-- The project's comments could not be written: the next publish writes them.
UPDATE _publish.instruments SET comments = NULL WHERE project = $project AND changed_run IS NOT NULL;

-- in_place --
-- The instruments of the project whose first-load rows the view of all changes reads in place.
SELECT instrument FROM _publish.first_rows WHERE project = $project;

-- delete_first_rows --
-- Their queries are stored anew.
DELETE FROM _publish.first_rows WHERE project = $project AND list_contains($names::VARCHAR[], instrument);

-- save_first_rows --
-- Queries of first-load rows that the view of all changes reads in place.
INSERT INTO _publish.first_rows SELECT $project, unnest($names::VARCHAR[]), unnest($rows::VARCHAR[]);

-- save_first_columns --
-- The fields of an instrument whose first-load rows are stored a second time.
INSERT INTO _publish.first_columns VALUES ($project, $instrument, $fields);

-- schemas_of --
-- Which of these schemas exist.
SELECT schema_name FROM duckdb_schemas()
WHERE database_name = current_database() AND list_contains($names::VARCHAR[], schema_name) ORDER BY schema_name;

-- shared_tables --
-- Tables in which every row names its project.
SELECT schema_name, table_name FROM duckdb_columns()
SEMI JOIN duckdb_tables() USING (database_name, schema_name, table_name)
WHERE database_name = current_database() AND column_name = 'project'
  AND schema_name IN ('redcap', 'writeback', '_publish')
ORDER BY ALL;

-- become_published --
-- A copy of a mirror becomes a published file: what only the next load needs is dropped, and so is the table whose name
-- a view has there.
DROP SCHEMA state CASCADE;
DROP TABLE redcap.record_changes;

-- first_rows --
-- The queries of first-load rows.
SELECT rows FROM _publish.first_rows ORDER BY rowid;

-- changes_definition --
-- The text that _publish.all_changes was last made from.
SELECT definition FROM _publish.changes;

-- define_changes --
-- All changes: what the first loads brought, as inserted cells, and every change since.
CREATE OR REPLACE VIEW _publish.all_changes AS
SELECT * FROM (
    SELECT project, record, event, instrument, instance, unnest(fields) AS field, NULL::VARCHAR AS old_value,
           unnest(cells) AS new_value, 'insert' AS change, detected_at, run_id, 'redcap' AS origin,
           NULL::VARCHAR AS changed_by, NULL::TIMESTAMP AS changed_at, NULL::VARCHAR AS reason
    FROM (
        SELECT r.project, r.record, r.event, r.instrument, r.instance, c.fields,
               from_json(r.cells, '["VARCHAR"]') AS cells, r.detected_at, r.run_id
        FROM _publish.first_load r JOIN _publish.first_columns c USING (project, instrument)
        /* first_rows */
    )
)
WHERE new_value IS NOT NULL
UNION ALL
SELECT * FROM _publish.cell_changes;

-- show_changes --
-- The view that readers query. It has the comments: each would copy the whole text of the other one, which becomes long,
-- and is made again whenever a project's tables change.
CREATE OR REPLACE VIEW redcap.record_changes AS SELECT * FROM _publish.all_changes;

-- save_changes_definition --
-- The text of _publish.all_changes as it is now.
DELETE FROM _publish.changes;
INSERT INTO _publish.changes VALUES ($view);
