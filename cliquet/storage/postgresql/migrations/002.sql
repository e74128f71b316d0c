-- Version 2: reading a collection that was never written writes nothing, and changes can have
-- an earlier timestamp than the record.

-- One row: the timestamp of collections that were never written, which is the time when this table
-- was created or last flushed.
CREATE TABLE cliquet_epoch (
    moment bigint NOT NULL
);

INSERT INTO cliquet_epoch (moment)
    VALUES (floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1);

DROP FUNCTION IF EXISTS cliquet_free(bigint, bigint);
DROP FUNCTION IF EXISTS cliquet_move(cliquet_collections, bigint, bigint, integer);
