-- Runs that are under way: each has a row, and its process the lock of that row.

-- begin --
-- In one transaction, so that nobody sees the row without the lock.
WITH added AS (
    INSERT INTO redcap_warehouse.runs (run, loader) VALUES (%(run)s, %(loader)s)
    ON CONFLICT (run) DO UPDATE SET loader = excluded.loader
    RETURNING id
)
SELECT pg_try_advisory_lock(%(kind)s, id) FROM added;

-- is_held --
-- Whether this session holds the lock of the run.
SELECT EXISTS (
    SELECT FROM redcap_warehouse.runs r JOIN pg_locks l ON l.objid = r.id::oid
    WHERE r.run = %(run)s AND l.locktype = 'advisory' AND l.classid = %(kind)s::oid AND l.objsubid = 2 AND l.granted
      AND l.pid = pg_backend_pid()
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
);

-- end --
-- Before the lock is freed with the session.
DELETE FROM redcap_warehouse.runs WHERE run = %(run)s;

-- lost --
-- Rows whose lock nobody holds.
SELECT r.run, r.loader, r.since
FROM redcap_warehouse.runs r
WHERE NOT EXISTS (
    SELECT FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.classid = %(kind)s::oid AND l.objid = r.id::oid AND l.objsubid = 2 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
)
ORDER BY r.id;

-- forget --
-- Only if it is still lost.
DELETE FROM redcap_warehouse.runs r
WHERE r.run = %(run)s AND NOT EXISTS (
    SELECT FROM pg_locks l
    WHERE l.locktype = 'advisory' AND l.classid = %(kind)s::oid AND l.objid = r.id::oid AND l.objsubid = 2 AND l.granted
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
);
