-- The schema redcap_warehouse: what the machines that load must agree on. All times are with time zone.

-- exists --
-- Whether the schema was made. Not by to_regclass: inside a transaction, it answers from what this session knew before
-- another machine made the schema.
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'redcap_warehouse' AND c.relname = 'format'
);

-- format --
-- The format of the schema, a number.
SELECT version FROM redcap_warehouse.format;

-- lock --
-- One machine at a time makes or changes the schema; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(%(kind)s, %(id)s);

-- set_format --
-- After a step.
UPDATE redcap_warehouse.format SET version = %(version)s;

-- step_1 --
-- The first format. Rows of `projects` and `servers` are never deleted: their ids are the names of locks.
CREATE SCHEMA IF NOT EXISTS redcap_warehouse;
CREATE TABLE redcap_warehouse.format (one boolean PRIMARY KEY DEFAULT true CHECK (one), version integer NOT NULL);
INSERT INTO redcap_warehouse.format (version) VALUES (0);
CREATE TABLE redcap_warehouse.projects (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    project text NOT NULL UNIQUE,
    -- The newest version of the mirror; grows by one with each check-in and never goes back.
    version bigint NOT NULL DEFAULT 0,
    object text, sha256 text, bytes bigint, run_id text, checked_in_at timestamptz, loader text,
    status jsonb,
    waiting_run text,
    published jsonb, published_version bigint,
    holder text, held_run text, held_since timestamptz
);
CREATE TABLE redcap_warehouse.servers (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    url text NOT NULL UNIQUE,
    -- Seconds since 1970 on PostgreSQL's clock: when the next request is due.
    next_free double precision NOT NULL DEFAULT 0
);
CREATE TABLE redcap_warehouse.runs (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run text NOT NULL UNIQUE,
    loader text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE TABLE redcap_warehouse.hash_key (one boolean PRIMARY KEY DEFAULT true CHECK (one), key text NOT NULL);

-- step_2 --
-- Where the warehouse is while it is moved, and after it was moved out of this store: at most one row.
CREATE TABLE redcap_warehouse.location (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    state text NOT NULL, folder_id text NOT NULL, place text NOT NULL, since timestamptz NOT NULL
);

-- step_3 --
-- Which versions were of what was forgotten since, and which store this is: copies on machines that are not connected
-- when a project is forgotten are known by both.
ALTER TABLE redcap_warehouse.projects ADD COLUMN forgotten bigint;
CREATE TABLE redcap_warehouse.store (one boolean PRIMARY KEY DEFAULT true CHECK (one), id text NOT NULL);
INSERT INTO redcap_warehouse.store (id) VALUES (md5(random()::text || clock_timestamp()::text));

-- step_4 --
-- What the published lake was when it was published into last. Blank digests are of what is to be made again.
CREATE TABLE redcap_warehouse.lake (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    -- Every snapshot that a publisher makes has this in `commit_extra_info`.
    token text NOT NULL,
    identity text, snapshot bigint, shared_structure text, shared_rows text
);
ALTER TABLE redcap_warehouse.projects ADD COLUMN lake_part text;

-- step_5 --
-- Whether the shared place has the sign of this store.
ALTER TABLE redcap_warehouse.store ADD COLUMN signed boolean NOT NULL DEFAULT false;
