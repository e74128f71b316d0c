-- Schema of the permission backend, version 1. All strings are escaped (see
-- cliquet.permission.object_ids), and ordered by code point.

-- The principals of users, except their own id.
CREATE TABLE cliquet_user_principals (
    user_id text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    PRIMARY KEY (user_id, principal)
);

-- To remove a principal from all users.
CREATE INDEX cliquet_user_principals_by_principal ON cliquet_user_principals (principal);

-- The principals that have a permission on an object.
CREATE TABLE cliquet_access_control_entries (
    object_id text COLLATE "C" NOT NULL,
    permission text COLLATE "C" NOT NULL,
    principal text COLLATE "C" NOT NULL,
    PRIMARY KEY (object_id, permission, principal)
);

-- To list the objects that a principal has access to, by the beginning of their ids.
CREATE INDEX cliquet_access_control_entries_by_principal
    ON cliquet_access_control_entries (principal, permission, object_id);

-- Grants permissions on an object to some principals, and to no others. Concurrent calls for one
-- object are serialized; 811507 distinguishes this advisory lock from those of other programs.
CREATE FUNCTION cliquet_replace_permissions(
    of_object text, replaced text[], permissions text[], principals text[])
RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(811507, hashtext(of_object));
    DELETE FROM cliquet_access_control_entries
        WHERE object_id = of_object AND permission = ANY(replaced);
    INSERT INTO cliquet_access_control_entries (object_id, permission, principal)
        SELECT of_object, permission, principal
        FROM unnest(permissions, principals) AS given (permission, principal)
        ON CONFLICT DO NOTHING;
END $$;
