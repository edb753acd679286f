-- What the tables of schemas redcap and writeback and their columns are, for readers of the published file. Mirrors
-- have no comments.

-- describe_tables --
-- In a new published database, in one transaction: of its own each of these takes four times as long.
COMMENT ON TABLE redcap.projects IS 'One row for each project: its settings in REDCap, and how much of it was loaded';
COMMENT ON COLUMN redcap.projects.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.projects.project_id IS 'REDCap''s number of the project (pid= in its web pages)';
COMMENT ON COLUMN redcap.projects.project_title IS 'Its title in REDCap';
COMMENT ON COLUMN redcap.projects.record_id_field IS
'The field that has the record ids: the first of the data dictionary';
COMMENT ON COLUMN redcap.projects.is_longitudinal IS 'Whether its data are collected by event';
COMMENT ON COLUMN redcap.projects.has_repeating_instruments_or_events IS
'Whether an instrument or an event repeats; false also where the token may not read what repeats';
COMMENT ON COLUMN redcap.projects.surveys_enabled IS 'Whether instruments may be used as surveys';
COMMENT ON COLUMN redcap.projects.record_autonumbering_enabled IS 'Whether REDCap numbers new records itself';
COMMENT ON COLUMN redcap.projects.in_production IS 'Whether it is in production';
COMMENT ON COLUMN redcap.projects.creation_time IS
'When it was created, as REDCap writes it: in the server''s local time';
COMMENT ON COLUMN redcap.projects.production_time IS
'When it was moved to production, as REDCap writes it: in the server''s local time';
COMMENT ON COLUMN redcap.projects.missing_data_codes IS
'Its codes for missing data and their labels, as REDCap writes them';
COMMENT ON COLUMN redcap.projects.secondary_unique_field IS
'The field besides the record id in which no two records may have the same value';
COMMENT ON COLUMN redcap.projects.project_notes IS 'The notes about the project in REDCap';
COMMENT ON COLUMN redcap.projects.redcap_version IS 'The server''s version of REDCap when the structure was last read';
COMMENT ON COLUMN redcap.projects.not_readable IS
'What the token may not read, such as users or the log; the tables lack it';
COMMENT ON COLUMN redcap.projects.hidden_fields IS
'Fields of the data dictionary that answers to the token lack; no table has them';
COMMENT ON COLUMN redcap.projects.records IS 'How many records it has, without deleted ones';
COMMENT ON COLUMN redcap.projects.rows IS 'How many rows the tables of its instruments have together';
COMMENT ON COLUMN redcap.projects.last_run_id IS 'The last load that came to its end and is in this file';
COMMENT ON COLUMN redcap.projects.last_loaded_at IS
'When that load began (UTC). Loads that changed nothing since are not in this file: redcap-warehouse status shows '
'them';
COMMENT ON TABLE redcap.data_dictionary IS 'REDCap''s data dictionary: one row for each field';
COMMENT ON COLUMN redcap.data_dictionary.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.data_dictionary.position IS 'The place of the field in the data dictionary, from 1';
COMMENT ON COLUMN redcap.data_dictionary.field_name IS 'The name of the field';
COMMENT ON COLUMN redcap.data_dictionary.form_name IS 'The instrument that it belongs to';
COMMENT ON COLUMN redcap.data_dictionary.section_header IS 'The heading above the field';
COMMENT ON COLUMN redcap.data_dictionary.field_type IS
'REDCap''s type of the field, such as text, radio, checkbox or calc';
COMMENT ON COLUMN redcap.data_dictionary.field_label IS 'The label of the field: what the form asks';
COMMENT ON COLUMN redcap.data_dictionary.select_choices_or_calculations IS
'Its choices, its calculation or the labels of its slider, as REDCap writes them';
COMMENT ON COLUMN redcap.data_dictionary.field_note IS 'The note beside the field';
COMMENT ON COLUMN redcap.data_dictionary.text_validation_type_or_show_slider_number IS
'How its text is validated, such as integer or date_ymd; for a slider, whether its number is shown';
COMMENT ON COLUMN redcap.data_dictionary.text_validation_min IS
'The lowest value that is expected; the form warns of a lower one';
COMMENT ON COLUMN redcap.data_dictionary.text_validation_max IS
'The largest value that is expected; the form warns of a larger one';
COMMENT ON COLUMN redcap.data_dictionary.identifier IS 'Whether the field is marked as an identifier';
COMMENT ON COLUMN redcap.data_dictionary.branching_logic IS 'The condition under which the form shows the field';
COMMENT ON COLUMN redcap.data_dictionary.required_field IS 'Whether the field is marked as required';
COMMENT ON COLUMN redcap.data_dictionary.custom_alignment IS
'Where the form shows the field: RV or blank, RH, LV or LH, for right or left and vertical or horizontal';
COMMENT ON COLUMN redcap.data_dictionary.question_number IS 'The number that a survey shows beside the field';
COMMENT ON COLUMN redcap.data_dictionary.matrix_group_name IS 'The matrix that the field is a row of';
COMMENT ON COLUMN redcap.data_dictionary.matrix_ranking IS 'Whether each choice may be given only once in that matrix';
COMMENT ON COLUMN redcap.data_dictionary.field_annotation IS 'Its annotation, with its action tags';
COMMENT ON COLUMN redcap.data_dictionary.warehouse_type IS
'The type of its columns in the table with types; NULL where it has no column';
COMMENT ON COLUMN redcap.data_dictionary.warehouse_columns IS
'Its columns: one, or for a checkbox one for each choice; empty where it has none';
COMMENT ON TABLE redcap.field_choices IS 'One row for each choice of each field, form statuses included';
COMMENT ON COLUMN redcap.field_choices.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.field_choices.field_name IS 'The field';
COMMENT ON COLUMN redcap.field_choices.position IS 'The place of the choice among those of its field, from 1';
COMMENT ON COLUMN redcap.field_choices.code IS 'What REDCap stores';
COMMENT ON COLUMN redcap.field_choices.label IS 'What the form shows';
COMMENT ON COLUMN redcap.field_choices.column_name IS
'The column that has it: that of the field, or the checkbox''s for this choice; NULL where exports lack it';
COMMENT ON TABLE redcap.instruments IS 'One row for each instrument, in REDCap''s order';
COMMENT ON COLUMN redcap.instruments.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.instruments.position IS 'The place of the instrument, from 1';
COMMENT ON COLUMN redcap.instruments.instrument_name IS 'Its name, which its tables have too';
COMMENT ON COLUMN redcap.instruments.instrument_label IS 'Its label';
COMMENT ON COLUMN redcap.instruments.repeats IS
'Whether its rows may have instances, because it repeats or an event that it is designated for does; true also where '
'the token may not read what repeats';
COMMENT ON COLUMN redcap.instruments.survey IS 'Whether exports have the time at which it was completed as a survey';
COMMENT ON TABLE redcap.arms IS 'One row for each arm that has events; none in a project without events';
COMMENT ON COLUMN redcap.arms.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.arms.arm_num IS 'The number of the arm';
COMMENT ON COLUMN redcap.arms.name IS 'Its name';
COMMENT ON TABLE redcap.events IS 'One row for each event, in REDCap''s order; none in a project without events';
COMMENT ON COLUMN redcap.events.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.events.position IS 'The place of the event, from 1';
COMMENT ON COLUMN redcap.events.event_name IS 'Its label';
COMMENT ON COLUMN redcap.events.arm_num IS 'The number of its arm';
COMMENT ON COLUMN redcap.events.unique_event_name IS 'Its unique name, made from its label and its arm';
COMMENT ON COLUMN redcap.events.custom_event_label IS 'Its custom label, as it was set up';
COMMENT ON COLUMN redcap.events.event_id IS
'REDCap''s number of the event, which stays when the event is renamed; NULL where the server does not give it';
COMMENT ON COLUMN redcap.events.repeats IS 'Whether the event repeats as a whole';
COMMENT ON TABLE redcap.form_event_mapping IS 'Which instruments are designated for which events';
COMMENT ON COLUMN redcap.form_event_mapping.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.form_event_mapping.arm_num IS 'The number of the event''s arm';
COMMENT ON COLUMN redcap.form_event_mapping.unique_event_name IS 'The event';
COMMENT ON COLUMN redcap.form_event_mapping.form IS 'The instrument';
COMMENT ON TABLE redcap.repeating_forms_events IS
'What repeats: instruments, each in one event where there are events, and whole events';
COMMENT ON COLUMN redcap.repeating_forms_events.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.repeating_forms_events.event_name IS
'The event, by its unique name; NULL in a project without events';
COMMENT ON COLUMN redcap.repeating_forms_events.form_name IS 'The instrument; NULL where the event repeats as a whole';
COMMENT ON COLUMN redcap.repeating_forms_events.custom_form_label IS
'The custom label of the instances, as it was set up';
COMMENT ON TABLE redcap.users IS 'One row for each user of the project; none where the token may not read them';
COMMENT ON COLUMN redcap.users.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.users.username IS 'The user''s name in REDCap';
COMMENT ON COLUMN redcap.users.email IS 'The user''s e-mail address';
COMMENT ON COLUMN redcap.users.firstname IS 'The user''s first name';
COMMENT ON COLUMN redcap.users.lastname IS 'The user''s last name';
COMMENT ON COLUMN redcap.users.expiration IS
'When the user''s access ends, as REDCap writes it; NULL where it does not';
COMMENT ON COLUMN redcap.users.data_access_group IS
'The user''s data access group, as REDCap gives it; NULL where the user is in none';
COMMENT ON COLUMN redcap.users.data_access_group_id IS 'REDCap''s number of that group';
COMMENT ON COLUMN redcap.users.rights IS
'The user''s other rights in the project, by REDCap''s names, which differ from version to version';
COMMENT ON TABLE redcap.user_form_rights IS
'What each user may do with each instrument; none where the token may not read users';
COMMENT ON COLUMN redcap.user_form_rights.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.user_form_rights.username IS 'The user';
COMMENT ON COLUMN redcap.user_form_rights.form_name IS 'The instrument';
COMMENT ON COLUMN redcap.user_form_rights.data_entry IS
'REDCap''s number for viewing and editing: 0 none, 1 edit, 2 read only, 3 edit survey responses too; since 15.6 also '
'128 none, 129 read only, 130 edit, with 8 more for survey responses and 16 more for deleting';
COMMENT ON COLUMN redcap.user_form_rights.data_export IS
'REDCap''s number for exporting: 0 none, 1 everything, 2 de-identified, 3 without identifiers; NULL where the server '
'gives none by instrument';
COMMENT ON TABLE redcap.user_roles IS 'One row for each user role; none where the token may not read them';
COMMENT ON COLUMN redcap.user_roles.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.user_roles.unique_role_name IS 'Its unique name';
COMMENT ON COLUMN redcap.user_roles.role_label IS 'Its label';
COMMENT ON COLUMN redcap.user_roles.rights IS
'Its rights in the project, by REDCap''s names, which differ from version to version';
COMMENT ON TABLE redcap.user_role_assignments IS 'Which role each user has; none where the token may not read it';
COMMENT ON COLUMN redcap.user_role_assignments.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.user_role_assignments.username IS 'The user';
COMMENT ON COLUMN redcap.user_role_assignments.unique_role_name IS 'The role; NULL for a user without one';
COMMENT ON COLUMN redcap.user_role_assignments.data_access_group IS
'The user''s data access group, where the server gives it with the role';
COMMENT ON TABLE redcap.data_access_groups IS
'One row for each data access group; none where the token may not read them';
COMMENT ON COLUMN redcap.data_access_groups.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.data_access_groups.data_access_group_name IS 'Its name';
COMMENT ON COLUMN redcap.data_access_groups.unique_group_name IS 'Its unique name, which the rows of records have';
COMMENT ON COLUMN redcap.data_access_groups.data_access_group_id IS
'REDCap''s number of the group; NULL where the server does not give it';
COMMENT ON TABLE redcap.data_access_group_assignments IS
'Which data access group each user is in; none where the token may not read it';
COMMENT ON COLUMN redcap.data_access_group_assignments.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.data_access_group_assignments.username IS 'The user';
COMMENT ON COLUMN redcap.data_access_group_assignments.redcap_data_access_group IS
'The group, by its unique name; NULL for a user who is in none and sees every record';
COMMENT ON TABLE redcap.dictionary_changes IS
'What changed in the data dictionary and the setup from one load to the next. What was renamed has its new name in '
'all other tables, in their past rows too';
COMMENT ON COLUMN redcap.dictionary_changes.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.dictionary_changes.detected_at IS 'When the run that found the change began (UTC)';
COMMENT ON COLUMN redcap.dictionary_changes.run_id IS 'The run that found it';
COMMENT ON COLUMN redcap.dictionary_changes.change IS
'added, removed, renamed, retyped (another type or validation), relabelled, recoded (other choices or another '
'calculation) or moved (to another instrument)';
COMMENT ON COLUMN redcap.dictionary_changes.kind IS
'What it is: field, instrument, event, form-event pair or repeating (what repeats)';
COMMENT ON COLUMN redcap.dictionary_changes.name IS
'Its name; of a pair, event and instrument with a slash between them';
COMMENT ON COLUMN redcap.dictionary_changes.old_value IS 'What it was before; NULL for what was added or removed';
COMMENT ON COLUMN redcap.dictionary_changes.new_value IS 'What it was afterwards; NULL for what was added or removed';
COMMENT ON TABLE redcap.records IS 'One row for each record that was ever loaded, deleted ones included';
COMMENT ON COLUMN redcap.records.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.records.record IS 'Its id';
COMMENT ON COLUMN redcap.records.first_seen IS 'When the run that first found the record began (UTC)';
COMMENT ON COLUMN redcap.records.last_changed IS 'When the run that last found a change of it began (UTC)';
COMMENT ON COLUMN redcap.records.deleted_at IS
'When the run that found it gone began (UTC); NULL while REDCap has it under this id';
COMMENT ON COLUMN redcap.records.renamed_to IS 'The id that it has instead, where it was renamed';
COMMENT ON TABLE redcap.invalid_values IS
'Values that do not fit the data dictionary or the setup. The raw tables have them too, unless they are on a row of '
'another instrument; the table with types has NULL for a value that does not fit its type';
COMMENT ON COLUMN redcap.invalid_values.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.invalid_values.record IS
'The record, by its id; NULL where the choices of a field contradict the columns of the export';
COMMENT ON COLUMN redcap.invalid_values.event IS 'The event, by its unique name; NULL in a project without events';
COMMENT ON COLUMN redcap.invalid_values.instrument IS 'The instrument';
COMMENT ON COLUMN redcap.invalid_values.instance IS
'The repeating instance, as REDCap sent it; NULL where there is none';
COMMENT ON COLUMN redcap.invalid_values.field IS 'The column, by its name in REDCap''s exports';
COMMENT ON COLUMN redcap.invalid_values.value IS 'The value, verbatim';
COMMENT ON COLUMN redcap.invalid_values.expected IS
'What would fit: a SQL type, one of the choices, or what the setup allows';
COMMENT ON COLUMN redcap.invalid_values.reason IS 'Why the value does not fit';
COMMENT ON COLUMN redcap.invalid_values.run_id IS 'The run that last checked it';
COMMENT ON TABLE redcap.audit_log IS
'REDCap''s own log of the project, as far as the token may read it; none where it may not';
COMMENT ON COLUMN redcap.audit_log.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.audit_log.timestamp IS 'The server''s local time, to the minute: not UTC';
COMMENT ON COLUMN redcap.audit_log.username IS 'The user, as the log names them';
COMMENT ON COLUMN redcap.audit_log.action IS 'What was done';
COMMENT ON COLUMN redcap.audit_log.details IS
'What was changed, with its values; only the names of fields where parts of the project are left out of the warehouse';
COMMENT ON COLUMN redcap.audit_log.record IS 'The record, by its id, where the server names it';
COMMENT ON COLUMN redcap.audit_log.run_id IS 'The run that last read the row';
COMMENT ON TABLE redcap.sync_runs IS
'Every run: loads, and write-backs that were applied. A load that changed nothing is added to this file with the '
'next change: redcap-warehouse status shows it before';
COMMENT ON COLUMN redcap.sync_runs.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.sync_runs.run_id IS 'Its id, which rows, changes and chunks refer to';
COMMENT ON COLUMN redcap.sync_runs.mode IS
'full (a load of every record), incremental (of records that may have changed) or writeback';
COMMENT ON COLUMN redcap.sync_runs.started_at IS 'When the run began (UTC)';
COMMENT ON COLUMN redcap.sync_runs.finished_at IS 'When the run ended (UTC)';
COMMENT ON COLUMN redcap.sync_runs.outcome IS
'ok, incomplete (some records could not be fetched), failed, interrupted, killed (its process ended before it did) '
'or running';
COMMENT ON COLUMN redcap.sync_runs.records_in_redcap IS 'How many records REDCap had';
COMMENT ON COLUMN redcap.sync_runs.records_loaded IS 'How many of them were read, with all their instruments';
COMMENT ON COLUMN redcap.sync_runs.records_added IS 'How many records are new';
COMMENT ON COLUMN redcap.sync_runs.records_changed IS 'How many known records have other values than before';
COMMENT ON COLUMN redcap.sync_runs.records_unchanged IS 'How many were read and are as they were';
COMMENT ON COLUMN redcap.sync_runs.records_deleted IS 'How many were deleted in REDCap';
COMMENT ON COLUMN redcap.sync_runs.records_renamed IS 'How many have another id';
COMMENT ON COLUMN redcap.sync_runs.records_quarantined IS
'How many could not be fetched; their rows are those of the load before';
COMMENT ON COLUMN redcap.sync_runs.rows_inserted IS 'How many rows are new, all instruments together';
COMMENT ON COLUMN redcap.sync_runs.rows_updated IS 'How many rows were replaced by others with the same keys';
COMMENT ON COLUMN redcap.sync_runs.rows_deleted IS 'How many rows are gone';
COMMENT ON COLUMN redcap.sync_runs.rows_unchanged IS 'How many rows were read and are as they were';
COMMENT ON COLUMN redcap.sync_runs.cells IS 'How many cells the rows that were read have, blank ones included';
COMMENT ON COLUMN redcap.sync_runs.invalid_values IS 'How many values redcap.invalid_values listed after the run';
COMMENT ON COLUMN redcap.sync_runs.chunks IS 'How many chunks were read; redcap.sync_chunks has them';
COMMENT ON COLUMN redcap.sync_runs.requests IS 'How many requests it sent to REDCap';
COMMENT ON COLUMN redcap.sync_runs.bytes IS 'How many bytes REDCap answered';
COMMENT ON COLUMN redcap.sync_runs.seconds IS 'How long it took';
COMMENT ON COLUMN redcap.sync_runs.watermark_from IS
'Up to when the project was known to be read before the run, by REDCap''s clock (UTC)';
COMMENT ON COLUMN redcap.sync_runs.watermark_to IS
'Up to when it was known to be read after the run, by REDCap''s clock (UTC); NULL where records are still to be read';
COMMENT ON COLUMN redcap.sync_runs.redcap_version IS 'The server''s version of REDCap';
COMMENT ON COLUMN redcap.sync_runs.message IS 'What a person should know of the run; NULL if there is nothing';
COMMENT ON TABLE redcap.sync_chunks IS
'Every chunk of every load: the records that were requested together. A record that could not be fetched has a row '
'of its own';
COMMENT ON COLUMN redcap.sync_chunks.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.sync_chunks.run_id IS 'The run that read it';
COMMENT ON COLUMN redcap.sync_chunks.chunk IS 'Its number in the run, from 1; 0 for a record that could not be fetched';
COMMENT ON COLUMN redcap.sync_chunks.asked IS 'How many records were requested';
COMMENT ON COLUMN redcap.sync_chunks.returned IS
'How many of them were verified to be complete; the others were requested again';
COMMENT ON COLUMN redcap.sync_chunks.rows IS 'How many rows the answers had';
COMMENT ON COLUMN redcap.sync_chunks.bytes IS 'How many bytes they had';
COMMENT ON COLUMN redcap.sync_chunks.seconds IS 'How long its requests took, together';
COMMENT ON COLUMN redcap.sync_chunks.attempts IS 'How many requests that took, repeated ones included';
COMMENT ON COLUMN redcap.sync_chunks.outcome IS 'ok or quarantined';
COMMENT ON COLUMN redcap.sync_chunks.message IS 'Why the record could not be fetched';
COMMENT ON TABLE writeback.batches IS 'One row for each batch of proposals';
COMMENT ON COLUMN writeback.batches.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN writeback.batches.batch IS 'Its name';
COMMENT ON COLUMN writeback.batches.author IS 'Who began it';
COMMENT ON COLUMN writeback.batches.source IS
'Where its proposals came from: the name of a file, or query, frame or python';
COMMENT ON COLUMN writeback.batches.reverts IS 'The batch that it undoes';
COMMENT ON COLUMN writeback.batches.created_at IS 'When the batch was begun (UTC)';
COMMENT ON COLUMN writeback.batches.proposals IS 'How many proposals it has';
COMMENT ON COLUMN writeback.batches.open IS 'How many of them are still open, whatever was last decided about them';
COMMENT ON COLUMN writeback.batches.confirmed IS 'How many were written and read back';
COMMENT ON COLUMN writeback.batches.already_there IS 'How many REDCap held already when they were last decided about';
COMMENT ON COLUMN writeback.batches.conflicts IS
'How many of the open ones were in conflict when they were last decided about';
COMMENT ON COLUMN writeback.batches.invalid IS 'How many are invalid, open ones included';
COMMENT ON COLUMN writeback.batches.failed IS 'How many REDCap refused';
COMMENT ON COLUMN writeback.batches.not_confirmed IS 'How many were sent and did not read back as they were sent';
COMMENT ON COLUMN writeback.batches.followed IS
'How many further cells REDCap changed itself because of what was written';
COMMENT ON COLUMN writeback.batches.planned_at IS 'When it was last planned (UTC)';
COMMENT ON COLUMN writeback.batches.applied_at IS 'When it was last applied (UTC)';
COMMENT ON COLUMN writeback.batches.run_id IS 'The run that last planned or applied it';
COMMENT ON TABLE writeback.proposals IS 'One row for each proposed value of a cell';
COMMENT ON COLUMN writeback.proposals.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN writeback.proposals.batch IS 'The batch that it belongs to';
COMMENT ON COLUMN writeback.proposals.proposal IS 'Its number, which the journal refers to';
COMMENT ON COLUMN writeback.proposals.record IS 'The record, by its id';
COMMENT ON COLUMN writeback.proposals.event IS 'The event, by its unique name; NULL in a project without events';
COMMENT ON COLUMN writeback.proposals.instrument IS 'The instrument';
COMMENT ON COLUMN writeback.proposals.instance IS
'The number of the repeating instance, or new, new-2 and so on for one that does not exist yet; NULL where nothing '
'repeats';
COMMENT ON COLUMN writeback.proposals.field IS 'The column, by its name in REDCap''s exports';
COMMENT ON COLUMN writeback.proposals.seen_value IS
'The value that was seen when it was proposed; NULL if the cell was blank, or if the warehouse may not keep it';
COMMENT ON COLUMN writeback.proposals.new_value IS
'The value that the cell should have, blank to erase it; NULL if the warehouse may not keep it';
COMMENT ON COLUMN writeback.proposals.clear IS 'Whether it erases the cell';
COMMENT ON COLUMN writeback.proposals.reason IS 'Why it was proposed, as its author wrote';
COMMENT ON COLUMN writeback.proposals.author IS 'Who proposed it';
COMMENT ON COLUMN writeback.proposals.proposed_at IS 'When the value was proposed (UTC)';
COMMENT ON COLUMN writeback.proposals.status IS
'open, confirmed, already there, failed, not confirmed, invalid, superseded (by a later proposal) or withdrawn';
COMMENT ON COLUMN writeback.proposals.decision IS
'What was last decided about it: write, already there, conflict or invalid; NULL before it is planned';
COMMENT ON COLUMN writeback.proposals.decision_reason IS 'Why it is not to be written';
COMMENT ON COLUMN writeback.proposals.warning IS 'What a person should look at, though it may be written';
COMMENT ON COLUMN writeback.proposals.decided_at IS 'When it was last decided about (UTC)';
COMMENT ON COLUMN writeback.proposals.run_id IS 'The run that last decided about it';
COMMENT ON TABLE writeback.journal IS
'One row for each cell that was sent to REDCap, and for each that REDCap changed itself because of it';
COMMENT ON COLUMN writeback.journal.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN writeback.journal.batch IS 'The batch that it belongs to';
COMMENT ON COLUMN writeback.journal.proposal IS
'The number of its proposal; NULL for a cell that REDCap changed itself';
COMMENT ON COLUMN writeback.journal.run_id IS 'The run that sent it, or found that REDCap had changed it';
COMMENT ON COLUMN writeback.journal.request IS
'The number of the request in that run; NULL for a cell that REDCap changed itself';
COMMENT ON COLUMN writeback.journal.record IS 'The record, by its id';
COMMENT ON COLUMN writeback.journal.event IS 'The event, by its unique name; NULL in a project without events';
COMMENT ON COLUMN writeback.journal.instrument IS 'The instrument';
COMMENT ON COLUMN writeback.journal.instance IS 'The number of the repeating instance; NULL where nothing repeats';
COMMENT ON COLUMN writeback.journal.field IS 'The column, by its name in REDCap''s exports';
COMMENT ON COLUMN writeback.journal.seen_value IS 'The value that was seen when it was proposed; NULL if blank';
COMMENT ON COLUMN writeback.journal.before_value IS 'The value that REDCap held directly before; NULL if blank';
COMMENT ON COLUMN writeback.journal.new_value IS
'The value that was sent; NULL if it erased the cell, or if nothing was sent';
COMMENT ON COLUMN writeback.journal.after_value IS
'The value that REDCap held when the cell was read back; NULL if blank';
COMMENT ON COLUMN writeback.journal.status IS
'intended (it may have been sent, and was not read back yet), confirmed, failed, not confirmed or followed (REDCap '
'changed it itself)';
COMMENT ON COLUMN writeback.journal.message IS 'What REDCap answered, or why it is not confirmed';
COMMENT ON COLUMN writeback.journal.reason IS
'Why it was proposed, as its author wrote; or the batch that it followed from';
COMMENT ON COLUMN writeback.journal.author IS 'Who proposed it';
COMMENT ON COLUMN writeback.journal.intended_at IS 'When it was about to be sent (UTC)';
COMMENT ON COLUMN writeback.journal.settled_at IS 'When it was known what became of it (UTC)';
COMMENT ON COLUMN writeback.journal.accounted_run IS
'The run that gave its change in redcap.record_changes write-back as the origin, or stopped looking for one; NULL '
'before';

-- describe_changes --
-- The view of all changes, once it is there.
COMMENT ON VIEW redcap.record_changes IS
'Every changed cell of every record, the first load included: replayed from the first, they give what is there';

-- describe_columns_of_changes --
-- Its columns.
COMMENT ON COLUMN redcap.record_changes.project IS 'The project, by its name in projects.yaml';
COMMENT ON COLUMN redcap.record_changes.record IS
'The record, by its id. A record that was renamed has its new id from then on';
COMMENT ON COLUMN redcap.record_changes.event IS 'The event, by its unique name; NULL in a project without events';
COMMENT ON COLUMN redcap.record_changes.instrument IS 'The instrument; NULL where the record itself was renamed';
COMMENT ON COLUMN redcap.record_changes.instance IS 'The number of the repeating instance; NULL where nothing repeats';
COMMENT ON COLUMN redcap.record_changes.field IS 'The column, by its name in REDCap''s exports';
COMMENT ON COLUMN redcap.record_changes.old_value IS 'The value before, verbatim; NULL if blank';
COMMENT ON COLUMN redcap.record_changes.new_value IS 'The value afterwards, verbatim; NULL if blank';
COMMENT ON COLUMN redcap.record_changes.change IS
'insert (its row is new), update, delete (its row, its field or its record is gone) or rename (the record has '
'another id)';
COMMENT ON COLUMN redcap.record_changes.detected_at IS 'When the run that found the change began (UTC)';
COMMENT ON COLUMN redcap.record_changes.run_id IS 'The run that found it';
COMMENT ON COLUMN redcap.record_changes.origin IS
'writeback if this warehouse wrote it, or REDCap changed it itself because of that; otherwise redcap';
COMMENT ON COLUMN redcap.record_changes.changed_by IS
'Who changed it, by REDCap''s log; where its origin is writeback, who proposed it. NULL where that is not known';
COMMENT ON COLUMN redcap.record_changes.changed_at IS
'When it was changed, by REDCap''s log, to the minute (UTC); where its origin is writeback, when the value was sent. '
'NULL where that is not known';
COMMENT ON COLUMN redcap.record_changes.reason IS
'Where its origin is writeback: why it was proposed, or the batch that it followed from';
