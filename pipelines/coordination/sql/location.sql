-- Where the warehouse is while it is moved into this store or out of it, and after it was moved out.

-- read --
-- The one row, or none.
SELECT state, folder_id, place, since FROM redcap_warehouse.location;

-- save --
-- In the place of the row of the same folder, or of none: two folders never move at once.
INSERT INTO redcap_warehouse.location (state, folder_id, place, since)
VALUES (%(state)s, %(folder_id)s, %(place)s, clock_timestamp())
ON CONFLICT (one) DO UPDATE SET state = excluded.state, place = excluded.place, since = excluded.since
    WHERE location.folder_id = excluded.folder_id;

-- remove --
-- The warehouse is in this store.
DELETE FROM redcap_warehouse.location WHERE folder_id = %(folder_id)s;
