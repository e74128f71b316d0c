-- Version 4: the checksum of each collection, in the row that every write locks anyway. Its moduli
-- are primes below 2 ^ 26: see cliquet/storage/checksums.py.

-- Returns the remainder, which is not negative.
CREATE FUNCTION cliquet_remainder(value bigint, modulus bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (value % modulus + modulus) % modulus;

-- Returns the cube of a timestamp modulo 67108837, with the sign of the timestamp.
CREATE FUNCTION cliquet_cube(value bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (value % 67108837) * (value % 67108837) % 67108837 * (value % 67108837) % 67108837;

ALTER TABLE cliquet_collections
    ADD COLUMN time_sum bigint NOT NULL DEFAULT 0,
    ADD COLUMN cube_sum bigint NOT NULL DEFAULT 0;

UPDATE cliquet_collections AS collections SET (count, time_sum, cube_sum) = (
    SELECT
        count(*),
        cliquet_remainder(coalesce(sum(last_modified % 67108859), 0)::bigint, 67108859),
        cliquet_remainder(coalesce(sum(cliquet_cube(last_modified)), 0)::bigint, 67108837)
    FROM cliquet_records AS records WHERE records.collection = collections.collection
);

DROP FUNCTION IF EXISTS cliquet_move(cliquet_collections, text, bigint, bigint, integer);
