-- How instruments are shown to analysts: statements that the mirror keeps for the next publish.

-- clear --
-- The statements are made again at the end of every load.
DELETE FROM state.publication;

-- inexact --
-- The columns of each instrument that hold numbers which their type would change.
SELECT instrument, list(DISTINCT field) FROM redcap.invalid_values WHERE reason = $reason GROUP BY instrument;
