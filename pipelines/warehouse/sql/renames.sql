-- Events and instruments with a new name in REDCap: what they were called, and every row that has the old name.
-- The temporary table `renamed` holds old and new names.

-- known_events --
-- Events as the structure was last written.
SELECT event_id, unique_event_name FROM redcap.events;

-- known_instruments --
-- Instruments as the structure was last written.
SELECT instrument_name FROM redcap.instruments;

-- known_fields --
-- Fields, the record id among them, each with its instrument.
SELECT field_name, form_name FROM redcap.data_dictionary;

-- tables --
-- The columns of every instrument's tables.
SELECT schema_name, table_name, list(column_name) FROM duckdb_columns()
WHERE database_name = current_database() AND list_contains($schemas::VARCHAR[], schema_name) GROUP BY ALL;

-- redefine --
-- What determines the cells of an instrument, under the new names. A renamed instrument is read again: whether REDCap
-- kept its form status depends on how it was renamed.
UPDATE state.instruments SET instrument = $new, definition = $definition, stale = stale OR $renamed
WHERE instrument = $old;

-- make_renamed --
-- Old and new names.
CREATE OR REPLACE TEMP TABLE renamed AS SELECT unnest($old::VARCHAR[]) AS old, unnest($new::VARCHAR[]) AS new;

-- drop_renamed --
-- Every row has the new names.
DROP TABLE renamed;

-- rename_event --
-- Recorded changes and invalid values; an event that an instrument does not have is a value itself.
UPDATE redcap.record_changes AS c SET event = r.new FROM renamed r WHERE c.event = r.old;
UPDATE redcap.invalid_values AS v SET event = r.new FROM renamed r WHERE v.event = r.old;
UPDATE redcap.invalid_values AS v SET value = r.new FROM renamed r
WHERE v.field = 'redcap_event_name' AND v.value = r.old;

-- rename_event_in_writeback --
-- Proposals and the journal.
UPDATE writeback.proposals AS p SET event = r.new FROM renamed r WHERE p.event = r.old;
UPDATE writeback.journal AS j SET event = r.new FROM renamed r WHERE j.event = r.old;

-- rename_instrument --
-- Recorded changes and invalid values.
UPDATE redcap.record_changes AS c SET instrument = r.new FROM renamed r WHERE c.instrument = r.old;
UPDATE redcap.invalid_values AS v SET instrument = r.new FROM renamed r WHERE v.instrument = r.old;

-- rename_instrument_in_reasons --
-- The reason of a cell on a row of another instrument names that instrument.
UPDATE redcap.invalid_values AS v SET reason = $stray || r.new FROM renamed r WHERE v.reason = $stray || r.old;

-- rename_instrument_in_writeback --
-- Proposals and the journal.
UPDATE writeback.proposals AS p SET instrument = r.new FROM renamed r WHERE p.instrument = r.old;
UPDATE writeback.journal AS j SET instrument = r.new FROM renamed r WHERE j.instrument = r.old;

-- rename_field --
-- Recorded changes and invalid values of fields that are named after an instrument.
UPDATE redcap.record_changes AS c SET field = r.new FROM renamed r WHERE c.field = r.old;
UPDATE redcap.invalid_values AS v SET field = r.new FROM renamed r WHERE v.field = r.old;

-- rename_field_in_writeback --
-- Proposals and the journal.
UPDATE writeback.proposals AS p SET field = r.new FROM renamed r WHERE p.field = r.old;
UPDATE writeback.journal AS j SET field = r.new FROM renamed r WHERE j.field = r.old;
