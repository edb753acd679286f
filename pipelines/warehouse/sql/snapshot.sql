-- One project as it is published, for those who propose values for it.

-- project --
SELECT record_id_field, missing_data_codes FROM redcap.projects WHERE project = $project;

-- dictionary --
SELECT field_name, form_name, section_header, field_type, field_label, select_choices_or_calculations, field_note,
       text_validation_type_or_show_slider_number, text_validation_min, text_validation_max,
       CASE WHEN identifier THEN 'y' END AS identifier, branching_logic, field_annotation
FROM redcap.data_dictionary WHERE project = $project ORDER BY position;

-- instruments --
SELECT instrument_name, coalesce(instrument_label, '') FROM redcap.instruments
WHERE project = $project ORDER BY position;

-- events --
SELECT unique_event_name FROM redcap.events WHERE project = $project;

-- columns --
SELECT column_name FROM duckdb_columns()
WHERE database_name = current_database() AND schema_name = $schema AND table_name = $table ORDER BY column_index;

-- hidden_by_type --
-- Cells that the typed table shows as empty though they hold something. A code that is no choice is shown as it is.
SELECT record, coalesce(event, ''), coalesce(instance, ''), field FROM redcap.invalid_values
WHERE project = $project AND instrument = $instrument AND record IS NOT NULL
  AND expected IS DISTINCT FROM $choice;
