-- What is looked at when a machine starts.

-- server --
-- PostgreSQL's version as text and number, its clock, this session's number, and whether it only reads.
SELECT current_setting('server_version'), current_setting('server_version_num')::integer,
       extract(epoch FROM clock_timestamp())::double precision, pg_backend_pid(), pg_is_in_recovery();

-- may_create --
-- Whether this user may make schemas in the database, and tables in ours where it exists.
SELECT has_database_privilege(current_database(), 'CREATE'),
       coalesce(has_schema_privilege(to_regnamespace('redcap_warehouse')::oid, 'CREATE'), false);
