-- How instruments are shown to analysts: statements that the mirror keeps for the next publish.

-- clear --
-- The statements are made again at the end of every load.
DELETE FROM state.publication;

-- invalid --
-- The columns of each instrument with labels and a type that hold values which do not fit it.
SELECT instrument, list(DISTINCT field ORDER BY field) FROM redcap.invalid_values
WHERE expected = 'BOOLEAN' GROUP BY instrument;
