-- Functions of the storage backend, replaced after each migration. Functions that indexes or
-- migrations use are in migrations.

-- CREATE OR REPLACE FUNCTION can't change parameters or results.
DROP FUNCTION IF EXISTS cliquet_lock, cliquet_get_for_update, cliquet_free, cliquet_move,
    cliquet_same, cliquet_write, cliquet_delete, cliquet_consists_of;

-- Locks the row of a collection until the end of the transaction, and returns it.
-- Creates it if needed, with the timestamp 0: it was never written.
CREATE FUNCTION cliquet_lock(of_parent text, of_collection text, now_ms bigint)
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
CREATE FUNCTION cliquet_get_for_update(
    of_parent text, of_collection text, now_ms bigint, of_id text,
    OUT latest bigint, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections := cliquet_lock(of_parent, of_collection, now_ms);
BEGIN
    latest := locked.last_modified;
    IF latest = 0 THEN
        latest := (SELECT coalesce(max(epoch.moment), 0) FROM cliquet_epoch AS epoch);
    END IF;
    SELECT records.last_modified, records.data INTO last_modified, data
        FROM cliquet_records AS records
        WHERE records.collection = locked.collection AND records.id = of_id;
END $$;

-- Returns the requested timestamp, or the next one that no other record or tombstone of the
-- collection has.
CREATE FUNCTION cliquet_free(of_collection bigint, of_id text, requested bigint) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    free bigint := requested;
    taken bigint;
BEGIN
    FOR taken IN
        SELECT last_modified FROM cliquet_records
            WHERE collection = of_collection AND last_modified >= requested AND id <> of_id
        UNION ALL
        SELECT last_modified FROM cliquet_tombstones
            WHERE collection = of_collection AND last_modified >= requested
        ORDER BY last_modified
    LOOP
        EXIT WHEN taken > free;
        free := taken + 1;
    END LOOP;
    RETURN free;
END $$;

-- Returns the timestamp of a change of a locked collection, and updates the timestamp, the number
-- of records and the checksum of the collection. ``old_timestamp`` is that of the record before the
-- change, NULL if it didn't exist; ``is_kept`` is whether it exists afterwards.
CREATE FUNCTION cliquet_move(
    locked cliquet_collections, of_id text, requested bigint, now_ms bigint,
    old_timestamp bigint, is_kept boolean)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    collection_timestamp bigint := greatest(now_ms, locked.last_modified + 1);
    new_timestamp bigint;
    added bigint;
BEGIN
    IF locked.last_modified = 0 THEN
        collection_timestamp := greatest(collection_timestamp,
            (SELECT max(epoch.moment) + 1 FROM cliquet_epoch AS epoch));
    END IF;
    new_timestamp := collection_timestamp;
    IF requested IS NOT NULL THEN
        new_timestamp := cliquet_free(locked.collection, of_id, requested);
        IF new_timestamp > locked.last_modified THEN
            collection_timestamp := new_timestamp;
        END IF;
    END IF;
    IF is_kept THEN
        added := new_timestamp;
    END IF;
    UPDATE cliquet_collections
        SET last_modified = collection_timestamp,
            count = count + (added IS NOT NULL)::integer - (old_timestamp IS NOT NULL)::integer,
            time_sum = cliquet_remainder(
                time_sum + coalesce(added % 67108859, 0) - coalesce(old_timestamp % 67108859, 0),
                67108859),
            cube_sum = cliquet_remainder(
                cube_sum + coalesce(cliquet_cube(added), 0)
                    - coalesce(cliquet_cube(old_timestamp), 0),
                67108837)
        WHERE collection = locked.collection;
    RETURN new_timestamp;
END $$;

-- Returns the number of the first of the ``fields`` whose value another record has.
CREATE FUNCTION cliquet_same(
    of_collection bigint, of_id text, fields text[], keys cliquet_key[],
    OUT field_number integer, OUT id text, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
BEGIN
    FOR number IN 1 .. coalesce(array_length(fields, 1), 0) LOOP
        SELECT number, records.id, records.last_modified, records.data
            INTO field_number, id, last_modified, data
            FROM cliquet_records AS records
            WHERE records.collection = of_collection AND records.id <> of_id
                AND cliquet_key(records.data -> fields[number]) = keys[number]
            LIMIT 1;
        EXIT WHEN FOUND;
    END LOOP;
END $$;

-- Writes a record, unless it conflicts with another one: then ``new_timestamp`` is NULL, and the
-- other record is returned, with the number of the unique field, 0 for the id.
CREATE FUNCTION cliquet_write(
    of_parent text, of_collection text, now_ms bigint,
    replace boolean, of_id text, requested bigint, document json, fields text[], keys cliquet_key[],
    OUT new_timestamp bigint, OUT field_number integer,
    OUT id text, OUT last_modified bigint, OUT data json)
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections := cliquet_lock(of_parent, of_collection, now_ms);
    old_timestamp bigint;
BEGIN
    SELECT records.last_modified INTO old_timestamp FROM cliquet_records AS records
        WHERE records.collection = locked.collection AND records.id = of_id;
    IF old_timestamp IS NOT NULL AND NOT replace THEN
        SELECT 0, records.id, records.last_modified, records.data
            INTO field_number, id, last_modified, data
            FROM cliquet_records AS records
            WHERE records.collection = locked.collection AND records.id = of_id;
        RETURN;
    END IF;
    IF fields IS NOT NULL THEN
        SELECT duplicate.field_number, duplicate.id, duplicate.last_modified, duplicate.data
            INTO field_number, id, last_modified, data
            FROM cliquet_same(locked.collection, of_id, fields, keys) AS duplicate;
        IF field_number IS NOT NULL THEN
            RETURN;
        END IF;
    END IF;
    IF old_timestamp IS NOT NULL THEN
        new_timestamp := cliquet_move(
            locked, of_id, nullif(requested, old_timestamp), now_ms, old_timestamp, true);
        UPDATE cliquet_records AS records SET last_modified = new_timestamp, data = document
            WHERE records.collection = locked.collection AND records.id = of_id;
    ELSE
        DELETE FROM cliquet_tombstones AS tombstones
            WHERE tombstones.collection = locked.collection AND tombstones.id = of_id;
        new_timestamp := cliquet_move(locked, of_id, requested, now_ms, NULL, true);
        INSERT INTO cliquet_records (collection, last_modified, id, data)
            VALUES (locked.collection, new_timestamp, of_id, document);
    END IF;
END $$;

-- Deletes a record, and returns the time of the deletion; NULL if it doesn't exist.
CREATE FUNCTION cliquet_delete(
    of_parent text, of_collection text, now_ms bigint,
    of_id text, requested bigint, keep_tombstone boolean)
RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    locked cliquet_collections;
    old_timestamp bigint;
    new_timestamp bigint;
BEGIN
    SELECT * INTO locked FROM cliquet_collections
        WHERE parent_id = of_parent AND collection_id = of_collection FOR UPDATE;
    SELECT last_modified INTO old_timestamp FROM cliquet_records
        WHERE collection = locked.collection AND id = of_id;
    IF old_timestamp IS NULL THEN
        RETURN NULL;
    END IF;
    new_timestamp := cliquet_move(
        locked, of_id, nullif(requested, old_timestamp), now_ms, old_timestamp, false);
    DELETE FROM cliquet_records WHERE collection = locked.collection AND id = of_id;
    IF keep_tombstone THEN
        INSERT INTO cliquet_tombstones (collection, last_modified, id)
            VALUES (locked.collection, new_timestamp, of_id);
    END IF;
    RETURN new_timestamp;
END $$;

-- Returns whether a string consists of two or more parts, in order, with any characters between
-- them. LIKE would take quadratic time for long parts.
CREATE FUNCTION cliquet_consists_of(value text, parts text[]) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    last text := parts[cardinality(parts)];
    size integer := length(value) - length(parts[1]) - length(last);
    rest text;
    place integer;
BEGIN
    IF value IS NULL OR size < 0 OR NOT starts_with(value, parts[1])
            OR right(value, length(last)) <> last THEN
        RETURN false;
    END IF;
    rest := substr(value, length(parts[1]) + 1, size);
    FOR number IN 2 .. cardinality(parts) - 1 LOOP
        place := strpos(rest, parts[number]);
        IF place = 0 THEN
            RETURN false;
        END IF;
        rest := substr(rest, place + length(parts[number]));
    END LOOP;
    RETURN true;
END $$;
