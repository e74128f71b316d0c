-- Keys are bytes in UTF-8, because SQLite's text type can't hold every Python string;
-- values are JSON in UTF-8.
CREATE TABLE IF NOT EXISTS cache (
    key BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL,
    expires REAL -- seconds since the epoch; NULL: never
);

-- To delete expired entries.
CREATE INDEX IF NOT EXISTS cache_by_expiry
    ON cache (expires)
    WHERE expires IS NOT NULL;
