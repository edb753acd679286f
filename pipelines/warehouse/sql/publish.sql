-- What publishing has to remember, kept in the published file so that the two can never disagree.

-- create_bookkeeping --
CREATE SCHEMA IF NOT EXISTS _publish;
CREATE TABLE IF NOT EXISTS _publish.instruments (
    project VARCHAR, instrument VARCHAR, changed_run VARCHAR, definition VARCHAR
);
