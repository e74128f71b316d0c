-- Functions of the storage backend, replaced after each migration. A migration that changes the
-- parameters or the result of a function drops it first. Functions that indexes use are in migrations.

-- Locks the row of a collection until the end of the transaction, and returns it.
-- Creates it if needed, with the timestamp 0: it was never written.
CREATE OR REPLACE FUNCTION cliquet_lock(of_parent text, of_collection text, moment bigint)
RETURNS cliquet_collections
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections;
BEGIN
    LOOP
        SELECT * INTO locked FROM cliquet_collections
            WHERE parent_id = of_parent AND collection_id = of_collection FOR UPDATE;
        IF FOUND THEN
            RETURN locked;
        END IF;
        INSERT INTO cliquet_collections (parent_id, collection_id, last_modified)
            VALUES (of_parent, of_collection, 0)
            ON CONFLICT DO NOTHING;
    END LOOP;
END $$;

-- Locks the collection, then reads one of its records; ``latest`` is the collection's timestamp.
CREATE OR REPLACE FUNCTION cliquet_get_for_update(
    of_parent text, of_collection text, moment bigint, of_id text,
    OUT latest bigint, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections := cliquet_lock(of_parent, of_collection, moment);
BEGIN
    latest := locked.last_modified;
    IF latest = 0 THEN
        latest := (SELECT coalesce(max(epoch.moment), 0) FROM cliquet_epoch AS epoch);
    END IF;
    SELECT found.last_modified, found.data INTO last_modified, data
        FROM cliquet_records AS found
        WHERE found.collection = locked.collection AND found.id = of_id;
END $$;

-- Returns the requested timestamp, or the next one that no other record or tombstone of the
-- collection has.
CREATE OR REPLACE FUNCTION cliquet_free(of_collection bigint, of_id text, asked bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    free bigint := asked;
    taken bigint;
BEGIN
    FOR taken IN
        SELECT last_modified FROM cliquet_records
            WHERE collection = of_collection AND last_modified >= asked AND id <> of_id
        UNION ALL
        SELECT last_modified FROM cliquet_tombstones
            WHERE collection = of_collection AND last_modified >= asked
        ORDER BY last_modified
    LOOP
        EXIT WHEN taken > free;
        free := taken + 1;
    END LOOP;
    RETURN free;
END $$;

-- Returns the timestamp of a change of a locked collection, and updates the timestamp and the
-- number of records of the collection.
CREATE OR REPLACE FUNCTION cliquet_move(
    locked cliquet_collections, of_id text, asked bigint, moment bigint, change integer)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    next bigint := greatest(moment, locked.last_modified + 1);
    own bigint;
BEGIN
    IF locked.last_modified = 0 THEN
        next := greatest(next,
            (SELECT max(epoch.moment) + 1 FROM cliquet_epoch AS epoch));
    END IF;
    own := next;
    IF asked IS NOT NULL THEN
        own := cliquet_free(locked.collection, of_id, asked);
        IF own > locked.last_modified THEN
            next := own;
        END IF;
    END IF;
    UPDATE cliquet_collections SET last_modified = next, count = count + change
        WHERE collection = locked.collection;
    RETURN own;
END $$;

-- Returns the number of the first of the ``fields`` whose value another record has.
CREATE OR REPLACE FUNCTION cliquet_same(
    of_collection bigint, of_id text, fields text[], keys cliquet_key[],
    OUT place integer, OUT id text, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
BEGIN
    FOR number IN 1 .. coalesce(array_length(fields, 1), 0) LOOP
        SELECT number, found.id, found.last_modified, found.data
            INTO place, id, last_modified, data
            FROM cliquet_records AS found
            WHERE found.collection = of_collection AND found.id <> of_id
                AND cliquet_key(found.data -> fields[number]) = keys[number]
            LIMIT 1;
        EXIT WHEN FOUND;
    END LOOP;
END $$;

-- Writes a record, unless it conflicts with another one: then ``own`` is NULL, and the
-- other record is returned, with the number of the unique field, 0 for the id.
CREATE OR REPLACE FUNCTION cliquet_write(
    of_parent text, of_collection text, moment bigint,
    replace boolean, of_id text, asked bigint, document json, fields text[], keys cliquet_key[],
    OUT own bigint, OUT place integer, OUT id text, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections := cliquet_lock(of_parent, of_collection, moment);
    old_time bigint;
BEGIN
    SELECT found.last_modified INTO old_time FROM cliquet_records AS found
        WHERE found.collection = locked.collection AND found.id = of_id;
    IF old_time IS NOT NULL AND NOT replace THEN
        SELECT 0, found.id, found.last_modified, found.data INTO place, id, last_modified, data
            FROM cliquet_records AS found
            WHERE found.collection = locked.collection AND found.id = of_id;
        RETURN;
    END IF;
    IF fields IS NOT NULL THEN
        SELECT same.place, same.id, same.last_modified, same.data
            INTO place, id, last_modified, data
            FROM cliquet_same(locked.collection, of_id, fields, keys) AS same;
        IF place IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    IF old_time IS NOT NULL THEN
        own := cliquet_move(locked, of_id, nullif(asked, old_time), moment, 0);
        UPDATE cliquet_records AS found SET last_modified = own, data = document
            WHERE found.collection = locked.collection AND found.id = of_id;
    ELSE
        DELETE FROM cliquet_tombstones AS found
            WHERE found.collection = locked.collection AND found.id = of_id;
        own := cliquet_move(locked, of_id, asked, moment, 1);
        INSERT INTO cliquet_records (collection, last_modified, id, data)
            VALUES (locked.collection, own, of_id, document);
    END IF;
END $$;

-- Deletes a record, and returns the time of the deletion; NULL if it doesn't exist.
CREATE OR REPLACE FUNCTION cliquet_delete(
    of_parent text, of_collection text, moment bigint, of_id text, asked bigint, keep boolean)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections;
    old_time bigint;
    own bigint;
BEGIN
    SELECT * INTO locked FROM cliquet_collections
        WHERE parent_id = of_parent AND collection_id = of_collection FOR UPDATE;
    SELECT last_modified INTO old_time FROM cliquet_records
        WHERE collection = locked.collection AND id = of_id;
    IF old_time IS NULL THEN
        RETURN NULL;
    END IF;
    own := cliquet_move(locked, of_id, nullif(asked, old_time), moment, -1);
    DELETE FROM cliquet_records WHERE collection = locked.collection AND id = of_id;
    IF keep THEN
        INSERT INTO cliquet_tombstones (collection, last_modified, id)
            VALUES (locked.collection, own, of_id);
    END IF;
    RETURN own;
END $$;
