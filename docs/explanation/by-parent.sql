-- Storage tables with the parent in each key, for a database distributed over several machines.
-- Every unique constraint includes the parent, so each machine can check it alone.
CREATE TABLE cliquet_collections (
    parent_id text COLLATE "C" NOT NULL,
    collection_id text COLLATE "C" NOT NULL,
    last_modified bigint NOT NULL,
    count bigint NOT NULL DEFAULT 0,
    time_sum bigint NOT NULL DEFAULT 0,
    cube_sum bigint NOT NULL DEFAULT 0,
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
