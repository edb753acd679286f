-- When a REDCap server receives its next request. PostgreSQL's clock is the only clock.

-- server_id --
-- The number that stands for the server.
SELECT id FROM redcap_warehouse.servers WHERE url = %(url)s;

-- add_server --
-- Several machines may add the same server at once.
INSERT INTO redcap_warehouse.servers (url) VALUES (%(url)s) ON CONFLICT DO NOTHING;

-- reserve --
-- The seconds that this request waits, as redcap_source.http.rate_limit.reserve counts them. The row's lock puts
-- machines in order, and what follows it is computed again with the clock after the wait. A schedule more than
-- `longest` seconds ahead is not a queue: the clock was set back.
UPDATE redcap_warehouse.servers
SET next_free = %(interval)s + CASE
        WHEN next_free - extract(epoch FROM clock_timestamp())::double precision BETWEEN 0 AND %(longest)s
        THEN next_free ELSE extract(epoch FROM clock_timestamp())::double precision END
WHERE id = %(id)s
RETURNING greatest(0.0, next_free - %(interval)s - %(interval)s * %(burst)s
                        - extract(epoch FROM clock_timestamp())::double precision);
