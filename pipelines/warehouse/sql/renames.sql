-- Events and instruments that have another name now: who they were, and everything that goes by their names.
-- The table `renamed` holds old and new names.

-- known_events --
SELECT event_id, unique_event_name FROM redcap.events;

-- known_instruments --
-- Instruments as the structure was last written.
SELECT instrument_name FROM redcap.instruments;

-- known_fields --
-- Fields, the record id among them, each with its instrument.
SELECT field_name, form_name FROM redcap.data_dictionary;

-- tables --
SELECT schema_name, table_name, list(column_name) FROM duckdb_columns()
WHERE database_name = current_database() AND list_contains($schemas::VARCHAR[], schema_name) GROUP BY ALL;

-- redefine --
-- What was renamed is read again: whether REDCap kept its form status depends on how it was renamed.
UPDATE state.instruments SET instrument = $new, definition = $definition, stale = stale OR $renamed
WHERE instrument = $old;

-- follow_event --
UPDATE redcap.record_changes AS c SET event = r.new FROM renamed r WHERE c.event = r.old;
UPDATE redcap.invalid_values AS v SET event = r.new FROM renamed r WHERE v.event = r.old;
UPDATE redcap.invalid_values AS v SET value = r.new FROM renamed r
WHERE v.field = 'redcap_event_name' AND v.value = r.old;

-- follow_event_in_writeback --
UPDATE writeback.proposals AS p SET event = r.new FROM renamed r WHERE p.event = r.old;
UPDATE writeback.journal AS j SET event = r.new FROM renamed r WHERE j.event = r.old;

-- follow_instrument --
UPDATE redcap.record_changes AS c SET instrument = r.new FROM renamed r WHERE c.instrument = r.old;
UPDATE redcap.invalid_values AS v SET instrument = r.new FROM renamed r WHERE v.instrument = r.old;

-- follow_instrument_in_reasons --
UPDATE redcap.invalid_values AS v SET reason = $stray || r.new FROM renamed r WHERE v.reason = $stray || r.old;

-- follow_instrument_in_writeback --
UPDATE writeback.proposals AS p SET instrument = r.new FROM renamed r WHERE p.instrument = r.old;
UPDATE writeback.journal AS j SET instrument = r.new FROM renamed r WHERE j.instrument = r.old;

-- follow_field --
UPDATE redcap.record_changes AS c SET field = r.new FROM renamed r WHERE c.field = r.old;
UPDATE redcap.invalid_values AS v SET field = r.new FROM renamed r WHERE v.field = r.old;

-- follow_field_in_writeback --
UPDATE writeback.proposals AS p SET field = r.new FROM renamed r WHERE p.field = r.old;
UPDATE writeback.journal AS j SET field = r.new FROM renamed r WHERE j.field = r.old;
