-- Schema of the storage backend, version 1. This script can be run repeatedly; the migrations are run
-- after it.
-- Timestamps are in milliseconds and distinct within a collection.

CREATE TABLE IF NOT EXISTS storage_metadata (
    name TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The version of the schema, which migrations change.
INSERT OR IGNORE INTO storage_metadata (name, value) VALUES ('schema_version', '1');

-- The number of records is in the same row as the timestamp, which every write
-- changes anyway, so that totals of lists need no count.
CREATE TABLE IF NOT EXISTS collections (
    id INTEGER NOT NULL PRIMARY KEY,
    parent_id TEXT NOT NULL,
    collection_id TEXT NOT NULL,
    last_modified INTEGER NOT NULL,
    count INTEGER NOT NULL DEFAULT 0,
    UNIQUE (parent_id, collection_id)
);

-- The timestamp of collections that were never written: the time when the schema was created or
-- last flushed.
CREATE TABLE IF NOT EXISTS epoch (
    moment INTEGER NOT NULL PRIMARY KEY
);

INSERT INTO epoch (moment)
    SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) - 1
    WHERE NOT EXISTS (SELECT 1 FROM epoch);

-- Records are stored in the order of their timestamps, the default order of pages.
CREATE TABLE IF NOT EXISTS records (
    collection INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    id TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (collection, last_modified)
) WITHOUT ROWID;

CREATE UNIQUE INDEX IF NOT EXISTS records_id ON records (collection, id);

-- Tombstones are in a separate table so that they don't slow down pages of records.
CREATE TABLE IF NOT EXISTS tombstones (
    collection INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (collection, last_modified)
) WITHOUT ROWID;

CREATE UNIQUE INDEX IF NOT EXISTS tombstones_id ON tombstones (collection, id);
