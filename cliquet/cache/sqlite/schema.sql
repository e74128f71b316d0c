-- Keys are UTF-8 as bytes, since no text of SQLite holds every text of Python;
-- values are JSON in UTF-8.
CREATE TABLE IF NOT EXISTS cache (
    key BLOB NOT NULL PRIMARY KEY,
    value BLOB NOT NULL,
    expires REAL -- seconds since the epoch; NULL: never
);

-- To forget what has expired.
CREATE INDEX IF NOT EXISTS cache_by_expiry
    ON cache (expires)
    WHERE expires IS NOT NULL;
