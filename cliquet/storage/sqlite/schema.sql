-- What the storage keeps in the file. It may be run again at any time.
-- Timestamps are milliseconds; no two changes of one collection have the same.

CREATE TABLE IF NOT EXISTS storage_metadata (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- For migrations to come: which version of this file the tables are of.
INSERT OR IGNORE INTO storage_metadata (name, value) VALUES ('schema_version', '1');

-- The number of records stands beside the timestamp, in the row that every
-- write changes anyway: the total of a list costs nothing.
CREATE TABLE IF NOT EXISTS collections (
    id INTEGER NOT NULL PRIMARY KEY,
    parent_id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    last_modified INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 0,
    UNIQUE (parent_id, collection_id)
);

-- The timestamp of collections that were never written: when the schema was created, or the last
-- flush took place.
CREATE TABLE IF NOT EXISTS epoch (
    moment INTEGER NOT NULL PRIMARY KEY
);

INSERT INTO epoch (moment)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) - 1
    WHERE NOT EXISTS (SELECT 1 FROM epoch);

-- Records lie in the order of their timestamps, as pages ask for them.
CREATE TABLE IF NOT EXISTS records (
    collection INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    id TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (collection, last_modified)
) WITHOUT ROWID;

CREATE UNIQUE INDEX IF NOT EXISTS records_id ON records (collection, id);

-- Tombstones have a table of their own: they don't slow down the pages of records.
CREATE TABLE IF NOT EXISTS tombstones (
    collection INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (collection, last_modified)
) WITHOUT ROWID;

CREATE UNIQUE INDEX IF NOT EXISTS tombstones_id ON tombstones (collection, id);
