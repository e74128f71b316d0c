-- Schema of the storage backend, version 1.
-- Timestamps are in milliseconds and distinct within a collection. Strings are
-- ordered by code point, independent of the locale of the database.

-- The number of records is in the same row as the timestamp, which every write
-- locks anyway, so that totals of lists need no count.
CREATE TABLE cliquet_collections (
    collection bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id text COLLATE "C" NOT NULL,
    collection_id text COLLATE "C" NOT NULL,
    last_modified bigint NOT NULL,
    count bigint NOT NULL DEFAULT 0,
    UNIQUE (parent_id, collection_id)
) WITH (fillfactor = 50);

-- The data are of type json, which preserves its text. In jsonb, 1e30 would
-- become an integer, and -0.0 would lose its sign.
CREATE TABLE cliquet_records (
    collection bigint NOT NULL,
    last_modified bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (collection, id)
);

-- For pages in the default order.
CREATE UNIQUE INDEX cliquet_records_by_time ON cliquet_records (collection, last_modified);

-- Tombstones are in a separate table so that they don't slow down pages of records.
CREATE TABLE cliquet_tombstones (
    collection bigint NOT NULL,
    last_modified bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (collection, id)
);

CREATE UNIQUE INDEX cliquet_tombstones_by_time ON cliquet_tombstones (collection, last_modified);

-- The sort key of a value: the rank of its type, then a number (also for
-- booleans), then the UTF-8 of a string, or of the JSON of an array or object.
CREATE TYPE cliquet_key AS (rank integer, number numeric, text bytea);

-- Returns the key of a value, or of a missing value for NULL. The number of a JSON number is its
-- exact value within 64 bits, otherwise the shortest decimal of its float, and 1e310 for
-- infinity. The function only uses what comes with PostgreSQL, because it builds indexes
-- with a restricted search path. Create an index for a field that is often sorted or filtered by:
--   CREATE INDEX ON cliquet_records (collection, cliquet_key(data -> 'field'), last_modified);
CREATE FUNCTION cliquet_key(value json) RETURNS cliquet_key
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    raw text := value::text;
    rank integer := 2;
    number numeric := 0;
    bytes bytea := '';
    float double precision;
BEGIN
    CASE left(raw, 1)
    WHEN '"' THEN
        rank := 1;
        bytes := convert_to(value #>> '{}', 'UTF8');
    WHEN 't', 'f' THEN
        rank := 3;
        number := CASE raw WHEN 'true' THEN 1 ELSE 0 END;
    WHEN 'n' THEN
        rank := 0;
    WHEN '[', '{' THEN
        rank := CASE left(raw, 1) WHEN '[' THEN 4 ELSE 5 END;
        bytes := convert_to(raw, 'UTF8');
    ELSE
        IF raw IS NULL THEN
            rank := 6;
        ELSIF raw !~ '[.eE]' AND (length(raw) < 19
            OR raw::numeric BETWEEN -9223372036854775808 AND 9223372036854775807) THEN
            number := raw::numeric;
        ELSIF length(raw) > 308 AND abs(raw::numeric) >= 2::numeric ^ 1024 - 2::numeric ^ 970 THEN
            number := sign(raw::numeric) * 1e310;
        ELSE
            float := raw::double precision;
            IF float = trunc(float) AND float >= -9223372036854775808::double precision
                AND float < 9223372036854775808::double precision THEN
                number := float::bigint;
            ELSE
                number := float::text::numeric;
            END IF;
        END IF;
    END CASE;
    RETURN (rank, number, bytes);
END $$;
