-- One project as it is published: what proposals are compared with.

-- project --
-- What the project calls its record id, and its missing data codes.
SELECT record_id_field, missing_data_codes FROM redcap.projects WHERE project = $project;

-- dictionary --
-- The dictionary with REDCap's own column names.
SELECT field_name, form_name, section_header, field_type, field_label, select_choices_or_calculations, field_note,
       text_validation_type_or_show_slider_number, text_validation_min, text_validation_max,
       CASE WHEN identifier THEN 'y' END AS identifier, branching_logic, field_annotation
FROM redcap.data_dictionary WHERE project = $project ORDER BY position;

-- instruments --
-- Instruments with their labels, in the project's order.
SELECT instrument_name, coalesce(instrument_label, '') FROM redcap.instruments
WHERE project = $project ORDER BY position;

-- events --
-- The unique names of its events.
SELECT unique_event_name FROM redcap.events WHERE project = $project;

-- columns --
-- The columns of a table, in order.
SELECT column_name FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = $schema AND table_name = $table ORDER BY column_index;

-- hidden_by_type --
-- Cells that the typed table shows as empty although they hold a value. A code that is no choice is shown as it is.
SELECT record, coalesce(event, ''), coalesce(instance, ''), field FROM redcap.invalid_values
WHERE project = $project AND instrument = $instrument AND record IS NOT NULL
  AND expected IS DISTINCT FROM $choice;
