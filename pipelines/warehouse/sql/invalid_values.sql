-- Values that do not fit: redcap.invalid_values. Those of a batch are found in the temporary tables of sql/merge.sql.

-- delete_of_batch --
-- The batch's records are checked again, so what was listed of them is deleted first.
DELETE FROM redcap.invalid_values
WHERE instrument = $instrument AND record IN (SELECT record FROM batch_records);

-- with_strays --
-- The instruments of which cells of the batch's records are listed because they are on a row of another instrument.
SELECT DISTINCT instrument FROM redcap.invalid_values
WHERE starts_with(reason, $stray) AND record IN (SELECT record FROM batch_records);

-- delete_values --
-- Stored values are checked again; what contradicts the setup, and cells on a row of another instrument, stay listed.
DELETE FROM redcap.invalid_values
WHERE instrument = $instrument AND record IS NOT NULL AND reason <> $contradiction AND NOT starts_with(reason, $stray);

-- drop_incoming_view --
-- The stored values are checked.
DROP VIEW incoming;
