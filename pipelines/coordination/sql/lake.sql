-- What the published lake was when it was published into last, and what its catalog, the schema redcap_lake, says now.

-- begin --
-- The first token holds.
INSERT INTO redcap_warehouse.lake (token) VALUES (%(token)s) ON CONFLICT DO NOTHING;

-- record --
-- What was written last of the lake, and how many of the catalog's tables that are read here there are.
SELECT token, identity, snapshot, shared_structure, shared_rows, (
    SELECT count(*) FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'redcap_lake' AND c.relname = ANY(%(tables)s)
)
FROM redcap_warehouse.lake;

-- parts --
-- What was written last of each project.
SELECT project, lake_part FROM redcap_warehouse.projects WHERE published IS NOT NULL OR lake_part IS NOT NULL;

-- digests --
-- A digest of what each schema of the lake is made of (`structure`) and one of its data files (`rows`), with the lake's
-- identity, its last snapshot, and how many after $snapshot no publisher made. All is of one moment. Comments and columns
-- are counted: they are most of the catalog.
WITH schemas AS (
    SELECT schema_id, schema_name FROM redcap_lake.ducklake_schema WHERE end_snapshot IS NULL
), tables AS (
    SELECT t.*, s.schema_name FROM redcap_lake.ducklake_table t JOIN schemas s USING (schema_id)
    WHERE t.end_snapshot IS NULL
), views AS (
    SELECT v.*, s.schema_name FROM redcap_lake.ducklake_view v JOIN schemas s USING (schema_id)
    WHERE v.end_snapshot IS NULL
), columns AS (
    SELECT table_id, count(*) AS number, max(begin_snapshot) AS latest
    FROM redcap_lake.ducklake_column WHERE end_snapshot IS NULL GROUP BY table_id
), comments AS (
    SELECT object_id, count(*) AS number, max(begin_snapshot) AS latest
    FROM redcap_lake.ducklake_tag WHERE end_snapshot IS NULL GROUP BY object_id
), column_comments AS (
    SELECT table_id, count(*) AS number, max(begin_snapshot) AS latest
    FROM redcap_lake.ducklake_column_tag WHERE end_snapshot IS NULL GROUP BY table_id
), items AS (
    SELECT schema_name, 'structure' AS kind, 'schema ' || schema_id AS item FROM schemas
    UNION ALL
    SELECT schema_name, 'structure', concat_ws(' ', 'table', table_id, table_uuid, table_name, c.number, c.latest,
        'comments', t.number, t.latest, 'of columns', d.number, d.latest)
    FROM tables LEFT JOIN columns c USING (table_id) LEFT JOIN comments t ON t.object_id = table_id
    LEFT JOIN column_comments d USING (table_id)
    UNION ALL
    SELECT schema_name, 'structure', concat_ws(' ', 'view', view_id, view_uuid, view_name, md5(sql), t.number, t.latest)
    FROM views LEFT JOIN comments t ON t.object_id = view_id
    UNION ALL
    SELECT schema_name, 'structure', concat_ws(' ', 'macro', macro_id, macro_name, begin_snapshot)
    FROM redcap_lake.ducklake_macro JOIN schemas USING (schema_id) WHERE end_snapshot IS NULL
    UNION ALL
    -- Rows that somebody keeps in the catalog: a publisher keeps none there.
    SELECT schema_name, 'structure', concat_ws(' ', c.relname, pg_relation_size(c.oid))
    FROM pg_catalog.pg_class c JOIN tables ON c.relname ~ ('^ducklake_inlined_[a-z]+_' || table_id || '(_|$)')
    WHERE c.relnamespace = 'redcap_lake'::regnamespace AND c.relname LIKE 'ducklake\_inlined\_%%'
      AND c.relname <> 'ducklake_inlined_data_tables' AND c.relkind = 'r'
    UNION ALL
    SELECT schema_name, 'rows', concat_ws(' ', 'rows', f.data_file_id, f.path, f.record_count, f.file_size_bytes)
    FROM redcap_lake.ducklake_data_file f JOIN tables USING (table_id) WHERE f.end_snapshot IS NULL
    UNION ALL
    SELECT schema_name, 'rows', concat_ws(' ', 'deleted', f.delete_file_id, f.data_file_id, f.path, f.delete_count)
    FROM redcap_lake.ducklake_delete_file f JOIN tables USING (table_id) WHERE f.end_snapshot IS NULL
), digests AS (
    SELECT schema_name, kind, md5(string_agg(item, E'\n' ORDER BY item)) AS digest FROM items GROUP BY 1, 2
)
SELECT (SELECT schema_uuid::text FROM redcap_lake.ducklake_schema WHERE schema_id = 0),
       (SELECT max(snapshot_id) FROM redcap_lake.ducklake_snapshot),
       (SELECT count(*) FROM redcap_lake.ducklake_snapshot
        LEFT JOIN redcap_lake.ducklake_snapshot_changes c USING (snapshot_id)
        WHERE snapshot_id > %(snapshot)s AND c.commit_extra_info IS DISTINCT FROM %(token)s),
       schema_name, kind, digest
FROM digests ORDER BY schema_name, kind;

-- save_lake --
-- What the lake is now; blank digests are of what is to be made again.
UPDATE redcap_warehouse.lake SET identity = %(identity)s, snapshot = %(snapshot)s,
    shared_structure = %(shared_structure)s, shared_rows = %(shared_rows)s;

-- save_parts --
-- What the lake has of these projects now.
UPDATE redcap_warehouse.projects SET lake_part = given.value
FROM json_each_text(%(parts)s) AS given
WHERE project = given.key AND lake_part IS DISTINCT FROM given.value;

-- drop_catalog --
-- Everything in the lake can be made again.
DROP SCHEMA IF EXISTS redcap_lake CASCADE;
