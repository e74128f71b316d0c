-- The tables of the storage with the parent in each key, for one database of several machines.
-- Every constraint has it: what is unique is so within one parent, and on one machine.
CREATE TABLE cliquet_collections (
    parent_id text COLLATE "C" NOT NULL,
    collection_id text COLLATE "C" NOT NULL,
    last_modified bigint NOT NULL,
    count bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (parent_id, collection_id)
) PARTITION BY HASH (parent_id);

CREATE TABLE cliquet_records (
    parent_id text COLLATE "C" NOT NULL,
    collection_id text COLLATE "C" NOT NULL,
    last_modified bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    data json NOT NULL,
    PRIMARY KEY (parent_id, collection_id, id),
    UNIQUE (parent_id, collection_id, last_modified)
) PARTITION BY HASH (parent_id);

CREATE TABLE cliquet_tombstones (
    parent_id text COLLATE "C" NOT NULL,
    collection_id text COLLATE "C" NOT NULL,
    last_modified bigint NOT NULL,
    id text COLLATE "C" NOT NULL,
    PRIMARY KEY (parent_id, collection_id, id),
    UNIQUE (parent_id, collection_id, last_modified)
) PARTITION BY HASH (parent_id);
