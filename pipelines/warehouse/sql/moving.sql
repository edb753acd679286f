-- What is compared of two mirrors of a project when a warehouse is moved.

-- proposals --
-- Every proposal that was ever made; none is ever deleted.
SELECT DISTINCT proposal FROM writeback.proposals WHERE proposal IS NOT NULL;
