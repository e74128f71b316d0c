-- What the cache keeps in the database, version 1. Keys are UTF-8 as bytes, since no
-- text of PostgreSQL holds every text of Python; values are JSON in UTF-8.
CREATE TABLE cliquet_cache (
    key bytea PRIMARY KEY,
    value bytea NOT NULL,
    expires timestamptz -- NULL: never
);

-- To forget what has expired.
CREATE INDEX cliquet_cache_by_expiry ON cliquet_cache (expires) WHERE expires IS NOT NULL;
