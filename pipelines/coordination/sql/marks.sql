-- Which projects wait to be published, what was published of them, and the key that identifiers are hashed with.

-- mark_loaded --
-- The project waits to be published.
UPDATE redcap_warehouse.projects SET waiting_run = %(run)s WHERE project = %(project)s;

-- unmark --
-- The project is being changed and cannot be published before its next good load.
UPDATE redcap_warehouse.projects SET waiting_run = NULL WHERE project = %(project)s;

-- mark_published --
-- The mark of a later load stays; a publish that is reported late does not replace what a later one reported.
UPDATE redcap_warehouse.projects
SET waiting_run = nullif(waiting_run, %(run)s),
    published = CASE WHEN published_version > %(version)s THEN published
                     ELSE coalesce(%(published)s::jsonb, published) END,
    published_version = greatest(published_version, %(version)s)
WHERE project = %(project)s;

-- unpublished --
-- Projects that wait, with the runs that loaded them.
SELECT project, waiting_run FROM redcap_warehouse.projects WHERE waiting_run IS NOT NULL ORDER BY project;

-- hash_key --
-- The key, if there is one.
SELECT key FROM redcap_warehouse.hash_key;

-- make_hash_key --
-- The first key stays.
INSERT INTO redcap_warehouse.hash_key (key) VALUES (%(key)s) ON CONFLICT DO NOTHING;
