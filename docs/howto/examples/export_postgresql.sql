-- Prints the data of Cliquet 3.1 as lines of JSON, for import_dump.py.
-- Data is not converted to jsonb, which changes numbers and refuses some strings.
SELECT replace(line::text, E'\n', ' ') FROM (
    SELECT as_epoch(last_modified) AS moment,
        json_build_object(
            'collection_id', collection_id, 'parent_id', parent_id,
            'record', json_build_object(
                'id', id::text, 'last_modified', as_epoch(last_modified)),
            'data', data) AS line
        FROM records
    UNION ALL
    SELECT as_epoch(last_modified),
        json_build_object(
            'collection_id', collection_id, 'parent_id', parent_id,
            'record', json_build_object(
                'id', id::text, 'last_modified', as_epoch(last_modified), 'deleted', true))
        FROM deleted AS tombstone
        -- An id that was used again is not deleted any more.
        WHERE NOT EXISTS (
            SELECT FROM records
                WHERE records.id = tombstone.id
                    AND records.parent_id = tombstone.parent_id
                    AND records.collection_id = tombstone.collection_id)
) AS lines ORDER BY moment;

SELECT jsonb_build_object(
    'object_id', object_id, 'permissions', jsonb_object_agg(permission, to_jsonb(principals)))
    FROM access_control_entries GROUP BY object_id;

SELECT jsonb_build_object('user_id', user_id, 'principals', to_jsonb(principals))
    FROM user_principals;
