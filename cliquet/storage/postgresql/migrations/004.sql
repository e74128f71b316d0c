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

UPDATE cliquet_collections AS collections SET
    time_sum = cliquet_remainder(sums.times, 67108859),
    cube_sum = cliquet_remainder(sums.cubes, 67108837)
    FROM (
        SELECT collection,
            sum(last_modified % 67108859)::bigint AS times,
            sum(cliquet_cube(last_modified))::bigint AS cubes
            FROM cliquet_records GROUP BY collection
    ) AS sums
    WHERE sums.collection = collections.collection;

DROP FUNCTION IF EXISTS cliquet_move(cliquet_collections, text, bigint, bigint, integer);
