-- Advisory locks, each named by a kind and the id of a row. PostgreSQL frees them when their session ends.

-- try --
-- At once or not at all.
SELECT pg_try_advisory_lock(%(kind)s, %(id)s);

-- wait --
-- For a second, so that the waiting process can be interrupted.
SET lock_timeout = '1s';
SELECT pg_advisory_lock(%(kind)s, %(id)s);

-- is_held --
-- Whether this session holds the lock.
SELECT EXISTS (
    SELECT FROM pg_locks
    WHERE locktype = 'advisory' AND classid = %(kind)s::oid AND objid = %(id)s::oid AND objsubid = 2 AND granted
      AND pid = pg_backend_pid()
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
);

-- free --
-- Only the session that holds a lock frees it.
SELECT pg_advisory_unlock(%(kind)s, %(id)s);

-- set_holder --
-- Written by the session that holds the project, for messages.
UPDATE redcap_warehouse.projects
SET holder = %(loader)s, held_run = %(run)s, held_since = clock_timestamp()
WHERE id = %(id)s;

-- clear_holder --
-- Written by the session that still holds the project.
UPDATE redcap_warehouse.projects SET holder = NULL, held_run = NULL, held_since = NULL WHERE id = %(id)s;

-- holder --
-- Who holds a project.
SELECT project, holder, held_run, held_since FROM redcap_warehouse.projects WHERE id = %(id)s;

-- holders --
-- Who holds projects now. A holder that was killed has left its name, but not the lock.
SELECT p.project, p.holder, p.held_run, p.held_since
FROM redcap_warehouse.projects p
WHERE p.held_run IS NOT NULL AND EXISTS (
    SELECT FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.classid = %(kind)s::oid AND l.objid = p.id::oid AND l.objsubid = 2 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
ORDER BY p.project;
