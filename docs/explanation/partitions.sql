-- Divide records and tombstones into eight partitions by collection.
-- Run this after `cliquet migrate`, while the tables are empty.
BEGIN;

ALTER TABLE cliquet_records RENAME TO cliquet_records_whole;
ALTER TABLE cliquet_tombstones RENAME TO cliquet_tombstones_whole;

CREATE TABLE cliquet_records (LIKE cliquet_records_whole INCLUDING ALL)
    PARTITION BY HASH (collection);
CREATE TABLE cliquet_tombstones (LIKE cliquet_tombstones_whole INCLUDING ALL)
    PARTITION BY HASH (collection);

DO $$
BEGIN
    FOR number IN 0 .. 7 LOOP
        EXECUTE format(
            'CREATE TABLE cliquet_records_%s PARTITION OF cliquet_records '
            'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', number, number);
        EXECUTE format(
            'CREATE TABLE cliquet_tombstones_%s PARTITION OF cliquet_tombstones '
            'FOR VALUES WITH (MODULUS 8, REMAINDER %s)', number, number);
    END LOOP;
END $$;

DROP TABLE cliquet_records_whole, cliquet_tombstones_whole;

COMMIT;
