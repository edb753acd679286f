-- Commands that load all projects at the same time, each a session that shares one lock with the others.

-- join --
-- Nobody ever takes the lock alone, so that this never waits.
SELECT pg_advisory_lock_shared(%(kind)s, 0);

-- began --
-- Since when the first session that has the lock exists. PostgreSQL tells nothing of the sessions of other users.
SELECT min(a.backend_start)
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.classid = %(kind)s::oid AND l.objid = 0 AND l.objsubid = 2 AND l.granted
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
