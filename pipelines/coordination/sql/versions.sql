-- The working versions of the projects: which object in the shared place is each project's newest mirror.

-- project_id --
-- The number that stands for the project in locks.
SELECT id FROM redcap_warehouse.projects WHERE project = %(project)s;

-- add_project --
-- Several machines may add the same project at once.
INSERT INTO redcap_warehouse.projects (project) VALUES (%(project)s) ON CONFLICT DO NOTHING;

-- working --
-- What was checked in last of one project, or of all.
SELECT project, version, object, sha256, bytes, run_id, checked_in_at, loader, status, waiting_run, published,
       published_version
FROM redcap_warehouse.projects
WHERE object IS NOT NULL AND (%(project)s::text IS NULL OR project = %(project)s)
ORDER BY project;

-- check_in --
-- Compare and set: only the version that was checked out may be continued. 0 stands for none, also after `forget`.
UPDATE redcap_warehouse.projects
SET version = version + 1, object = %(object)s, sha256 = %(sha256)s, bytes = %(bytes)s, run_id = %(run_id)s,
    checked_in_at = clock_timestamp(), loader = %(loader)s, status = coalesce(%(status)s::jsonb, status)
WHERE project = %(project)s AND CASE WHEN object IS NULL THEN %(after)s = 0 ELSE version = %(after)s END
RETURNING version;

-- newest --
-- The version and object that are there now.
SELECT version, object FROM redcap_warehouse.projects WHERE project = %(project)s;

-- forget --
-- The row and its number stay, so that neither an old version nor a lock can be taken for a new one. All versions before
-- `forgotten` are of what was removed.
UPDATE redcap_warehouse.projects
SET version = version + 1, forgotten = version + 1, object = NULL, sha256 = NULL, bytes = NULL, run_id = NULL, checked_in_at = NULL,
    loader = NULL, status = NULL, waiting_run = NULL, published = NULL, published_version = NULL,
    lake_part = NULL
WHERE project = %(project)s;

-- forgotten --
-- The projects that were forgotten, and whether another of that name was loaded since.
SELECT project, forgotten, object IS NOT NULL FROM redcap_warehouse.projects WHERE forgotten IS NOT NULL ORDER BY project;

-- store --
-- Which store this is.
SELECT id FROM redcap_warehouse.store;

-- is_signed --
-- Whether the shared place has the sign of this store.
SELECT signed FROM redcap_warehouse.store;

-- sign --
-- Say that it has.
UPDATE redcap_warehouse.store SET signed = true WHERE NOT signed;
