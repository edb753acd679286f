-- The tables of schema redcap: the same in every project's mirror and in the published file, so that publishing copies
-- rows and translates nothing. Times are UTC unless a comment says otherwise; texts are REDCap's own.

-- create_catalog --
-- Everything analysts find in schema redcap.
CREATE SCHEMA IF NOT EXISTS redcap;
CREATE TABLE IF NOT EXISTS redcap.projects (
    project VARCHAR NOT NULL, project_id BIGINT, project_title VARCHAR, record_id_field VARCHAR,
    is_longitudinal BOOLEAN, has_repeating_instruments_or_events BOOLEAN, surveys_enabled BOOLEAN,
    record_autonumbering_enabled BOOLEAN, in_production BOOLEAN, creation_time VARCHAR,
    production_time VARCHAR, missing_data_codes VARCHAR, secondary_unique_field VARCHAR,
    project_notes VARCHAR, redcap_version VARCHAR, not_readable VARCHAR[], hidden_fields VARCHAR[],
    records BIGINT, rows BIGINT, last_run_id VARCHAR, last_loaded_at TIMESTAMP
);
CREATE TABLE IF NOT EXISTS redcap.data_dictionary (
    project VARCHAR NOT NULL, position INTEGER, field_name VARCHAR, form_name VARCHAR,
    section_header VARCHAR, field_type VARCHAR, field_label VARCHAR,
    select_choices_or_calculations VARCHAR, field_note VARCHAR,
    text_validation_type_or_show_slider_number VARCHAR, text_validation_min VARCHAR,
    text_validation_max VARCHAR, identifier BOOLEAN, branching_logic VARCHAR, required_field BOOLEAN,
    custom_alignment VARCHAR, question_number VARCHAR, matrix_group_name VARCHAR, matrix_ranking BOOLEAN,
    field_annotation VARCHAR, warehouse_type VARCHAR, warehouse_columns VARCHAR[]
);
CREATE TABLE IF NOT EXISTS redcap.field_choices (
    project VARCHAR NOT NULL, field_name VARCHAR, position INTEGER, code VARCHAR, label VARCHAR,
    column_name VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.instruments (
    project VARCHAR NOT NULL, position INTEGER, instrument_name VARCHAR, instrument_label VARCHAR,
    repeats BOOLEAN, survey BOOLEAN
);
CREATE TABLE IF NOT EXISTS redcap.arms (project VARCHAR NOT NULL, arm_num INTEGER, name VARCHAR);
CREATE TABLE IF NOT EXISTS redcap.events (
    project VARCHAR NOT NULL, position INTEGER, event_name VARCHAR, arm_num INTEGER,
    unique_event_name VARCHAR, custom_event_label VARCHAR, event_id BIGINT, repeats BOOLEAN
);
CREATE TABLE IF NOT EXISTS redcap.form_event_mapping (
    project VARCHAR NOT NULL, arm_num INTEGER, unique_event_name VARCHAR, form VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.repeating_forms_events (
    project VARCHAR NOT NULL, event_name VARCHAR, form_name VARCHAR, custom_form_label VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.users (
    project VARCHAR NOT NULL, username VARCHAR, email VARCHAR, firstname VARCHAR, lastname VARCHAR,
    expiration VARCHAR, data_access_group VARCHAR, data_access_group_id BIGINT, rights JSON
);
CREATE TABLE IF NOT EXISTS redcap.user_form_rights (
    project VARCHAR NOT NULL, username VARCHAR, form_name VARCHAR, data_entry INTEGER, data_export INTEGER
);
CREATE TABLE IF NOT EXISTS redcap.user_roles (
    project VARCHAR NOT NULL, unique_role_name VARCHAR, role_label VARCHAR, rights JSON
);
CREATE TABLE IF NOT EXISTS redcap.user_role_assignments (
    project VARCHAR NOT NULL, username VARCHAR, unique_role_name VARCHAR, data_access_group VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.data_access_groups (
    project VARCHAR NOT NULL, data_access_group_name VARCHAR, unique_group_name VARCHAR,
    data_access_group_id BIGINT
);
CREATE TABLE IF NOT EXISTS redcap.data_access_group_assignments (
    project VARCHAR NOT NULL, username VARCHAR, redcap_data_access_group VARCHAR
);
-- What was renamed (old_value, new_value) has its new name in all other tables, in their past rows too.
CREATE TABLE IF NOT EXISTS redcap.dictionary_changes (
    project VARCHAR NOT NULL, detected_at TIMESTAMP, run_id VARCHAR, change VARCHAR, kind VARCHAR,
    name VARCHAR, old_value VARCHAR, new_value VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.records (
    project VARCHAR NOT NULL, record VARCHAR NOT NULL, first_seen TIMESTAMP, last_changed TIMESTAMP,
    deleted_at TIMESTAMP, renamed_to VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.invalid_values (
    project VARCHAR NOT NULL, record VARCHAR, event VARCHAR, instrument VARCHAR, instance VARCHAR,
    field VARCHAR, value VARCHAR, expected VARCHAR, reason VARCHAR, run_id VARCHAR
);
-- REDCap's own log as far as the token may read it; times are the server's local time. Where parts of a project are left
-- out of the warehouse, details has only the names of the fields, because it would quote what is left out.
CREATE TABLE IF NOT EXISTS redcap.audit_log (
    project VARCHAR NOT NULL, timestamp TIMESTAMP, username VARCHAR, action VARCHAR, details VARCHAR, record VARCHAR,
    run_id VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.sync_runs (
    project VARCHAR NOT NULL, run_id VARCHAR NOT NULL, mode VARCHAR, started_at TIMESTAMP,
    finished_at TIMESTAMP, outcome VARCHAR, records_in_redcap BIGINT, records_loaded BIGINT,
    records_added BIGINT, records_changed BIGINT, records_unchanged BIGINT, records_deleted BIGINT,
    records_renamed BIGINT, records_quarantined BIGINT, rows_inserted BIGINT, rows_updated BIGINT,
    rows_deleted BIGINT, rows_unchanged BIGINT, cells BIGINT, invalid_values BIGINT, chunks INTEGER,
    requests BIGINT, bytes BIGINT, seconds DOUBLE, watermark_from TIMESTAMP, watermark_to TIMESTAMP,
    redcap_version VARCHAR, message VARCHAR
);
CREATE TABLE IF NOT EXISTS redcap.sync_chunks (
    project VARCHAR NOT NULL, run_id VARCHAR NOT NULL, chunk INTEGER, asked BIGINT, returned BIGINT,
    rows BIGINT, bytes BIGINT, seconds DOUBLE, attempts INTEGER, outcome VARCHAR, message VARCHAR
);

-- create_record_changes --
-- Every changed cell since a project was first loaded: a table in a mirror; in the published file a view, which shows the
-- first load too.
CREATE TABLE IF NOT EXISTS redcap.record_changes (
    project VARCHAR NOT NULL, record VARCHAR, event VARCHAR, instrument VARCHAR, instance VARCHAR,
    field VARCHAR, old_value VARCHAR, new_value VARCHAR, change VARCHAR, detected_at TIMESTAMP,
    run_id VARCHAR, origin VARCHAR, changed_by VARCHAR, changed_at TIMESTAMP, reason VARCHAR
);
-- For files that were made before changes had a reason.
ALTER TABLE redcap.record_changes ADD COLUMN IF NOT EXISTS reason VARCHAR;

-- read_project_totals --
-- The columns of redcap.projects that loads write when they end; the others are written with the structure.
SELECT records, rows, last_run_id, last_loaded_at FROM redcap.projects;

-- write_project --
-- The project as its structure describes it.
DELETE FROM redcap.projects;
INSERT INTO redcap.projects (
    project, project_id, project_title, record_id_field, is_longitudinal, has_repeating_instruments_or_events,
    surveys_enabled, record_autonumbering_enabled, in_production, creation_time, production_time, missing_data_codes,
    secondary_unique_field, project_notes, redcap_version, not_readable, hidden_fields, records, rows, last_run_id,
    last_loaded_at
) VALUES (
    $project, $project_id, $project_title, $record_id_field, $is_longitudinal, $has_repeating_instruments_or_events,
    $surveys_enabled, $record_autonumbering_enabled, $in_production, $creation_time, $production_time,
    $missing_data_codes, $secondary_unique_field, $project_notes, $redcap_version, $not_readable, $hidden_fields,
    $records, $rows, $last_run_id, $last_loaded_at
);

-- read_described --
-- The structure as it was last written, in the form in which structures are compared.
SELECT described FROM state.structure;

-- write_described --
-- The structure for the next load's comparison.
DELETE FROM state.structure;
INSERT INTO state.structure VALUES ($described);

-- read_digest --
-- The digest of the structure as it was last written, with the structure in the form in which structures are compared.
SELECT digest, described FROM state.structure_digest, state.structure;

-- write_digest --
-- The digest of the structure that was just written.
DELETE FROM state.structure_digest;
INSERT INTO state.structure_digest VALUES ($digest);

-- table_columns --
-- The columns of the tables of schema redcap.
SELECT table_name, column_name, data_type FROM duckdb_columns()
WHERE schema_name = 'redcap' ORDER BY table_name, column_index;
