-- Schema of the cache backend, version 1. Keys are bytes in UTF-8, because PostgreSQL's
-- text type can't hold every Python string; values are JSON in UTF-8.
CREATE TABLE cliquet_cache (
    key bytea PRIMARY KEY,
    value bytea NOT NULL,
    expires timestamptz -- NULL: never
);

-- To delete expired entries.
CREATE INDEX cliquet_cache_by_expiry ON cliquet_cache (expires) WHERE expires IS NOT NULL;
